//! The terminal's states: start, death, restart, a lost broker, a clock that stands, midnight, the end.

use std::time::Duration;

use super::terminal::{NOON, Terminal};
use crate::venue::{Input, TerminalSpec};

const SECOND: Duration = Duration::from_secs(1);

/// What concerns the terminal as a whole.
fn states(told: Vec<String>) -> Vec<String> {
    told.into_iter().filter_map(|line| Some(line.strip_prefix("Terminal(")?.strip_suffix(')')?.to_owned())).collect()
}

fn is_asked_anew(terminal: &mut Terminal) {
    let told = terminal.said.told();
    let lines = ["instrument RI-RUB", "subscribed 1", "subscribed 2", "subscribed 0", "snapshot 0 #1"];
    let places: Vec<_> = lines.iter().map(|start| told.iter().position(|line| line.starts_with(start))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told:?}");
    assert!(terminal.subscribed.contains("RIZ6"));
}

#[test]
fn everything_is_asked_for_in_order_when_the_terminal_is_live() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    let told = terminal.connect();
    assert_eq!(
        told[..6],
        [
            "Terminal(Live)",
            "instrument RI-RUB-20261217 tick Some(\"10\") lot Some(\"1\")",
            "subscribed 1",
            "subscribed 2",
            "subscribed 0",
            "snapshot 0 #1 100x1 | 101x1",
        ]
    );
    assert!(terminal.said.sent.contains(&"OnMoneyLimit".to_owned()));
    assert_eq!(terminal.said.sent.len(), 26);
}

#[test]
fn without_an_events_socket_no_event_is_asked_for() {
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec::default(), NOON);
    terminal.connect();
    assert!(terminal.said.sent.is_empty());
}

#[test]
fn a_terminal_that_dies_and_comes_back_is_asked_anew() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.is_up = false;
    terminal.connect();
    terminal.pass(SECOND * 10);
    assert_eq!(states(terminal.said.told()), ["Down(\"no answer in 1 s, twice\")"]);
    let beats = terminal.called("getInfoParam");
    assert!((3..=6).contains(&beats), "{beats} heartbeats in 10 s, each of which took 2 s");
    assert_eq!(terminal.called("getSecurityInfo"), 0);
    terminal.is_up = true;
    terminal.pass(SECOND * 4);
    is_asked_anew(&mut terminal);
    terminal.is_up = false;
    terminal.subscribed.clear();
    terminal.pass(SECOND * 10);
    assert_eq!(states(terminal.said.told()), ["Down(\"no answer in 1 s, twice\")"]);
    terminal.is_up = true;
    terminal.pass(SECOND * 4);
    is_asked_anew(&mut terminal);
}

#[test]
fn one_lost_answer_is_no_death() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.called("getInfoParam");
    terminal.lose = vec!["getQuoteLevel2"];
    terminal.pass(SECOND * 4);
    assert!(terminal.lose.is_empty());
    assert_eq!(states(terminal.said.told()), Vec::<String>::new());
    terminal.event(r#"["OnQuote",{"class_code":"SPBFUT","sec_code":"RIZ6"}]"#);
    terminal.books.insert("RIZ6".to_owned(), super::terminal::book("100.0", 5, "101.0"));
    terminal.pass(SECOND * 4);
    assert!(terminal.said.told().contains(&"delta 0 #2 100x5 | ".to_owned()));
}

#[test]
fn a_terminal_without_its_broker_is_offline() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.clock = Some(String::new());
    assert_eq!(states(terminal.connect()), ["Offline(\"the terminal has received nothing from its broker\")"]);
    terminal.is_connected = false;
    terminal.clock = None;
    terminal.pass(SECOND * 3);
    assert_eq!(states(terminal.said.told()), Vec::<String>::new());
    terminal.is_connected = true;
    terminal.pass(SECOND * 3);
    is_asked_anew(&mut terminal);
    terminal.is_connected = false;
    terminal.event(r#"["OnDisconnected"]"#);
    assert_eq!(states(terminal.said.told()), ["Offline(\"the terminal lost the connection to its broker\")"]);
    terminal.pass(SECOND * 20);
    assert_eq!(states(terminal.said.told()), Vec::<String>::new());
    terminal.is_connected = true;
    terminal.event(r#"["OnConnected",{"flag":true}]"#);
    terminal.pass(SECOND);
    is_asked_anew(&mut terminal);
}

#[test]
fn a_script_that_starts_anew_is_asked_anew() {
    for event in [r#"["PublisherOnline"]"#, r#"["OnCleanUp"]"#, r#"["OnConnected",{"flag":true}]"#] {
        let mut terminal = Terminal::new(&["RIZ6"]);
        terminal.connect();
        terminal.subscribed.clear();
        terminal.event(event);
        let told = terminal.said.told();
        assert!(told[0].starts_with("Terminal(Offline(") && told.last().is_some_and(|raw| raw.starts_with("raw ")));
        terminal.pass(SECOND);
        is_asked_anew(&mut terminal);
    }
}

#[test]
fn an_answer_from_before_the_end_of_the_script_does_not_revive_it() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.pass(SECOND * 5 - Duration::from_millis(501));
    terminal.said.told();
    // The heartbeat is under way when the script says its last word.
    terminal.pass(Duration::from_millis(2));
    terminal.is_up = false;
    terminal.event(r#"["OnStop",{"signal":1}]"#);
    terminal.pass(SECOND * 10);
    assert_eq!(states(terminal.said.told()), ["Down(\"the script in the terminal was stopped\")"]);
}

#[test]
fn a_lost_link_object_ends_all_calls() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.take(Input::Disconnected);
    terminal.calls.clear();
    terminal.pass(SECOND * 60);
    assert!(terminal.calls.is_empty());
    terminal.connect();
    assert!(terminal.called("getQuoteLevel2") > 0);
}

#[test]
fn a_clock_that_stands_in_trading_hours_is_doubted() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.connect();
    terminal.clock = Some("12:00:00".to_owned());
    terminal.pass(SECOND * 119);
    assert_eq!(states(terminal.said.told()), Vec::<String>::new());
    terminal.pass(SECOND * 20);
    let told = states(terminal.said.told());
    assert!(matches!(told.as_slice(), [one] if one.starts_with("Frozen") && one.contains("12:00:00")), "{told:?}");
    terminal.called("getQuoteLevel2");
    terminal.pass(SECOND * 20);
    assert_eq!((terminal.called("getQuoteLevel2"), states(terminal.said.told()).len()), (0, 0));
    terminal.clock = None;
    terminal.pass(SECOND * 2);
    is_asked_anew(&mut terminal);
}

#[test]
fn a_clock_may_stand_when_the_market_is_closed() {
    // Friday 19:00, Saturday noon, and the clearing on Friday at 14:00.
    for start in [NOON + 7 * 3_600, NOON + 24 * 3_600, NOON + 2 * 3_600] {
        let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec { events: true, ..TerminalSpec::default() }, start);
        terminal.connect();
        terminal.clock = Some("12:00:00".to_owned());
        terminal.pass(SECOND * 400);
        assert_eq!(states(terminal.said.told()), Vec::<String>::new(), "{start}");
    }
    let hours = TerminalSpec { trading_hours: vec![(0, 86_399)], ..TerminalSpec::default() };
    let mut terminal = Terminal::with(&["RIZ6"], hours, NOON + 7 * 3_600);
    terminal.clock = Some("12:00:00".to_owned());
    terminal.connect();
    terminal.pass(SECOND * 200);
    let told = states(terminal.said.told());
    assert!(told.len() == 1 && told[0].contains("s ago"), "{told:?}");
}

#[test]
fn midnight_in_moscow_is_nothing_special() {
    let start = NOON + 12 * 3_600 - 30;
    let mut terminal = Terminal::with(&["RIZ6"], TerminalSpec { events: true, ..TerminalSpec::default() }, start);
    assert_eq!(states(terminal.connect()), ["Live"]);
    terminal.pass(SECOND * 3_600);
    assert_eq!(states(terminal.said.told()), Vec::<String>::new());
}

#[test]
fn an_unknown_security_costs_only_itself_and_is_looked_for_again() {
    let mut terminal = Terminal::new(&["RIZ6", "SiZ6"]);
    let book = terminal.books.remove("SiZ6").expect("known");
    let told = terminal.connect();
    for stream in 3..6 {
        assert!(told.contains(&format!("rejected {stream} class SPBFUT has no security SiZ6")), "{told:?}");
    }
    assert!(told.iter().any(|line| line.starts_with("snapshot 0")));
    terminal.books.insert("SiZ6".to_owned(), book);
    terminal.event(r#"["OnConnected",{"flag":false}]"#);
    terminal.pass(SECOND);
    let told = terminal.said.told();
    assert!(told.iter().any(|line| line.starts_with("snapshot 3")) && told.contains(&"subscribed 4".to_owned()));
    assert_eq!(states(told), Vec::<String>::new());
}

#[test]
fn a_refused_book_leaves_the_trades_and_is_tried_again() {
    let mut terminal = Terminal::new(&["RIZ6"]);
    terminal.refused.insert("RIZ6".to_owned());
    let told = terminal.connect();
    assert!(told.contains(&"rejected 0 the terminal refused the subscription to the book".to_owned()), "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("rejected 1")));
    assert_eq!(terminal.called("getQuoteLevel2"), 0);
    terminal.refused.clear();
    terminal.pass(SECOND * 61);
    assert!(terminal.said.told().iter().any(|line| line.starts_with("snapshot 0")));
}

#[test]
fn a_long_list_is_asked_for_within_bounds() {
    let symbols: Vec<String> = (0..300).map(|n| format!("S{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut terminal = Terminal::new(&symbols);
    terminal.take(Input::Connected);
    terminal.pass(SECOND * 10);
    assert_eq!((terminal.subscribed.len(), terminal.called("getSecurityInfo")), (300, 300));
    let told = terminal.said.told();
    assert!((0..300).all(|n| told.contains(&format!("snapshot {} #1 100x1 | 101x1", n * 3))));
}

#[test]
fn the_end_gives_every_subscription_back() {
    let mut terminal = Terminal::new(&["RIZ6", "SiZ6", "BRZ6"]);
    terminal.connect();
    assert_eq!(terminal.subscribed.len(), 3);
    terminal.take(Input::Shutdown);
    assert!(terminal.subscribed.is_empty());
    terminal.calls.clear();
    terminal.event(r#"["OnQuote",{"class_code":"SPBFUT","sec_code":"RIZ6"}]"#);
    terminal.pass(SECOND * 60);
    assert!(terminal.calls.is_empty());
}
