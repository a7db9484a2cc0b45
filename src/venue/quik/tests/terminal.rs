//! A scripted terminal: answers the session's calls on virtual time, as the Lua service would.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::Said;
use crate::feed::{Feed, FeedSpec};
use crate::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use crate::venue::quik::session::QuikSession;
use crate::venue::quik::{VENUE, time};
use crate::venue::{Input, RpcRequest, Session, SessionSpec, TerminalSpec};

/// Friday noon in Moscow: 2026-11-20T09:00:00Z.
pub(super) const NOON: u64 = 1_795_165_200;
/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(2);
/// How long the pool tries a dead terminal.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the terminal speaks to.
enum Stepped {
    Session(Box<QuikSession>),
    /// The session with its books and states behind it.
    Feed(Box<Feed>),
}

/// The terminal, the pool before it, and the session behind that.
pub(super) struct Terminal {
    stepped: Stepped,
    pub(super) said: Said,
    now: Mono,
    /// Seconds since 1970 at the start.
    start: u64,
    /// Whether it answers.
    pub(super) is_up: bool,
    /// Whether it has its broker.
    pub(super) is_connected: bool,
    /// What its clock shows, where it does not move.
    pub(super) clock: Option<String>,
    /// Securities it knows, each with its book.
    pub(super) books: BTreeMap<String, String>,
    pub(super) subscribed: BTreeSet<String>,
    /// Subscriptions it refuses.
    pub(super) refused: BTreeSet<String>,
    /// The table of all trades.
    pub(super) rows: Vec<Value>,
    /// Methods whose next answers get lost.
    pub(super) lose: Vec<&'static str>,
    /// Answers of rows come in the wrong order.
    pub(super) shuffles: bool,
    /// Every call so far: when, and what.
    pub(super) calls: Vec<(Mono, String)>,
    pending: VecDeque<Pending>,
    /// Bodies of calls that will be answered.
    under_way: BTreeSet<String>,
}

/// A call on its way back.
struct Pending {
    at: Mono,
    id: u64,
    body: String,
    answer: Result<String, &'static str>,
}

/// Book, trades and ticker of these securities.
pub(super) fn streams(symbols: &[&str]) -> Vec<Stream> {
    let channels = [Channel::Book(BookDepth::Levels(50)), Channel::Trade, Channel::Ticker];
    let of = |symbol: &&str| channels.map(|channel| Stream::new(*symbol, channel));
    symbols.iter().flat_map(of).collect()
}

pub(super) fn book(bid: &str, size: u32, ask: &str) -> String {
    format!(
        r#"{{"bid_count":"1","offer_count":"1","bids":[{{"price":"{bid}","quantity":"{size}"}}],"offers":[{{"price":"{ask}","quantity":"1"}}]}}"#
    )
}

impl Terminal {
    pub(super) fn new(symbols: &[&str]) -> Self {
        Self::with(symbols, TerminalSpec { events: true, ..TerminalSpec::default() }, NOON)
    }

    pub(super) fn with(symbols: &[&str], terminal: TerminalSpec, start: u64) -> Self {
        let spec = SessionSpec { terminal, ..SessionSpec::of("SPBFUT", streams(symbols)) };
        Self::before(Stepped::Session(Box::new(QuikSession::new(spec))), symbols, start)
    }

    /// A terminal whose session has a feed behind it; a book may be silent for ten seconds.
    pub(super) fn with_feed(symbols: &[&str]) -> Self {
        let spec = FeedSpec {
            market: "SPBFUT".to_owned(),
            streams: streams(symbols).into_iter().filter(|stream| stream.channel != Channel::Ticker).collect(),
            discover: false,
            silence: Duration::from_secs(10),
            terminal: TerminalSpec { events: true, ..TerminalSpec::default() },
            ..FeedSpec::default()
        };
        Self::before(Stepped::Feed(Box::new(Feed::new(&VENUE, spec))), symbols, NOON)
    }

    fn before(stepped: Stepped, symbols: &[&str], start: u64) -> Self {
        Self {
            stepped,
            said: Said::default(),
            now: Mono(1_000_000_000),
            start,
            is_up: true,
            is_connected: true,
            clock: None,
            books: symbols.iter().map(|symbol| ((*symbol).to_owned(), book("100.0", 1, "101.0"))).collect(),
            subscribed: BTreeSet::new(),
            refused: BTreeSet::new(),
            rows: Vec::new(),
            lose: Vec::new(),
            shuffles: false,
            calls: Vec::new(),
            pending: VecDeque::new(),
            under_way: BTreeSet::new(),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp { mono: self.now, wall: UnixNanos(self.start * 1_000_000_000 + self.now.0 - 1_000_000_000) }
    }

    /// How often a method was called since the last time this was asked.
    pub(super) fn called(&mut self, method: &str) -> usize {
        let name = format!("\"method\":\"{method}\"");
        let before = self.calls.len();
        self.calls.retain(|(_, body)| !body.contains(&name));
        before - self.calls.len()
    }

    /// Hands an input in and takes the calls that follow.
    pub(super) fn take(&mut self, input: Input<'_>) {
        let now = self.stamp();
        match &mut self.stepped {
            Stepped::Session(session) => session.handle(input, now, &mut self.said),
            Stepped::Feed(feed) => feed.handle(input, now, &mut self.said),
        }
        for call in std::mem::take(&mut self.said.calls) {
            self.receive(&call);
        }
    }

    pub(super) fn event(&mut self, text: &str) {
        self.take(Input::Text(text.as_bytes()));
    }

    /// Asks for a book anew from outside.
    pub(super) fn resync(&mut self, symbol: &str) -> bool {
        let now = self.stamp();
        let Stepped::Feed(feed) = &mut self.stepped else { return false };
        let found = feed.resync(symbol, now, &mut self.said);
        self.take(Input::Timeout);
        found
    }

    /// Connects and lets everything settle.
    pub(super) fn connect(&mut self) -> Vec<String> {
        self.take(Input::Connected);
        self.event(r#"["EventsConnected"]"#);
        self.pass(Duration::from_millis(500));
        self.said.told()
    }

    fn receive(&mut self, call: &RpcRequest) {
        let request: Value = serde_json::from_str(&call.body).expect("JSON");
        let method = request["method"].as_str().expect("a method").to_owned();
        assert!(call.idempotent, "{method}");
        self.calls.push((self.now, call.body.clone()));
        let lost = self.lose.iter().position(|lost| *lost == method);
        let (delay, answer) = if !self.is_up || lost.is_some() {
            lost.map(|at| self.lose.remove(at));
            (PATIENCE, Err("no answer in 1 s, twice"))
        } else {
            let is_new = self.under_way.insert(call.body.clone());
            assert!(is_new, "a second {} under way", call.body);
            (LATENCY, Ok(self.answer(&method, &request["args"]).to_string()))
        };
        // The later the row, the sooner it comes.
        let index = request["args"]["index"].as_u64().filter(|_| self.shuffles).unwrap_or(7);
        let at = self.now.after(delay * u32::try_from(8 - index % 8).expect("small"));
        let place = self.pending.partition_point(|other| other.at <= at);
        self.pending.insert(place, Pending { at, id: call.id, body: call.body.clone(), answer });
    }

    fn answer(&mut self, method: &str, args: &Value) -> Value {
        let symbol = args["sec_code"].as_str().unwrap_or_default().to_owned();
        let truth = |truth: bool| if truth { json!({ "result": true }) } else { json!({}) };
        let result = match method {
            "getInfoParam" => json!({ "info_param": self.shown_clock() }),
            "isConnected" => json!({ "is_connected": i32::from(self.is_connected) }),
            "getSecurityInfo" if self.books.contains_key(&symbol) => json!({ "security_info": {
                "code": symbol, "min_price_step": "10.0", "lot_size": "1", "face_unit": "SUR", "mat_date": "20261217"
            }}),
            "getSecurityInfo" => json!({}),
            "Subscribe_Level_II_Quotes" if self.refused.contains(&symbol) => json!({}),
            "Subscribe_Level_II_Quotes" => {
                self.subscribed.insert(symbol);
                truth(true)
            }
            "Unsubscribe_Level_II_Quotes" => truth(self.subscribed.remove(&symbol)),
            "getQuoteLevel2" if self.subscribed.contains(&symbol) => {
                serde_json::from_str(&self.books[&symbol]).expect("JSON")
            }
            "getQuoteLevel2" => json!({ "bid_count": "0", "offer_count": "0", "bids": [], "offers": [] }),
            "getNumberOf" => json!({ "result": self.rows.len() }),
            "getItem" => {
                let index = usize::try_from(args["index"].as_u64().expect("an index")).expect("an index");
                self.rows.get(index).map_or(json!({}), |row| json!({ "table_row": row }))
            }
            other => panic!("{other} is not called"),
        };
        json!({ "result": result })
    }

    fn shown_clock(&self) -> String {
        if !self.is_connected {
            return String::new();
        }
        let second = time::moscow(self.stamp().wall).second;
        let moving = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        self.clock.clone().unwrap_or(moving)
    }

    fn next_timeout(&self) -> Option<Mono> {
        let timer = match &self.stepped {
            Stepped::Session(session) => session.next_timeout(),
            Stepped::Feed(feed) => feed.next_timeout(),
        };
        timer.map(|timer| timer.at)
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let answer = self.pending.front().map(|pending| pending.at);
            let timer = self.next_timeout();
            let Some(next) = answer.into_iter().chain(timer).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if answer.is_some_and(|at| at <= self.now) {
                let Pending { id, body, answer, .. } = self.pending.pop_front().expect("an answer");
                self.under_way.remove(&body);
                self.take(Input::Rpc { id, answer: answer.as_ref().map(String::as_bytes).map_err(|why| *why) });
            } else {
                self.take(Input::Timeout);
                let next = self.next_timeout();
                assert!(next != timer || next > Some(self.now), "a timer that does nothing: {next:?}");
            }
        }
        self.now = end;
    }
}
