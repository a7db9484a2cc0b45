//! The API key of a feed: where its parts come from, or, at run time, the parts themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::problem::{Findings, member};
use super::secret::{Environment, SecretSource};
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

    /// The credentials these texts make together with the parts that have a source.
    pub(super) fn resolve(
        self,
        rest: Option<&SecretSources>,
        path: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<Credentials> {
        let none = SecretSources::default();
        let rest = rest.unwrap_or(&none);
        let mut parts = self.0.into_iter().zip([&rest.key, &rest.secret, &rest.passphrase]).zip(PARTS).map(
            |((text, source), part)| {
                let read = source.as_ref().map(|source| source.read(environment));
                let read = read.and_then(|read| read.map_err(|what| findings.add(member(path, part), what)).ok());
                let whole = text.filter(|text| !text.reveal().is_empty()).or(read);
                if whole.is_none() && source.is_none() && part != "passphrase" {
                    findings.add(member(path, part), "missing, and there is no default");
                }
                whole
            },
        );
        let (key, secret, passphrase) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Credentials { key: key?, secret: secret?, passphrase })
    }
}

/// Sources of some of the parts, beside texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretSources {
    key: Option<SecretSource>,
    secret: Option<SecretSource>,
    passphrase: Option<SecretSource>,
}
