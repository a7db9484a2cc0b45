//! Trades: events as they are, the day's replay, and the table of all trades when no events come.

use std::time::Duration;

use serde_json::{Value, json};

use super::terminal::{NOON, Terminal};
use crate::model::{Stamp, UnixNanos};
use crate::venue::quik::session::QuikSession;
use crate::venue::{Input, Session, SessionSpec, TerminalSpec};

const MS: Duration = Duration::from_millis(1);

/// A trade this many seconds after noon.
fn trade(number: i64, second: u32) -> Value {
    json!({
        "class_code": "SPBFUT", "sec_code": "RIZ6", "trade_num": number, "flags": 1026, "price": "112480.0", "qty": 1,
        "value": "112480.0", "open_interest": "1200025", "period": 1, "settlecode": "",
        "datetime": {"year": 2026, "month": 11, "day": 20, "week_day": 5, "hour": 12 + second / 3_600,
            "min": second / 60 % 60, "sec": second % 60, "ms": 485, "mcs": 485_686}
    })
}

/// The same as a row of the table: every value a text.
fn row(number: i64, second: u32) -> Value {
    let mut row = trade(number, second);
    let texts = |members: &mut serde_json::Map<String, Value>| {
        for value in members.values_mut().filter(|value| value.is_number()) {
            *value = Value::String(value.to_string());
        }
    };
    texts(row.as_object_mut().expect("an object"));
    texts(row["datetime"].as_object_mut().expect("an object"));
    row
}

fn event(trade: &Value) -> String {
    json!(["OnAllTrade", trade]).to_string()
}

fn trades(terminal: &mut Terminal) -> Vec<String> {
    terminal.said.told().into_iter().filter(|line| line.starts_with("trade") || line.starts_with("broken")).collect()
}

/// Numbers of the trades told.
fn numbers(terminal: &mut Terminal) -> Vec<String> {
    let number = |line: &String| line.split(' ').nth(2).map(str::to_owned);
    trades(terminal).iter().filter_map(number).collect()
}

fn connected() -> Terminal {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal
}

#[test]
fn a_trade_is_told_exactly_once() {
    let mut terminal = connected();
    let trade = trade(1_925_043_082_672_401_077, 5);
    terminal.event(&event(&trade));
    terminal.event(&event(&trade));
    let told: Vec<_> = terminal.said.told().into_iter().filter(|line| !line.starts_with("snapshot")).collect();
    assert_eq!(told[0], "trade 1 1925043082672401077 112480x1 buy @1795165205485686000");
    assert_eq!(told.len(), 3, "the trade, and each event as it is");
    assert_eq!(told[1], format!("raw OnAllTrade {}", trade));
}

#[test]
fn sides_are_bits() {
    let mut terminal = connected();
    for (number, flags) in (1..).zip([json!(1025), json!(1026), json!(1024), json!(3), json!("1"), Value::Null]) {
        let mut trade = trade(number, 5);
        trade["flags"] = flags;
        terminal.event(&event(&trade));
    }
    let told = trades(&mut terminal);
    let sides: Vec<_> = told.iter().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(sides, ["sell", "buy", "unknown", "unknown", "sell", "unknown"]);
}

#[test]
fn what_happened_before_the_connection_is_a_replay() {
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec { events: true, ..TerminalSpec::default() }, NOON + 60);
    terminal.connect();
    terminal.event(&event(&trade(1, 59)));
    terminal.event(&event(&trade(2, 61)));
    let told = trades(&mut terminal);
    assert!(told[0].ends_with(" backfill") && !told[1].ends_with(" backfill"), "{told:?}");
    // The terminal reconnects and sends the day again.
    terminal.pass(MS * 10_000);
    terminal.event(r#"["OnConnected",{"flag":true}]"#);
    terminal.pass(MS * 1_000);
    for (number, second) in [(1, 59), (2, 61), (3, 65), (4, 75)] {
        terminal.event(&event(&trade(number, second)));
    }
    let told = trades(&mut terminal);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("trade 1 3") && told[0].ends_with(" backfill") && !told[1].ends_with(" backfill"));
}

#[test]
fn a_trade_without_a_sound_number_is_refused_and_counted() {
    let mut terminal = connected();
    for number in [json!(1.2345678901234e14), json!("1e+15"), json!("x"), Value::Null, json!(1.5)] {
        let mut trade = trade(1, 5);
        trade["trade_num"] = number;
        terminal.event(&event(&trade).replace("123456789012340.0", "1.2345678901234e+14"));
    }
    let told = terminal.said.told();
    let broken: Vec<_> = told.iter().filter(|line| line.starts_with("broken")).collect();
    assert_eq!(broken, ["broken Some(1) trade number 1.2345678901234e+14 has lost its last digits"]);
    assert_eq!(told.iter().filter(|line| line.starts_with("Ignored")).count(), 4, "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("trade")));
}

#[test]
fn members_that_are_missing_or_wrong_cost_the_trade() {
    let mut terminal = connected();
    for member in ["price", "qty", "datetime", "trade_num"] {
        let mut trade = trade(1, 5);
        trade.as_object_mut().expect("an object").remove(member);
        terminal.event(&event(&trade));
        terminal.pass(MS * 1_100);
        let told = trades(&mut terminal);
        assert!(told.len() == 1 && told[0].starts_with("broken Some(1) a trade without"), "{told:?}");
    }
    for text in [r#"["OnAllTrade"]"#, r#"["OnAllTrade",[]]"#, r#"["OnAllTrade",{"sec_code":7}]"#] {
        terminal.event(text);
        assert!(terminal.said.told().iter().any(|line| line.contains("UnknownKind")), "{text}");
    }
    let mut other = trade(1, 5);
    other["class_code"] = json!("TQBR");
    terminal.event(&event(&other));
    assert_eq!(trades(&mut terminal), Vec::<String>::new());
}

#[test]
fn a_payload_in_windows_1251_is_read() {
    let mut terminal = connected();
    let mut bytes = event(&trade(7, 5)).replace(r#""settlecode":"""#, r#""settlecode":"?""#).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').expect("a mark");
    bytes[at] = 0xcd;
    terminal.take(Input::Binary(&bytes));
    let told = terminal.said.told();
    assert!(told.iter().any(|line| line.starts_with("trade 1 7 ")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("raw ") && line.contains("Н")), "{told:?}");
}

#[test]
fn a_burst_is_told_whole_and_in_order() {
    let mut terminal = connected();
    let total = 20_000;
    for number in 1..=total {
        terminal.event(&event(&trade(number, 5)));
    }
    let expected: Vec<String> = (1..=total).map(|number| number.to_string()).collect();
    assert_eq!(numbers(&mut terminal), expected);
    assert_eq!(terminal.called("getItem"), 0);
}

#[test]
fn without_events_the_table_is_read_in_order_from_its_end() {
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec::default(), NOON);
    terminal.rows = (1..=300).map(|number| row(number, 1)).collect();
    terminal.shuffles = true;
    terminal.connect();
    assert_eq!(terminal.called("getItem"), 0, "what happened before is not read");
    terminal.rows.extend((301..=340).map(|number| row(number, 5)));
    terminal.pass(MS * 3_000);
    let expected: Vec<String> = (301..=340).map(|number: i64| number.to_string()).collect();
    assert_eq!(numbers(&mut terminal), expected);
    terminal.called("getItem");
    terminal.rows.extend((341..=1_000).map(|number| row(number, 5)));
    terminal.pass(MS * 4_000);
    let calls = terminal.called("getItem");
    assert!((140..=210).contains(&calls), "{calls} rows in 4 s: a quarter of 200 calls a second");
}

#[test]
fn when_reading_falls_too_far_behind_rows_are_skipped_and_it_is_said() {
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec::default(), NOON);
    terminal.connect();
    terminal.rows = (1..=9_000).map(|number| row(number, 5)).collect();
    terminal.pass(MS * 20_000);
    let told = trades(&mut terminal);
    assert_eq!(told[0], "broken Some(1) 8500 rows of the table of all trades were skipped");
    assert!(told[1].starts_with("trade 1 8501 ") && told.last().is_some_and(|line| line.starts_with("trade 1 9000 ")));
    // A new day: the table is emptied.
    terminal.rows = vec![row(1, 30)];
    terminal.pass(MS * 2_000);
    assert_eq!(trades(&mut terminal).len(), 1);
}

#[test]
fn a_row_that_cannot_be_had_is_given_up_and_said() {
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec::default(), NOON);
    terminal.connect();
    terminal.rows = vec![row(1, 5), row(2, 5)];
    // Both rows are asked for three times; only the last answer comes.
    terminal.lose = vec!["getItem"; 5];
    terminal.pass(MS * 10_000);
    let told = trades(&mut terminal);
    assert_eq!(told[0], "broken Some(1) row 0 of the table of all trades could not be read: no answer in 1 s, twice");
    assert!(told.len() == 2 && told[1].starts_with("trade 1 2 "), "{told:?}");
}

#[test]
fn a_terminal_with_that_event_switched_off_is_read_by_its_table() {
    let mut terminal = connected();
    terminal.rows = vec![row(1, 1)];
    terminal.pass(MS * 1_000);
    assert_eq!(numbers(&mut terminal), ["1"]);
    // The first event ends the reading, once what the table has until then is read.
    terminal.rows.extend([row(2, 2), row(3, 2)]);
    terminal.event(&event(&trade(3, 2)));
    terminal.pass(MS * 1_000);
    assert_eq!(numbers(&mut terminal), ["3", "2"]);
    terminal.calls.clear();
    terminal.rows.push(row(4, 3));
    terminal.pass(MS * 10_000);
    assert_eq!((terminal.called("getNumberOf"), terminal.called("getItem")), (0, 0));
}

#[test]
fn a_lost_events_socket_is_said_and_the_hole_is_filled_from_the_table() {
    let mut terminal = connected();
    for number in 1..=10 {
        terminal.event(&event(&trade(number, 1)));
    }
    terminal.rows = (1..=13).map(|number| row(number, 1)).collect();
    terminal.said.told();
    terminal.event(r#"["EventsLost","reset by peer"]"#);
    terminal.pass(MS * 2_000);
    let told = trades(&mut terminal);
    assert_eq!(told[0], "broken Some(1) the events socket was lost: trades may be missing");
    let numbers: Vec<_> = told[1..].iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(numbers, ["11", "12", "13"]);
    terminal.event(r#"["EventsConnected"]"#);
    terminal.event(&event(&trade(14, 30)));
    terminal.pass(MS * 1_000);
    assert_eq!(trades(&mut terminal).len(), 1);
}

#[test]
fn a_recording_brings_its_own_streams() {
    let spec = SessionSpec { market: "SPBFUT".to_owned(), discover: true, ..SessionSpec::default() };
    let mut session = QuikSession::new(spec);
    let mut said = super::Said::default();
    let now = Stamp { wall: UnixNanos(NOON * 1_000_000_000), ..Stamp::default() };
    session.handle(Input::Connected, now, &mut said);
    let text = event(&trade(7, 5));
    session.handle(Input::Text(text.as_bytes()), now, &mut said);
    session.handle(Input::Text(br#"["PublisherOnline"]"#), now, &mut said);
    let told = said.told();
    assert_eq!(told[0], "discovered trade RIZ6");
    assert!(told[1].starts_with("trade 0 7 ") && said.calls.is_empty() && session.next_timeout().is_none());
    assert!(!told.iter().any(|line| line.starts_with("Terminal")));
}
