//! One book kept equal to the gateway's over its sockets: joined, checked and healed as docs/WIRE.md's "Joining a book"
//! says.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};

use super::book::{JoinedBook, Need, Step};
use super::delivery::Heartbeat;
use super::payload::{DecodeError, as_json};
use super::request::{RequestError, request_secured};
use super::subscribe::{EndpointError, Incoming, ReceivedFrame, Subscriber, subscribe};
use super::view::View;
use crate::zmtp::ClientSecurity;

/// Heartbeats come each second; after this long without any frame the gateway is taken for gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the snapshot socket may take to answer; asked again with the next heartbeat.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Why a book cannot be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// Not the topic of one book.
    #[error("{0:?} is no book's topic: write book.VENUE.MARKET.SYMBOL. with the last dot")]
    Topic(String),
    /// An endpoint is nothing to connect to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// What happened to the book.
#[derive(Debug)]
pub enum Change<'a> {
    /// It changed, and equals the gateway's at [`JoinedBook::seq`].
    Live(&'a JoinedBook),
    /// It is not known until the next [`Change::Live`]: do not trade on it.
    Unknown {
        /// What kind of reason.
        need: Need,
        /// The reason in words, for people.
        detail: String,
    },
}

type Answer = Pin<Box<dyn Future<Output = Result<Vec<Bytes>, RequestError>> + Send>>;

/// Follows one book for as long as it is polled.
pub struct Follower {
    snapshot: String,
    security: ClientSecurity,
    /// `VENUE.MARKET.SYMBOL.`, which all topics of the symbol end with.
    tail: String,
    subscriber: Subscriber,
    book: JoinedBook,
    /// Whether the gateway's last word on the symbol, on this connection, is `live`.
    live: bool,
    asking: Option<Answer>,
    heard: Instant,
}

/// Starts to follow the book of `topic`, as `book.bybit.linear.BTCUSDT.`, on the gateway whose bus and snapshot socket are
/// at these endpoints. Must be called inside a tokio runtime; the work is done by [`Follower::next`].
///
/// # Errors
/// [`FollowError`]. That nobody answers is no error: it is tried again for ever.
pub fn follow(bus: &str, snapshot: &str, topic: &str) -> Result<Follower, FollowError> {
    let tail = topic.strip_prefix("book.").filter(|tail| tail.ends_with('.') && tail.matches('.').count() == 3);
    let tail = tail.ok_or_else(|| FollowError::Topic(topic.to_owned()))?.to_owned();
    // The status last: it is sent at once, and by then the deltas are subscribed to.
    let prefixes = ["heartbeat.".to_owned(), format!("delta.{tail}"), format!("status.{tail}")];
    let subscriber = subscribe(bus, &prefixes)?;
    super::subscribe::check_endpoint(snapshot)?;
    let book = JoinedBook::default();
    let (snapshot, security, heard) = (snapshot.to_owned(), ClientSecurity::Null, Instant::now());
    Ok(Follower { snapshot, security, tail, subscriber, book, live: false, asking: None, heard })
}

/// What one input changed.
enum Outcome {
    Nothing,
    Live,
    Unknown(Need, String),
}

impl Follower {
    /// Shows these credentials to both sockets, and expects this server; to be said before the first [`Self::next`].
    #[must_use]
    pub fn secured(mut self, security: ClientSecurity) -> Self {
        self.subscriber = self.subscriber.secured(security.clone());
        self.security = security;
        self
    }

    /// Waits for the next change. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Change<'_> {
        loop {
            let outcome = tokio::select! {
                incoming = self.subscriber.next() => self.take(incoming),
                answer = answered(&mut self.asking) => self.answer(answer),
                () = sleep_until(self.heard + SILENCE) => {
                    self.heard = Instant::now();
                    self.lost(Need::Silence, format!("nothing came for {SILENCE:?}"))
                }
            };
            match outcome {
                Outcome::Nothing => {}
                Outcome::Live => return Change::Live(&self.book),
                Outcome::Unknown(need, detail) => return Change::Unknown { need, detail },
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Outcome {
        match incoming {
            Incoming::Frame(frame) => {
                self.heard = Instant::now();
                self.frame(&frame).unwrap_or_else(|error| self.lost(Need::Unreadable, error.to_string()))
            }
            Incoming::Malformed(error) => self.lost(Need::Unreadable, error.to_string()),
            Incoming::Connected => {
                self.heard = Instant::now();
                Outcome::Nothing
            }
            Incoming::Disconnected(error) => {
                self.heard = Instant::now();
                (self.live, self.asking) = (false, None);
                self.lost(Need::Disconnected, error.to_string())
            }
        }
    }

    fn frame(&mut self, frame: &ReceivedFrame) -> Result<Outcome, DecodeError> {
        let json = as_json(&frame.payload)?;
        let view = View::read(&json)?;
        Ok(match view.kind.as_deref() {
            Some("heartbeat") => {
                let step = self.book.heartbeat(&Heartbeat::read(&json)?, &format!("delta.{}", self.tail));
                // What could not be had so far is asked for again, once a second.
                self.ask();
                self.outcome(step, "the heartbeat tells of deltas that did not come")
            }
            Some("status") if view.is_about_book() => {
                self.live = view.state.as_deref() == Some("live");
                let step = self.book.status(&view);
                self.ask();
                let words = [&view.state, &view.reason, &view.detail].map(|word| word.as_deref().unwrap_or_default());
                self.outcome(step, words.join(" ").trim_end())
            }
            Some("delta") => {
                let step = self.book.delta(&view);
                self.outcome(step, "deltas did not come")
            }
            _ => Outcome::Nothing,
        })
    }

    fn answer(&mut self, answer: Result<Vec<Bytes>, RequestError>) -> Outcome {
        self.asking = None;
        let step = match answer.as_deref() {
            Ok([_, payload]) => as_json(payload)
                .and_then(|json| Ok(self.book.snapshot(&View::read(&json)?)))
                .map_err(|error| error.to_string()),
            Ok(parts) => Err(refusal(parts)),
            Err(error) => Err(error.to_string()),
        };
        match (step, self.book.need()) {
            (Ok(step), _) => self.outcome(step, "the snapshot does not reach the deltas"),
            (Err(detail), Some(need)) => Outcome::Unknown(need, detail),
            (Err(_), None) => Outcome::Nothing,
        }
    }

    /// Asks for the snapshot if the book needs one and the gateway has one.
    fn ask(&mut self) {
        if self.book.need().is_some() && self.live && self.asking.is_none() {
            let (endpoint, security) = (self.snapshot.clone(), self.security.clone());
            let body = serde_json::json!({"op": "snapshot", "topic": format!("book.{}", self.tail)}).to_string();
            self.asking =
                Some(Box::pin(async move { request_secured(&endpoint, &security, &body, ANSWER_WITHIN).await }));
        }
    }

    fn lost(&mut self, need: Need, detail: String) -> Outcome {
        self.book.lose(need);
        Outcome::Unknown(need, detail)
    }

    fn outcome(&mut self, step: Step, detail: &str) -> Outcome {
        match step {
            Step::Applied => Outcome::Live,
            Step::Buffered | Step::Ignored => Outcome::Nothing,
            Step::NeedSnapshot(need) => {
                // A snapshot that is too old is asked for again with the next heartbeat.
                if need != Need::TooOld {
                    self.ask();
                }
                Outcome::Unknown(need, detail.to_owned())
            }
        }
    }
}

async fn answered(asking: &mut Option<Answer>) -> Result<Vec<Bytes>, RequestError> {
    match asking {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

/// What the gateway says in place of a snapshot.
fn refusal(parts: &[Bytes]) -> String {
    let answer = parts.first().map(|part| serde_json::from_slice::<serde_json::Value>(part).unwrap_or_default());
    let error = answer.as_ref().and_then(|answer| answer["error"].as_str());
    super::print::plain(error.unwrap_or("the answer is no snapshot")).into_owned()
}
