//! The API key of a feed: where its parts come from, or, at run time, the parts themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::problem::{Findings, member};
use super::secret::{self, Environment, SecretSource};
use crate::secret::Secret;
use crate::venue::Credentials;

/// The keys of `credentials`.
const PARTS: [&str; 3] = ["key", "secret", "passphrase"];

/// Where the parts of an API key come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["key", "secret"]))]
pub struct CredentialSources {
    /// The key's name at the venue.
    pub key: SecretSource,
    /// What requests are signed with.
    pub secret: SecretSource,
    /// The key's passphrase, for venues that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub passphrase: Option<SecretSource>,
}

impl CredentialSources {
    /// Reads all parts; `None` if one cannot be had, which is then among the findings.
    pub(super) fn resolve(
        &self,
        path: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<Credentials> {
        let mut read = |part: &str, source: &SecretSource| {
            source.read(environment).map_err(|what| findings.add(member(path, part), what)).ok()
        };
        let (key, secret) = (read("key", &self.key), read("secret", &self.secret));
        let passphrase = self.passphrase.as_ref().map(|source| read("passphrase", source));
        Some(Credentials {
            key: key?,
            secret: secret?,
            passphrase: passphrase.map_or(Some(None), |read| read.map(Some))?,
        })
    }
}

/// Parts of an API key that a command brought as text. They are never written anywhere.
#[derive(Debug, Default)]
pub struct GivenTexts([Option<Secret>; 3]);

impl GivenTexts {
    /// Takes the texts out of a feed's settings, and leaves what is not text. Empty when all is given by its source.
    pub fn take(settings: &mut Map<String, Value>) -> Self {
        let mut texts = Self::default();
        let Some(Value::Object(parts)) = settings.get_mut("credentials") else { return texts };
        for (place, part) in texts.0.iter_mut().zip(PARTS) {
            if let Some(Value::String(text)) = parts.get_mut(part) {
                *place = Some(Secret::new(std::mem::take(text)));
                parts.remove(part);
            }
        }
        if parts.is_empty() && !texts.is_empty() {
            settings.remove("credentials");
        }
        texts
    }

    /// Whether every part that was given has a source.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The credentials these texts make together with the parts that have a source, of which `sources` is what was
    /// given. None of that is shown where it is wrong.
    pub(super) fn resolve(
        self,
        sources: &Map<String, Value>,
        path: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<Credentials> {
        if sources.keys().any(|key| !PARTS.contains(&key.as_str())) {
            findings.add(path, format!("has a key that is unknown; allowed: {}", PARTS.join(", ")));
        }
        let mut parts = self.0.into_iter().zip(PARTS).map(|(text, part)| {
            let place = || member(path, part);
            let found = match (text, sources.get(part)) {
                (Some(text), _) => secret::check(text.reveal(), || "the text".to_owned()).map(|()| Some(text)),
                // Serde would also read an array, by position.
                (None, Some(source)) => match source.as_object().map(|_| SecretSource::deserialize(source)) {
                    Some(Ok(source)) => source.read(environment).map(Some),
                    _ => Err(format!("expected a text, {}", secret::EXPECTED)),
                },
                (None, None) if part == "passphrase" => Ok(None),
                (None, None) => Err("missing, and there is no default".to_owned()),
            };
            found.map_err(|what| findings.add(place(), what)).ok()
        });
        let (key, secret, passphrase) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Credentials { key: key??, secret: secret??, passphrase: passphrase? })
    }
}
