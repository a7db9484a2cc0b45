//! The ladder: what it draws of a book.

use bytes::Bytes;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::*;
use crate::client::subscribe::{Incoming, ReceivedFrame};
use crate::io::zmq::ZmqError;
use crate::model::{Mono, Stamp};

const NOW: Stamp = Stamp { mono: Mono(1_000_000_000), wall: crate::model::UnixNanos(0) };

fn frame(topic: &str, payload: &'static str) -> Incoming {
    Incoming::Frame(ReceivedFrame { topic: topic.to_owned(), payload: Bytes::from_static(payload.as_bytes()) })
}

const BOOK: &str = r#"{"type":"book","instrument":"BTC-USDT-PERP","state":"live","epoch":1,"seq":1,
    "bids":[["60000.5","4"],["60000.0","1"]],"asks":[["60001.00","2"],["60002.0","0.001"]]}"#;
const TRADE: &str =
    r#"{"type":"trade","epoch":1,"seq":4,"ts_pub":1700000000000000000,"side":"sell","price":"60000.5","size":"0.1"}"#;
const STALE: &str = r#"{"type":"status","state":"stale","reason":"gap","since":1700000000000000000,"epoch":1,"seq":2}"#;

fn ladder() -> Ladder {
    let mut ladder = Ladder::new("tcp://127.0.0.1:5555", "btcusdt", NOW);
    ladder.take(Incoming::Connected, NOW);
    ladder
}

fn screen(ladder: &Ladder, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(ladder, frame)).unwrap();
    terminal
}

fn text(terminal: &Terminal<TestBackend>) -> Vec<String> {
    let buffer = terminal.backend().buffer();
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..buffer.area.height).map(row).collect()
}

#[test]
fn the_first_matching_topic_is_taken_and_named() {
    let mut ladder = ladder();
    assert_eq!(ladder.take(frame("book.bybit.linear.ETHUSDT.", BOOK), NOW), None);
    let narrow = ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    let expected = ["book", "trade", "status"].map(|channel| format!("{channel}.bybit.linear.BTCUSDT."));
    assert_eq!(narrow.as_deref(), Some(&expected[..]));
    assert_eq!(ladder.take(frame("book.other.spot.BTCUSDT.", BOOK), NOW), None);
    assert_eq!(ladder.title(), "bybit linear BTCUSDT (BTC-USDT-PERP)");
}

#[test]
fn an_instrument_is_found_by_its_canonical_name() {
    let mut ladder = Ladder::new("tcp://127.0.0.1:5555", "BTC-USDT-PERP", NOW);
    assert!(ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW).is_some());
}

#[test]
fn the_screen_shows_levels_bars_spread_and_trades() {
    let mut ladder = ladder();
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    ladder.take(frame("trade.bybit.linear.BTCUSDT.", TRADE), NOW);
    let expected = [
        "bybit linear BTCUSDT (BTC-USDT-PERP)",
        "live",
        "                                                │ last trades",
        "       60002.0          0.001 █                 │22:13:20.000        60000.5 0.1",
        "      60001.00              2 █████████         │",
        "          0.50 spread                           │",
        "       60000.5              4 █████████████████ │",
        "       60000.0              1 ████              │",
        "                                                │",
        "0 frames/s  0.0 kB/s  0 gaps (0 missing)  q quits",
    ];
    assert_eq!(text(&screen(&ladder, 90, 10)), expected);
}

#[test]
fn a_stale_or_disconnected_book_is_pale_and_says_why() {
    let mut ladder = ladder();
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    let pale = |ladder: &Ladder| {
        let terminal = screen(ladder, 60, 10);
        let modifier = terminal.backend().buffer()[(13, 6)].modifier;
        (modifier.contains(Modifier::DIM), text(&terminal)[1].clone())
    };
    assert_eq!(pale(&ladder), (false, "live".to_owned()));
    ladder.take(frame("status.bybit.linear.BTCUSDT.", STALE), NOW);
    assert_eq!(pale(&ladder), (true, "stale  gap since 22:13:20.000".to_owned()));
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    ladder.take(Incoming::Disconnected(ZmqError::Closed), NOW);
    assert_eq!(pale(&ladder), (true, "not connected  the server closed the connection".to_owned()));
}

#[test]
fn gaps_rates_and_bad_frames_are_counted() {
    let mut ladder = ladder();
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    ladder.take(frame("trade.bybit.linear.BTCUSDT.", TRADE), NOW);
    ladder.take(frame("trade.bybit.linear.BTCUSDT.", r#"{"epoch":1,"seq":9}"#), NOW);
    ladder.take(frame("trade.bybit.linear.BTCUSDT.", "{"), NOW);
    assert!(ladder.tick(Stamp { mono: Mono(3_000_000_000), ..NOW }));
    assert!(!ladder.tick(Stamp { mono: Mono(3_000_000_000), ..NOW }), "nothing new, nothing drawn");
    let last = text(&screen(&ladder, 90, 10)).pop().unwrap();
    assert!(last.starts_with("2 frames/s  0.2 kB/s  1 gaps (4 missing)  1 undecodable"), "{last}");
}

#[test]
fn no_terminal_is_too_small() {
    let mut ladder = ladder();
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    for (width, height) in [(1, 1), (5, 2), (20, 3), (84, 4), (300, 100)] {
        screen(&ladder, width, height);
    }
}

#[test]
fn q_esc_and_ctrl_c_leave() {
    assert!(leaves(KeyCode::Char('q'), KeyModifiers::NONE) && leaves(KeyCode::Esc, KeyModifiers::NONE));
    assert!(leaves(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(!leaves(KeyCode::Char('c'), KeyModifiers::NONE));
}

#[test]
fn trouble_of_another_channel_is_not_the_books() {
    let mut ladder = ladder();
    ladder.take(frame("book.bybit.linear.BTCUSDT.", BOOK), NOW);
    let aside = r#"{"type":"status","channel":"ticker","state":"rejected","epoch":1,"seq":3}"#;
    ladder.take(frame("status.bybit.linear.BTCUSDT.", aside), NOW);
    assert!(!text(&screen(&ladder, 80, 24)).concat().contains("rejected"));
}
