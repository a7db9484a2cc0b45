//! Accounts: API keys by name. They come from the config, and from a file as topgun and pybotters read it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::hint;
use super::problem::{Findings, member, quoted};
use super::secret::{self, Environment, SecretSource};
use crate::secret::Secret;
use crate::sign::{self, Api, Credentials, Signer};
use crate::venue::{Endpoints, VenueDef, other};

/// The environment variable that names a file of API keys, as topgun and pybotters know it.
const APIS_VARIABLE: &str = "PYBOTTERS_APIS";
/// The longest file of API keys, in bytes, and the most keys of one.
const LONGEST_FILE: u64 = 1024 * 1024;
const KEYS_MAX: usize = 1_000;
/// What rows of an account without a name are published under.
const NAMELESS: &str = "main";
/// The parts of a key, as the config calls them and in the order of a file of API keys.
const PARTS: [&str; 3] = ["key", "secret", "passphrase"];

/// An account: an API key of a venue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["api", "key"]))]
pub struct Account {
    /// The API that the key is of: `binance`, `bybit_testnet`, `okx_demo` and so on.
    pub api: String,
    /// The key's name at the venue; for Hyperliquid, the wallet's private key.
    pub key: SecretSource,
    /// What requests are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub secret: Option<SecretSource>,
    /// The key's passphrase, for OKX, OKJ, Bitget and KuCoin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub passphrase: Option<SecretSource>,
}

/// All accounts, usable or not. Nothing of a key can be printed.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    known: Vec<KnownAccount>,
    /// What had better be otherwise: files that others may read, names that mean nothing.
    pub notes: Vec<String>,
    /// Why the file that the environment names could not be taken over.
    unread: Option<String>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct KnownAccount {
    /// Its name.
    pub name: String,
    /// The API that its key is of.
    pub api: &'static Api,
    /// Where it stands: `config`, or the path of a file of API keys.
    pub origin: String,
    /// Its key, or why it cannot be used.
    pub credentials: Result<Credentials, String>,
}

impl Accounts {
    /// The account of this name.
    pub fn get(&self, name: &str) -> Option<&KnownAccount> {
        self.known.iter().find(|account| account.name == name)
    }

    /// The account of this name.
    ///
    /// # Errors
    /// There is none; which there are.
    pub fn known(&self, name: &str) -> Result<&KnownAccount, String> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.known.iter().map(|account| account.name.as_str()).collect();
            let known =
                if names.is_empty() { "there are none".to_owned() } else { format!("known: {}", names.join(", ")) };
            let hint = hint::suffix(name, names.iter().copied());
            format!("there is no account {}; {known}{hint}{}", quoted(name), self.unread())
        })
    }

    /// `; PYBOTTERS_APIS: … cannot be opened`, where the file that the variable names could not be taken over.
    pub fn unread(&self) -> String {
        self.unread.as_ref().map(|why| format!("; {why}")).unwrap_or_default()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &KnownAccount> {
        self.known.iter()
    }

    /// The accounts of this venue, for texts.
    pub(super) fn names_of(&self, venue: &str) -> String {
        let names: Vec<&str> =
            self.known.iter().filter(|account| account.api.venue == venue).map(|account| &*account.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// The account that is to sign at a venue's REST address.
    ///
    /// # Errors
    /// There is none of that name, it is of another venue or for other hosts, or it cannot be used: with what to do.
    pub fn of_venue(&self, name: &str, venue: &VenueDef, rest_url: &str) -> Result<Signer, String> {
        let account = self.known(name)?;
        if account.api.venue != venue.id && venue.id != other::VENUE.id {
            let KnownAccount { name, api, .. } = account;
            return Err(format!("the account {name} is of {}, whose keys {} does not know", api.name, venue.id));
        }
        account.signer(rest_url)
    }

    /// Notes what a feed cannot have of an account; its key, if it can.
    pub(super) fn of_feed(
        &self,
        name: Option<&str>,
        venue: &VenueDef,
        endpoints: &Endpoints,
        path: &str,
        findings: &mut Findings,
    ) -> Option<Signer> {
        match self.of_venue(name?, venue, signed_address(endpoints)) {
            Ok(signer) => Some(signer),
            Err(why) => {
                findings.add(path, why);
                None
            }
        }
    }

    fn add(&mut self, account: KnownAccount) {
        match self.get(&account.name) {
            Some(known) => {
                let note =
                    format!("account {}: that of {} holds, not that of {}", known.name, known.origin, account.origin);
                self.notes.push(note);
            }
            None => self.known.push(account),
        }
    }
}

impl KnownAccount {
    /// The account as it signs at a REST address.
    ///
    /// # Errors
    /// It cannot be used, or its hosts are others: with what to do.
    pub fn signer(&self, rest_url: &str) -> Result<Signer, String> {
        let Self { name, api, credentials, .. } = self;
        let credentials = credentials.as_ref().map_err(|why| format!("the account {name} cannot be used: {why}"))?;
        Signer::new(name, api, credentials.clone(), rest_url).map_err(|error| {
            let hosts = api.hosts().join(", ");
            format!("the account {name} cannot sign here: {error}; hosts of {}: {hosts}", api.name)
        })
    }
}

/// The signer that credentials without a name make, for a venue at these addresses.
///
/// # Errors
/// The venue has no signed access, or the credentials do not fit.
pub(super) fn nameless(venue: &VenueDef, endpoints: &Endpoints, credentials: Credentials) -> Result<Signer, String> {
    // The account's address is behind those that need none.
    let url = endpoints.urls.last().map_or("", String::as_str);
    let own = (venue.id != other::VENUE.id).then_some(venue.id);
    let api = sign::for_venue(own, url, &endpoints.rest_url)
        .ok_or_else(|| format!("nothing is signed for {} here, so that credentials are of no use", venue.id))?;
    Signer::new(NAMELESS, api, credentials, signed_address(endpoints)).map_err(|error| error.to_string())
}

/// Where an account signs: at the REST address, if there is one.
fn signed_address(endpoints: &Endpoints) -> &str {
    let url = || endpoints.urls.first().map_or("", String::as_str);
    if endpoints.rest_url.is_empty() { url() } else { &endpoints.rest_url }
}

/// Reads all accounts. What is wrong with one makes it unusable, which matters to what uses it; only what can be no
/// account at all is a finding.
pub(super) fn resolve(
    accounts: &BTreeMap<String, Account>,
    apis: Option<&str>,
    environment: &Environment,
    findings: &mut Findings,
) -> Accounts {
    let mut all = Accounts::default();
    for (name, account) in accounts {
        let path = member("accounts", name);
        let Some(api) = sign::find(&account.api) else {
            let names = sign::APIS.iter().map(|api| api.name);
            let allowed = names.clone().collect::<Vec<_>>().join(", ");
            let hint = hint::suffix(&account.api, names);
            findings
                .add(format!("{path}.api"), format!("unknown API {}; allowed: {allowed}{hint}", quoted(&account.api)));
            continue;
        };
        all.notes.extend(account.sources().filter_map(|(part, source)| {
            loose(Path::new(source.file.as_ref()?)).map(|what| format!("{path}.{part}: {what}"))
        }));
        let credentials = account.read(environment).and_then(|credentials| usable(api, credentials));
        all.add(KnownAccount { name: name.clone(), api, origin: "config".to_owned(), credentials });
    }
    let variable = environment.iter().find(|(name, _)| name == OsStr::new(APIS_VARIABLE));
    match (apis, variable) {
        (Some(path), _) => {
            if let Err(what) = all.read_file(path) {
                findings.add("apis", format!("{} {what}", quoted(path)));
            }
        }
        (None, Some((_, path))) if !path.is_empty() => {
            let path = path.to_string_lossy();
            if let Err(what) = all.read_file(&path) {
                let why = format!("{APIS_VARIABLE}: {} {what}", quoted(&path));
                all.notes.push(why.clone());
                all.unread = Some(why);
            }
        }
        _ => {}
    }
    all.known.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn usable(api: &'static Api, credentials: Credentials) -> Result<Credentials, String> {
    api.check(&credentials).map(|()| credentials).map_err(|error| error.to_string())
}

impl Account {
    fn sources(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let sources = [Some(&self.key), self.secret.as_ref(), self.passphrase.as_ref()];
        PARTS.into_iter().zip(sources).filter_map(|(part, source)| Some((part, source?)))
    }

    /// Reads all parts.
    ///
    /// # Errors
    /// Everything that is wrong, with semicolons between.
    fn read(&self, environment: &Environment) -> Result<Credentials, String> {
        let mut wrong = Vec::new();
        let mut read = |part: &str, source: Option<&SecretSource>| {
            let read = source.map(|source| source.read(environment)).transpose();
            read.map_err(|what| wrong.push(format!("{part}: {what}"))).ok().flatten()
        };
        let (key, secret) = (read("key", Some(&self.key)), read("secret", self.secret.as_ref()));
        let passphrase = read("passphrase", self.passphrase.as_ref());
        match key {
            Some(key) if wrong.is_empty() => {
                let secret = secret.unwrap_or_else(|| Secret::new(String::new()));
                Ok(Credentials { key, secret, passphrase })
            }
            _ => Err(wrong.join("; ")),
        }
    }
}

impl Accounts {
    /// Takes over a file of API keys: `{"bybit": ["KEY", "SECRET"], "okx": ["KEY", "SECRET", "PASSPHRASE"], …}`.
    fn read_file(&mut self, path: &str) -> Result<(), String> {
        let text = read_text(Path::new(path))?;
        // The parser's own words would repeat the text.
        let no_object = |error: serde_json::Error| {
            format!("is no object of lists of texts: see line {}, column {}", error.line(), error.column())
        };
        let keys = sign::raw_members(&text).map_err(no_object)?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = keys.iter().find(|(name, _)| !names.insert(name)) {
            return Err(format!("has {} twice, and only one of them could be used", quoted(twice)));
        }
        if keys.len() > KEYS_MAX {
            return Err(format!("has {} keys; at most {KEYS_MAX} are possible", keys.len()));
        }
        self.notes.extend(loose(Path::new(path)));
        for (name, parts) in keys {
            let Some(api) = sign::find(&name) else {
                self.notes.push(format!("{path}: {} is no known API", quoted(&name)));
                continue;
            };
            let parts: Result<Vec<Part>, _> = serde_json::from_str(parts.get());
            let credentials = parts.ok().and_then(credentials_of);
            let credentials = credentials.unwrap_or_else(|| Err("must be a list of one to three texts".to_owned()));
            let credentials = credentials.and_then(|credentials| usable(api, credentials));
            self.add(KnownAccount { name, api, origin: path.to_owned(), credentials });
        }
        Ok(())
    }
}

/// A text of such a file.
struct Part(Secret);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// `None` for another number of texts; an error where one of them can be no secret.
fn credentials_of(parts: Vec<Part>) -> Option<Result<Credentials, String>> {
    if !(1..=PARTS.len()).contains(&parts.len()) {
        return None;
    }
    // What is empty is missing, and each API says what it needs.
    let wrong = parts.iter().zip(PARTS).filter(|(Part(text), _)| !text.reveal().is_empty());
    let wrong = wrong.filter_map(|(Part(text), part)| secret::check(text.reveal(), || part.to_owned()).err());
    let wrong: Vec<String> = wrong.collect();
    let mut parts = parts.into_iter().map(|Part(secret)| secret);
    let (key, secret, passphrase) = (parts.next()?, parts.next(), parts.next());
    let secret = secret.unwrap_or_else(|| Secret::new(String::new()));
    Some(if wrong.is_empty() { Ok(Credentials { key, secret, passphrase }) } else { Err(wrong.join("; ")) })
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    Ok(text)
}

/// What is wrong with the permissions of a file that holds a secret, if something is.
#[cfg(unix)]
fn loose(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let what = || format!("others than its owner may reach {path:?} (mode {mode:o}); let only its owner: chmod 600");
    (mode & 0o077 != 0).then(what)
}

/// Elsewhere there are no modes.
#[cfg(not(unix))]
fn loose(_path: &Path) -> Option<String> {
    None
}
