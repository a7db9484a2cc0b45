//! One frame of each kind, byte for byte as committed, in both encodings, and as the types describe it.

use std::path::PathBuf;

use super::*;
use crate::model::{BookDepth, Channel, Instrument, InstrumentKind, Interval, Side, StreamId};
use crate::venue::{
    AccountKind, AccountUpdate, CandleUpdate, FieldValue, LiquidationUpdate, RawEvent, TickerField, TickerUpdate,
    TradeUpdate,
};

fn ticker_fields() -> Vec<(TickerField, String)> {
    use TickerField as F;
    let decimals = [
        F::Last,
        F::Mark,
        F::Index,
        F::FundingRate,
        F::NextFundingTime,
        F::OpenInterest,
        F::OpenInterestValue,
        F::BidPrice,
        F::BidSize,
        F::AskPrice,
        F::AskSize,
        F::High24h,
        F::Low24h,
        F::Open24h,
        F::Volume24h,
        F::Turnover24h,
        F::MarkIv,
        F::BidIv,
        F::AskIv,
        F::Underlying,
        F::Delta,
        F::Gamma,
        F::Vega,
        F::Theta,
    ];
    let text = |(n, field)| match field {
        F::NextFundingTime => "1760342400000000000".to_owned(),
        _ => format!("{n}.50"),
    };
    decimals.iter().enumerate().map(|(n, field)| (*field, text((n, *field)))).collect()
}

fn instrument() -> Instrument {
    Instrument {
        symbol: "BTC-25DEC26-90000-C-USDT".to_owned(),
        base: "BTC".to_owned(),
        quote: "USDT".to_owned(),
        settle: Some("USDT".to_owned()),
        kind: InstrumentKind::Option,
        tick_size: Some("0.10".to_owned()),
        lot_size: Some("0.001".to_owned()),
        min_size: Some("0.001".to_owned()),
        expiry: Some(UnixNanos(1_798_185_600_000_000_000)),
        strike: Some("90000".to_owned()),
        option_type: Some('C'),
        status: Some("Trading".to_owned()),
    }
}

/// A frame of each kind: its name and the frame.
fn examples(encoding: Encoding) -> Vec<(&'static str, Frame)> {
    let mut encoder = Encoder::new(spec(encoding, 0));
    let (btc, feed) = (symbol(1, "BTCUSDT"), symbol(0, ""));
    let (book, fields, instrument) = (book(), ticker_fields(), instrument());
    let (bids, asks) = ([level("16493.50", "0")], [level("16611.5", "2")]);
    let trade = TradeUpdate {
        stream: StreamId(0),
        id: "20f43950-d8dd-5b31",
        price: number("16578.50"),
        size: number("0.001"),
        side: Side::Buy,
        block: Some(false),
        venue_seq: Some(1_783_284_617),
        backfill: false,
        clocks: CLOCKS,
    };
    let candle = CandleUpdate {
        stream: StreamId(0),
        interval: Interval { count: 5, unit: 'm' },
        open_time: 1_672_324_800_000_000_000,
        close_time: 1_672_325_099_999_000_000,
        open: "16649.5",
        high: "16677",
        low: "16608",
        close: "16677",
        volume: "2.081",
        turnover: Some("34666.4005"),
        closed: true,
        backfill: false,
        clocks: CLOCKS,
    };
    let (price, size) = (number("0.04499"), number("20000"));
    let liquidation = LiquidationUpdate { stream: StreamId(0), side: Side::Sell, price, size, clocks: CLOCKS };
    let gap = Status { detail: Some("expected \"5\", got 7\n".to_owned()), ..status(State::Stale, Some(Reason::Gap)) };
    let live = status(State::Live, None);
    let channel = Some(Channel::Book(BookDepth::Levels(50)));
    let (bid, ask) = book.best();
    let events = [
        ("delta_snapshot", &btc, Event::Delta { levels: Levels::Whole(&book), venue_seq: 18_521_288, clocks: CLOCKS }),
        ("delta", &btc, Event::Delta { levels: Levels::Changes(&bids, &asks), venue_seq: 18_521_289, clocks: CLOCKS }),
        ("book", &btc, view(&book)),
        ("bbo", &btc, Event::Bbo { bid, ask, venue_seq: 18_521_288, clocks: CLOCKS }),
        ("bbo_one_side", &btc, Event::Bbo { bid, ask: None, venue_seq: 18_521_289, clocks: CLOCKS }),
        ("trade", &btc, Event::Trade(&trade)),
        (
            "ticker",
            &btc,
            Event::Ticker(&TickerUpdate {
                stream: StreamId(0),
                venue_seq: Some(9),
                fields: &fields,
                params: &[],
                clocks: CLOCKS,
            }),
        ),
        ("candle", &btc, Event::Candle(&candle)),
        ("candle_backfill", &btc, Event::Candle(&CandleUpdate { backfill: true, ..candle })),
        ("trade_backfill", &btc, Event::Trade(&TradeUpdate { backfill: true, ..trade })),
        ("liquidation", &btc, Event::Liquidation(&liquidation)),
        ("status", &btc, Event::Status { main: true, channel, status: &gap }),
        ("status_feed", &feed, Event::Status { main: true, channel: None, status: &live }),
        ("instrument", &btc, Event::Instrument(&instrument)),
    ];
    let mut out = all(&mut encoder, events);
    out.extend(of_account(&mut encoder, &feed));
    out.extend(rows(&mut encoder, &feed));
    out.extend(to_one_subscriber(encoding));
    out.extend(of_jobs(encoding));
    out
}

/// Results of calls: one that worked, one that did not.
fn of_jobs(encoding: Encoding) -> Vec<(&'static str, Frame)> {
    let params = [("limit".to_owned(), "2".to_owned()), ("symbol".to_owned(), "BTCUSD_PERP".to_owned())];
    let done = JobResult {
        job: "klines",
        epoch: beat().epoch,
        seq: 7,
        ts_pub: CLOCKS.recv.expect("a stamp"),
        task: "2.1",
        name: Some("minute"),
        round: 3,
        venue: "binance",
        market: "coinm",
        endpoint: "klines",
        params: &params,
        account: None,
        started: UnixNanos(1_672_324_988_000_000_000),
        took: 41_000_000,
        status: Some(200),
        outcome: Ok(r#"[[1591258320000,"9640.7"]]"#),
        frames: 0,
        left_to: "",
        unread: None,
    };
    let left_to = "binance_coinm, second";
    let read = JobResult { frames: 2, left_to, unread: Some("a candle without its time"), ..done };
    let failed = JobResult { name: None, status: None, params: &[], outcome: Err("no answer"), ..done };
    vec![("job", job(encoding, done)), ("job_failed", job(encoding, failed)), ("job_read", job(encoding, read))]
}

/// Heartbeats and notices.
fn to_one_subscriber(encoding: Encoding) -> Vec<(&'static str, Frame)> {
    let mut out = Vec::new();
    let topics =
        ["book.bybit.linear.BTCUSDT.", "trade.bybit.linear.BTCUSDT."].map(|name| Bytes::from_static(name.as_bytes()));
    let seqs = [(topics[0].clone(), 70_000), (topics[1].clone(), 12)];
    out.push(("heartbeat", heartbeat(encoding, beat(), &seqs)));
    out.push(("heartbeat_common", heartbeat(encoding, beat(), &[])));
    let [book, trade] = topics;
    let losses = [
        (book, Loss { dropped: 0, conflated: 311, first_seq: 69_000, last_seq: 69_310 }),
        (trade, Loss { dropped: 5120, conflated: 0, first_seq: 7, last_seq: 5126 }),
    ];
    let other = Loss { dropped: 40, ..Loss::default() };
    let (seq, ts_pub) = (1, CLOCKS.recv.expect("a stamp"));
    let lost = Notice { epoch: beat().epoch, seq, ts_pub, since: UnixNanos(ts_pub.0 - 5), topics: &losses, other };
    out.push(("notice", notice(encoding, lost)));
    out.push(("notice_listed", notice(encoding, Notice { other: Loss::default(), ..lost })));
    out
}

fn beat() -> Heartbeat {
    Heartbeat {
        epoch: 1_672_304_000_000,
        seq: 3,
        ts_pub: CLOCKS.recv.expect("a stamp"),
        feeds: 2,
        feeds_live: 1,
        subscribers: 3,
        frames: 1_000_000,
        dropped: 4,
    }
}

fn all<'a>(
    encoder: &mut Encoder,
    events: impl IntoIterator<Item = (&'static str, &'a Symbol, Event<'a>)>,
) -> Vec<(&'static str, Frame)> {
    let mut out: Vec<_> = Vec::new();
    for (name, symbol, event) in events {
        out.extend(frames(encoder, symbol, event, 1).into_iter().map(|frame| (name, frame)));
    }
    out
}

/// How a channel of an account stands.
fn of_account(encoder: &mut Encoder, feed: &Symbol) -> Vec<(&'static str, Frame)> {
    encoder.spec.account = Some("main".to_owned());
    let refused = status(State::Rejected, Some(Reason::Rejected));
    let status = &Status { detail: Some("API key is invalid.".to_owned()), ..refused };
    let channel = Some(Channel::Account(AccountKind::Order));
    all(encoder, [("status_account", feed, Event::Status { main: true, channel, status })])
}

/// An account's rows, a raw event with and without data, and a ticker with parameters.
fn rows(encoder: &mut Encoder, feed: &Symbol) -> Vec<(&'static str, Frame)> {
    use FieldValue::{Boolean, Integer, Text};
    let order =
        [("id", Text("19")), ("side", Text("buy")), ("state", Text("open")), ("created", Integer(1_783_284_617))];
    let fill = [("id", Text("7")), ("order_id", Text("19")), ("price", Text("112480")), ("size", Text("1"))];
    let fetched = [("id", Text("8")), ("order_id", Text("19")), ("size", Text("2")), ("backfill", Boolean(true))];
    let position = [("size", Text("-2")), ("sold_today", Integer(2)), ("entry_price", Text("112480.5"))];
    let balance = [("total", Text("1000.50")), ("kind", Text("T0")), ("removed", Boolean(true))];
    let row = |kind, symbol, fields| AccountUpdate {
        kind,
        account: "SPBFUT00.1",
        market: Some("SPBFUT"),
        symbol,
        fields,
        clocks: CLOCKS,
    };
    let (params, text) = ([("STATUS".to_owned(), "open".to_owned())], r#"{"flag":true,"n":[1,-2,"a"]}"#);
    let ticker = TickerUpdate { stream: StreamId(0), venue_seq: None, fields: &[], params: &params, clocks: CLOCKS };
    let events = [
        ("order", feed, Event::Account(&row(AccountKind::Order, "RIZ6", &order))),
        ("fill", feed, Event::Account(&row(AccountKind::Fill, "RIZ6", &fill))),
        ("fill_backfill", feed, Event::Account(&row(AccountKind::Fill, "RIZ6", &fetched))),
        ("position", feed, Event::Account(&row(AccountKind::Position, "RIZ6", &position))),
        ("balance", feed, Event::Account(&row(AccountKind::Balance, "RUB", &balance))),
        ("ticker_params", &symbol(1, "BTCUSDT"), Event::Ticker(&ticker)),
    ];
    let mut out = all(encoder, events);
    // Only QUIK's events are in the schema.
    encoder.spec.venue = "quik".to_owned();
    let events = [
        ("quik_event", feed, Event::Raw(&RawEvent { name: "OnConnected", payload: Some(text) })),
        ("quik_event_bare", feed, Event::Raw(&RawEvent { name: "OnClose", payload: None })),
    ];
    out.extend(all(encoder, events));
    out
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// What a golden file holds: the topic on the first line, then the payload.
fn file_bytes(frame: &Frame) -> Vec<u8> {
    [&frame.topic[..], b"\n", &frame.payload[..]].concat()
}

#[test]
fn frames_are_as_committed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (encoding, suffix) in [(Encoding::Json, "json"), (Encoding::MessagePack, "msgpack")] {
        for (name, frame) in examples(encoding) {
            let path = folder().join(format!("{name}.{suffix}"));
            if update {
                std::fs::create_dir_all(folder()).expect("a folder");
                std::fs::write(&path, file_bytes(&frame)).expect("written");
            }
            let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(
                shown(&file_bytes(&frame)),
                shown(&golden),
                "{name}.{suffix}: run with UPDATE_GOLDEN=1 if meant"
            );
            assert_eq!(file_bytes(&frame), golden);
        }
    }
}

#[test]
fn no_golden_frame_is_left_over() {
    let names: Vec<_> = examples(Encoding::Json).into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(folder()).expect("the golden frames") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        assert!(names.contains(&stem.as_str()), "{stem} is written by nothing");
    }
}

#[test]
fn both_encodings_hold_the_same_fields_and_fit_the_types() {
    let pairs = examples(Encoding::Json).into_iter().zip(examples(Encoding::MessagePack));
    for ((name, text), (_, packed)) in pairs {
        let value = json(&text);
        assert_eq!(messagepack::read(&packed.payload), value, "{name}");
        assert_eq!(text.topic, packed.topic);
        assert_eq!(text.retain, packed.retain);
        let typed: TypedPayload = serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let nulls = |value: &serde_json::Value| value.to_string().contains("null");
        assert!(!nulls(&value), "{name} has a null");
        let written = serde_json::to_value(&typed).expect("JSON");
        let lost: Vec<_> =
            value.as_object().expect("an object").iter().filter(|(key, v)| written.get(*key) != Some(*v)).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
        let kind = value["type"].as_str().expect("a kind");
        assert!(name.starts_with(kind) && topic_of(&text).starts_with(kind), "{name} is of kind {kind}");
        assert!(topic_of(&text).ends_with('.'));
    }
}

#[test]
fn the_types_refuse_what_they_do_not_know() {
    let (_, frame) = examples(Encoding::Json).swap_remove(0);
    let mut value = json(&frame);
    value["unheard_of"] = 1.into();
    assert!(serde_json::from_value::<TypedPayload>(value).is_err());
}

#[test]
fn long_texts_are_read_back_from_messagepack() {
    for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
        let detail = Some("x".repeat(len));
        let status = Status { detail: detail.clone(), ..status(State::Stale, None) };
        let event = Event::Status { main: true, channel: None, status: &status };
        let mut encoder = Encoder::new(spec(Encoding::MessagePack, 0));
        let frame = frames(&mut encoder, &symbol(2, "X"), event, 1).remove(0);
        assert_eq!(messagepack::read(&frame.payload)["detail"].as_str().map(str::len), Some(len));
    }
}
