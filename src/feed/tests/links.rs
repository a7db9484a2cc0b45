//! Several connections of one feed, and streams that come and go: with a made-up venue whose books come over route 0
//! and everything else over route 1. It takes its orders as texts.

use std::time::Duration;

use super::*;
use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Decimal, Level, Side, Stream};
use crate::venue::{
    BookUpdate, ChannelSpec, Endpoints, Input, Output, RestLimit, Route, Session, Timer, TradeUpdate, Transport,
    Update, VenueDef, usual_row_keys,
};

static ACME: VenueDef = VenueDef {
    id: "acme",
    markets: &[],
    other_markets: None,
    transport: Transport::WebSocket,
    channels: |_| Vec::new(),
    parse_channel: |_, _| Ok(ChannelSpec::of(Channel::Trade)),
    route_of: |_, stream| Route(u8::from(!matches!(stream.channel, Channel::Book(_)))),
    check_symbol: |_, _| Ok(()),
    endpoints: |_, _, _| Endpoints { urls: Vec::new(), raw: None, rest_url: String::new(), note: None },
    connect_pause: Duration::ZERO,
    rest: |_| &[],
    open: |spec| Box::new(Acme(spec.streams)),
    market_of: |_, _| None,
    rest_limit: |_| RestLimit::calls("acme", 20),
    server_time: None,
    row_keys: usual_row_keys,
    is_mixed: false,
    silence: None,
};

/// Says what it is asked to: `done ID`, `left ID`, `no ID`, `snap ID SEQ`, `delta ID PREVIOUS SEQ`, `trade ID NAME`, `bye`.
struct Acme(Vec<(StreamId, Stream)>);

impl Session for Acme {
    fn handle(&mut self, input: Input<'_>, _: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => {
                let ids: Vec<String> = self.0.iter().map(|(id, _)| id.0.to_string()).collect();
                out.send(json!(["all", ids]).to_string());
            }
            Input::Subscribe { id, stream } => {
                self.0.push((id, stream.clone()));
                out.send(json!(["subscribe", id.0]).to_string());
            }
            Input::Unsubscribe(id) => {
                self.0.retain(|(known, _)| *known != id);
                out.send(json!(["unsubscribe", id.0]).to_string());
            }
            Input::Resync(id) => out.send(json!(["resync", id.0]).to_string()),
            Input::Text(text) => say(std::str::from_utf8(text).expect("UTF-8"), out),
            _ => {}
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        None
    }
}

fn say(text: &str, out: &mut dyn Output) {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    let stream = || StreamId(number(1) as u32);
    let level = [Level { price: decimal("1"), size: decimal("2") }];
    let book = |snapshot, previous, seq| BookUpdate {
        stream: stream(),
        rule: SyncRule::Linked,
        snapshot,
        seq,
        first: 0,
        previous,
        cross_seq: 0,
        checksum: None,
        middle: None,
        bids: &level,
        asks: &[],
        clocks: Clocks::default(),
    };
    match words[0] {
        "done" => out.update(Update::Subscribed(stream())),
        "left" => out.update(Update::Unsubscribed(stream())),
        "no" => out.update(Update::Rejected { stream: stream(), detail: "no such thing" }),
        "snap" => out.update(Update::Book(book(true, 0, number(2)))),
        "delta" => out.update(Update::Book(book(false, number(2), number(3)))),
        "trade" => out.update(Update::Trade(TradeUpdate {
            stream: stream(),
            id: words[2],
            price: decimal("1"),
            size: decimal("1"),
            side: Side::Buy,
            block: None,
            venue_seq: None,
            backfill: false,
            clocks: Clocks::default(),
        })),
        "bye" => out.replace("closing for an upgrade"),
        other => panic!("{other}"),
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).expect("a decimal")
}

/// A feed of the made-up venue.
struct Acmes {
    feed: Feed,
    now: Stamp,
    said: Said,
}

impl Acmes {
    fn new(streams: &[Stream]) -> Self {
        let spec = FeedSpec { streams: streams.to_vec(), silence: Duration::from_secs(3600), ..FeedSpec::default() };
        let now = Stamp { mono: Mono(1_000_000_000), wall: UnixNanos(1_700_000_000_000_000_000) };
        Self { feed: Feed::new(&ACME, spec), now, said: Said::default() }
    }

    fn links(&self) -> Vec<(u32, u8)> {
        self.feed.links().iter().map(|(link, route)| (link.0, route.0)).collect()
    }

    fn take(&mut self, link: u32, input: Input<'_>) -> Vec<String> {
        self.feed.handle_on(LinkId(link), input, self.now, &mut self.said);
        std::mem::take(&mut self.said.lines)
    }

    fn text(&mut self, link: u32, text: &str) -> Vec<String> {
        self.take(link, Input::Text(text.as_bytes()))
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now.mono = self.now.mono.after(Duration::from_secs(seconds));
        self.take(0, Input::Timeout)
    }

    fn subscribe(&mut self, stream: &Stream) -> (u32, bool) {
        let (id, done) = self.feed.subscribe(stream, self.now, &mut self.said).expect("room");
        (id.0, done)
    }

    fn unsubscribe(&mut self, stream: &Stream) -> Option<u32> {
        self.feed.unsubscribe(stream, self.now, &mut self.said).map(|id| id.0)
    }

    /// What was sent since the last time, and over which connection.
    fn sent(&mut self) -> Vec<String> {
        let links = std::mem::take(&mut self.said.sent_over);
        links
            .into_iter()
            .zip(std::mem::take(&mut self.said.sent))
            .map(|(link, text)| format!("{link} {text}"))
            .collect()
    }

    fn settled(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said.settled)
    }
}

fn book(symbol: &str) -> Stream {
    Stream::new(symbol, Channel::Book(BookDepth::Levels(50)))
}

fn trade(symbol: &str) -> Stream {
    Stream::new(symbol, Channel::Trade)
}

/// A book (stream 0) and trades (stream 1) of A, over two connections; the book is live at 10.
fn live() -> Acmes {
    let mut acmes = Acmes::new(&[book("A"), trade("A")]);
    assert_eq!(acmes.links(), [(0, 0), (1, 1)]);
    acmes.take(0, Input::Connected);
    acmes.take(1, Input::Connected);
    assert_eq!(acmes.sent(), [r#"0 ["all",["0"]]"#, r#"1 ["all",["1"]]"#], "each its own");
    acmes.text(0, "snap 0 10");
    acmes.text(1, "done 1");
    acmes
}

#[test]
fn the_loss_of_one_connection_is_the_trouble_of_its_streams_only() {
    let mut acmes = live();
    // The book of A is well, and speaks for it; the feed says the same again, with its link.
    assert_eq!(acmes.take(1, Input::Disconnected), ["feed live"]);
    assert_eq!(acmes.text(0, "delta 0 10 11")[0], "A delta 11 [1:2] []");
    let lost = acmes.take(0, Input::Disconnected);
    assert_eq!(lost, ["A book:50 stale disconnected", "feed down disconnected"]);
    assert_eq!(acmes.take(1, Input::Connected)[0], "feed stale disconnected", "the trades are back, the book is not");
}

#[test]
fn a_stream_comes_and_goes_at_run_time() {
    let mut acmes = live();
    acmes.sent();
    acmes.settled();
    assert_eq!(acmes.subscribe(&book("A")), (0, true), "it has it");
    assert_eq!(acmes.subscribe(&book("B")), (2, false));
    assert_eq!(std::mem::take(&mut acmes.said.lines)[0], "B book:50 syncing starting");
    assert_eq!(acmes.subscribe(&book("B")), (2, false), "asked for once");
    assert_eq!(acmes.sent(), [r#"0 ["subscribe",2]"#]);
    acmes.text(0, "done 2");
    assert_eq!(acmes.settled(), ["2 Subscribed"]);
    assert_eq!(acmes.text(0, "snap 2 5")[0], "B book:50 live");
    assert_eq!(acmes.unsubscribe(&book("B")), Some(2));
    assert_eq!(acmes.unsubscribe(&book("B")), None, "left once");
    assert_eq!(std::mem::take(&mut acmes.said.lines), ["B book:50 down unsubscribed"]);
    assert_eq!(acmes.sent(), [r#"0 ["unsubscribe",2]"#]);
    assert_eq!(acmes.text(0, "delta 2 5 6"), [""; 0], "nobody wants it");
    acmes.text(0, "left 2");
    assert_eq!(acmes.settled(), ["2 Unsubscribed"]);
    assert_eq!(acmes.subscribe(&book("B")), (2, false), "the same stream, the same id");
    assert!(acmes.text(0, "no 2").contains(&"B book:50 rejected rejected".to_owned()));
    assert_eq!(acmes.settled(), [r#"2 Rejected("no such thing")"#]);
    assert_eq!(acmes.feed.report().symbols.len(), 3, "the feed, A and B");
}

#[test]
fn the_next_best_stream_speaks_for_a_symbol_whose_book_was_left() {
    let mut acmes = live();
    acmes.unsubscribe(&book("A"));
    let said = std::mem::take(&mut acmes.said.lines);
    assert_eq!(said, ["A book:50 down unsubscribed", "A trade live"]);
    assert_eq!(acmes.links(), [(0, 0), (1, 1)], "the first connection stays");
    acmes.unsubscribe(&trade("A"));
    assert_eq!(acmes.links(), [(0, 0)], "a connection without streams goes");
    assert_eq!(acmes.settled().last().unwrap(), "1 Unsubscribed", "with it its streams");
    assert_eq!(acmes.feed.report().symbols.len(), 1);
}

#[test]
fn all_streams_of_a_connection_that_goes_are_left_whatever_the_venue_still_says() {
    let mut acmes = live();
    acmes.subscribe(&trade("B"));
    acmes.text(1, "done 2");
    acmes.settled();
    acmes.unsubscribe(&trade("A"));
    assert_eq!(acmes.settled(), [""; 0], "the venue is asked");
    acmes.unsubscribe(&trade("B"));
    assert_eq!(acmes.links(), [(0, 0)]);
    assert_eq!(acmes.settled(), ["1 Unsubscribed", "2 Unsubscribed"]);
}

#[test]
fn a_connection_is_opened_for_the_first_stream_of_its_route() {
    let mut acmes = Acmes::new(&[]);
    assert_eq!(acmes.links(), [(0, 0)]);
    acmes.take(0, Input::Connected);
    acmes.subscribe(&trade("A"));
    assert_eq!(acmes.links(), [(0, 0), (1, 1)]);
    acmes.sent();
    acmes.take(1, Input::Connected);
    assert_eq!(acmes.sent(), [r#"1 ["all",["0"]]"#]);
}

#[test]
fn a_successor_takes_over_without_a_word_and_without_a_gap() {
    let mut acmes = live();
    acmes.text(0, "bye");
    acmes.text(0, "bye");
    assert_eq!(acmes.links(), [(0, 0), (1, 1), (2, 0)], "one successor");
    assert_eq!(acmes.take(2, Input::Connected), [""; 0]);
    assert_eq!(acmes.text(0, "delta 0 10 12")[0], "A delta 12 [1:2] []", "the old one still brings data");
    assert_eq!(acmes.text(2, "snap 0 11"), [""; 0], "older than what the old one brought");
    assert_eq!(acmes.links(), [(1, 1), (2, 0)], "it has the stream: the old one goes");
    assert_eq!(acmes.text(2, "delta 0 11 12"), [""; 0], "known");
    assert_eq!(acmes.text(2, "delta 0 12 13")[0], "A delta 13 [1:2] []");
    assert_eq!(acmes.text(0, "delta 0 13 14"), [""; 0], "the old one is not heard any more");
    assert_eq!(acmes.take(2, Input::Disconnected)[0], "A book:50 stale disconnected", "it is as any other now");
}

/// What the successor is told first may come before what the old connection still has on its way.
#[test]
fn a_successor_that_is_ahead_waits_for_the_old_connection() {
    let mut acmes = live();
    acmes.text(0, "bye");
    acmes.take(2, Input::Connected);
    acmes.text(2, "done 0");
    assert_eq!(acmes.text(2, "delta 0 12 13"), [""; 0], "what is between is on its way");
    assert_eq!(acmes.text(0, "delta 0 10 12")[0], "A delta 12 [1:2] []");
    assert_eq!(acmes.text(0, "delta 0 12 13")[0], "A delta 13 [1:2] []");
    assert_eq!(acmes.links(), [(0, 0), (1, 1), (2, 0)], "the successor has not carried the book on yet");
    assert_eq!(acmes.text(2, "delta 0 13 14")[0], "A delta 14 [1:2] []");
    assert_eq!(acmes.links(), [(1, 1), (2, 0)]);
}

#[test]
fn trades_that_come_over_both_connections_are_published_once() {
    let mut acmes = live();
    acmes.text(1, "bye");
    acmes.take(2, Input::Connected);
    assert_eq!(acmes.text(1, "trade 1 x"), ["A trade x"]);
    assert_eq!(acmes.text(2, "trade 1 x"), [""; 0]);
    assert_eq!(acmes.text(2, "trade 1 y"), ["A trade y"]);
    assert_eq!(acmes.text(1, "trade 1 y"), [""; 0]);
    acmes.text(2, "done 1");
    assert_eq!(acmes.links(), [(0, 0), (2, 1)]);
    assert_eq!(acmes.text(2, "trade 1 y"), ["A trade y"], "only while both run are they compared");
}

#[test]
fn a_connection_that_ends_before_its_successor_has_everything_is_told() {
    let mut acmes = live();
    acmes.text(0, "bye");
    assert_eq!(acmes.take(0, Input::Disconnected)[0], "A book:50 stale disconnected", "before it could connect");
    assert_eq!(acmes.links(), [(1, 1), (2, 0)]);
    assert_eq!(acmes.take(2, Input::Connected)[0], "A book:50 syncing disconnected");
    acmes.text(2, "snap 0 20");
    acmes.text(2, "bye");
    acmes.take(3, Input::Connected);
    let said = acmes.take(2, Input::Disconnected);
    assert_eq!(
        said[..2],
        ["A book:50 stale disconnected", "A book:50 syncing disconnected"],
        "the snapshot did not come"
    );
    assert_eq!(acmes.text(3, "snap 0 30")[0], "A book:50 live");
}

#[test]
fn a_successor_that_is_not_given_everything_takes_over_in_the_end() {
    let mut acmes = live();
    acmes.text(0, "bye");
    acmes.take(2, Input::Connected);
    assert_eq!(acmes.take(2, Input::Disconnected), [""; 0], "a failed successor costs nothing");
    acmes.take(2, Input::Connected);
    acmes.pass(19);
    assert_eq!(acmes.links().len(), 3);
    assert_eq!(acmes.pass(2)[..2], ["A book:50 stale disconnected", "A book:50 syncing disconnected"]);
    assert_eq!(acmes.links(), [(1, 1), (2, 0)]);
}
