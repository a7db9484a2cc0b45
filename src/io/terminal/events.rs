//! The events of a terminal: a SUB connection that comes back by itself, read as fast as it gives and into a bounded
//! queue, because a publisher drops what its subscriber does not take, and says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::connection::OPEN_WITHIN;
use super::report::EventsReport;
use super::{Dial, Link, LinkError};
use crate::clock;
use crate::io::backoff::{Backoff, BackoffLimits, Failure};
use crate::io::limits::millis;
use crate::io::repeats::Repeats;

/// Events that may wait for the session: several seconds of the busiest market.
const MOST_QUEUED: usize = 65_536;
/// Bytes that may wait for the session.
const MOST_QUEUED_BYTES: usize = 64 << 20;
/// Topics a session may ask for; a terminal has some thirty.
const MOST_TOPICS: usize = 256;

const BACKOFF: BackoffLimits = BackoffLimits {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    stable_after: Duration::from_secs(5),
    policy: Duration::from_secs(5),
    refused: Duration::from_secs(15),
};

/// A message for the session: `["NAME"]`, or `["NAME",PAYLOAD]` with the payload as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) message: Bytes,
    /// Whether it is UTF-8.
    pub(super) text: bool,
}

/// A topic and how it is written in a message.
#[derive(Clone, Debug)]
struct Topic {
    name: String,
    quoted: String,
}

type Topics = Arc<[Topic]>;

/// The session's end of the events.
#[derive(Debug)]
pub(super) struct Events {
    inbox: mpsc::Receiver<Event>,
    topics: watch::Sender<Topics>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    report: Mutex<EventsReport>,
    queued_bytes: AtomicUsize,
    /// The session took something.
    taken: Notify,
}

impl Shared {
    fn report(&self) -> MutexGuard<'_, EventsReport> {
        // Numbers are whole whatever happened elsewhere.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// Starts dialing on the current tokio runtime.
    pub(super) fn open<D: Dial>(feed: Arc<str>, dial: D) -> Self {
        let (sender, inbox) = mpsc::channel(MOST_QUEUED);
        let (topics, wanted) = watch::channel(Topics::from([]));
        let report = EventsReport { endpoint: dial.endpoint(), ..EventsReport::default() };
        let shared =
            Arc::new(Shared { report: Mutex::new(report), queued_bytes: AtomicUsize::new(0), taken: Notify::new() });
        let reader = Reader {
            feed,
            dial,
            wanted,
            topics: Topics::from([]),
            inbox: sender,
            shared: Arc::clone(&shared),
            backoff: Backoff::new(BACKOFF),
            repeats: Repeats::default(),
            told: None,
            dropped: 0,
        };
        Self { inbox, topics, shared, task: tokio::spawn(reader.run()) }
    }

    /// Asks for the events of this name; asking again changes nothing.
    pub(super) fn want(&self, name: &str) {
        self.topics.send_if_modified(|topics| {
            let known = topics.iter().any(|topic| topic.name == name);
            if known || topics.len() >= MOST_TOPICS {
                return false;
            }
            let quoted = serde_json::Value::from(name).to_string();
            let topic = Topic { name: name.to_owned(), quoted };
            *topics = topics.iter().cloned().chain([topic]).collect();
            true
        });
    }

    /// Waits for messages and takes up to `most` of them. May be dropped and called again: nothing is lost.
    pub(super) async fn receive(&mut self, burst: &mut Vec<Event>, most: usize) {
        if self.inbox.recv_many(burst, most).await == 0 {
            // The reader never ends by itself.
            std::future::pending::<()>().await;
        }
        let bytes: usize = burst.iter().map(|event| event.message.len()).sum();
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.taken.notify_one();
    }

    /// State and counters.
    pub(super) fn report(&self) -> EventsReport {
        self.shared.report().clone()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that reads.
struct Reader<D> {
    feed: Arc<str>,
    dial: D,
    wanted: watch::Receiver<Topics>,
    /// What is subscribed to on this connection.
    topics: Topics,
    inbox: mpsc::Sender<Event>,
    shared: Arc<Shared>,
    backoff: Backoff,
    repeats: Repeats,
    /// What the session was told last: that the connection is open (`None`), or why it is not.
    told: Option<String>,
    /// Events dropped since the session was told.
    dropped: u64,
}

impl<D: Dial> Reader<D> {
    async fn run(mut self) {
        loop {
            let error = match timeout(OPEN_WITHIN, self.dial.dial()).await {
                Ok(Ok(link)) => self.serve(link).await,
                Ok(Err(error)) => error,
                Err(_) => {
                    LinkError { refused: false, reason: format!("no connection within {} s", OPEN_WITHIN.as_secs()) }
                }
            };
            let delay = self.lost(error).await;
            sleep(delay).await;
        }
    }

    async fn serve(&mut self, mut link: D::Link) -> LinkError {
        self.topics = Topics::from([]);
        if let Err(error) = self.subscribe(&mut link).await {
            return error;
        }
        self.opened().await;
        loop {
            let taken = tokio::select! {
                message = link.receive() => message.map(|frames| self.take(&frames)),
                // The sender lives as long as this task.
                _ = self.wanted.changed() => self.subscribe(&mut link).await,
                () = self.shared.taken.notified(), if self.dropped > 0 => {
                    if self.has_room() {
                        self.go_on().await;
                    }
                    Ok(())
                }
            };
            if let Err(error) = taken {
                return error;
            }
        }
    }

    /// Subscribes to what is wanted and not yet subscribed to: topics are only added.
    async fn subscribe(&mut self, link: &mut D::Link) -> Result<(), LinkError> {
        let wanted = Arc::clone(&self.wanted.borrow_and_update());
        for topic in &wanted[self.topics.len()..] {
            link.subscribe(topic.name.as_bytes()).await?;
        }
        self.topics = wanted;
        Ok(())
    }

    async fn opened(&mut self) {
        let endpoint = {
            let mut report = self.shared.report();
            report.connected = true;
            report.connects += 1;
            Arc::clone(&report.endpoint)
        };
        info!(feed = %self.feed, %endpoint, "Terminal's events connected");
        self.backoff.connected(clock::now().mono);
        self.told = None;
        self.note("EventsConnected", None).await;
    }

    async fn lost(&mut self, error: LinkError) -> Duration {
        let now = clock::now().mono;
        self.backoff.good_data(now);
        let failure = if error.refused { Failure::Refused } else { Failure::Passing };
        let delay = self.backoff.failed(failure, fastrand::f64());
        let endpoint = {
            let mut report = self.shared.report();
            report.connected = false;
            report.failures += 1;
            report.last_failure = Some(error.reason.clone());
            Arc::clone(&report.endpoint)
        };
        if let Some(repeats) = self.repeats.admit(&error.reason, now) {
            let (reason, delay_ms) = (&error.reason, millis(delay));
            warn!(feed = %self.feed, %endpoint, reason, delay_ms, repeats, "No events from the terminal");
        }
        if self.told.as_ref() != Some(&error.reason) {
            self.note("EventsLost", Some(&error.reason)).await;
            self.told = Some(error.reason);
        }
        // A connection that is lost has told of what was dropped too.
        self.dropped = 0;
        delay
    }

    /// After events were dropped, nothing is queued until half the queue is free: better one hole than many.
    fn has_room(&self) -> bool {
        let bytes = self.shared.queued_bytes.load(Ordering::Relaxed);
        self.inbox.capacity() >= MOST_QUEUED / 2 && bytes <= MOST_QUEUED_BYTES / 2
    }

    /// Tells the session of a hole, as of a connection that was lost and came back.
    async fn go_on(&mut self) {
        let reason = format!("{} events were dropped because the feed was too far behind", self.dropped);
        self.dropped = 0;
        warn!(feed = %self.feed, reason, "No events from the terminal");
        self.note("EventsLost", Some(&reason)).await;
        self.note("EventsConnected", None).await;
    }

    async fn note(&self, name: &str, reason: Option<&str>) {
        let parts: Vec<&str> = std::iter::once(name).chain(reason).collect();
        let message = Bytes::from(serde_json::Value::from(parts).to_string());
        self.queued(message.len());
        // The session's end is dropped together with this task.
        let _ = self.inbox.send(Event { message, text: true }).await;
    }

    fn queued(&self, bytes: usize) -> usize {
        self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Queues an event, or drops it and counts.
    fn take(&mut self, frames: &[Bytes]) {
        let Some(event) = event(&self.topics, frames) else {
            self.shared.report().skipped += 1;
            return;
        };
        let size = event.message.len();
        let fits = self.dropped == 0 && self.queued(size) <= MOST_QUEUED_BYTES && self.inbox.try_send(event).is_ok();
        let mut report = self.shared.report();
        if fits {
            report.events += 1;
        } else {
            if self.dropped == 0 {
                self.shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            }
            self.dropped += 1;
            report.dropped += 1;
        }
    }
}

/// The message for an event; `None` for other topics (a subscription brings every topic that begins with it) and for
/// what is no event.
fn event(topics: &[Topic], frames: &[Bytes]) -> Option<Event> {
    let (name, payload) = match frames {
        [name] => (name, None),
        [name, payload] => (name, Some(payload.trim_ascii()).filter(|payload| !payload.is_empty())),
        _ => return None,
    };
    let topic = topics.iter().find(|topic| topic.name.as_bytes() == name)?;
    let mut message = Vec::with_capacity(topic.quoted.len() + payload.map_or(0, <[u8]>::len) + 3);
    message.push(b'[');
    message.extend_from_slice(topic.quoted.as_bytes());
    if let Some(payload) = payload {
        if !matches!(payload, [b'{', .., b'}'] | [b'[', .., b']']) {
            return None;
        }
        message.push(b',');
        message.extend_from_slice(payload);
    }
    message.push(b']');
    let text = payload.is_none_or(|payload| std::str::from_utf8(payload).is_ok());
    Some(Event { message: message.into(), text })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Mood, Terminal};
    use super::*;

    fn topics(names: &[&str]) -> Vec<Topic> {
        let quoted = |name: &&str| Topic { name: (*name).to_owned(), quoted: format!("{name:?}") };
        names.iter().map(quoted).collect()
    }

    #[test]
    fn events_are_embedded_as_they_came() {
        let topics = topics(&["OnAllTrade", "OnClose"]);
        let made = |frames: &[&[u8]]| {
            let frames: Vec<Bytes> = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
            event(&topics, &frames).map(|event| (event.message, event.text))
        };
        let some = |message: &'static [u8], text| Some((Bytes::from_static(message), text));
        assert_eq!(made(&[b"OnAllTrade", b"{\"a\": 1}\n"]), some(b"[\"OnAllTrade\",{\"a\": 1}]", true));
        assert_eq!(made(&[b"OnClose"]), some(b"[\"OnClose\"]", true));
        assert_eq!(made(&[b"OnClose", b""]), some(b"[\"OnClose\"]", true));
        assert_eq!(made(&[b"OnAllTrade", b"[]"]), some(b"[\"OnAllTrade\",[]]", true));
        assert_eq!(made(&[b"OnAllTrade", b"{\"a\":\"\xc0\"}"]), some(b"[\"OnAllTrade\",{\"a\":\"\xc0\"}]", false));
        for odd in [
            &[&b"OnAllTrades"[..], b"{}"][..],
            &[b"OnAllTrade", b"{}", b"{}"],
            &[b"OnAllTrade", b"hello"],
            &[b"OnAllTrade", b"{"],
            &[b"OnAllTrade", b"\"text\""],
            &[],
        ] {
            assert_eq!(made(odd), None, "{odd:?}");
        }
    }

    async fn next(events: &mut Events) -> String {
        let mut burst = Vec::new();
        timeout(Duration::from_secs(60), events.receive(&mut burst, 1)).await.expect("no event");
        String::from_utf8(burst.remove(0).message.to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn comes_back_by_itself_and_subscribes_anew() {
        let terminal = Terminal::new(Mood::Hang);
        let mut events = Events::open("f".into(), terminal.clone());
        events.want("OnQuote");
        events.want("OnQuote");
        assert_eq!(next(&mut events).await, "[\"EventsConnected\"]");
        events.want("OnClose");
        while terminal.subscribed() != ["OnQuote", "OnClose"] {
            tokio::task::yield_now().await;
        }
        terminal.publish(&[b"OnQuotes", b"{}"]);
        terminal.publish(&[b"OnQuote", b"{}"]);
        assert_eq!(next(&mut events).await, "[\"OnQuote\",{}]");
        terminal.shut(true, "the server refused our key (400)");
        assert_eq!(next(&mut events).await, "[\"EventsLost\",\"the other end closed the connection\"]");
        assert_eq!(next(&mut events).await, "[\"EventsLost\",\"the server refused our key (400)\"]");
        sleep(Duration::from_secs(120)).await;
        assert!((6..=12).contains(&terminal.dials()), "{}", terminal.dials());
        terminal.set_door(super::super::fake::Door::Open);
        assert_eq!(next(&mut events).await, "[\"EventsConnected\"]", "the same trouble is told once");
        assert_eq!(terminal.subscribed()[2..], ["OnQuote", "OnClose"]);
        let report = events.report();
        assert!(report.connected && report.connects == 2 && report.failures >= 3, "{report:?}");
        assert_eq!((report.events, report.skipped, report.dropped), (1, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_counted_and_told_once() {
        let terminal = Terminal::new(Mood::Hang);
        let mut events = Events::open("f".into(), terminal.clone());
        events.want("OnClose");
        assert_eq!(next(&mut events).await, "[\"EventsConnected\"]");
        for _ in 0..MOST_QUEUED + 100 {
            terminal.publish(&[b"OnClose"]);
        }
        while events.report().events + events.report().dropped < MOST_QUEUED as u64 + 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(events.report().dropped, 100);
        for _ in 0..MOST_QUEUED {
            assert_eq!(next(&mut events).await, "[\"OnClose\"]");
        }
        let told = "[\"EventsLost\",\"100 events were dropped because the feed was too far behind\"]";
        assert_eq!(next(&mut events).await, told);
        assert_eq!(next(&mut events).await, "[\"EventsConnected\"]");
        terminal.publish(&[b"OnClose"]);
        assert_eq!(next(&mut events).await, "[\"OnClose\"]");
        assert_eq!(events.shared.queued_bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_takes_too_much_memory_loses_events_and_is_told() {
        let terminal = Terminal::new(Mood::Hang);
        let mut events = Events::open("f".into(), terminal.clone());
        events.want("OnParam");
        assert_eq!(next(&mut events).await, "[\"EventsConnected\"]");
        let payload = format!("{{\"x\":\"{}\"}}", "x".repeat(MOST_QUEUED_BYTES / 2));
        for _ in 0..3 {
            terminal.publish(&[b"OnParam", payload.as_bytes()]);
        }
        while events.report().dropped < 2 {
            tokio::task::yield_now().await;
        }
        assert!(next(&mut events).await.starts_with("[\"OnParam\""));
        assert!(next(&mut events).await.starts_with("[\"EventsLost\",\"2 events"));
    }
}
