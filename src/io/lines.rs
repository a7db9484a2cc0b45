//! The connections of one feed: each is dialled, kept, lost and dialled again by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_all;
use tokio::time::sleep_until;
use tracing::{debug, warn};

use super::backoff::{Backoff, Failure};
use super::dial::{ConnectError, Socket, dial, host_of};
use super::driver::DriverLimits;
use super::limits::{ConnectBudget, millis};
use super::repeats::Repeats;
use super::ws::{Connection, ConnectionLimits, End, Received};
use crate::clock;
use crate::model::{Mono, Stamp};
use crate::secret::Secret;
use crate::sign;
use crate::venue::{Endpoints, KEY_PLACE, LinkId, Route, Signer};

/// What became of dialing.
pub(super) type Dialed = Result<Socket, ConnectError>;

/// What dialing takes.
pub(super) struct Dialer {
    pub(super) feed: Arc<str>,
    pub(super) endpoints: Endpoints,
    pub(super) connects: Arc<ConnectBudget>,
    pub(super) limits: DriverLimits,
    /// Who signs the opening of a [`Route::RAW`], where its host wants that.
    pub(super) signer: Option<Arc<Signer>>,
}

impl Dialer {
    /// A connection that is dialled at once.
    pub(super) fn line(&self, id: LinkId, route: Route) -> Line {
        let url = Arc::from(self.endpoints.url(route));
        let opener = self.signer.clone().filter(|_| route == Route::RAW);
        Line {
            id,
            route,
            host: host_of(&url),
            link: self.dial_after(Duration::ZERO, &url, None, opener.clone()),
            opener,
            url,
            key: None,
            burst: Vec::new(),
            backoff: Backoff::new(self.limits.backoff),
            repeats: Repeats::default(),
        }
    }

    /// Dials after a while; an address that is not complete waits for its key.
    fn dial_after(&self, delay: Duration, url: &Arc<str>, key: Option<&Secret>, opener: Option<Arc<Signer>>) -> Link {
        let at = clock::now().mono.after(delay);
        let (feed, host) = (Arc::clone(&self.feed), host_of(url));
        let url = match key {
            None if url.contains(KEY_PLACE) => return Link::Incomplete(at),
            None => Secret::new((**url).to_owned()),
            Some(key) => Secret::new(url.replace(KEY_PLACE, key.reveal())),
        };
        let (connects, limits, pause) = (Arc::clone(&self.connects), self.limits.dial, self.limits.connect_pause);
        Link::Dialing(Box::pin(async move {
            sleep_until(clock::instant_of(at)).await;
            connects.acquire(&feed, &host, pause).await;
            let Some(signer) = opener else { return dial(url.reveal(), &[], &limits).await };
            let opening = sign::opening(url.reveal(), None, Some(&signer), clock::wall().as_ms())
                .map_err(|error| ConnectError::Url(error.to_string()))?;
            dial(opening.url.reveal(), &opening.headers, &limits).await
        }))
    }
}

/// One connection of a feed.
pub(super) struct Line {
    pub(super) id: LinkId,
    /// What was read and not yet stepped through.
    pub(super) burst: Vec<Received>,
    route: Route,
    /// Who signs its opening.
    opener: Option<Arc<Signer>>,
    /// As it may be shown: without the key.
    url: Arc<str>,
    key: Option<Secret>,
    host: String,
    link: Link,
    backoff: Backoff,
    repeats: Repeats,
}

enum Link {
    /// Waiting for the rest of its address; not to be dialled before this time either.
    Incomplete(Mono),
    /// Waiting for the back-off and the budget, then dialing.
    Dialing(Pin<Box<dyn Future<Output = Dialed> + Send>>),
    Open(Connection),
}

/// What happens on a connection.
pub(super) enum Event {
    Dialed(Dialed),
    /// Messages are in the burst; the end of the connection may have come after them.
    Read(Option<End>),
}

/// The next event of any of the connections, and which. May be dropped and called again; without connections it waits
/// for ever.
pub(super) async fn next_event(lines: &mut [Line]) -> (usize, Event) {
    match lines {
        [] => std::future::pending().await,
        [only] => (0, only.event().await),
        many => {
            let all = many.iter_mut().enumerate().map(|(at, line)| Box::pin(async move { (at, line.event().await) }));
            select_all(all).await.0
        }
    }
}

impl Line {
    /// May be dropped and called again.
    async fn event(&mut self) -> Event {
        match &mut self.link {
            Link::Incomplete(_) => std::future::pending().await,
            Link::Dialing(dialing) => Event::Dialed(dialing.await),
            Link::Open(connection) => Event::Read(connection.read(&mut self.burst).await),
        }
    }

    pub(super) const fn route(&self) -> Route {
        self.route
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn url(&self) -> Arc<str> {
        Arc::clone(&self.url)
    }

    /// The rest of the address: what waits for it is dialled, and a connection that is open keeps the one it has.
    pub(super) fn complete(&mut self, key: Secret, dialer: &Dialer, now: Mono) {
        self.key = Some(key);
        if let Link::Incomplete(at) = self.link {
            self.link = dialer.dial_after(at.since(now), &self.url, self.key.as_ref(), self.opener.clone());
        }
    }

    /// A message as it may be recorded: without the key, if it is in there.
    pub(super) fn without_key(message: Bytes, key: Option<&Secret>) -> Bytes {
        let found = key.is_some_and(|key| memchr::memmem::find(&message, key.reveal().as_bytes()).is_some());
        match key.zip(std::str::from_utf8(&message).ok()) {
            Some((key, text)) if found => Bytes::from(text.replace(key.reveal(), KEY_PLACE)),
            _ if found => Bytes::new(),
            _ => message,
        }
    }

    /// What completed its address.
    pub(super) fn key(&self) -> Option<Secret> {
        self.key.clone()
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.link, Link::Open(_))
    }

    /// The connection, if it is open.
    pub(super) const fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.link {
            Link::Open(connection) => Some(connection),
            Link::Incomplete(_) | Link::Dialing(_) => None,
        }
    }

    /// When the connection wants to be looked after.
    pub(super) fn due(&self) -> Option<Mono> {
        match &self.link {
            Link::Open(connection) => Some(connection.due()),
            Link::Incomplete(_) | Link::Dialing(_) => None,
        }
    }

    /// Frames came of what was read.
    pub(super) fn good_data(&mut self, now: Mono) {
        self.backoff.good_data(now);
        if self.backoff.failures() == 0 {
            self.repeats.clear();
        }
    }

    pub(super) fn opened(&mut self, socket: Socket, limits: ConnectionLimits, now: Mono) {
        self.backoff.connected(now);
        self.burst.clear();
        self.link = Link::Open(Connection::new(socket, limits, now));
    }

    pub(super) fn not_opened(&mut self, error: &ConnectError, dialer: &Dialer, now: Stamp) {
        let (delay, reason) = (self.failed(error.failure()), error.to_string());
        if let Some(repeats) = self.repeats.admit(&reason, now.mono) {
            warn!(feed = %dialer.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "cannot connect");
        }
        self.link = dialer.dial_after(delay, &self.url, self.key.as_ref(), self.opener.clone());
    }

    /// Leaves the connection without waiting for it, and dials again after the back-off.
    pub(super) fn lost(&mut self, end: End, dialer: &Dialer, now: Stamp) {
        let (delay, reason) = (self.failed(end.failure()), end.to_string());
        match self.repeats.admit(&reason, now.mono) {
            Some(repeats) => {
                warn!(feed = %dialer.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "disconnected");
            }
            None => debug!(feed = %dialer.feed, host = self.host, reason, "disconnected"),
        }
        self.burst.clear();
        self.key = None;
        let next = dialer.dial_after(delay, &self.url, None, self.opener.clone());
        if let Link::Open(connection) = std::mem::replace(&mut self.link, next) {
            // Ends by itself: leaving has a deadline.
            tokio::spawn(async move { connection.leave(&end).await });
        }
    }

    fn failed(&mut self, failure: Failure) -> Duration {
        self.backoff.failed(failure, fastrand::f64())
    }

    /// Closes a connection that is needed no more, without waiting for it.
    pub(super) fn leave(self) {
        tokio::spawn(self.close());
    }

    /// Closes the connection in order.
    pub(super) async fn close(self) {
        if let Link::Open(connection) = self.link {
            connection.close(1000).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_has_no_key() {
        let key = Secret::new("swordfish".to_owned());
        let shown = |text: &'static str| Line::without_key(Bytes::from_static(text.as_bytes()), Some(&key));
        assert_eq!(shown(r#"{"listenKey":"swordfish"}"#), r#"{"listenKey":"{key}"}"#);
        assert_eq!(shown(r#"{"e":"x"}"#), r#"{"e":"x"}"#);
        let odd = Bytes::from_static(b"\xff swordfish");
        assert_eq!(Line::without_key(odd.clone(), Some(&key)), "", "rather nothing");
        assert_eq!(Line::without_key(odd.clone(), None), odd);
    }
}
