//! How a feed shows a terminal's sockets who it is: the `auth` of a feed.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Mechanism;
use super::problem::{Findings, member};
use super::secret::{Environment, SecretSource};
use crate::zmtp::{ClientSecurity, KeyPair, LONGEST_CREDENTIAL, PublicKey};

/// What a terminal's sockets are shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TerminalAuth {
    /// What the terminal's script demands.
    pub mechanism: Mechanism,
    /// PLAIN: the user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// PLAIN: where the password comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub password: Option<SecretSource>,
    /// CURVE: the terminal's public key, 40 characters of Z85, or the path of a `.key` file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_key: Option<String>,
    /// CURVE: our key pair, as `tickbus keygen` or pyzmq writes it (`NAME.key_secret`), or its secret key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub key: Option<SecretSource>,
}

impl TerminalAuth {
    /// Reads keys and password. The result is worth something only if nothing was found.
    pub(super) fn resolve(&self, path: &str, environment: &Environment, findings: &mut Findings) -> ClientSecurity {
        self.check_misplaced(path, findings);
        let security = match self.mechanism {
            Mechanism::Null => Some(ClientSecurity::Null),
            Mechanism::Plain => self.plain(path, environment, findings),
            Mechanism::Curve => self.curve(path, environment, findings),
        };
        security.unwrap_or_default()
    }

    fn check_misplaced(&self, path: &str, findings: &mut Findings) {
        for (key, of, given) in [
            ("username", Mechanism::Plain, self.username.is_some()),
            ("password", Mechanism::Plain, self.password.is_some()),
            ("server_key", Mechanism::Curve, self.server_key.is_some()),
            ("key", Mechanism::Curve, self.key.is_some()),
        ] {
            if given && self.mechanism != of {
                let name = if of == Mechanism::Plain { "PLAIN" } else { "CURVE" };
                findings.add(member(path, key), format!("is for {path}.mechanism {name} only"));
            }
        }
    }

    fn plain(&self, path: &str, environment: &Environment, findings: &mut Findings) -> Option<ClientSecurity> {
        let username = self.username.clone().filter(|name| (1..=LONGEST_CREDENTIAL).contains(&name.len()));
        if username.is_none() {
            findings.add(member(path, "username"), format!("PLAIN needs one, of 1 to {LONGEST_CREDENTIAL} bytes"));
        }
        let place = member(path, "password");
        let Some(source) = &self.password else {
            findings.add(place, "PLAIN needs one: {\"env\": \"NAME\"} or {\"file\": \"PATH\"}");
            return None;
        };
        match source.read(environment) {
            Ok(password) if password.reveal().len() > LONGEST_CREDENTIAL => {
                findings.add(place, format!("{} is longer than {LONGEST_CREDENTIAL} bytes", source.shown()));
                None
            }
            Ok(password) => Some(ClientSecurity::Plain { username: username?, password }),
            Err(what) => {
                findings.add(place, what);
                None
            }
        }
    }

    fn curve(&self, path: &str, environment: &Environment, findings: &mut Findings) -> Option<ClientSecurity> {
        let place = member(path, "server_key");
        let server = match &self.server_key {
            None => Err("CURVE needs the terminal's public key, or the path of its .key file".to_owned()),
            Some(text) => text.parse().or_else(|error| match PublicKey::read(Path::new(text)) {
                Ok(key) => Ok(key),
                Err(of_file) => Err(format!("is neither a key ({error}) nor a file of one ({of_file})")),
            }),
        };
        let server: Option<PublicKey> = server.map_err(|what| findings.add(place, what)).ok();
        let place = member(path, "key");
        let Some(source) = &self.key else {
            findings.add(
                place,
                "CURVE needs our key pair; make one with `tickbus keygen DIR` and name its NAME.key_secret",
            );
            return None;
        };
        let text = source.read_lines(environment).map_err(|what| findings.add(&place, what)).ok()?;
        let own = KeyPair::from_text(text.reveal());
        let own = own.map_err(|error| findings.add(place, format!("{}: {error}", source.shown()))).ok()?;
        Some(ClientSecurity::Curve { server: server?, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(auth: &TerminalAuth) -> Result<ClientSecurity, Vec<(String, String)>> {
        let mut findings = Findings::default();
        let security = auth.resolve("feeds.q.auth", &[("PW".into(), "swordfish".into())], &mut findings);
        let found = findings.into_list();
        if found.is_empty() { Ok(security) } else { Err(found) }
    }

    #[test]
    fn each_mechanism_has_what_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate().unwrap();
        let (public, secret) = pair.write(dir.path(), "own").unwrap();
        assert_eq!(resolved(&TerminalAuth::default()), Ok(ClientSecurity::Null));
        let password = Some(SecretSource { env: Some("PW".to_owned()), file: None });
        let username = Some("alice".to_owned());
        let plain = TerminalAuth { mechanism: Mechanism::Plain, username, password, ..TerminalAuth::default() };
        assert!(matches!(resolved(&plain), Ok(ClientSecurity::Plain { username, .. }) if username == "alice"));
        let key = Some(SecretSource { env: None, file: Some(secret.display().to_string()) });
        for server_key in [pair.public().to_string(), public.display().to_string()] {
            let (server_key, key) = (Some(server_key), key.clone());
            let curve = TerminalAuth { mechanism: Mechanism::Curve, server_key, key, ..TerminalAuth::default() };
            assert_eq!(resolved(&curve), Ok(ClientSecurity::Curve { server: pair.public(), own: pair.clone() }));
        }
    }

    #[test]
    fn what_is_missing_or_misplaced_is_found_at_its_path() {
        let paths = |auth: &TerminalAuth| -> Vec<String> {
            resolved(auth).unwrap_err().into_iter().map(|(path, _)| path).collect()
        };
        let of = |mechanism| TerminalAuth { mechanism, ..TerminalAuth::default() };
        assert_eq!(paths(&of(Mechanism::Plain)), ["feeds.q.auth.username", "feeds.q.auth.password"]);
        assert_eq!(paths(&of(Mechanism::Curve)), ["feeds.q.auth.server_key", "feeds.q.auth.key"]);
        let server_key = Some("/nowhere".to_owned());
        assert_eq!(paths(&TerminalAuth { server_key, ..of(Mechanism::Null) }), ["feeds.q.auth.server_key"]);
    }
}
