//! A terminal for tests, without sockets: it answers, is slow, hangs, hangs up or refuses, as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Dial, Link, LinkError};

/// What the terminal does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    /// Answers with the request's body after so long.
    Answer(Duration),
    /// Takes it and says nothing.
    Hang,
    /// Closes the connection.
    HangUp,
    /// Answers somebody else first, twice.
    Confused,
}

#[derive(Clone, Debug)]
pub(super) enum Door {
    Open,
    Shut(LinkError),
    /// The handshake never ends.
    Stuck,
}

/// What it saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) dials: Vec<Instant>,
    /// When each request came, and its body.
    pub(super) requests: Vec<(Instant, String)>,
    pub(super) subscribed: Vec<String>,
}

/// The terminal. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    pub(super) seen: Arc<Mutex<Seen>>,
    mood: Arc<Mutex<Mood>>,
    door: Arc<Mutex<Door>>,
    /// Counts up when all connections are to end.
    run: Arc<watch::Sender<u64>>,
    /// What it publishes.
    events: Arc<watch::Sender<Vec<Vec<Bytes>>>>,
}

impl Terminal {
    pub(super) fn new(mood: Mood) -> Self {
        Self {
            seen: Arc::default(),
            mood: Arc::new(Mutex::new(mood)),
            door: Arc::new(Mutex::new(Door::Open)),
            run: Arc::new(watch::channel(0).0),
            events: Arc::new(watch::channel(Vec::new()).0),
        }
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn set_door(&self, door: Door) {
        *self.door.lock().unwrap() = door;
    }

    pub(super) fn shut(&self, refused: bool, reason: &str) {
        self.set_door(Door::Shut(LinkError { refused, reason: reason.to_owned() }));
        self.run.send_modify(|run| *run += 1);
    }

    pub(super) fn publish(&self, frames: &[&[u8]]) {
        let message = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
        self.events.send_modify(|events| events.push(message));
    }

    pub(super) fn dials(&self) -> usize {
        self.seen.lock().unwrap().dials.len()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.iter().map(|(_, body)| body.clone()).collect()
    }

    pub(super) fn subscribed(&self) -> Vec<String> {
        self.seen.lock().unwrap().subscribed.clone()
    }
}

impl Dial for Terminal {
    type Link = FakeLink;

    fn endpoint(&self) -> Arc<str> {
        "tcp://fake:1".into()
    }

    async fn dial(&self) -> Result<FakeLink, LinkError> {
        self.seen.lock().unwrap().dials.push(Instant::now());
        let door = self.door.lock().unwrap().clone();
        match door {
            Door::Open => {}
            Door::Shut(error) => return Err(error),
            Door::Stuck => std::future::pending().await,
        }
        let mut run = self.run.subscribe();
        run.mark_unchanged();
        let mut events = self.events.subscribe();
        events.mark_unchanged();
        let published = events.borrow().len();
        Ok(FakeLink { terminal: self.clone(), run, events, published, answers: VecDeque::new(), hung_up: false })
    }
}

pub(super) struct FakeLink {
    terminal: Terminal,
    run: watch::Receiver<u64>,
    events: watch::Receiver<Vec<Vec<Bytes>>>,
    /// How many events were given out.
    published: usize,
    answers: VecDeque<(Instant, Vec<Bytes>)>,
    hung_up: bool,
}

fn lost() -> LinkError {
    LinkError { refused: false, reason: "the other end closed the connection".to_owned() }
}

impl Link for FakeLink {
    async fn subscribe(&mut self, topic: &[u8]) -> Result<(), LinkError> {
        self.terminal.seen.lock().unwrap().subscribed.push(String::from_utf8(topic.to_vec()).unwrap());
        Ok(())
    }

    async fn send(&mut self, frames: &[&[u8]]) -> Result<(), LinkError> {
        let [ticket, empty, body] = frames else { panic!("{} frames", frames.len()) };
        assert!(empty.is_empty() && self.answers.is_empty(), "one call at a time, behind an empty frame");
        let now = Instant::now();
        self.terminal.seen.lock().unwrap().requests.push((now, String::from_utf8(body.to_vec()).unwrap()));
        let message = |ticket: &[u8]| [ticket, b"", body].map(Bytes::copy_from_slice).to_vec();
        match *self.terminal.mood.lock().unwrap() {
            Mood::Answer(after) => self.answers.push_back((now + after, message(ticket))),
            Mood::Hang => {}
            Mood::HangUp => self.hung_up = true,
            Mood::Confused => {
                self.answers.push_back((now, message(b"999999")));
                self.answers.push_back((now, vec![Bytes::from_static(b"{}")]));
                self.answers.push_back((now, message(ticket)));
                self.answers.push_back((now, message(ticket)));
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Vec<Bytes>, LinkError> {
        loop {
            if self.hung_up {
                return Err(lost());
            }
            if let Some(event) = self.events.borrow().get(self.published).cloned() {
                self.published += 1;
                return Ok(event);
            }
            let due = self.answers.front().map(|(at, _)| *at);
            tokio::select! {
                biased;
                _ = self.run.changed() => self.hung_up = true,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return Ok(self.answers.pop_front().unwrap().1);
                }
                _ = self.events.changed() => {}
            }
        }
    }
}
