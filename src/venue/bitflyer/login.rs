//! Signing in on the account's connection, by `auth` ("Realtime API", "Authentication").

use super::session::FlyerSession;
use crate::model::Stamp;
use crate::venue::Output;
use crate::venue::kit::login::Next;

/// The id of the request that signs in; those of subscriptions are numbers.
pub(super) const ID: &str = "auth";
/// The path of the socket, for whoever signs.
const PATH: &str = "/json-rpc";

impl FlyerSession {
    /// A connection is open: all that is wished may be asked for now, or after signing in.
    pub(super) fn opened(&mut self, now: Stamp, out: &mut dyn Output) {
        match &mut self.login {
            Some((login, _)) => {
                let next = login.connected(now.mono);
                self.go_on(next, now, out);
            }
            None => self.signed_in(now, out),
        }
    }

    /// What is to be done about the login.
    fn go_on(&mut self, next: Next, now: Stamp, out: &mut dyn Output) {
        let sign_in = next.follow(&self.streams, out);
        let Some((login, signer)) = self.login.as_mut().filter(|_| sign_in) else { return };
        // Sixteen characters or more that do not come again: they need not be secret.
        let nonce = format!("{:016x}{:016x}", now.wall.0, now.mono.0);
        let unable = match signer.login(PATH, &nonce, login.time(now).as_ms()) {
            Ok(Some(message)) => return out.sign_in(message),
            Ok(None) => "this API's keys do not sign in here".to_owned(),
            Err(error) => error.to_string(),
        };
        login.unable(&unable, now.mono, &self.streams, out);
    }

    /// The answer came: what went wrong, if anything did.
    pub(super) fn login_answered(&mut self, refusal: Option<&str>, now: Stamp, out: &mut dyn Output) {
        let Some((login, _)) = &mut self.login else { return };
        match refusal {
            Some(detail) => {
                let next = login.refused(detail, now.mono);
                self.go_on(next, now, out);
            }
            None if login.accepted(out) => self.signed_in(now, out),
            None => {}
        }
    }

    /// Looks at the clock.
    pub(super) fn login_due(&mut self, now: Stamp, out: &mut dyn Output) {
        if let Some((login, _)) = &mut self.login {
            let next = login.due(now.mono);
            self.go_on(next, now, out);
        }
    }
}
