//! Statuses: connections, silence, deadlines, refusals, and the feed as a whole.

use super::*;

fn live() -> Desk {
    let mut desk = Desk::new(&["book:50 A", "book:50 B"]);
    desk.text(&snapshot("A", 100));
    desk.text(&snapshot("B", 200));
    desk
}

#[test]
fn a_feed_starts_syncing_and_ends_down() {
    let mut desk = Desk::unconnected(&["book:50 A", "trade A"]);
    desk.take(Input::Connected);
    assert_eq!(desk.lines(), ["A book:50 syncing starting", "feed syncing starting"], "once a symbol");
    desk.settle();
    assert_eq!(desk.lines(), [""; 0], "the trade stream had no trouble of its own");
    desk.text(&snapshot("A", 100));
    desk.feed.shut_down(desk.now, &mut desk.said);
    assert_eq!(desk.lines(), ["A book:50 down shutdown", "feed down shutdown"]);
}

#[test]
fn a_lost_connection_is_said_for_every_symbol_and_nothing_survives_it() {
    let mut desk = live();
    desk.take(Input::Disconnected);
    let want = ["A book:50 stale disconnected", "B book:50 stale disconnected", "feed down disconnected"];
    assert_eq!(desk.lines(), want);
    assert_eq!(desk.feed.next_timeout().filter(|timer| timer.why == "check"), None);
    desk.take(Input::Connected);
    let want = ["A book:50 syncing disconnected", "B book:50 syncing disconnected", "feed syncing disconnected"];
    assert_eq!(desk.lines(), want);
    assert_eq!(desk.requests(), ["subscribe orderbook.50.A orderbook.50.B"]);
    assert_eq!(desk.text(&delta("A", 101)), [""; 0], "the old book is gone");
    let said = desk.text(&book("snapshot", "A", 110, "8:1", "9:1"));
    assert_eq!(said[1], "A delta whole 110 [8:1] [9:1]", "no ghost of the old book");
}

#[test]
fn a_refused_stream_is_said_and_does_not_count() {
    let mut desk = Desk::unconnected(&["book:50 A", "book:50 B"]);
    desk.take(Input::Connected);
    desk.lines();
    let refusal =
        r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.A","req_id":"1","op":"subscribe"}"#;
    assert_eq!(desk.text(refusal), ["A book:50 rejected rejected"]);
    assert_eq!(desk.text(&snapshot("B", 200)).last().map(String::as_str), Some("feed live"));
    for u in 201..220 {
        desk.pass(Duration::from_secs(9));
        desk.settle();
        desk.text(&delta("B", u));
    }
    assert!(desk.said.reconnects.is_empty());
    assert_eq!(desk.states()["A"], State::Rejected);
}

#[test]
fn a_feed_of_refused_symbols_only_is_not_live() {
    let mut desk = Desk::unconnected(&["book:50 A"]);
    desk.take(Input::Connected);
    desk.text(
        r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.A","req_id":"1","op":"subscribe"}"#,
    );
    assert_eq!(desk.states()[""], State::Rejected);
}

#[test]
fn a_stream_accepted_after_all_waits_for_its_snapshot() {
    let mut desk = Desk::unconnected(&["book:50 A"]);
    desk.take(Input::Connected);
    desk.text(
        r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.A","req_id":"1","op":"subscribe"}"#,
    );
    desk.said.sent.clear();
    let mut waited = 0;
    while !desk.said.sent.iter().any(|value| value["op"] == "subscribe") {
        desk.said.sent.clear();
        desk.pass(Duration::from_secs(5));
        desk.text(r#"{"success":true,"ret_msg":"pong","op":"ping"}"#);
        waited += 5;
        assert!(waited < 700);
    }
    desk.settle();
    assert_eq!(desk.states()["A"], State::Syncing);
    desk.lines();
    assert_eq!(desk.text(&snapshot("A", 5))[0], "A book:50 live");
}

#[test]
fn a_silent_book_is_doubted_alone() {
    let mut desk = live();
    for u in 201..=202 {
        desk.pass(Duration::from_millis(4_500));
        desk.settle();
        desk.text(&delta("B", u));
    }
    desk.lines();
    desk.pass(Duration::from_millis(1_500));
    assert_eq!(desk.lines()[..2], ["A book:50 stale silence", "A book:50 syncing silence"]);
    assert_eq!(desk.requests(), ["unsubscribe orderbook.50.A"]);
    assert_eq!(desk.states()["B"], State::Live);
}

#[test]
fn an_honest_silence_stretches_the_limit() {
    let mut desk = live();
    let mut silences = Vec::new();
    for second in 0..400 {
        desk.text(&delta("B", 201 + second));
        desk.pass(Duration::from_secs(1));
        if desk.states()["A"] != State::Live {
            silences.push(second);
            desk.settle();
            desk.text(&snapshot("A", 100));
        }
        desk.settle();
    }
    let between = silences.windows(2).map(|pair| pair[1] - pair[0]);
    let stretched = between.zip([20, 40, 80, 160]).all(|(seconds, limit)| (limit..limit + 5).contains(&seconds));
    assert!(silences.len() == 5 && stretched, "{silences:?}");
    assert!(desk.said.reconnects.is_empty());
}

#[test]
fn a_dishonest_silence_does_not() {
    let mut desk = live();
    let mut silences = Vec::new();
    for second in 0..60 {
        desk.text(&delta("B", 201 + second));
        desk.pass(Duration::from_secs(1));
        if desk.states()["A"] != State::Live {
            silences.push(second);
            desk.settle();
            desk.text(&snapshot("A", 1_000 + second));
        }
        desk.settle();
    }
    assert!(silences.len() >= 4, "{silences:?}");
}

#[test]
fn snapshots_that_never_come_end_a_connection_that_has_nothing_else() {
    let mut desk = Desk::new(&["book:50 A"]);
    let start = desk.now.mono;
    while desk.said.reconnects.is_empty() {
        desk.pass(Duration::from_secs(1));
        desk.settle();
        assert!(desk.now.mono.since(start) < Duration::from_secs(90));
    }
    assert!(desk.lines().iter().any(|line| line == "A book:50 stale no_snapshot"));
    assert_eq!(desk.said.reconnects, ["no snapshot of book:50 A"]);
    assert!(desk.feed.report().counters.resyncs >= 2);
}

#[test]
fn a_symbol_without_a_snapshot_does_not_end_the_connection_of_others() {
    let mut desk = Desk::new(&["book:50 A", "book:50 B"]);
    desk.text(&snapshot("B", 200));
    for second in 0..600 {
        desk.text(&delta("B", 201 + second));
        desk.pass(Duration::from_secs(1));
        desk.settle();
    }
    assert_eq!(desk.said.reconnects, [""; 0]);
    assert_eq!(desk.states()["B"], State::Live);
    assert_ne!(desk.states()["A"], State::Live);
    let resyncs = desk.feed.report().counters.resyncs;
    assert!((5..40).contains(&resyncs), "{resyncs} tries in ten minutes");
}

#[test]
fn a_ruined_ticker_is_had_anew_and_a_ruined_trade_is_told() {
    let mut desk = Desk::new(&["ticker A", "trade B"]);
    desk.text(r#"{"topic":"tickers.A","type":"snapshot","data":{"lastPrice":"1"},"ts":5}"#);
    let said = desk.text(r#"{"topic":"tickers.A","type":"delta","data":{"lastPr"#);
    assert_eq!(said[..2], ["A ticker stale invalid", "A ticker syncing invalid"]);
    assert_eq!(desk.requests(), ["unsubscribe tickers.A"]);
    let said = desk.text(r#"{"topic":"publicTrade.B","type":"snapshot","ts":1,"data":[{"T":1"#);
    assert_eq!(said[..2], ["B trade stale invalid", "B trade live"], "a hole is told, and what follows is well");
}

#[test]
fn the_feeds_state_is_that_of_its_worst_symbol() {
    let mut desk = live();
    assert_eq!(desk.states()[""], State::Live);
    desk.text(&delta("A", 150));
    assert_eq!(desk.states()[""], State::Syncing);
    let report = desk.feed.report();
    assert_eq!(report.symbols[0].status.reason, Some(Reason::Gap));
    assert_eq!(report.symbols[0].status.detail.as_deref(), Some("1 of 2 symbols live"));
    assert_eq!(desk.text(&snapshot("A", 151)).last().map(String::as_str), Some("feed live"));
}

#[test]
fn instruments_name_their_symbols() {
    let mut desk = Desk::unconnected(&["trade BTCUSDT"]);
    desk.take(Input::Connected);
    let id = desk.said.requests[0].id;
    let body = r#"{"retCode":0,"retMsg":"OK","result":{"list":[{"symbol":"BTCUSDT","contractType":"LinearPerpetual","baseCoin":"BTC","quoteCoin":"USDT"}],"nextPageCursor":""}}"#;
    desk.lines();
    desk.take(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None });
    assert_eq!(desk.lines(), ["BTCUSDT instrument BTC-USDT-PERP"]);
}

#[test]
fn a_stream_that_is_polled_and_does_not_change_is_heard_of() {
    use crate::venue::Update;
    let mut desk = Desk::new(&["book:50 A", "ticker A"]);
    desk.text(&snapshot("A", 100));
    let mut is_silent = |unchanged: bool| {
        let mut said = Vec::new();
        for u in 0..8 {
            desk.pass(Duration::from_secs(9));
            said.extend(desk.text(&snapshot("A", 200 + u)));
            if unchanged {
                let stream = StreamId(1);
                let (core, now, out) = (&mut desk.feed.core, desk.now, &mut desk.said);
                core.on_update(Update::Unchanged(stream), Route(0), now, out);
            }
        }
        said.iter().any(|line| line.starts_with("A ticker stale silence"))
    };
    assert!(!is_silent(true));
    assert!(is_silent(false));
}

#[test]
fn what_is_to_tell_beside_a_state_is_told_with_it_and_taken_back() {
    use crate::venue::Update;
    let mut desk = Desk::new(&["book:50 A", "ticker A"]);
    desk.text(&snapshot("A", 100));
    let say = |desk: &mut Desk, update: Update<'_>| {
        let (core, now, out) = (&mut desk.feed.core, desk.now, &mut desk.said);
        core.on_update(update, Route(0), now, out);
        desk.lines()
    };
    let details = |desk: &Desk| -> Vec<String> {
        desk.feed.report().symbols.into_iter().map(|symbol| symbol.status.detail.unwrap_or_default()).collect()
    };
    let stream = Some(StreamId(1));
    let said = say(&mut desk, Update::Notice { stream, detail: "no column X" });
    assert_eq!(said, ["A notice no column X"]);
    assert_eq!(say(&mut desk, Update::Notice { stream, detail: "" }), ["A notice -"]);

    let said = say(&mut desk, Update::Notice { stream: None, detail: "slow" });
    assert_eq!(said, ["feed notice 1 of 1 symbols live; slow"]);
    say(&mut desk, Update::Notice { stream: None, detail: "slower" });
    assert_eq!(details(&desk), ["1 of 1 symbols live; slower", ""]);
    assert_eq!(desk.states()[""], State::Live, "nothing else changes");
    desk.text(&delta("A", 102));
    assert_eq!(details(&desk)[0], "0 of 1 symbols live; slower", "it is told with the next state too");
    say(&mut desk, Update::Notice { stream: None, detail: "" });
    assert_eq!(details(&desk)[0], "0 of 1 symbols live");

    say(&mut desk, Update::Notice { stream: None, detail: "slow" });
    desk.take(Input::Disconnected);
    desk.take(Input::Connected);
    assert!(details(&desk).iter().all(|detail| !detail.contains("slow")), "a new connection begins without");
    say(&mut desk, Update::Late { polls: 7 });
    say(&mut desk, Update::Late { polls: 3 });
    assert_eq!(desk.feed.report().counters.late, 10);
}

#[test]
fn channels_of_an_account_speak_for_themselves() {
    // Nobody signs in, so that the account's session refuses everything; the market is well.
    let mut desk = Desk::unconnected(&["trade A", "order ", "fill "]);
    let links: Vec<LinkId> = desk.feed.links().iter().map(|(link, _)| *link).collect();
    for link in &links {
        desk.feed.handle_on(*link, Input::Disconnected, desk.now, &mut desk.said);
    }
    let said = desk.lines();
    let began = |channel: &str| format!("feed {channel} down starting");
    assert!(said.contains(&began("order")) && said.contains(&began("fill")), "{said:?}");
    for link in &links {
        desk.feed.handle_on(*link, Input::Connected, desk.now, &mut desk.said);
    }
    desk.settle();
    let report = desk.feed.report();
    let states: Vec<_> = report.account.iter().map(|channel| (channel.kind.as_str(), channel.status.state)).collect();
    assert_eq!(states, [("order", State::Rejected), ("fill", State::Rejected)]);
    let detail = |status: &Status| status.detail.clone().unwrap_or_default();
    assert!(detail(&report.account[0].status).starts_with("it needs an account"), "{report:?}");
    assert_eq!(
        (report.symbols[0].status.state, &*detail(&report.symbols[0].status)),
        (State::Live, "1 of 1 symbols live, 0 of 2 channels without symbols live")
    );
    let why = desk.feed.initialize(desk.now, &mut desk.said).expect_err("nobody is signed in");
    assert!(why.contains("channel is rejected (it needs an account"), "{why}");
}

#[test]
fn a_feed_without_an_account_has_none_to_read() {
    let mut desk = Desk::new(&["trade A"]);
    assert_eq!(desk.feed.initialize(desk.now, &mut desk.said), Err("it follows no account".to_owned()));
}
