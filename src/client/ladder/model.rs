//! What the ladder shows, made from frames. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::client::payload::{DecodeError, as_json};
use crate::client::print::{self, clock_time, spread};
use crate::client::subscribe::{Incoming, ReceivedFrame};
use crate::client::tracker::{Counts, Tracker};
use crate::client::view::{LevelText, Text, Topic, View};
use crate::model::{Mono, Stamp};

/// Trades kept for the list.
const TRADES: usize = 100;
/// Levels kept a side, more than a terminal has lines.
const LEVELS: usize = 500;
/// Rates are over this time.
const RATE_PERIOD: Duration = Duration::from_secs(1);

/// A level of one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) price: String,
    pub(super) size: String,
    /// The size as a number, for the length of its bar only.
    pub(super) weight: f64,
}

/// A line of the trade list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub(super) time: String,
    pub(super) side: String,
    pub(super) price: String,
    pub(super) size: String,
}

/// How the symbol stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The gateway's word, or `waiting` before the first frame.
    pub(super) word: String,
    /// Reason, since and detail, as far as known.
    pub(super) why: String,
}

/// The topic that was found for the symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    venue: String,
    market: String,
    symbol: String,
}

#[derive(Debug)]
pub(super) struct Ladder {
    endpoint: String,
    wanted: String,
    found: Option<Found>,
    instrument: String,
    /// `None` while connected.
    pub(super) disconnected: Option<String>,
    pub(super) state: State,
    /// Best first.
    pub(super) bids: Vec<Row>,
    /// Best first.
    pub(super) asks: Vec<Row>,
    pub(super) spread: String,
    /// Newest first.
    pub(super) trades: VecDeque<Trade>,
    pub(super) undecodable: u64,
    tracker: Tracker,
    pub(super) rates: Rates,
    changed: bool,
}

/// Frames and bytes a second, over the last whole period.
#[derive(Debug, Default)]
pub(super) struct Rates {
    since: Mono,
    frames: u64,
    bytes: u64,
    pub(super) frames_per_second: f64,
    pub(super) bytes_per_second: f64,
}

impl Ladder {
    pub(super) fn new(endpoint: &str, wanted: &str, now: Stamp) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            wanted: wanted.to_owned(),
            found: None,
            instrument: String::new(),
            disconnected: Some("connecting".to_owned()),
            state: State { word: "waiting".to_owned(), why: format!("for a topic of {wanted}") },
            bids: Vec::new(),
            asks: Vec::new(),
            spread: String::new(),
            trades: VecDeque::new(),
            undecodable: 0,
            tracker: Tracker::default(),
            rates: Rates { since: now.mono, ..Rates::default() },
            changed: true,
        }
    }

    /// The first line: which topic is shown.
    pub(super) fn title(&self) -> String {
        match &self.found {
            None => format!("{} at {}", self.wanted, self.endpoint),
            Some(Found { venue, market, symbol }) => {
                let name = format!("{venue} {market} {symbol}");
                if self.instrument.is_empty() { name } else { format!("{name} ({})", self.instrument) }
            }
        }
    }

    /// Whether the levels shown are the book as it now is.
    pub(super) fn is_live(&self) -> bool {
        self.state.word == "live" && self.disconnected.is_none()
    }

    pub(super) fn counts(&self) -> Counts {
        self.tracker.counts()
    }

    /// Asks for a redraw although nothing came.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Whether there is something new to draw.
    pub(super) fn tick(&mut self, now: Stamp) -> bool {
        self.changed |= self.rates.roll(now.mono);
        std::mem::take(&mut self.changed)
    }

    /// Takes what was received. When this finds the symbol's topic, returns the prefixes to subscribe to from now
    /// on, so that other symbols' frames are no longer sent here.
    pub(super) fn take(&mut self, incoming: Incoming, now: Stamp) -> Option<Vec<String>> {
        self.changed = true;
        match incoming {
            Incoming::Connected => self.disconnected = None,
            Incoming::Disconnected(error) => self.disconnected = Some(error.to_string()),
            Incoming::Malformed(_) => self.undecodable += 1,
            Incoming::Frame(frame) => match self.frame(&frame, now) {
                Ok(narrow) => return narrow,
                Err(_) => self.undecodable += 1,
            },
        }
        None
    }

    fn frame(&mut self, frame: &ReceivedFrame, now: Stamp) -> Result<Option<Vec<String>>, DecodeError> {
        self.rates.add(now.mono, frame.topic.len() + frame.payload.len());
        let topic = Topic::split(&frame.topic);
        let known = self.found.is_some();
        if known && !self.shows(&topic) {
            return Ok(None);
        }
        let json = as_json(&frame.payload)?;
        let view = View::read(&json)?;
        if !known {
            if !self.matches(&topic, &view) {
                return Ok(None);
            }
            self.found = Some(Found {
                venue: topic.venue.to_owned(),
                market: topic.market.to_owned(),
                symbol: topic.symbol.clone().into_owned(),
            });
            self.state.why = "for its book".to_owned();
        }
        self.tracker.observe(&frame.topic, view.epoch, view.seq);
        if let Some(instrument) = &view.instrument {
            plain(instrument).clone_into(&mut self.instrument);
        }
        match topic.channel {
            "book" => self.book(&view),
            "trade" => self.trade(&view),
            "status" if view.is_about_book() => self.status(&view),
            _ => {}
        }
        Ok((!known).then(|| narrow(&frame.topic)))
    }

    /// Whether this is the first topic of what the user asked for.
    fn matches(&self, topic: &Topic<'_>, view: &View<'_>) -> bool {
        let wanted = |name: &str| name.eq_ignore_ascii_case(&self.wanted);
        matches!(topic.channel, "book" | "trade" | "status")
            && (wanted(&topic.symbol) || view.instrument.as_deref().is_some_and(wanted))
    }

    fn shows(&self, topic: &Topic<'_>) -> bool {
        self.found.as_ref().is_some_and(|found| {
            found.venue == topic.venue && found.market == topic.market && found.symbol == *topic.symbol
        })
    }

    fn book(&mut self, view: &View<'_>) {
        self.bids = rows(&view.bids);
        self.asks = rows(&view.asks);
        let best = view.bids.first().zip(view.asks.first());
        let spread = best.and_then(|(bid, ask)| spread(&bid.0, &ask.0));
        self.spread = spread.map_or_else(String::new, |spread| spread.to_string());
        let word = view.state.as_deref().map_or_else(|| "live".to_owned(), plain);
        self.state = State { word, why: String::new() };
    }

    fn trade(&mut self, view: &View<'_>) {
        let text = |field: &Option<Text<'_>>| field.as_deref().map(plain).unwrap_or_default();
        self.trades.push_front(Trade {
            time: view.ts_pub.or(view.ts_recv).map(clock_time).unwrap_or_default(),
            side: text(&view.side),
            price: text(&view.price),
            size: text(&view.size),
        });
        self.trades.truncate(TRADES);
    }

    fn status(&mut self, view: &View<'_>) {
        let since = view.since.map(|at| format!("since {}", clock_time(at)));
        let why = [view.reason.as_deref().map(plain), since, view.detail.as_deref().map(plain)];
        self.state = State {
            word: view.state.as_deref().map_or_else(|| "unknown".to_owned(), plain),
            why: why.into_iter().flatten().collect::<Vec<_>>().join(" "),
        };
    }
}

impl Rates {
    fn add(&mut self, now: Mono, bytes: usize) {
        self.roll(now);
        self.frames += 1;
        self.bytes += bytes as u64;
    }

    /// Closes the period if it is over.
    #[allow(clippy::cast_precision_loss, reason = "rates for reading")]
    fn roll(&mut self, now: Mono) -> bool {
        let elapsed = now.since(self.since);
        if elapsed < RATE_PERIOD {
            return false;
        }
        self.frames_per_second = self.frames as f64 / elapsed.as_secs_f64();
        self.bytes_per_second = self.bytes as f64 / elapsed.as_secs_f64();
        (self.since, self.frames, self.bytes) = (now, 0, 0);
        true
    }
}

/// The book, trades and status of the topic's symbol only.
fn narrow(topic: &str) -> Vec<String> {
    let tail = topic.split_once('.').map_or("", |(_, tail)| tail);
    ["book", "trade", "status"].iter().map(|channel| format!("{channel}.{tail}")).collect()
}

fn rows(levels: &[LevelText<'_>]) -> Vec<Row> {
    let row = |LevelText(price, size): &LevelText<'_>| Row {
        price: plain(price),
        size: plain(size),
        weight: size.parse().ok().filter(|weight: &f64| weight.is_finite()).unwrap_or_default(),
    };
    levels.iter().take(LEVELS).map(row).collect()
}

fn plain(text: &str) -> String {
    print::plain(text).into_owned()
}
