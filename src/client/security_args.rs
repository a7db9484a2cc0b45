//! The command line of clients: how they show a gateway who they are.

use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use crate::config::secret::SecretSource;
use crate::zmtp::{ClientSecurity, KeyError, KeyFileError, KeyPair, LONGEST_CREDENTIAL, PublicKey};

/// How to show a gateway who we are. Nothing given means the mechanism NULL.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Security")]
pub struct SecurityArgs {
    /// CURVE: the gateway's public key, or a file with it
    #[arg(long, value_name = "KEY|FILE", env = "TICKBUS_SERVER_KEY", conflicts_with = "user")]
    pub server_key: Option<String>,
    /// CURVE: file with our own key pair, as `tickbus keygen` writes it (NAME.key_secret); without it a new pair is
    /// made, for gateways that let any client in
    #[arg(long, value_name = "FILE", env = "TICKBUS_KEY", requires = "server_key")]
    pub key: Option<PathBuf>,
    /// PLAIN: our user name
    #[arg(long, value_name = "NAME", env = "TICKBUS_USER")]
    pub user: Option<String>,
    /// PLAIN: file with the password
    #[arg(
        long,
        value_name = "FILE",
        env = "TICKBUS_PASSWORD_FILE",
        requires = "user",
        conflicts_with = "password_env"
    )]
    pub password_file: Option<PathBuf>,
    /// PLAIN: environment variable with the password
    #[arg(long, value_name = "VARIABLE", requires = "user")]
    pub password_env: Option<String>,
}

/// Why keys or a password cannot be used. Nothing of a secret is in it.
#[derive(Debug, Error)]
pub enum SecurityArgsError {
    /// The gateway's key is neither a key nor a file with one.
    #[error("--server-key is neither a key of 40 characters nor a file with one: {0}")]
    ServerKey(KeyFileError),
    /// Our own key pair cannot be read.
    #[error("--key {0}")]
    Key(KeyFileError),
    /// No new pair can be made.
    #[error("cannot make a key pair: {0}")]
    Random(KeyError),
    /// A user name without a password, or one that cannot be read or sent.
    #[error("--user: {0}")]
    Password(String),
}

impl SecurityArgs {
    /// Reads what is named.
    ///
    /// # Errors
    /// [`SecurityArgsError`] names the option and the file.
    pub fn load(&self) -> Result<ClientSecurity, SecurityArgsError> {
        match (&self.server_key, &self.user) {
            (Some(server), _) => self.curve(server),
            (None, Some(user)) => self.plain(user),
            (None, None) => Ok(ClientSecurity::Null),
        }
    }

    fn curve(&self, server: &str) -> Result<ClientSecurity, SecurityArgsError> {
        let server = match server.parse() {
            Ok(key) => key,
            Err(_) => PublicKey::read(Path::new(server)).map_err(SecurityArgsError::ServerKey)?,
        };
        let own = match &self.key {
            Some(path) => KeyPair::read(path).map_err(SecurityArgsError::Key)?,
            None => KeyPair::generate().map_err(SecurityArgsError::Random)?,
        };
        Ok(ClientSecurity::Curve { server, own })
    }

    fn plain(&self, user: &str) -> Result<ClientSecurity, SecurityArgsError> {
        let wrong = |what: &str| SecurityArgsError::Password(what.to_owned());
        let file = self.password_file.as_ref().map(|path| path.display().to_string());
        let source = SecretSource { env: self.password_env.clone(), file };
        if source == SecretSource::default() {
            return Err(wrong("needs --password-file or --password-env"));
        }
        let environment: Vec<_> = std::env::vars_os().collect();
        let password = source.read(&environment).map_err(SecurityArgsError::Password)?;
        if user.len() > LONGEST_CREDENTIAL || password.reveal().len() > LONGEST_CREDENTIAL {
            return Err(wrong("user name and password have at most 255 bytes each"));
        }
        Ok(ClientSecurity::Plain { username: user.to_owned(), password })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::secret::Secret;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        security: SecurityArgs,
    }

    fn parse(words: &[&str]) -> Result<SecurityArgs, clap::Error> {
        Line::try_parse_from(std::iter::once("x").chain(words.iter().copied())).map(|line| line.security)
    }

    #[test]
    fn keys_are_read_from_files_or_given() {
        let dir = tempfile::tempdir().unwrap();
        let (gateway, alice) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (public, _) = gateway.write(dir.path(), "gateway").unwrap();
        let (_, secret) = alice.write(dir.path(), "alice").unwrap();
        let key = gateway.public().to_string();
        for server in [public.to_str().unwrap(), &key] {
            let args = parse(&["--server-key", server, "--key", secret.to_str().unwrap()]).unwrap();
            let wanted = ClientSecurity::Curve { server: gateway.public(), own: alice.clone() };
            assert_eq!(args.load().unwrap(), wanted);
        }
        let args = parse(&["--server-key", &key]).unwrap();
        assert!(matches!(args.load(), Ok(ClientSecurity::Curve { own, .. }) if own != alice));
        let text = parse(&["--server-key", "nowhere.key"]).unwrap().load().unwrap_err().to_string();
        assert!(text.starts_with("--server-key") && text.contains("nowhere.key"), "{text}");
        let args = parse(&["--server-key", &key, "--key", public.to_str().unwrap()]).unwrap();
        let text = args.load().unwrap_err().to_string();
        assert!(text.contains("gateway.key") && text.contains("no `secret-key`"), "{text}");
    }

    #[test]
    fn passwords_never_stand_on_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "right\n").unwrap();
        let args = parse(&["--user", "alice", "--password-file", path.to_str().unwrap()]).unwrap();
        let password = Secret::new("right".to_owned());
        assert_eq!(args.load().unwrap(), ClientSecurity::Plain { username: "alice".to_owned(), password });
        assert!(parse(&["--user", "alice"]).unwrap().load().unwrap_err().to_string().contains("--password-file"));
        for wrong in [
            &["--password-file", "x"][..],
            &["--key", "x"],
            &["--user", "a", "--server-key", "x"],
            &["--user", "a", "--password-file", "x", "--password-env", "Y"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse(&[]).unwrap().load().unwrap(), ClientSecurity::Null);
    }
}
