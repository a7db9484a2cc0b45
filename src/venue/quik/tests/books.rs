//! Books: fetched when told of or on a period, one request at a time, told as changes.

use std::time::Duration;

use super::terminal::{NOON, Terminal, book};
use crate::venue::{Input, TerminalSpec};

const MS: Duration = Duration::from_millis(1);
const QUOTE: &str = r#"["OnQuote",{"class_code":"SPBFUT","sec_code":"RIZ6"}]"#;

fn books(terminal: &mut Terminal) -> Vec<String> {
    let is_book =
        |line: &String| line.starts_with("snapshot") || line.starts_with("delta") || line.starts_with("broken");
    terminal.said.told().into_iter().filter(is_book).collect()
}

fn set(terminal: &mut Terminal, text: &str) {
    terminal.books.insert("RIZ6".to_owned(), text.to_owned());
}

/// A terminal that has told of a change once, so that it is not polled.
fn told_of_changes() -> Terminal {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.event(QUOTE);
    terminal.pass(MS * 500);
    terminal.said.told();
    terminal.called("getQuoteLevel2");
    terminal
}

#[test]
fn a_change_is_fetched_and_told_as_what_differs() {
    let mut terminal = told_of_changes();
    set(&mut terminal, &book("100.0", 7, "102.0"));
    terminal.event(QUOTE);
    terminal.pass(MS * 10);
    assert_eq!(books(&mut terminal), ["delta 0 #2 100x7 | 101x0 102x1"]);
    set(&mut terminal, r#"{"bid_count":"0","offer_count":"0","bids":[],"offers":[]}"#);
    terminal.event(QUOTE);
    terminal.pass(MS * 200);
    assert_eq!(books(&mut terminal), ["delta 0 #3 100x0 | 102x0"]);
}

#[test]
fn a_change_during_a_request_is_fetched_after_it() {
    let mut terminal = told_of_changes();
    for _ in 0..5 {
        terminal.event(QUOTE);
    }
    assert_eq!(terminal.called("getQuoteLevel2"), 1);
    set(&mut terminal, &book("100.0", 9, "101.0"));
    terminal.pass(MS * 300);
    assert_eq!(
        (terminal.called("getQuoteLevel2"), books(&mut terminal).pop()),
        (1, Some("delta 0 #2 100x9 | ".to_owned()))
    );
}

#[test]
fn requests_are_capped_however_often_a_change_is_told() {
    let mut terminal = told_of_changes();
    for _ in 0..1_000 {
        terminal.event(QUOTE);
        terminal.pass(MS * 2);
    }
    let calls = terminal.called("getQuoteLevel2");
    assert!((19..=21).contains(&calls), "{calls} calls in 2 s");
}

#[test]
fn a_terminal_that_tells_of_no_change_is_polled() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.called("getQuoteLevel2");
    terminal.pass(MS * 1_000);
    let polled = terminal.called("getQuoteLevel2");
    assert!((9..=11).contains(&polled), "{polled}");
    terminal.event(QUOTE);
    terminal.pass(MS * 3_000);
    let looked = terminal.called("getQuoteLevel2");
    assert!(looked <= 3, "{looked}");
    terminal.event(r#"["EventsLost","reset by peer"]"#);
    terminal.pass(MS * 1_000);
    let polled = terminal.called("getQuoteLevel2");
    assert!((9..=11).contains(&polled), "{polled}");
}

#[test]
fn polling_many_books_keeps_to_half_of_the_budget() {
    let symbols: Vec<String> = (0..300).map(|n| format!("S{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let spec = TerminalSpec { calls_per_second: 100, ..TerminalSpec::default() };
    let mut terminal = Terminal::with(&symbols, spec, NOON);
    terminal.take(Input::Connected);
    terminal.pass(MS * 20_000);
    terminal.calls.clear();
    terminal.pass(MS * 12_000);
    let mut times: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
    for (_, body) in terminal.calls.iter().filter(|(_, body)| body.contains("getQuoteLevel2")) {
        *times.entry(body).or_default() += 1;
    }
    assert_eq!(times.len(), 300);
    let calls: u32 = times.values().sum();
    assert!((590..=606).contains(&calls) && times.values().all(|n| (1..=3).contains(n)), "{calls}");
}

#[test]
fn a_quiet_book_is_confirmed_under_its_number() {
    let mut terminal = told_of_changes();
    terminal.pass(MS * 9_500);
    let told = books(&mut terminal);
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|line| line == "snapshot 0 #1 100x1 | 101x1"), "{told:?}");
}

#[test]
fn a_resync_tells_the_whole_book_again() {
    let mut terminal = told_of_changes();
    terminal.take(Input::Resync(crate::model::StreamId(0)));
    terminal.pass(MS * 200);
    assert_eq!(books(&mut terminal), ["snapshot 0 #1 100x1 | 101x1"]);
    set(&mut terminal, &book("100.0", 3, "101.0"));
    terminal.take(Input::Resync(crate::model::StreamId(0)));
    terminal.take(Input::Resync(crate::model::StreamId(7)));
    terminal.pass(MS * 200);
    assert_eq!(books(&mut terminal), ["snapshot 0 #2 100x3 | 101x1"]);
}

#[test]
fn a_book_that_cannot_be_read_is_doubted_and_told_whole_afterwards() {
    let mut terminal = told_of_changes();
    set(&mut terminal, &book("nan", 3, "101.0"));
    terminal.event(QUOTE);
    terminal.pass(MS * 10);
    let told = books(&mut terminal);
    assert!(told.len() == 1 && told[0].starts_with("broken Some(0) price"), "{told:?}");
    set(&mut terminal, &book("100.0", 4, "101.0"));
    terminal.event(QUOTE);
    terminal.pass(MS * 200);
    assert_eq!(books(&mut terminal), ["snapshot 0 #2 100x4 | 101x1"]);
}

#[test]
fn events_of_other_classes_and_securities_are_none_of_ours() {
    let mut terminal = told_of_changes();
    for other in [
        r#"["OnQuote",{"class_code":"TQBR","sec_code":"RIZ6"}]"#,
        r#"["OnQuote",{"class_code":"SPBFUT","sec_code":"SiZ6"}]"#,
        r#"["OnQuote",{"class_code":"SPBFUT"}]"#,
        r#"["OnQuote"]"#,
    ] {
        terminal.event(other);
    }
    terminal.pass(MS * 200);
    assert_eq!(terminal.called("getQuoteLevel2"), 0);
}
