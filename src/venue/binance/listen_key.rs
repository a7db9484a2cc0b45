//! The key of a futures account's stream: made by REST, renewed while it is used, made anew when it is over. It holds for an
//! hour unless it is renewed (`https://developers.binance.com/docs/derivatives`, "User Data Streams").

use std::time::Duration;

use serde::Deserialize;

use super::account::refusal;
use super::market::Segment;
use crate::model::Mono;
use crate::secret::Secret;
use crate::venue::kit::fields::{Object, Text};
use crate::venue::kit::login::RETRY as REFUSED_RETRY;
use crate::venue::{HttpRequest, Method};

/// How long one call may take once it has left.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a key is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(30 * 60);
/// How long after a failure a key is asked for again; each further time twice as long, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How long after a failure a key is renewed again.
const RENEW_AGAIN: Duration = Duration::from_secs(60);
/// Ids of these calls: no other call of the session has one.
const FIRST_ID: u64 = 1 << 33;
/// Codes that refuse the API key: its form, its permissions.
const REFUSALS: [&str; 4] = ["-2008", "-2014", "-2015", "-1022"];
/// `This listenKey does not exist.`
const NO_SUCH_KEY: &str = "-1125";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be made at this time.
    Wanted(Mono),
    /// Being made.
    Asked(u64),
    /// In use; to be renewed at this time.
    Used(Mono),
    /// In use, and being renewed.
    Renewed(u64),
}

/// The key's life.
#[derive(Clone, Debug)]
pub(super) struct ListenKey {
    segment: Segment,
    state: State,
    made: u64,
    failures: u32,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was none to a call of ours.
    NotOurs,
    /// Here is a key.
    Key(Secret),
    /// The key goes on.
    Renewed,
    /// There is no such key any more: the connection is of no use.
    Over,
    /// The account is refused; asked for again slowly.
    Refused(String),
    /// There is no key, and it is asked for again in so many seconds.
    Failed(String, u64),
}

impl ListenKey {
    pub(super) const fn new(segment: Segment) -> Self {
        Self { segment, state: State::Wanted(Mono(0)), made: 0, failures: 0 }
    }

    /// The connection is gone, and with it what the key was for.
    pub(super) const fn disconnected(&mut self, now: Mono) {
        if !matches!(self.state, State::Wanted(_) | State::Asked(_)) {
            self.state = State::Wanted(now);
        }
    }

    /// The call that is to be made now.
    pub(super) fn due(&mut self, now: Mono) -> Option<HttpRequest> {
        let id = FIRST_ID + self.made;
        let (method, state) = match self.state {
            State::Wanted(at) if at <= now => (Method::Post, State::Asked(id)),
            State::Used(at) if at <= now => (Method::Put, State::Renewed(id)),
            _ => return None,
        };
        (self.made, self.state) = (self.made + 1, state);
        let path = format!("{}/listenKey", self.segment.api());
        Some(HttpRequest { method, signed: true, is_secret: true, ..HttpRequest::get(id, path, CALL_TIMEOUT, 1) })
    }

    /// When to look again.
    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Wanted(at) | State::Used(at) => Some(at),
            State::Asked(_) | State::Renewed(_) => None,
        }
    }

    pub(super) fn answered(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Mono) -> Answer {
        match self.state {
            State::Asked(asked) if asked == id => self.made(read(status, body), now),
            State::Renewed(asked) if asked == id => match said(status, body) {
                Ok(()) => {
                    self.state = State::Used(now.after(RENEW_EVERY));
                    Answer::Renewed
                }
                Err(why) if why.contains(NO_SUCH_KEY) => {
                    self.state = State::Wanted(now);
                    Answer::Over
                }
                Err(_) => {
                    self.state = State::Used(now.after(RENEW_AGAIN));
                    Answer::Renewed
                }
            },
            _ => Answer::NotOurs,
        }
    }

    fn made(&mut self, key: Result<Secret, String>, now: Mono) -> Answer {
        let why = match key {
            Ok(key) => {
                (self.state, self.failures) = (State::Used(now.after(RENEW_EVERY)), 0);
                return Answer::Key(key);
            }
            Err(why) => why,
        };
        if refuses(&why) {
            self.state = State::Wanted(now.after(REFUSED_RETRY));
            return Answer::Refused(why);
        }
        let wait = RETRY.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
        self.failures += 1;
        self.state = State::Wanted(now.after(wait));
        Answer::Failed(why, wait.as_secs())
    }
}

/// Whether these words of a refusal are about the API key.
pub(super) fn refuses(words: &str) -> bool {
    REFUSALS.iter().any(|code| words.contains(code))
}

fn said(status: Option<u16>, body: &[u8]) -> Result<(), String> {
    match status {
        Some(status) => refusal(status, body),
        None => Err(String::from_utf8_lossy(body).chars().take(200).collect()),
    }
}

/// The key in an answer, which may be in no error text.
fn read(status: Option<u16>, body: &[u8]) -> Result<Secret, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Made<'a> {
        #[serde(borrow)]
        listen_key: Text<'a>,
    }
    said(status, body)?;
    let made = serde_json::from_slice::<Object<Made<'_>>>(body);
    let key = made.map_err(|_| "the answer has no listenKey".to_owned())?.0.listen_key;
    let is_plain = !key.0.is_empty() && key.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_plain {
        Ok(Secret::new(key.0.into_owned()))
    } else {
        Err("the listenKey cannot stand in an address".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn made() -> (ListenKey, u64) {
        let mut key = ListenKey::new(Segment::Usdm);
        let request = key.due(at(0)).expect("a call");
        assert_eq!((request.method, &*request.path, request.is_secret), (Method::Post, "/fapi/v1/listenKey", true));
        (key, request.id)
    }

    #[test]
    fn it_is_made_renewed_and_made_anew() {
        let (mut key, id) = made();
        assert_eq!((key.due(at(0)), key.next_timeout()), (None, None));
        let answer = key.answered(id, Some(200), br#"{"listenKey":"abc"}"#, at(1));
        assert!(matches!(answer, Answer::Key(secret) if secret.reveal() == "abc"));
        assert_eq!((key.due(at(1_800)), key.next_timeout()), (None, Some(at(1_801))));
        let renewal = key.due(at(1_801)).expect("a call");
        assert_eq!(renewal.method, Method::Put);
        assert_eq!(key.answered(renewal.id, Some(200), b"{}", at(1_802)), Answer::Renewed);
        let renewal = key.due(at(3_602)).expect("a call");
        assert_eq!(key.answered(renewal.id, Some(502), b"", at(3_602)), Answer::Renewed, "tried again");
        let renewal = key.due(at(3_662)).expect("a call");
        let gone = br#"{"code":-1125,"msg":"This listenKey does not exist."}"#;
        assert_eq!(key.answered(renewal.id, Some(400), gone, at(3_663)), Answer::Over);
        assert_eq!(key.due(at(3_663)).map(|request| request.method), Some(Method::Post));
        assert_eq!(key.answered(7, Some(200), b"", at(3_664)), Answer::NotOurs);
    }

    #[test]
    fn refusals_are_retried_slowly_and_failures_sooner() {
        let (mut key, id) = made();
        let refusal = br#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#;
        assert!(matches!(key.answered(id, Some(401), refusal, at(0)), Answer::Refused(why) if why.contains("-2015")));
        assert_eq!(key.next_timeout(), Some(at(300)));
        let mut waits = Vec::new();
        let mut now = at(300);
        for body in [&br#"{"listenKey":"a/b"}"#[..], b"{}", b"no JSON"] {
            let request = key.due(now).expect("a call");
            let Answer::Failed(why, wait) = key.answered(request.id, Some(200), body, now) else {
                panic!("no failure")
            };
            assert!(why.contains("listenKey"), "{why}");
            waits.push(wait);
            now = now.after(Duration::from_secs(wait));
        }
        assert_eq!(waits, [5, 10, 20]);
        let request = key.due(now).expect("a call");
        assert!(matches!(key.answered(request.id, None, b"lost", now), Answer::Failed(why, 40) if why == "lost"));
    }

    #[test]
    fn a_lost_connection_needs_another_key() {
        let (mut key, id) = made();
        key.disconnected(at(1));
        assert_eq!(key.due(at(1)), None, "it is being made");
        key.answered(id, Some(200), br#"{"listenKey":"abc"}"#, at(1));
        key.disconnected(at(2));
        assert_eq!(key.due(at(2)).map(|request| request.method), Some(Method::Post));
    }
}
