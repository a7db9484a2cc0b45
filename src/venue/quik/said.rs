//! What a part of the session said, in tests: its calls, and its updates as owned values.

use std::collections::VecDeque;

use serde_json::Value;

use crate::model::{Level, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{HttpRequest, Output, RpcRequest, TickerField, Update};

/// An update of a kind that the parts send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Subscribed(u32),
    Rejected(u32, String),
    Notice(Option<u32>, String),
    Broken(Option<u32>, String),
    Late(u64),
    Unchanged(u32),
    Ticker(u32, Vec<(TickerField, String)>, Vec<(String, String)>),
    Book { stream: u32, seq: u64, bids: Vec<Level>, asks: Vec<Level> },
    Candle { stream: u32, open_time: u64, texts: [String; 5], closed: bool, backfill: bool },
    Other(String),
}

#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) calls: VecDeque<RpcRequest>,
    pub(super) told: Vec<Told>,
    pub(super) answers: Vec<(u64, String)>,
}

impl Said {
    /// What was told since the last time.
    pub(super) fn take(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// The same without what only confirms.
    pub(super) fn take_news(&mut self) -> Vec<Told> {
        self.take().into_iter().filter(|told| !matches!(told, Told::Unchanged(_))).collect()
    }
}

impl Output for Said {
    fn send(&mut self, text: String) {
        panic!("a terminal has no websocket to send {text} to");
    }
    fn http(&mut self, request: HttpRequest) {
        panic!("a terminal has no REST: {request:?}");
    }
    fn rpc(&mut self, request: RpcRequest) {
        self.calls.push_back(request);
    }
    fn answer(&mut self, id: u64, text: String) {
        assert!(self.answers.iter().all(|(other, _)| *other != id), "question {id} is answered twice");
        self.answers.push((id, text));
    }
    fn update(&mut self, update: Update<'_>) {
        self.told.push(match update {
            Update::Subscribed(stream) => Told::Subscribed(stream.0),
            Update::Rejected { stream, detail } => Told::Rejected(stream.0, detail.to_owned()),
            Update::Notice { stream, detail } => Told::Notice(stream.map(|stream| stream.0), detail.to_owned()),
            Update::Broken { stream, detail } => Told::Broken(stream.map(|stream| stream.0), detail.to_owned()),
            Update::Late { polls } => Told::Late(polls),
            Update::Unchanged(stream) => Told::Unchanged(stream.0),
            Update::Ticker(t) => Told::Ticker(t.stream.0, t.fields.to_vec(), t.params.to_vec()),
            Update::Book(b) => {
                Told::Book { stream: b.stream.0, seq: b.seq, bids: b.bids.to_vec(), asks: b.asks.to_vec() }
            }
            Update::Candle(c) => Told::Candle {
                stream: c.stream.0,
                open_time: c.open_time,
                texts: [c.open, c.high, c.low, c.close, c.volume].map(str::to_owned),
                closed: c.closed,
                backfill: c.backfill,
            },
            other => Told::Other(format!("{other:?}")),
        });
    }
    fn discovered(&mut self, _: Stream) -> Option<StreamId> {
        panic!("nothing is discovered live");
    }
    fn reconnect(&mut self, reason: String) {
        panic!("reconnect: {reason}");
    }
    fn replace(&mut self, reason: &str) {
        panic!("replace: {reason}");
    }
}

/// Milliseconds after the start, which is 2026-11-21 09:00 in Moscow.
pub(super) fn at(ms: u64) -> Stamp {
    Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos((1_795_240_800_000 + ms) * 1_000_000) }
}

/// A call's method and arguments.
pub(super) fn read_call(body: &str) -> (String, Value) {
    let call: Value = serde_json::from_str(body).expect("a call is JSON");
    (call["method"].as_str().expect("a method").to_owned(), call["args"].clone())
}
