//! The bodies of the fuzz targets. The stable test `tests/fuzz_corpus.rs` runs the same on the committed corpus.
#![allow(dead_code, unreachable_pub, reason = "each target is a program that uses one of them")]

use std::collections::BTreeMap;
use std::time::Duration;

use tickbus::book::{BookSync, SyncRule, SyncUpdate};
use tickbus::feed::{Event, Feed, FeedOutput, FeedSpec, Outcome, State, Symbol};
use tickbus::model::{BookDepth, Channel, Decimal, Interval, Level, Mono, Stamp, Stream, StreamId, UnixNanos};
use tickbus::secret::Secret;
use tickbus::sign::Json;
use tickbus::venue::{
    HttpRequest, Input, LinkId, RpcRequest, TerminalSpec, VenueDef, binance, bitflyer, bybit, okx, quik,
};
use tickbus::zmtp::{
    AllowList, ClientSecurity, Clients, Decoder, Encoder, Entropy, Handshake, KeyPair, Role, SecretKey, ServerSecurity,
    Users, parse_command, parse_subscription,
};

/// Holds a feed to its word: nothing of a book while it is not live, nothing crossed.
#[derive(Default)]
struct Judge {
    is_live: Vec<bool>,
    requests: Vec<u64>,
    calls: Vec<RpcRequest>,
}

impl FeedOutput for Judge {
    fn send(&mut self, _: LinkId, text: String) {
        assert!(text.len() < 22_000);
    }

    fn http(&mut self, _: LinkId, request: HttpRequest) {
        self.requests.push(request.id);
    }

    fn rpc(&mut self, request: RpcRequest) {
        assert!(self.calls.len() < 10_000, "calls without end");
        self.calls.push(request);
    }

    fn answer(&mut self, _: u64, _: String) {}

    fn reconnect(&mut self, _: LinkId, _reason: String) {}

    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}

    fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
        let at = symbol.id as usize;
        self.is_live.resize(self.is_live.len().max(at + 1), false);
        match event {
            Event::Status { status, channel: Some(Channel::Book(_)), .. } => {
                self.is_live[at] = status.state == State::Live;
            }
            Event::Book(view) => {
                assert!(self.is_live[at] && !view.book.is_crossed());
                let prices: Vec<_> = view.book.bids().filter_map(|level| level.price.rescaled(18)).collect();
                assert!(prices.is_sorted_by(|a, b| a > b));
            }
            Event::Delta { .. } => assert!(self.is_live[at]),
            _ => {}
        }
    }
}

pub fn bybit_session(data: &[u8]) {
    let of = |channel| Stream::new("A", channel);
    let minute = Interval { count: 1, unit: 'm' };
    let channels = [
        Channel::Book(BookDepth::Levels(50)),
        Channel::Bbo,
        Channel::Trade,
        Channel::Ticker,
        Channel::Candle(minute),
        Channel::Liquidation,
    ];
    let mut streams: Vec<_> = channels.into_iter().map(of).collect();
    streams.push(Stream::new("B", Channel::Book(BookDepth::Full)));
    session(&bybit::VENUE, "linear", streams, data);
}

/// The streams are those of the public connection; a recording has those of all.
pub fn okx_session(data: &[u8]) {
    let of = |channel| Stream::new("A-B-SWAP", channel);
    let depth = |levels| Channel::Book(BookDepth::Levels(levels));
    let mut streams: Vec<_> =
        [depth(400), Channel::Bbo, Channel::Trade, Channel::Ticker, Channel::Liquidation].into_iter().map(of).collect();
    streams.push(Stream::new("C-B-SWAP", depth(5)));
    session(&okx::VENUE, "swap", streams, data);
}

/// The first line names the market: `u` for usdm, `i` for coinm, anything else for spot. Of usdm, the streams are those of
/// the connection that books come over.
pub fn binance_session(data: &[u8]) {
    let (market, more) = match data.first() {
        Some(b'u') => ("usdm", &[][..]),
        Some(b'i') => ("coinm", &[Channel::Trade, Channel::Ticker, Channel::Liquidation][..]),
        _ => ("spot", &[Channel::Trade, Channel::Ticker, Channel::Candle(Interval { count: 1, unit: 'm' })][..]),
    };
    let of = |channel| Stream::new("A", channel);
    let depth = |levels| Channel::Book(BookDepth::Levels(levels));
    let mut streams: Vec<_> = [depth(100), Channel::Bbo].iter().chain(more).copied().map(of).collect();
    streams.push(Stream::new("B", depth(5)));
    session(&binance::VENUE, market, streams, data);
}

/// The first stream's book is the one that its best is of.
pub fn bitflyer_session(data: &[u8]) {
    let of = |channel| Stream::new("A_B", channel);
    let book = Channel::Book(BookDepth::Levels(300));
    let mut streams: Vec<_> = [book, Channel::Bbo, Channel::Trade, Channel::Ticker].into_iter().map(of).collect();
    streams.push(Stream::new("C_B", book));
    session(&bitflyer::VENUE, "spot", streams, data);
}

/// Lines of text are messages; a first byte of `!` makes one of the other inputs. A first byte of `?` makes all of it a
/// recording.
fn session(venue: &'static VenueDef, market: &str, mut streams: Vec<Stream>, data: &[u8]) {
    let discover = data.first() == Some(&b'?');
    if discover {
        streams.clear();
    }
    let known = streams.clone();
    let stream = |n: &u8| known.get(usize::from(*n) % known.len().max(1));
    let spec = FeedSpec {
        market: market.to_owned(),
        streams,
        discover,
        silence: Duration::from_secs(5),
        ..FeedSpec::default()
    };
    let (mut feed, mut judge, mut now) = (Feed::new(venue, spec), Judge::default(), 0_u64);
    for line in data.split(|byte| *byte == b'\n').take(500) {
        now += 40_000_000;
        let stamp = |now| Stamp { mono: Mono(now), wall: UnixNanos(now) };
        let input = match line {
            [b'!', b'c', ..] => Input::Connected,
            [b'!', b'd', ..] => Input::Disconnected,
            [b'!', b'+', n, ..] => {
                let _ = stream(n).map(|stream| feed.subscribe(stream, stamp(now), &mut judge));
                continue;
            }
            [b'!', b'-', n, ..] => {
                let _ = stream(n).map(|stream| feed.unsubscribe(stream, stamp(now), &mut judge));
                continue;
            }
            [b'!', b't', seconds @ ..] => {
                now += 1_000_000_000 * u64::from(seconds.first().copied().unwrap_or(1));
                Input::Timeout
            }
            [b'!', b'h', body @ ..] => {
                Input::Http { id: judge.requests.pop().unwrap_or(0), status: Some(200), body, url: None }
            }
            [b'!', b'r', n, ..] => Input::Resync(StreamId(u32::from(*n))),
            [b'!', b'b', rest @ ..] => Input::Binary(rest),
            text => Input::Text(text),
        };
        feed.handle(input, stamp(now), &mut judge);
        let _ = (feed.next_timeout(), feed.report());
    }
    let _ = feed.book_reports();
}

/// What a sound terminal answers.
fn answer_of_terminal(body: &str) -> &'static [u8] {
    const ANSWERS: [(&str, &[u8]); 8] = [
        ("getInfoParam", br#"{"result":{"info_param":"12:00:00"}}"#),
        ("isConnected", br#"{"result":{"is_connected":1}}"#),
        ("getSecurityInfo", br#"{"result":{"security_info":{"min_price_step":"10.0","mat_date":"20261217"}}}"#),
        ("getNumberOf", br#"{"result":{"result":3}}"#),
        (
            "getQuoteLevel2",
            br#"{"result":{"bids":[{"price":"1.50","quantity":"2"}],"offers":[{"price":"1.6","quantity":"3"}]}}"#,
        ),
        ("getParamEx2", br#"{"result":{"param_ex":{"param_type":"1","param_value":"305.700000","result":"1"}}}"#),
        ("datasource.Size", br#"{"result":{"value":2}}"#),
        ("CreateDataSource", br#"{"result":{"datasource_uuid":"u","is_error":false}}"#),
    ];
    let found = ANSWERS.iter().find(|(method, _)| body.contains(method));
    found.map_or(br#"{"result":{"result":true,"value":"1.0"}}"#, |(_, answer)| answer)
}

/// Lines of text are events; a first byte of `!` makes one of the other inputs, `!a` the answer to the oldest call that
/// waits for one, `!l` its loss. `!A` has all of them answered as a sound terminal would.
pub fn quik_session(data: &[u8]) {
    let channels = [
        Channel::Book(BookDepth::Levels(20)),
        Channel::Trade,
        Channel::Ticker,
        Channel::Candle(Interval { count: 1, unit: 'm' }),
    ];
    let of = |symbol: &str| channels.map(|channel| Stream::new(symbol, channel));
    let discover = data.first() == Some(&b'?');
    let spec = FeedSpec {
        market: "SPBFUT".to_owned(),
        streams: if discover { Vec::new() } else { ["A", "B"].into_iter().flat_map(of).collect() },
        discover,
        silence: Duration::from_secs(5),
        terminal: TerminalSpec {
            events: data.first() != Some(&b'-'),
            params: vec![("LAST".to_owned(), Duration::from_secs(1))],
            history_sources: 2,
            ..TerminalSpec::default()
        },
        ..FeedSpec::default()
    };
    let (mut feed, mut judge, mut now) =
        (Feed::new(&quik::VENUE, spec), Judge::default(), 1_795_165_200_000_000_000_u64);
    for line in data.split(|byte| *byte == b'\n').take(500) {
        now += 40_000_000;
        let stamp = |now| Stamp { mono: Mono(now), wall: UnixNanos(now) };
        if line.starts_with(b"!A") {
            for call in std::mem::take(&mut judge.calls) {
                let answer = answer_of_terminal(&call.body);
                feed.handle(Input::Rpc { id: call.id, answer: Ok(answer) }, stamp(now), &mut judge);
            }
            continue;
        }
        let mut answered = || if judge.calls.is_empty() { 0 } else { judge.calls.remove(0).id };
        let input = match line {
            [b'!', b'c', ..] => Input::Connected,
            [b'!', b'd', ..] => Input::Disconnected,
            [b'!', b's', ..] => Input::Shutdown,
            [b'!', b't', seconds @ ..] => {
                now += 1_000_000_000 * u64::from(seconds.first().copied().unwrap_or(1));
                Input::Timeout
            }
            [b'!', b'a', body @ ..] => Input::Rpc { id: answered(), answer: Ok(body) },
            [b'!', b'l', ..] => Input::Rpc { id: answered(), answer: Err("no answer") },
            [b'!', b'r', n, ..] => Input::Resync(StreamId(u32::from(*n))),
            [b'!', b'b', rest @ ..] => Input::Binary(rest),
            [b'!', b'q', rest @ ..] => Input::Ask { id: 7, question: std::str::from_utf8(rest).unwrap_or("{}") },
            text => Input::Text(text),
        };
        feed.handle(input, stamp(now), &mut judge);
        let _ = (feed.next_timeout(), feed.report());
    }
    let _ = feed.book_reports();
}

/// Each eight bytes are one update of a small book.
pub fn book_sync(data: &[u8]) {
    let rules = [
        SyncRule::Increment,
        SyncRule::IncrementFromImage,
        SyncRule::Monotonic,
        SyncRule::SnapshotOnly,
        SyncRule::Linked,
        SyncRule::RangeFromImage,
        SyncRule::LinkedRangeFromImage,
        SyncRule::Unsequenced,
    ];
    let Some((first, rest)) = data.split_first() else { return };
    let mut sync = BookSync::new(rules[usize::from(*first) % rules.len()], 20);
    for bytes in rest.chunks_exact(8) {
        let number = |at: usize| i64::from(bytes[at]);
        let level = |at: usize| Level {
            price: Decimal::new(number(at) - 3, bytes[at + 1] % 19),
            size: Decimal::new(number(at + 1) - 1, bytes[at] % 19),
        };
        let (bids, asks) = ([level(2), level(4)], [level(5), level(6)]);
        let (bids, asks) = (&bids[..usize::from(bytes[0] >> 1) % 3], &asks[..usize::from(bytes[0] >> 3) % 3]);
        let (seq, cross_seq) = (u64::from(bytes[1]), u64::from(bytes[1]) * 2 + u64::from(bytes[0] >> 7));
        let (first, previous) = (u64::from(bytes[2] % 250), u64::from(bytes[3]));
        let checksum = (bytes[7] == 255).then_some(u32::from(bytes[6]));
        let middle = (bytes[7] == 254).then(|| Decimal::new(number(6), bytes[5] % 19));
        let snapshot = bytes[0] & 1 == 1;
        sync.update(SyncUpdate { snapshot, seq, first, previous, cross_seq, checksum, middle, bids, asks });
        if let Some(book) = sync.live() {
            assert!(!book.is_crossed() && book.bids().len() <= 20 && book.asks().len() <= 20);
            assert!(book.bids().chain(book.asks()).all(|level| level.price.mantissa > 0 && level.size.mantissa > 0));
        }
    }
}

/// What is read prints as the same value, and reads again as itself.
pub fn decimal(data: &[u8]) {
    let Ok(value) = Decimal::parse(data) else { return };
    let text = value.to_string();
    assert_eq!(Decimal::parse(text.as_bytes()), Ok(value), "{text}");
    assert!(tickbus::model::decimal_text(&text).is_some(), "{text}");
    if let Some(mantissa) = value.rescaled(18) {
        assert_eq!(Decimal::new(mantissa, 18).trimmed(), value.trimmed());
    }
}

/// One side of a ZeroMQ connection: what it has said and the other has not heard yet, and what it is by now.
struct Side {
    handshake: Option<Handshake>,
    codec: (Decoder, Encoder),
    said: Vec<u8>,
}

impl Side {
    fn new(handshake: Handshake) -> Self {
        let said = handshake.greeting().to_vec();
        Self { handshake: Some(handshake), codec: (Decoder::new(0), Encoder::default()), said }
    }

    /// Whether the connection goes on.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        if let Some(handshake) = &mut self.handshake {
            match handshake.step(bytes, &mut self.said) {
                Ok(None) => return true,
                Ok(Some(_)) => rest = &[],
                Err(_) => return false,
            }
        }
        if let Some(handshake) = self.handshake.take() {
            self.codec = handshake.into_codec();
        }
        let decoder = &mut self.codec.0;
        decoder.feed(rest);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if frame.command => drop(parse_command(frame.body)),
                Ok(Some(frame)) => drop(parse_subscription(frame.body)),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Both sides of a mechanism, always with the same keys and random bytes: the first is to be tried, the second honest.
fn sides(which: u8) -> (Side, Side) {
    let pair = |byte| KeyPair::from_secret(SecretKey::from_bytes([byte; 32]));
    let secret = || Secret::new("secret".to_owned());
    let (server, client) = match which % 3 {
        0 => (ServerSecurity::Null, ClientSecurity::Null),
        1 => (
            ServerSecurity::Plain(Users::new(BTreeMap::from([("alice".to_owned(), secret())]))),
            ClientSecurity::Plain { username: "alice".to_owned(), password: secret() },
        ),
        _ => (
            ServerSecurity::Curve { own: pair(1), allowed: AllowList::new(Clients::Any) },
            ClientSecurity::Curve { server: pair(1).public(), own: pair(2) },
        ),
    };
    let (listening, connecting) =
        if which & 8 == 0 { (Role::PUBLISHER, Role::SUBSCRIBER) } else { (Role::REPLIER, Role::DEALER) };
    let listening = Side::new(Handshake::server(listening, 4096, &server, Entropy::from_bytes(&[3; 144])));
    let connecting = Side::new(Handshake::client(connecting, 4096, &client, Entropy::from_bytes(&[4; 144])));
    if which & 16 == 0 { (listening, connecting) } else { (connecting, listening) }
}

/// The first byte chooses mechanism and side, the second how bytes are split. Then each byte is a step: below 64 so
/// many raw bytes, below 128 so many bytes as an honest frame, from 128 what an honest peer says next.
pub fn zmtp(data: &[u8]) {
    let [which, chunk, rest @ ..] = data else { return };
    let ((mut tried, mut honest), mut rest) = (sides(*which), rest);
    while let Some((&step, after)) = rest.split_first() {
        let (raw, after) = after.split_at(if step < 128 { usize::from(step % 64).min(after.len()) } else { 0 });
        rest = after;
        let bytes = match step {
            0..64 => raw.to_vec(),
            64..128 if honest.handshake.is_none() => {
                let mut sealed = Vec::new();
                honest.codec.1.put_frame(&mut sealed, step & 1 == 1, raw);
                sealed
            }
            _ => {
                honest.hear(&std::mem::take(&mut tried.said));
                std::mem::take(&mut honest.said)
            }
        };
        if !bytes.chunks(usize::from(*chunk).max(1)).all(|bytes| tried.hear(bytes)) {
            return;
        }
    }
}

/// A file of signing vectors: it is none, or every vector is checked; and what differs says so without the file's secret.
pub fn signing_vectors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(report) = tickbus::sign::vectors::check(text) else { return };
    let secret =
        Json::parse(text).ok().and_then(|json| json.get("credentials")?.get("secret")?.as_text().map(str::to_owned));
    // A short one may be part of any word.
    if let Some(secret) = secret.filter(|secret| secret.len() >= 12) {
        let shown = |text: &String| !text.contains(&secret);
        assert!(report.mismatches.iter().all(|mismatch| shown(&mismatch.expected) && shown(&mismatch.got)));
    }
}
