//! The credentials of a connection, as flags and variables: keys (CURVE), or a user name with a password (PLAIN).

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::Args;
use thiserror::Error;

use crate::secret::Secret;
use crate::zmtp::{ClientSecurity, KeyError, KeyFileError, KeyPair, LONGEST_CREDENTIAL, PublicKey};

/// The variable with the password of `--user`.
const PASSWORD: &str = "TICKBUS_PASSWORD";
/// The longest password file read.
const LONGEST_FILE: u64 = 4096;

/// What to show a gateway that demands keys or a password.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessArgs {
    /// The gateway's public key, or the file with it: everything is encrypted (CURVE)
    #[arg(long, value_name = "KEY|FILE", env = "TICKBUS_SERVER_KEY", conflicts_with = "user")]
    pub server_key: Option<String>,
    /// File with this client's secret key, as `tickbus keygen` makes it; without it a new key is made for this run
    #[arg(long, value_name = "FILE", env = "TICKBUS_KEY", requires = "server_key")]
    pub key: Option<PathBuf>,
    /// User name, for a gateway with passwords (PLAIN); the password is in --password-file or in TICKBUS_PASSWORD
    #[arg(long, value_name = "NAME", env = "TICKBUS_USER")]
    pub user: Option<String>,
    /// File with the password of --user; a line end at its end does not count
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
}

/// Why the credentials cannot be used.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Neither a key nor a file with one.
    #[error("--server-key: {0}; write the 40 characters of the gateway's public key, or name the file with it")]
    ServerKey(KeyFileError),
    /// The file has no secret key.
    #[error("--key: {0}")]
    Key(KeyFileError),
    /// No new key can be made.
    #[error("no key can be made for this run: {0}")]
    NewKey(KeyError),
    /// `--user` without a password.
    #[error("--user needs a password: name a file with --password-file, or set {PASSWORD}")]
    NoPassword,
    /// The password's file cannot be read.
    #[error("--password-file {}: {source}", path.display())]
    PasswordFile {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Too long for the protocol.
    #[error("the {0} has more than {LONGEST_CREDENTIAL} bytes")]
    TooLong(&'static str),
}

impl AccessArgs {
    /// Reads the files and the variable that the flags name.
    ///
    /// # Errors
    /// [`AccessError`], which never repeats a secret.
    pub fn security(&self) -> Result<ClientSecurity, AccessError> {
        if let Some(server) = &self.server_key {
            let server = server.parse().or_else(|_| PublicKey::read(Path::new(server)));
            let own = match &self.key {
                Some(path) => KeyPair::read(path).map_err(AccessError::Key)?,
                None => KeyPair::generate().map_err(AccessError::NewKey)?,
            };
            return Ok(ClientSecurity::Curve { server: server.map_err(AccessError::ServerKey)?, own });
        }
        let Some(username) = self.user.clone() else { return Ok(ClientSecurity::Null) };
        let password = match &self.password_file {
            Some(path) => password_of(path)?,
            None => env::var(PASSWORD).map(Secret::new).map_err(|_| AccessError::NoPassword)?,
        };
        for (what, bytes) in [("user name", username.len()), ("password", password.reveal().len())] {
            if bytes > LONGEST_CREDENTIAL {
                return Err(AccessError::TooLong(what));
            }
        }
        Ok(ClientSecurity::Plain { username, password })
    }
}

fn password_of(path: &Path) -> Result<Secret, AccessError> {
    use io::Read as _;
    let failed = |source| AccessError::PasswordFile { path: path.to_owned(), source };
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text)).map_err(failed)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        access: AccessArgs,
    }

    fn parse(words: &[&str]) -> Result<AccessArgs, clap::Error> {
        Line::try_parse_from([&["x"], words].concat()).map(|line| line.access)
    }

    fn security(words: &[&str]) -> Result<ClientSecurity, String> {
        parse(words).map_err(|error| error.to_string())?.security().map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_read_from_what_keygen_writes() {
        let folder = tempfile::tempdir().unwrap();
        let (server, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (server_file, _) = server.write(folder.path(), "server").unwrap();
        let (_, own_file) = own.write(folder.path(), "own").unwrap();
        let [server_file, own_file] = [&server_file, &own_file].map(|path| path.to_str().unwrap());
        let expected = ClientSecurity::Curve { server: server.public(), own };
        assert_eq!(security(&["--server-key", server_file, "--key", own_file]), Ok(expected.clone()));
        let text = server.public().to_string();
        assert_eq!(security(&[&format!("--server-key={text}"), "--key", own_file]), Ok(expected));
        assert!(matches!(security(&["--server-key", server_file]), Ok(ClientSecurity::Curve { .. })));
        // The public file has no secret key.
        let error = security(&["--server-key", server_file, "--key", server_file]).unwrap_err();
        assert!(error.starts_with("--key: ") && error.contains("secret-key"), "{error}");
        let error = security(&["--server-key", "nowhere"]).unwrap_err();
        assert!(error.contains("40 characters"), "{error}");
    }

    #[test]
    fn a_password_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "sword fish\r\n").unwrap();
        let path = path.to_str().unwrap();
        let expected =
            ClientSecurity::Plain { username: "ann".to_owned(), password: Secret::new("sword fish".to_owned()) };
        assert_eq!(security(&["--user", "ann", "--password-file", path]), Ok(expected));
        let error = security(&["--user", "ann", "--password-file", "/nowhere/at/all"]).unwrap_err();
        assert!(error.contains("/nowhere/at/all"), "{error}");
        fs::write(path, "x".repeat(256)).unwrap();
        let error = security(&["--user", "ann", "--password-file", path]).unwrap_err();
        assert_eq!(error, "the password has more than 255 bytes");
        assert_eq!(security(&[]), Ok(ClientSecurity::Null));
    }

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        for words in [&["--key", "f"][..], &["--password-file", "f"], &["--server-key", "k", "--user", "u"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
