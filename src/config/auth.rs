//! Who may connect to the gateway's own sockets: the `auth` of the bus and of the control socket.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::client_keys::{self, KeyList};
use super::problem::{Findings, member};
use super::secret::{Environment, SecretSource};
use crate::secret::Secret;
use crate::zmtp::{
    AllowList, Clients, KeyPair, LONGEST_CREDENTIAL, PublicKey, ServerSecurity, Users, is_readable_by_all,
};

/// What clients must show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// How clients show who they are.
    pub mechanism: Mechanism,
    /// PLAIN: user names, and where their passwords come from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, SecretSource>,
    /// CURVE: the gateway's key pair, as `tickbus keygen` writes it (`NAME.key_secret`), or its secret key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub key: Option<SecretSource>,
    /// CURVE: who may connect. A list of public keys; or `{"file": "PATH"}`, a file with one key a line (`#` begins a
    /// comment) or a folder of `.key` files, read again at SIGHUP and by `tickbus ctl reload`; or `"any"`, everyone who
    /// knows the gateway's public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClientList")]
    pub clients: Option<ClientList>,
}

/// A security mechanism of ZeroMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mechanism {
    /// Everyone may connect.
    #[default]
    Null,
    /// User name and password, which others on the way can read.
    Plain,
    /// Keys; everything is encrypted.
    Curve,
}

/// Who may connect with CURVE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClientList {
    /// `any`.
    Word(String),
    /// These keys.
    Keys(Vec<String>),
    /// The keys of a file or folder.
    File(KeyFile),
}

/// A file or folder of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFile {
    /// Absolute, or from the working directory.
    pub file: String,
}

impl JsonSchema for ClientList {
    fn schema_name() -> Cow<'static, str> {
        "ClientList".into()
    }

    /// The three shapes in one: whoever reads the schema looks only at what is of the value's own type.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array", "object"],
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": 10_000,
            "properties": {
                "file": {"type": "string", "description": "A file with one key a line, or a folder of `.key` files."}
            },
            "required": ["file"],
            "additionalProperties": false,
        })
    }
}

/// What the sockets demand, and what of it can change while the gateway runs.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Of subscribers and of the clients of the snapshot socket.
    pub bus: ServerSecurity,
    /// Of the control socket.
    pub control: ServerSecurity,
    /// What requests to the control socket must carry.
    pub token: Option<Secret>,
    /// The lists of client keys that are kept in files.
    pub lists: Vec<KeyList>,
    /// What is allowed but had better be otherwise, for one log line each.
    pub notes: Vec<String>,
}

/// Which socket an `auth` is of.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Bus,
    Control,
}

impl Of {
    const fn paths(self) -> (&'static str, &'static str) {
        match self {
            Self::Bus => ("bus.auth", "bus.auth.clients"),
            Self::Control => ("control.auth", "control.auth.clients"),
        }
    }
}

impl Auth {
    /// What is demanded, for a summary; nothing for everyone.
    pub fn shown(&self) -> &'static str {
        match (self.mechanism, self.keeps_strangers_out()) {
            (Mechanism::Null, _) => "",
            (Mechanism::Plain, _) => "  PLAIN",
            (Mechanism::Curve, true) => "  CURVE",
            (Mechanism::Curve, false) => "  CURVE, any client",
        }
    }

    /// Whether a stranger is kept out: someone who knows no secret and is on no list.
    pub fn keeps_strangers_out(&self) -> bool {
        match self.mechanism {
            Mechanism::Null => false,
            Mechanism::Plain => true,
            Mechanism::Curve => !matches!(&self.clients, Some(ClientList::Word(_))),
        }
    }

    /// Reads keys and passwords. Lists and notes are added to `security`; the result is worth something only if nothing
    /// was found.
    pub(super) fn resolve(
        &self,
        of: Of,
        environment: &Environment,
        security: &mut Security,
        findings: &mut Findings,
    ) -> ServerSecurity {
        let (path, list_path) = of.paths();
        self.check_misplaced(path, findings);
        match self.mechanism {
            Mechanism::Null => ServerSecurity::Null,
            Mechanism::Plain => ServerSecurity::Plain(self.users(path, environment, security, findings)),
            Mechanism::Curve => {
                let allowed = AllowList::new(self.clients(list_path, findings));
                if let Some(ClientList::File(KeyFile { file })) = &self.clients {
                    let file = PathBuf::from(file);
                    security.lists.push(KeyList { path: list_path, file, allowed: allowed.clone() });
                }
                let own = self.own_keys(&member(path, "key"), environment, security, findings);
                own.map_or(ServerSecurity::Null, |own| ServerSecurity::Curve { own, allowed })
            }
        }
    }

    fn check_misplaced(&self, path: &str, findings: &mut Findings) {
        for (key, of, given) in [
            ("users", Mechanism::Plain, !self.users.is_empty()),
            ("key", Mechanism::Curve, self.key.is_some()),
            ("clients", Mechanism::Curve, self.clients.is_some()),
        ] {
            if given && self.mechanism != of {
                let name = if of == Mechanism::Plain { "PLAIN" } else { "CURVE" };
                findings.add(member(path, key), format!("is for {path}.mechanism {name} only"));
            }
        }
    }

    fn users(&self, path: &str, environment: &Environment, security: &mut Security, findings: &mut Findings) -> Users {
        let path = member(path, "users");
        if self.users.is_empty() {
            findings.add(&path, "is missing; PLAIN needs {\"NAME\": {\"env\": \"VARIABLE\"}} or {\"file\": \"PATH\"}");
        }
        let mut users = BTreeMap::new();
        for (name, source) in &self.users {
            let path = member(&path, name);
            if name.is_empty() || name.len() > LONGEST_CREDENTIAL {
                findings.add(&path, format!("a user name has 1 to {LONGEST_CREDENTIAL} bytes"));
            }
            match source.read(environment) {
                Ok(password) if password.reveal().len() > LONGEST_CREDENTIAL => {
                    findings.add(&path, format!("{} is longer than {LONGEST_CREDENTIAL} bytes", source.shown()));
                }
                Ok(password) => drop(users.insert(name.clone(), password)),
                Err(what) => findings.add(&path, what),
            }
            note_if_open(source, &path, security);
        }
        Users::new(users)
    }

    fn own_keys(
        &self,
        path: &str,
        environment: &Environment,
        security: &mut Security,
        findings: &mut Findings,
    ) -> Option<KeyPair> {
        let Some(source) = &self.key else {
            findings.add(path, "is missing; make keys with `tickbus keygen DIR` and name its NAME.key_secret here");
            return None;
        };
        note_if_open(source, path, security);
        let text = source.read_lines(environment).map_err(|what| findings.add(path, what)).ok()?;
        let pair = KeyPair::from_text(text.reveal());
        pair.map_err(|error| findings.add(path, format!("{}: {error}", source.shown()))).ok()
    }

    fn clients(&self, path: &str, findings: &mut Findings) -> Clients {
        let keys = match &self.clients {
            None => {
                let allowed = "a list of public keys, {\"file\": \"PATH\"} of a list, or \"any\"";
                findings.add(path, format!("is missing; who may connect? allowed: {allowed}"));
                return Clients::Any;
            }
            Some(ClientList::Word(word)) => {
                if word != "any" {
                    findings.add(path, "allowed: a list of public keys, {\"file\": \"PATH\"} of a list, or \"any\"");
                }
                return Clients::Any;
            }
            Some(ClientList::Keys(keys)) => listed(keys, path, findings),
            Some(ClientList::File(KeyFile { file })) => client_keys::read(Path::new(file)).unwrap_or_else(|what| {
                findings.add(path, what);
                BTreeSet::new()
            }),
        };
        Clients::Listed(keys)
    }
}

fn listed(keys: &[String], path: &str, findings: &mut Findings) -> BTreeSet<PublicKey> {
    let mut read = BTreeSet::new();
    for (at, key) in keys.iter().enumerate() {
        match key.parse::<PublicKey>() {
            Ok(key) => drop(read.insert(key)),
            Err(error) => findings.add(format!("{path}[{at}]"), error.to_string()),
        }
    }
    read
}

/// Notes a secret's file that every user may read. One that cannot be looked at is reported when it is read.
pub(super) fn note_if_open(source: &SecretSource, path: &str, security: &mut Security) {
    if let Some(file) = &source.file
        && is_readable_by_all(Path::new(file)).unwrap_or(false)
    {
        security.notes.push(format!("{path}: every user may read {file:?}; let only its owner: chmod 600"));
    }
}
