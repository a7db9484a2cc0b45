//! The feed with the real Bybit session: what may be published, and what is said before it no longer may.

mod books;
mod images;
mod links;
mod states;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Level, UnixNanos};
use crate::venue::{HttpRequest, RpcRequest, bybit};

/// Everything a feed said, in order and in words.
#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    sent: Vec<Value>,
    sent_over: Vec<u32>,
    requests: Vec<HttpRequest>,
    reconnects: Vec<String>,
    settled: Vec<String>,
}

impl FeedOutput for Said {
    fn send(&mut self, link: LinkId, text: String) {
        self.sent_over.push(link.0);
        self.sent.push(serde_json::from_str(&text).expect("JSON"));
    }

    fn http(&mut self, _: LinkId, request: HttpRequest) {
        self.requests.push(request);
    }

    fn rpc(&mut self, _: RpcRequest) {}

    fn answer(&mut self, _: u64, _: String) {}

    fn reconnect(&mut self, _: LinkId, reason: String) {
        self.reconnects.push(reason);
    }

    fn settled(&mut self, stream: StreamId, outcome: Outcome<'_>) {
        self.settled.push(format!("{} {outcome:?}", stream.0));
    }

    fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
        if matches!(event, Event::Link { .. }) {
            return;
        }
        let name = if symbol.name.is_empty() { "feed" } else { &symbol.name };
        self.lines.push(format!("{name} {}", words(&event)));
    }
}

fn levels(levels: impl Iterator<Item = Level>) -> String {
    levels.map(|level| format!("{}:{}", level.price, level.size)).collect::<Vec<_>>().join(" ")
}

fn words(event: &Event<'_>) -> String {
    let side = |level: &Option<Level>| level.map_or("-".to_owned(), |level| format!("{}:{}", level.price, level.size));
    match event {
        Event::Status { main, channel, status } => {
            let channel = channel.map_or(String::new(), |channel| format!("{channel} "));
            let reason = status.reason.map_or(String::new(), |reason| format!(" {}", reason.as_str()));
            format!("{channel}{}{reason}{}", status.state.as_str(), if *main { "" } else { " (aside)" })
        }
        Event::Link { connected } => format!("link {connected}"),
        Event::Notice { status, .. } => format!("notice {}", status.detail.as_deref().unwrap_or("-")),
        Event::Delta { levels: Levels::Whole(book), venue_seq, .. } => {
            format!("delta whole {venue_seq} [{}] [{}]", levels(book.bids()), levels(book.asks()))
        }
        Event::Delta { levels: Levels::Changes(bids, asks), venue_seq, .. } => {
            format!("delta {venue_seq} [{}] [{}]", levels(bids.iter().copied()), levels(asks.iter().copied()))
        }
        Event::Book(view) => {
            format!("book {} [{}] [{}]", view.venue_seq, levels(view.book.bids()), levels(view.book.asks()))
        }
        Event::Bbo { bid, ask, venue_seq, .. } => format!("bbo {venue_seq} {} {}", side(bid), side(ask)),
        Event::Trade(trade) => format!("trade {}", trade.id),
        Event::Ticker(ticker) => format!("ticker {}", ticker.fields.len()),
        Event::Candle(candle) => format!("candle {}", candle.close),
        Event::Liquidation(item) => format!("liquidation {}", item.price),
        Event::Instrument(item) => format!("instrument {}", item.canonical()),
        Event::Untouched(message) => format!("untouched {}", String::from_utf8_lossy(message)),
        Event::Raw(event) => format!("raw {}", event.name),
        Event::Account(row) => format!("{} {} {}", row.kind.as_str(), row.account, row.symbol),
    }
}

/// A feed of the linear market with the venue on the other side of a table.
struct Desk {
    feed: Feed,
    now: Stamp,
    said: Said,
}

impl Desk {
    /// Connected, and everything it subscribed to acknowledged.
    fn new(streams: &[&str]) -> Self {
        let mut desk = Self::unconnected(streams);
        desk.take(Input::Connected);
        desk.settle();
        desk.lines();
        desk
    }

    fn unconnected(streams: &[&str]) -> Self {
        let streams = streams.iter().map(|text| bybit::tests::stream("linear", text)).collect();
        let spec = FeedSpec {
            market: "linear".to_owned(),
            streams,
            discover: false,
            silence: Duration::from_secs(10),
            ..FeedSpec::default()
        };
        let now = Stamp { mono: Mono(1_000_000_000), wall: UnixNanos(1_700_000_000_000_000_000) };
        Self { feed: Feed::new(&bybit::VENUE, spec), now, said: Said::default() }
    }

    fn take(&mut self, input: Input<'_>) {
        self.feed.handle(input, self.now, &mut self.said);
    }

    fn text(&mut self, message: &str) -> Vec<String> {
        self.take(Input::Text(message.as_bytes()));
        self.lines()
    }

    /// What was said since the last look.
    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said.lines)
    }

    /// Requests sent since the last look, as `op topic topic`.
    fn requests(&mut self) -> Vec<String> {
        let requests = std::mem::take(&mut self.said.sent).into_iter().filter(|value| value["op"] != "ping");
        let words = |value: Value| {
            let topics: Vec<_> = value["args"].as_array().expect("args").iter().filter_map(Value::as_str).collect();
            format!("{} {}", value["op"].as_str().expect("op"), topics.join(" "))
        };
        requests.map(words).collect()
    }

    /// Answers every request and ping until there is none, as a venue that accepts everything.
    fn settle(&mut self) {
        for _ in 0..100 {
            let sent = std::mem::take(&mut self.said.sent);
            if sent.is_empty() {
                return;
            }
            for request in sent {
                let answer = json!({"success": true, "ret_msg": "", "req_id": request["req_id"], "op": request["op"]});
                self.take(Input::Text(answer.to_string().as_bytes()));
            }
            self.pass(Duration::from_millis(60));
        }
        panic!("requests without end");
    }

    /// Lets time pass, waking the feed whenever it asked to be.
    fn pass(&mut self, time: Duration) {
        let end = self.now.mono.after(time);
        while let Some(timer) = self.feed.next_timeout().filter(|timer| timer.at <= end) {
            self.move_to(Mono(timer.at.0.max(self.now.mono.0 + 1)));
            self.take(Input::Timeout);
        }
        self.move_to(end);
    }

    fn move_to(&mut self, at: Mono) {
        self.now.wall.0 += at.since(self.now.mono).as_nanos() as u64;
        self.now.mono = at;
    }

    fn states(&self) -> BTreeMap<String, State> {
        self.feed.report().symbols.into_iter().map(|symbol| (symbol.symbol, symbol.status.state)).collect()
    }
}

fn book(kind: &str, symbol: &str, u: u64, bids: &str, asks: &str) -> String {
    let side = |text: &str| {
        let levels: Vec<_> = text.split_whitespace().filter_map(|level| level.split_once(':')).collect();
        json!(levels.iter().map(|(price, size)| [price, size]).collect::<Vec<_>>())
    };
    let (bids, asks, seq) = (side(bids), side(asks), u * 10);
    let data = format!(r#"{{"s":"{symbol}","b":{bids},"a":{asks},"u":{u},"seq":{seq}}}"#);
    format!(r#"{{"topic":"orderbook.50.{symbol}","type":"{kind}","ts":5,"data":{data},"cts":4}}"#)
}

fn snapshot(symbol: &str, u: u64) -> String {
    book("snapshot", symbol, u, "10:1 9:1", "11:1 12:1")
}

fn delta(symbol: &str, u: u64) -> String {
    book("delta", symbol, u, "10:2", "")
}
