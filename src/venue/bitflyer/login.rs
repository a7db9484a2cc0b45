//! Signing in on the account's connection, by `auth` ("Realtime API", "Authentication").

use super::session::FlyerSession;
use crate::model::Stamp;
use crate::venue::kit::login::Due;
use crate::venue::{Output, Update};

/// The id of the request that signs in; those of subscriptions are numbers.
pub(super) const ID: &str = "auth";
/// The path of the socket, for whoever signs.
const PATH: &str = "/json-rpc";

impl FlyerSession {
    /// A connection is open: all that is wished may be asked for now, or after signing in.
    pub(super) fn opened(&mut self, now: Stamp, out: &mut dyn Output) {
        let Some((login, _)) = &mut self.login else { return self.signed_in(now, out) };
        match login.connected(now.mono) {
            Ok(()) => self.sign_in(now, out),
            Err(detail) => {
                let detail = detail.to_owned();
                self.refused_all(&detail, out);
            }
        }
    }

    fn sign_in(&mut self, now: Stamp, out: &mut dyn Output) {
        let Some((_, signer)) = &self.login else { return };
        // Sixteen characters or more that do not come again: they need not be secret.
        let nonce = format!("{:016x}{:016x}", now.wall.0, now.mono.0);
        match signer.login(PATH, &nonce, now.wall.as_ms()) {
            Ok(Some(message)) => out.sign_in(message),
            Ok(None) => self.login_refused("this API's keys do not sign in here", now, out),
            Err(error) => self.login_refused(&error.to_string(), now, out),
        }
    }

    /// The answer came: what went wrong, if anything did.
    pub(super) fn login_answered(&mut self, refusal: Option<&str>, now: Stamp, out: &mut dyn Output) {
        match refusal {
            Some(detail) => self.login_refused(detail, now, out),
            None => {
                if self.login.as_mut().is_some_and(|(login, _)| login.accepted()) {
                    self.signed_in(now, out);
                }
            }
        }
    }

    fn login_refused(&mut self, detail: &str, now: Stamp, out: &mut dyn Output) {
        if self.login.as_mut().is_some_and(|(login, _)| login.refused(detail, now.mono)) {
            self.refused_all(detail, out);
        }
    }

    fn refused_all(&self, detail: &str, out: &mut dyn Output) {
        for (stream, _) in self.streams.iter() {
            out.update(Update::Rejected { stream, detail });
        }
    }

    /// Looks at the clock; false if the connection is of no use.
    pub(super) fn login_due(&mut self, now: Stamp, out: &mut dyn Output) -> bool {
        match self.login.as_mut().map_or(Due::Nothing, |(login, _)| login.due(now.mono)) {
            Due::Nothing => {}
            Due::Ask => self.sign_in(now, out),
            Due::NoAnswer => {
                out.reconnect("no answer to signing in in 10 s".to_owned());
                return false;
            }
        }
        true
    }
}
