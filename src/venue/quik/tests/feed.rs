//! The session with a feed behind it: what of the terminal's life subscribers are told.

use std::time::Duration;

use super::terminal::{Terminal, book};

const SECOND: Duration = Duration::from_secs(1);
const QUOTE: &str = r#"["OnQuote",{"class_code":"SPBFUT","sec_code":"RIZ6"}]"#;

fn connected() -> Terminal {
    let mut terminal = Terminal::with_feed(&["RIZ6"]);
    let told = terminal.connect();
    assert_eq!(told[0], "status book:50 RIZ6 syncing starting");
    assert!(told.contains(&"status feed  live ".to_owned()) && told.contains(&"book RIZ6 #1".to_owned()), "{told:?}");
    terminal.event(QUOTE);
    terminal.pass(SECOND);
    terminal.said.told();
    terminal
}

#[test]
fn a_quiet_market_is_live_for_hours_and_nothing_is_published() {
    let mut terminal = connected();
    terminal.pass(SECOND * 7_200);
    assert_eq!(terminal.said.told(), Vec::<String>::new());
}

#[test]
fn a_book_that_can_no_longer_be_fetched_is_doubted() {
    let mut terminal = connected();
    terminal.lose = vec!["getQuoteLevel2"; 12];
    terminal.pass(SECOND * 30);
    let told = terminal.said.told();
    assert!(told.contains(&"status book:50 RIZ6 stale silence".to_owned()), "{told:?}");
    terminal.pass(SECOND * 60);
    let told = terminal.said.told();
    assert!(told.contains(&"status book:50 RIZ6 live ".to_owned()) && terminal.lose.is_empty(), "{told:?}");
}

#[test]
fn a_crossed_auction_is_told_and_ends() {
    let mut terminal = connected();
    terminal.books.insert("RIZ6".to_owned(), book("102.0", 1, "101.0"));
    terminal.event(QUOTE);
    terminal.pass(SECOND * 600);
    let told = terminal.said.told();
    assert_eq!(told[0], "status book:50 RIZ6 stale crossed");
    assert!(!told.iter().any(|line| line.starts_with("book") || line.starts_with("reconnect")), "{told:?}");
    assert!(told.len() < 100, "{} frames in ten minutes", told.len());
    terminal.books.insert("RIZ6".to_owned(), book("100.0", 1, "101.0"));
    terminal.pass(SECOND * 60);
    assert_eq!(terminal.said.told().last().map(String::as_str), Some("status feed  live "));
}

#[test]
fn every_state_of_the_terminal_is_told_and_the_books_come_back() {
    let mut terminal = connected();
    terminal.is_up = false;
    terminal.pass(SECOND * 10);
    let told = terminal.said.told();
    assert_eq!(told, ["status book:50 RIZ6 down no_answer", "status feed  down no_answer"]);
    terminal.is_up = true;
    terminal.is_connected = false;
    terminal.pass(SECOND * 10);
    assert_eq!(terminal.said.told(), ["status book:50 RIZ6 offline offline", "status feed  offline offline"]);
    terminal.is_connected = true;
    terminal.pass(SECOND * 2);
    let told = terminal.said.told();
    assert!(told.contains(&"book RIZ6 #1".to_owned()), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("status feed  live "));
    terminal.clock = Some("12:00:00".to_owned());
    terminal.pass(SECOND * 140);
    let told = terminal.said.told();
    assert_eq!(told, ["status book:50 RIZ6 stale clock_stopped", "status feed  stale clock_stopped"]);
    terminal.pass(SECOND * 600);
    assert_eq!(terminal.said.told(), Vec::<String>::new(), "nothing is asked anew while the clock stands");
    terminal.clock = None;
    terminal.pass(SECOND * 2);
    assert_eq!(terminal.said.told().last().map(String::as_str), Some("status feed  live "));
}

#[test]
fn a_resync_that_was_asked_for_is_answered() {
    let mut terminal = connected();
    assert!(terminal.resync("RIZ6"));
    terminal.pass(SECOND);
    let told = terminal.said.told();
    assert_eq!(told[0], "status book:50 RIZ6 stale requested");
    assert!(told.contains(&"book RIZ6 #1".to_owned()) && told.contains(&"status book:50 RIZ6 live ".to_owned()));
}
