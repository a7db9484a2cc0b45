//! Signing in on a connection: asked for once it is open, with a slow retry after a refusal. What is sent, and how a venue
//! accepts or refuses, is the session's affair.

use std::time::Duration;

use crate::model::Mono;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to try again after a refusal.
pub const RETRY: Duration = Duration::from_secs(300);

/// What a connection that needs a login is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected.
    Idle,
    /// The answer is to come by then.
    Asked(Mono),
    /// Signed in.
    Done,
    /// Refused; asked for again at this time, over the connection that is open then.
    Refused(Mono),
}

/// The login of one connection.
#[derive(Clone, Debug)]
pub struct Login {
    state: State,
    /// The venue's words when it refused.
    detail: String,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The login is to be sent now; its answer is waited for.
    Ask,
    /// There was no answer: the connection is of no use.
    NoAnswer,
}

impl Login {
    /// Not connected yet.
    pub const fn new() -> Self {
        Self { state: State::Idle, detail: String::new() }
    }

    /// A connection is open, and the login is to be sent over it now.
    ///
    /// # Errors
    /// The refusal that still holds: nothing is to be sent.
    pub fn connected(&mut self, now: Mono) -> Result<(), &str> {
        match self.state {
            State::Refused(at) if now < at => Err(&self.detail),
            _ => {
                self.state = State::Asked(now.after(PATIENCE));
                Ok(())
            }
        }
    }

    /// The connection is gone; a refusal holds on.
    pub const fn disconnected(&mut self) {
        if !matches!(self.state, State::Refused(_)) {
            self.state = State::Idle;
        }
    }

    /// The venue accepted; false if that was not waited for.
    pub const fn accepted(&mut self) -> bool {
        let waited = self.is_asked();
        if waited {
            self.state = State::Done;
        }
        waited
    }

    /// The venue refused, or nothing can be sent; false if no answer was waited for.
    pub fn refused(&mut self, detail: &str, now: Mono) -> bool {
        let waited = self.is_asked();
        if waited {
            detail.clone_into(&mut self.detail);
            self.state = State::Refused(now.after(RETRY));
        }
        waited
    }

    /// Whether an answer is waited for.
    pub const fn is_asked(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }

    /// Whether the venue accepted over this connection.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What to do now.
    pub fn due(&mut self, now: Mono) -> Due {
        match self.state {
            State::Asked(by) if by <= now => Due::NoAnswer,
            State::Refused(at) if at <= now => {
                self.state = State::Asked(now.after(PATIENCE));
                Due::Ask
            }
            _ => Due::Nothing,
        }
    }

    /// The venue's words, while it refuses.
    pub fn refusal(&self) -> Option<&str> {
        matches!(self.state, State::Refused(_)).then_some(&self.detail)
    }

    /// When to look again.
    pub const fn next_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Asked(at) | State::Refused(at) => Some(at),
            State::Idle | State::Done => None,
        }
    }
}

impl Default for Login {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn a_refusal_holds_over_connections_and_is_tried_again_slowly() {
        let mut login = Login::new();
        assert_eq!(login.connected(at(0)), Ok(()));
        assert!(login.refused("bad key", at(1)) && !login.refused("again", at(1)));
        login.disconnected();
        assert_eq!(login.connected(at(2)), Err("bad key"));
        assert_eq!((login.due(at(300)), login.next_timeout()), (Due::Nothing, Some(at(301))));
        assert_eq!((login.due(at(301)), login.refusal()), (Due::Ask, None));
        assert!(login.accepted() && !login.accepted() && login.is_done());
        login.disconnected();
        assert_eq!(login.connected(at(400)), Ok(()), "it was accepted meanwhile");
    }

    #[test]
    fn no_answer_ends_the_connection() {
        let mut login = Login::new();
        assert_eq!(login.connected(at(0)), Ok(()));
        assert_eq!((login.due(at(9)), login.due(at(10))), (Due::Nothing, Due::NoAnswer));
    }
}
