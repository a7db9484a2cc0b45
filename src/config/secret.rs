//! Where a secret comes from: an environment variable or a file, never the config itself.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What is to be written where a secret belongs.
pub(super) const EXPECTED: &str = "{\"env\": \"NAME\"} or {\"file\": \"PATH\"}";
/// The longest secret read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Where a secret comes from: `{"env": "NAME"}` or `{"file": "PATH"}`. It never stands in the config itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("writeOnly" = true))]
pub struct SecretSource {
    /// Name of an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Path of a file, absolute or from the working directory. Line ends at its end do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The environment that a config is loaded in.
pub(super) type Environment = [(OsString, OsString)];

impl SecretSource {
    /// Reads a secret of one line.
    ///
    /// # Errors
    /// What is wrong, in words, and never any of the secret.
    pub(super) fn read(&self, environment: &Environment) -> Result<Secret, String> {
        let secret = self.read_lines(environment)?;
        check(secret.reveal(), || self.shown())?;
        Ok(secret)
    }

    /// Reads a secret that may have several lines: a file of a key pair.
    ///
    /// # Errors
    /// What is wrong, in words, and never any of the secret.
    pub(super) fn read_lines(&self, environment: &Environment) -> Result<Secret, String> {
        let text = match (&self.env, &self.file) {
            (Some(name), None) => from_environment(name, environment)?,
            (None, Some(path)) => from_file(Path::new(path)).map_err(|what| format!("the file {path:?} {what}"))?,
            _ => return Err(format!("needs either {EXPECTED}")),
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(format!("{} is empty", self.shown())),
            trimmed => Ok(Secret::new(trimmed.to_owned())),
        }
    }

    /// Where it comes from, in words.
    pub(super) fn shown(&self) -> String {
        match (&self.env, &self.file) {
            (Some(name), _) => format!("the environment variable {name}"),
            (None, Some(path)) => format!("the file {path:?}"),
            (None, None) => "nothing".to_owned(),
        }
    }
}

/// Whether a text can be a secret: one line, which a header could carry. Where it comes from, in words, is told.
///
/// # Errors
/// What is wrong, and never any of the text.
pub(super) fn check(text: &str, origin: impl Fn() -> String) -> Result<(), String> {
    // Private keys in PEM are lines of their own.
    let is_pem = text.starts_with("-----BEGIN ");
    match text.chars().find(|c| c.is_control() && !(is_pem && matches!(c, '\r' | '\n'))) {
        _ if text.is_empty() => Err(format!("{} is empty", origin())),
        Some('\r' | '\n') => Err(format!("{} has several lines; a secret is one", origin())),
        Some(_) => Err(format!("{} has a control character, such as NUL or a tab, in it", origin())),
        None => Ok(()),
    }
}

fn from_environment(name: &str, environment: &Environment) -> Result<Zeroizing<String>, String> {
    let found = environment.iter().find(|(known, _)| known == OsStr::new(name));
    let (_, value) = found.ok_or_else(|| format!("the environment variable {name} is not set"))?;
    let text = value.to_str().ok_or_else(|| format!("the environment variable {name} is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The text of a file; an error follows the file's name in a sentence.
fn from_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> SecretSource {
        SecretSource { env: Some(name.to_owned()), file: None }
    }

    #[test]
    fn secrets_come_from_the_environment_or_a_file() {
        let environment = [("A".into(), "swordfish".into()), ("EMPTY".into(), "\n".into())];
        assert_eq!(env("A").read(&environment).map(|secret| secret.reveal().to_owned()), Ok("swordfish".to_owned()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "sword fish\r\n").unwrap();
        let file = SecretSource { env: None, file: Some(path.display().to_string()) };
        assert_eq!(file.read(&[]).map(|secret| secret.reveal().to_owned()), Ok("sword fish".to_owned()));
        for (text, wanted) in [
            ("sword\nfish", "the environment variable A has several lines; a secret is one"),
            ("\nswordfish", "the environment variable A has several lines; a secret is one"),
            ("sword\u{0}fish", "the environment variable A has a control character, such as NUL or a tab, in it"),
            ("swordfish\t", "the environment variable A has a control character, such as NUL or a tab, in it"),
        ] {
            assert_eq!(env("A").read(&[("A".into(), text.into())]), Err(wanted.to_owned()));
        }
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----";
        assert!(env("A").read(&[("A".into(), format!("{pem}\n").into())]).is_ok_and(|secret| secret.reveal() == pem));
        for (source, wanted) in [
            (env("B"), "the environment variable B is not set"),
            (env("EMPTY"), "the environment variable EMPTY is empty"),
            (SecretSource { file: Some("/nowhere".to_owned()), env: None }, "the file \"/nowhere\" cannot be opened"),
            (SecretSource::default(), "needs either"),
            (SecretSource { file: Some("/a".to_owned()), ..env("A") }, "needs either"),
        ] {
            let text = source.read(&environment).unwrap_err();
            assert!(text.starts_with(wanted) && !text.contains("swordfish"), "{text}");
        }
    }
}
