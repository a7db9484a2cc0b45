//! A subscriber that checks every frame: epoch, sequence, no book without `live`, and each book against the truth.

use std::collections::BTreeMap;

use serde_json::Value;
use tickbus::client::{Incoming, Subscriber, as_json, subscribe};
use tickbus::sim::{Depth, Running, Truth};
use tokio::time::{Duration, Interval, interval, timeout};

use crate::gateway::{DEADLINE, Gateway};

/// A `status` frame in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Empty for the feed as a whole.
    pub(crate) symbol: String,
    pub(crate) state: String,
    /// Empty where there is none.
    pub(crate) reason: String,
}

/// Receives and checks; and moves the markets, if asked to.
pub(crate) struct Watcher {
    subscriber: Subscriber,
    truth: Truth,
    market: String,
    depth: Depth,
    steps: Interval,
    moves: usize,
    epoch: Option<u64>,
    seqs: BTreeMap<String, u64>,
    states: BTreeMap<String, String>,
    /// Every status seen, in order.
    pub(crate) told: Vec<Told>,
    /// Books found equal to the truth, by symbol.
    pub(crate) proved: BTreeMap<String, u64>,
    /// Books whose truth is no longer remembered.
    pub(crate) unproved: u64,
    /// The last frame of each topic.
    pub(crate) last: BTreeMap<String, Value>,
    /// How many frames came.
    pub(crate) frames: u64,
}

impl Watcher {
    /// Subscribes to these prefixes. Books are compared with what the venue published of `market` at `depth`.
    pub(crate) fn new(gateway: &Gateway, venue: &Running, market: &str, depth: Depth, prefixes: &[&str]) -> Self {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        Self {
            subscriber: subscribe(&gateway.bus, &prefixes).unwrap(),
            truth: venue.truth().clone(),
            market: market.to_owned(),
            depth,
            steps: interval(Duration::from_millis(2)),
            moves: 0,
            epoch: None,
            seqs: BTreeMap::new(),
            states: BTreeMap::new(),
            told: Vec::new(),
            proved: BTreeMap::new(),
            unproved: 0,
            last: BTreeMap::new(),
            frames: 0,
        }
    }

    /// From now on, moves the markets so often every two milliseconds while it waits.
    pub(crate) fn walk(&mut self, moves: usize) {
        self.moves = moves;
    }

    /// The next frame, checked: topic and payload.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        let frame = timeout(DEADLINE, self.receive()).await;
        let Ok((topic, payload)) = frame else { panic!("no frame within {DEADLINE:?}; told: {:?}", self.told) };
        let frame: Value = serde_json::from_str(&as_json(&payload).unwrap()).unwrap();
        self.check(&topic, &frame);
        self.frames += 1;
        self.last.insert(topic.clone(), frame.clone());
        (topic, frame)
    }

    async fn receive(&mut self) -> (String, bytes::Bytes) {
        loop {
            tokio::select! {
                incoming = self.subscriber.next() => match incoming {
                    Incoming::Frame(frame) => return (frame.topic, frame.payload),
                    Incoming::Malformed(error) => panic!("a malformed frame: {error}"),
                    Incoming::Connected | Incoming::Disconnected(_) => {}
                },
                _ = self.steps.tick(), if self.moves > 0 => self.truth.step(self.moves),
            }
        }
    }

    fn check(&mut self, topic: &str, frame: &Value) {
        assert_eq!(frame["v"], 1, "{topic} {frame}");
        let epoch = frame["epoch"].as_u64().unwrap();
        assert_eq!(*self.epoch.get_or_insert(epoch), epoch, "{topic}: another epoch");
        let seq = frame["seq"].as_u64().unwrap();
        if let Some(before) = self.seqs.insert(topic.to_owned(), seq) {
            assert_eq!(seq, before + 1, "{topic}: a hole in seq");
        }
        match frame["type"].as_str().unwrap() {
            "status" => self.check_status(frame),
            "book" => self.check_book(topic, frame),
            _ => {}
        }
    }

    fn check_status(&mut self, frame: &Value) {
        let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
        // A channel of the account is told by its name, which is no symbol's.
        let name = if frame["account"].is_string() { text("channel") } else { text("symbol") };
        let told = Told { symbol: name, state: text("state"), reason: text("reason") };
        assert!(frame["since"].as_u64().is_some_and(|since| since > 0), "{frame}");
        self.states.insert(told.symbol.clone(), told.state.clone());
        self.told.push(told);
    }

    fn check_book(&mut self, topic: &str, frame: &Value) {
        let symbol = frame["symbol"].as_str().unwrap();
        if let Some(state) = self.states.get(symbol) {
            assert_eq!(state, "live", "{topic}: a book while the symbol is {state}");
        }
        let found = digest(frame);
        // A book without an id is asked for by its digest.
        let u = frame["venue_seq"].as_u64().unwrap_or(found.into());
        match self.truth.digest(&self.market, symbol, self.depth, u) {
            Some(truth) => {
                assert_eq!(found, truth, "{topic}: not the venue's book at {u}: {frame}");
                *self.proved.entry(symbol.to_owned()).or_default() += 1;
            }
            None => self.unproved += 1,
        }
    }

    /// Receives until `done`.
    pub(crate) async fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let waiting = async {
            while !done(self) {
                self.next().await;
            }
        };
        if timeout(DEADLINE, waiting).await.is_err() {
            panic!("{what}: not within {DEADLINE:?}; proved {:?}, told {:#?}", self.proved, self.told);
        }
    }

    /// Receives until each of these symbols is live and so many more of its books were found true.
    pub(crate) async fn until_true(&mut self, symbols: &[&str], books: u64) {
        let want: Vec<(String, u64)> = symbols.iter().map(|s| ((*s).to_owned(), self.true_books(s) + books)).collect();
        self.until(&format!("{books} more true books of {symbols:?}"), |watcher| {
            want.iter().all(|(symbol, books)| watcher.is_live(symbol) && watcher.true_books(symbol) >= *books)
        })
        .await;
    }

    /// How many books of this symbol were found true.
    pub(crate) fn true_books(&self, symbol: &str) -> u64 {
        self.proved.get(symbol).copied().unwrap_or(0)
    }

    /// Whether the last status of this symbol is `live`.
    pub(crate) fn is_live(&self, symbol: &str) -> bool {
        self.states.get(symbol).is_some_and(|state| state == "live")
    }

    /// What was told of one symbol, `state reason`, from the `from`th status on.
    pub(crate) fn told_of(&self, symbol: &str, from: usize) -> Vec<String> {
        let of_symbol = self.told.iter().skip(from).filter(|told| told.symbol == symbol);
        of_symbol.map(|told| format!("{} {}", told.state, told.reason).trim_end().to_owned()).collect()
    }
}

/// CRC32 of `price:size|…#price:size|…`, numbers without trailing zeros: the digest the simulated venue keeps.
fn digest(frame: &Value) -> u32 {
    let side = |key: &str| {
        let levels = frame[key].as_array().unwrap().iter().take(25);
        let text = |number: &Value| plain(number.as_str().unwrap()).to_owned();
        levels.map(|level| format!("{}:{}", text(&level[0]), text(&level[1]))).collect::<Vec<_>>().join("|")
    };
    crc32fast::hash(format!("{}#{}", side("bids"), side("asks")).as_bytes())
}

fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}
