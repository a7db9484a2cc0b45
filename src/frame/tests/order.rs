//! Sequences, conflated books, and what a joiner is given.

use std::sync::atomic::Ordering;

use super::*;
use crate::model::{AccountKind, BookDepth, Channel};

const BOOK: Option<Channel> = Some(Channel::Book(BookDepth::Levels(50)));

fn seqs(frames: &[Frame]) -> Vec<(String, u64)> {
    frames.iter().map(|frame| (topic_of(frame).to_owned(), json(frame)["seq"].as_u64().expect("seq"))).collect()
}

#[test]
fn each_topic_counts_from_one() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let (a, b, book) = (symbol(2, "A"), symbol(3, "B"), book());
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(frames(&mut encoder, &a, changes(&[]), 1));
        all.extend(frames(&mut encoder, &a, view(&book), 1));
    }
    all.extend(frames(&mut encoder, &b, changes(&[]), 1));
    let (delta, books) = ("delta.bybit.linear.A.", "book.bybit.linear.A.");
    let want = [(delta, 1), (books, 1), (delta, 2), (books, 2), (delta, 3), (books, 3), ("delta.bybit.linear.B.", 1)];
    assert_eq!(seqs(&all), want.map(|(topic, seq)| (topic.to_owned(), seq)));
}

#[test]
fn a_new_name_of_the_instrument_does_not_start_a_topic_anew() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let unnamed = Symbol { instrument: None, ..symbol(1, "BTCUSDT") };
    let first = frames(&mut encoder, &unnamed, changes(&[]), 1).remove(0);
    let second = frames(&mut encoder, &symbol(1, "BTCUSDT"), changes(&[]), 1).remove(0);
    assert_eq!((json(&first).get("instrument"), json(&first)["seq"].as_u64()), (None, Some(1)));
    assert_eq!((json(&second)["instrument"].as_str(), json(&second)["seq"].as_u64()), (Some("BTC-USDT-PERP"), Some(2)));
}

#[test]
fn a_book_says_which_delta_it_includes_and_has_its_symbols_depth() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let book = book();
    let deep = symbol(2, "DEEP");
    frames(&mut encoder, &deep, changes(&[]), 1);
    frames(&mut encoder, &deep, changes(&[]), 1);
    let frame = json(&frames(&mut encoder, &deep, view(&book), 1).remove(0));
    assert_eq!((frame["delta_seq"].as_u64(), frame["depth"].as_u64()), (Some(2), Some(3)));
    assert_eq!((frame["bids"].as_array().map(Vec::len), frame["asks"].as_array().map(Vec::len)), (Some(3), Some(2)));
    let frame = json(&frames(&mut encoder, &symbol(3, "A"), view(&book), 1).remove(0));
    assert_eq!((frame["delta_seq"].as_u64(), frame["bids"].as_array().map(Vec::len)), (Some(0), Some(2)));
}

#[test]
fn a_snapshot_takes_no_place_in_the_sequence() {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let mut encoder = Encoder::new(spec(encoding, 0));
        let (a, book) = (symbol(2, "A"), book());
        let current = BookView { book: &book, venue_seq: 5, clocks: CLOCKS };
        let read = |frame: &Frame| match encoding {
            Encoding::Json => json(frame),
            Encoding::MessagePack => messagepack::read(&frame.payload),
        };
        let early = read(&encoder.snapshot(&a, current));
        assert_eq!((early["seq"].as_u64(), early["delta_seq"].as_u64()), (Some(0), Some(0)));
        frames(&mut encoder, &a, changes(&[]), 1);
        frames(&mut encoder, &a, view(&book), 1);
        let snapshot = read(&encoder.snapshot(&a, current));
        assert_eq!((snapshot["seq"].as_u64(), snapshot["delta_seq"].as_u64()), (Some(1), Some(1)));
        assert_eq!(snapshot["bids"].as_array().map(Vec::len), Some(3), "full depth");
        let next = read(&frames(&mut encoder, &a, view(&book), 1).remove(0));
        assert_eq!(next["seq"].as_u64(), Some(2));
    }
}

fn due(encoder: &mut Encoder, now: Stamp) -> Vec<u32> {
    std::iter::from_fn(|| encoder.take_due(now.mono)).collect()
}

#[test]
fn books_are_conflated_to_the_interval_and_the_last_one_is_sent() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 100));
    let (a, b, book) = (symbol(2, "A"), symbol(3, "B"), book());
    assert_eq!(frames(&mut encoder, &a, view(&book), 1_000).len(), 1);
    assert_eq!(encoder.next_due(), None);
    assert_eq!(frames(&mut encoder, &a, view(&book), 1_010).len(), 0);
    assert_eq!(frames(&mut encoder, &a, view(&book), 1_020).len(), 0);
    assert_eq!(encoder.next_due(), Some(now(1_100).mono));
    assert_eq!(frames(&mut encoder, &b, view(&book), 1_030).len(), 1, "each symbol for itself");
    assert_eq!(frames(&mut encoder, &b, view(&book), 1_040).len(), 0);
    assert_eq!(due(&mut encoder, now(1_099)), [0; 0]);
    assert_eq!(due(&mut encoder, now(1_100)), [2]);
    assert_eq!(encoder.next_due(), Some(now(1_130).mono));
    let mut out = Vec::new();
    encoder.due_book(&a, BookView { book: &book, venue_seq: 5, clocks: CLOCKS }, now(1_100), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(frames(&mut encoder, &a, view(&book), 1_150).len(), 0, "the interval begins anew");
    assert_eq!(due(&mut encoder, now(1_130)), [3]);
    assert_eq!(due(&mut encoder, now(1_200)), [2]);
    assert_eq!((encoder.next_due(), due(&mut encoder, now(9_999))), (None, Vec::new()));
}

#[test]
fn a_book_that_was_due_and_went_out_with_a_late_change_is_not_sent_twice() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 100));
    let (a, book) = (symbol(2, "A"), book());
    frames(&mut encoder, &a, view(&book), 1_000);
    frames(&mut encoder, &a, view(&book), 1_010);
    assert_eq!(frames(&mut encoder, &a, view(&book), 1_105).len(), 1);
    assert_eq!((due(&mut encoder, now(1_300)), encoder.next_due()), (Vec::new(), None));
}

#[test]
fn the_frames_of_one_update_share_their_time() {
    static TIME: AtomicU64 = AtomicU64::new(1);
    let clock = || UnixNanos(TIME.fetch_add(1, Ordering::Relaxed));
    let mut encoder = Encoder::new(EncoderSpec { clock, ..spec(Encoding::Json, 0) });
    let (a, book) = (symbol(2, "A"), book());
    let (bid, ask) = book.best();
    let mut times = Vec::new();
    for _ in 0..2 {
        encoder.new_input();
        for event in [changes(&[]), Event::Bbo { bid, ask, venue_seq: 7, clocks: CLOCKS }, view(&book)] {
            times.push(json(&frames(&mut encoder, &a, event, 1).remove(0))["ts_pub"].as_u64().expect("a time"));
        }
    }
    assert_eq!(times, [1, 1, 2, 3, 3, 4], "the view is of another update");
}

/// What is said to the bus when this status is published after a book, a best and a ticker.
fn forgotten(
    encoder: &mut Encoder,
    symbol: &Symbol,
    main: bool,
    channel: Option<Channel>,
    state: State,
) -> Vec<String> {
    let mut out = Vec::new();
    let status = status(state, Some(Reason::Gap));
    encoder.event(symbol, Event::Status { main, channel, status: &status }, now(2_000), &mut out);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    out.iter()
        .map(|item| match item {
            Outgoing::Frame(frame) => format!("frame {}", text(&frame.topic)),
            Outgoing::Shared(frame) => format!("frame {}", text(&frame.topic)),
            Outgoing::Forget(topic) => format!("forget {}", text(topic)),
        })
        .collect()
}

#[test]
fn what_is_no_longer_vouched_for_is_forgotten_after_the_status() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let (a, book) = (symbol(2, "A"), book());
    let (bid, ask) = book.best();
    frames(&mut encoder, &a, view(&book), 1);
    frames(&mut encoder, &a, Event::Bbo { bid, ask, venue_seq: 1, clocks: CLOCKS }, 1);
    let status = "frame status.bybit.linear.A.";
    let (books, bbo) = ("forget book.bybit.linear.A.", "forget bbo.bybit.linear.A.");
    assert_eq!(forgotten(&mut encoder, &a, true, BOOK, State::Stale), [status, books, bbo]);
    let told = forgotten(&mut encoder, &a, false, Some(Channel::Bbo), State::Stale);
    assert_eq!(told, [status, bbo, status], "the symbol's own state is the topic's last frame again");
    assert_eq!(forgotten(&mut encoder, &a, false, Some(Channel::Trade), State::Stale), [status, status]);
    assert_eq!(forgotten(&mut encoder, &a, true, BOOK, State::Live), [status]);
    let feed = symbol(0, "");
    assert_eq!(forgotten(&mut encoder, &feed, true, None, State::Down), ["frame status.bybit.linear.."]);
}

#[test]
fn a_lost_book_is_not_sent_when_it_is_due_but_a_lost_ticker_delays_no_book() {
    let (a, book) = (symbol(2, "A"), book());
    for (channel, main, still) in [(BOOK, true, vec![]), (Some(Channel::Ticker), false, vec![2])] {
        let mut encoder = Encoder::new(spec(Encoding::Json, 1_500));
        frames(&mut encoder, &a, view(&book), 1_000);
        frames(&mut encoder, &a, view(&book), 1_010);
        forgotten(&mut encoder, &a, main, channel, State::Stale);
        assert_eq!(due(&mut encoder, now(2_500)), still, "{channel:?}");
    }
}

#[test]
fn feeds_of_one_market_share_the_sequence_of_their_status() {
    let shared = spec(Encoding::Json, 0);
    let (mut one, mut two) = (Encoder::new(shared.clone()), Encoder::new(shared));
    let live = status(State::Live, None);
    let event = Event::Status { main: true, channel: None, status: &live };
    let seq = |encoder: &mut Encoder| json(&frames(encoder, &symbol(0, ""), event, 1).remove(0))["seq"].as_u64();
    assert_eq!([seq(&mut one), seq(&mut two), seq(&mut two), seq(&mut one)], [1, 2, 3, 4].map(Some));
}

#[test]
fn a_feed_that_begins_anew_vouches_for_nothing_left_behind() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let (mut out, status) = (Vec::new(), status(State::Down, Some(Reason::Starting)));
    encoder.event(&symbol(2, "A"), Event::Status { main: true, channel: BOOK, status: &status }, now(0), &mut out);
    let forgotten = ["book", "bbo", "ticker"].map(|kind| Outgoing::Forget(topic(kind, "bybit", "linear", "A")));
    assert_eq!(out[1..], forgotten);
}

#[test]
fn a_topic_goes_on_where_another_feed_left_it() {
    let known = Arc::new(AtomicU64::new(41));
    let shared = Arc::clone(&known);
    let last_seq = LastSeq::new(move |_| shared.load(Ordering::Relaxed), 0);
    let mut encoder = Encoder::new(EncoderSpec { last_seq, ..spec(Encoding::Json, 0) });
    let a = symbol(2, "A");
    let seq = |encoder: &mut Encoder| json(&frames(encoder, &a, changes(&[]), 1).remove(0))["seq"].as_u64();
    assert_eq!((seq(&mut encoder), seq(&mut encoder)), (Some(42), Some(43)));
    // Another one had it meanwhile: that is looked at when the symbol begins anew, and only then.
    known.store(99, Ordering::Relaxed);
    assert_eq!(seq(&mut encoder), Some(44));
    let begins = status(State::Syncing, Some(Reason::Starting));
    frames(&mut encoder, &a, Event::Status { main: true, channel: BOOK, status: &begins }, 1);
    assert_eq!(seq(&mut encoder), Some(100));
    // After a failure inside, what may have been lost shows.
    let last_seq = LastSeq::new(|_| 100, 1 << 40);
    let mut encoder = Encoder::new(EncoderSpec { last_seq, ..spec(Encoding::Json, 0) });
    assert_eq!(seq(&mut encoder), Some((1 << 40) + 101));
}

#[test]
fn a_feeds_status_tells_its_link_and_a_symbols_does_not() {
    let mut encoder = Encoder::new(spec(Encoding::Json, 0));
    let (whole, a) = (symbol(0, ""), symbol(2, "A"));
    let live = status(State::Live, None);
    let mut told = |of: &Symbol, link: Option<bool>| {
        if let Some(connected) = link {
            assert!(frames(&mut encoder, &whole, Event::Link { connected }, 1).is_empty());
        }
        let event = Event::Status { main: true, channel: None, status: &live };
        json(&frames(&mut encoder, of, event, 1).remove(0)).get("link").cloned()
    };
    assert_eq!(told(&whole, None), None, "nothing was said of it");
    assert_eq!(told(&whole, Some(true)), Some("connected".into()));
    assert_eq!(told(&whole, None), Some("connected".into()));
    assert_eq!(told(&a, None), None);
    assert_eq!(told(&whole, Some(false)), Some("disconnected".into()));
}

#[test]
fn each_channel_of_an_account_has_a_status_of_its_own_that_joiners_get() {
    let mut encoder = Encoder::new(EncoderSpec { account: Some("a.b".to_owned()), ..spec(Encoding::Json, 0) });
    let (whole, down) = (symbol(0, ""), status(State::Down, Some(Reason::Disconnected)));
    let told = |encoder: &mut Encoder, kind| {
        let channel = Some(Channel::Account(kind));
        frames(encoder, &whole, Event::Status { main: true, channel, status: &down }, 1).remove(0)
    };
    let (order, fill) = (told(&mut encoder, AccountKind::Order), told(&mut encoder, AccountKind::Fill));
    assert_eq!((topic_of(&order), topic_of(&fill)), ("status.bybit.a%2Eb.order.", "status.bybit.a%2Eb.fill."));
    assert_eq!(
        (order.retain, order.seq, fill.seq, told(&mut encoder, AccountKind::Fill).seq),
        (Retain::Latest, 1, 1, 2)
    );
    let frame = json(&order);
    for (key, value) in
        [("account", "a.b"), ("channel", "order"), ("symbol", ""), ("market", "linear"), ("state", "down")]
    {
        assert_eq!(frame[key], value, "{frame}");
    }
    // Where the venue names the accounts, the market stands for them.
    encoder.spec.account = None;
    let nameless = told(&mut encoder, AccountKind::Order);
    assert_eq!((topic_of(&nameless), json(&nameless).get("account")), ("status.bybit.linear.order.", None));
}
