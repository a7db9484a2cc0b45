//! PLAIN (RFC 24): a user name and a password, unsealed. It keeps mistakes out, not eavesdroppers.

use super::WireError;
use super::codec::{COMMAND, put_flags_and_length};
use super::commands::{expect_command, put_command, short_string};
use super::error::shown;
use super::security::Users;
use crate::secret::Secret;

/// The name of ERROR in PLAIN as libzmq 4.3 writes and expects it: its source spells the length and the `E` as one byte.
/// An ERROR of the right spelling is unknown to it, and it tries the wrong password again for ever.
const LIBZMQ_ERROR: &[u8] = b"^RROR";

/// The longest user name or password: its length has one byte.
pub const LONGEST_CREDENTIAL: usize = 255;
/// Characters of a stranger's user name that are shown.
const SHOWN_NAME: usize = 32;

/// The listening side.
#[derive(Debug)]
pub(super) struct Server {
    users: Users,
    welcomed: bool,
}

impl Server {
    pub(super) const fn new(users: Users) -> Self {
        Self { users, welcomed: false }
    }

    /// Takes HELLO and appends WELCOME, or takes INITIATE and returns the client's metadata.
    pub(super) fn take<'a>(&mut self, body: &'a [u8], out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, WireError> {
        if self.welcomed {
            return expect_command(body, "INITIATE").map(Some);
        }
        let hello = expect_command(body, "HELLO")?;
        let (name, rest) = short_string(hello).ok_or(WireError::Command)?;
        let (password, rest) = short_string(rest).ok_or(WireError::Command)?;
        if !rest.is_empty() {
            return Err(WireError::Command);
        }
        if !self.users.accept(name, password) {
            return Err(WireError::Denied(format!("user `{}` or its password", shown(name, SHOWN_NAME))));
        }
        self.welcomed = true;
        put_command(out, b"WELCOME", &[]);
        Ok(None)
    }

    /// Appends the ERROR that libzmq understands.
    pub(super) fn put_denied(out: &mut Vec<u8>, status: &str) {
        let length = u8::try_from(status.len()).unwrap_or(u8::MAX);
        put_flags_and_length(out, COMMAND, LIBZMQ_ERROR.len() + 1 + status.len());
        out.extend_from_slice(LIBZMQ_ERROR);
        out.push(length);
        out.extend_from_slice(status.as_bytes());
    }

    /// Appends READY with our metadata.
    pub(super) fn ready(metadata: &[u8], out: &mut Vec<u8>) {
        put_command(out, b"READY", &[metadata]);
    }
}

/// The connecting side.
#[derive(Debug)]
pub(super) struct Client {
    username: String,
    password: Secret,
    welcomed: bool,
}

impl Client {
    pub(super) const fn new(username: String, password: Secret) -> Self {
        Self { username, password, welcomed: false }
    }

    /// Appends HELLO.
    pub(super) fn hello(&self, out: &mut Vec<u8>) {
        let (name, password) = (self.username.as_bytes(), self.password.reveal().as_bytes());
        let name = &name[..name.len().min(LONGEST_CREDENTIAL)];
        let password = &password[..password.len().min(LONGEST_CREDENTIAL)];
        let length = |text: &[u8]| [u8::try_from(text.len()).unwrap_or(u8::MAX)];
        put_command(out, b"HELLO", &[&length(name), name, &length(password), password]);
    }

    /// Takes WELCOME and appends INITIATE, or takes READY and returns the server's metadata.
    pub(super) fn take<'a>(
        &mut self,
        body: &'a [u8],
        metadata: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, WireError> {
        if let Some(data) = body.strip_prefix(LIBZMQ_ERROR) {
            let (reason, _) = short_string(data).ok_or(WireError::Command)?;
            return Err(WireError::Refused(shown(reason, LONGEST_CREDENTIAL)));
        }
        if self.welcomed {
            return expect_command(body, "READY").map(Some);
        }
        expect_command(body, "WELCOME")?;
        self.welcomed = true;
        put_command(out, b"INITIATE", &[metadata]);
        Ok(None)
    }
}
