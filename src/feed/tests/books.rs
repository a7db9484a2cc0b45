//! Books: live only while correct, and the status before everything else when they are not.

use super::*;

/// Two live books.
fn live() -> Desk {
    let mut desk = Desk::new(&["book:50 A", "book:50 B"]);
    desk.text(&snapshot("A", 100));
    desk.text(&snapshot("B", 200));
    assert_eq!(desk.states()[""], State::Live);
    desk
}

#[test]
fn a_book_is_published_from_its_snapshot_on() {
    let mut desk = Desk::new(&["book:50 A"]);
    assert_eq!(desk.text(&delta("A", 99)), [""; 0], "nothing before the snapshot");
    let said = desk.text(&snapshot("A", 100));
    let want = [
        "A book:50 live",
        "A delta whole 100 [10:1 9:1] [11:1 12:1]",
        "A book 100 [10:1 9:1] [11:1 12:1]",
        "A bbo 100 10:1 11:1",
        "feed live",
    ];
    assert_eq!(said, want);
    let said = desk.text(&delta("A", 101));
    assert_eq!(said, ["A delta 101 [10:2] []", "A book 101 [10:2 9:1] [11:1 12:1]", "A bbo 101 10:2 11:1"]);
    let said = desk.text(&book("delta", "A", 102, "9:0", ""));
    assert_eq!(said, ["A delta 102 [9:0] []", "A book 102 [10:2] [11:1 12:1]"], "the best is unchanged");
}

#[test]
fn a_loss_is_said_first_and_only_its_own_topic_is_asked_for_anew() {
    for (message, reason) in [
        (delta("A", 102), "gap"),
        (book("delta", "A", 101, "11:1", ""), "crossed"),
        (book("delta", "A", 101, "-1:1", ""), "invalid"),
        (book("delta", "A", 101, "0:1", ""), "invalid"),
        (book("delta", "A", 101, "1:-1", ""), "invalid"),
        (book("delta", "A", 101, "1e400:1", ""), "invalid"),
        (delta("A", 101)[..60].to_owned(), "invalid"),
    ] {
        let mut desk = live();
        let said = desk.text(&message);
        let want = [format!("A book:50 stale {reason}"), format!("A book:50 syncing {reason}")];
        assert_eq!(said[..2], want, "{message}");
        assert_eq!(said[2..], [format!("feed syncing {reason}")], "{message}");
        assert_eq!(desk.requests(), ["unsubscribe orderbook.50.A"]);
        assert!(desk.feed.book(desk.feed.symbol_id("A").expect("a symbol")).is_none());
        assert_eq!(desk.text(&delta("A", 103)), [""; 0]);
        assert_eq!(desk.text(&delta("B", 201))[0], "B delta 201 [10:2] []", "the other symbol runs on");
        let ack = r#"{"success":true,"ret_msg":"","req_id":"2","op":"unsubscribe"}"#;
        desk.text(ack);
        desk.pass(Duration::from_millis(60));
        assert_eq!(desk.requests(), ["subscribe orderbook.50.A"]);
        assert_eq!(desk.text(&snapshot("A", 110))[0], "A book:50 live");
        assert_eq!(desk.feed.report().counters.resyncs, 1);
    }
}

#[test]
fn garbage_doubts_every_book_and_each_heals_by_itself() {
    let mut desk = live();
    let said = desk.text("}{");
    let want = [
        "A book:50 stale invalid",
        "A book:50 syncing invalid",
        "B book:50 stale invalid",
        "B book:50 syncing invalid",
    ];
    assert_eq!(said[..4], want);
    assert_eq!(desk.requests().len(), 1);
    assert_eq!(desk.text(&snapshot("B", 205))[0], "B book:50 live");
}

#[test]
fn a_ruined_snapshot_is_not_waited_for() {
    let mut desk = Desk::new(&["book:50 A"]);
    desk.requests();
    desk.text(&snapshot("A", 100)[..70]);
    assert_eq!(desk.requests(), ["unsubscribe orderbook.50.A"]);
}

#[test]
fn duplicates_and_old_updates_change_nothing() {
    let mut desk = live();
    desk.text(&delta("A", 101));
    for message in [delta("A", 101), delta("A", 100), delta("A", 50)] {
        assert_eq!(desk.text(&message), [""; 0]);
    }
    assert_eq!(desk.text(&delta("A", 102)).len(), 2);
    assert_eq!(desk.feed.report().counters.gaps, 0);
}

#[test]
fn update_one_and_unasked_snapshots_replace_the_book() {
    let mut desk = live();
    let said = desk.text(&book("snapshot", "A", 1, "5:1", "6:1"));
    assert_eq!(said, ["A delta whole 1 [5:1] [6:1]", "A book 1 [5:1] [6:1]", "A bbo 1 5:1 6:1"]);
    let said = desk.text(&book("delta", "A", 1, "4:1", "6:1"));
    assert_eq!(said[0], "A delta whole 1 [4:1] [6:1]", "whatever the type says");
    assert_eq!(desk.text(&book("delta", "A", 2, "5:2", ""))[0], "A delta 2 [5:2] []");
    let said = desk.text(&book("snapshot", "A", 900, "7:1", "8:1"));
    assert_eq!(said[0], "A delta whole 900 [7:1] [8:1]");
    assert_eq!(desk.requests(), [""; 0]);
}

#[test]
fn a_flood_of_levels_is_not_kept() {
    let mut desk = live();
    let flood: Vec<_> = (1..300).map(|n| format!("{}:1", f64::from(n) / 100.0)).collect();
    assert_eq!(desk.text(&book("delta", "A", 101, &flood.join(" "), ""))[0], "A book:50 stale invalid");
    let status = &desk.feed.report().symbols[1].status;
    assert_eq!(status.detail.as_deref(), Some("more than 200 levels on one side"));
}

#[test]
fn a_venue_that_is_crossed_itself_is_not_hammered() {
    let mut desk = Desk::new(&["book:50 A"]);
    let crossed = book("snapshot", "A", 100, "12:1", "11:1");
    let mut resubscribed = 0;
    for _ in 0..600 {
        desk.text(&crossed);
        desk.settle();
        let resyncs = desk.feed.report().counters.resyncs;
        desk.pass(Duration::from_secs(1).saturating_sub(Duration::from_millis(120)));
        resubscribed = resyncs;
    }
    assert!((5..=20).contains(&resubscribed), "{resubscribed} resyncs in ten minutes");
    assert!(desk.said.reconnects.is_empty());
    desk.text(&snapshot("A", 200));
    assert_eq!(desk.states()["A"], State::Live);
    desk.pass(Duration::from_secs(9));
    desk.lines();
    for u in 201..210 {
        desk.text(&delta("A", u));
        desk.pass(Duration::from_secs(9));
        desk.settle();
    }
    desk.requests();
    desk.text(&delta("A", 300));
    assert_eq!(desk.requests(), ["unsubscribe orderbook.50.A"], "after a minute well, at once again");
}

#[test]
fn a_venue_crossed_again_after_each_snapshot_is_not_hammered() {
    let mut desk = Desk::new(&["book:50 A"]);
    for round in 0..300 {
        desk.text(&snapshot("A", 100 + round * 10));
        desk.text(&book("delta", "A", 101 + round * 10, "12:1", ""));
        desk.settle();
        desk.pass(Duration::from_millis(880));
    }
    let resyncs = desk.feed.report().counters.resyncs;
    assert!(resyncs <= 20, "{resyncs} resyncs in five minutes");
}

#[test]
fn the_best_comes_from_its_own_stream() {
    let mut desk = Desk::new(&["book:50 A", "bbo A"]);
    let top = |u: u64, bids: &str| book("snapshot", "A", u, bids, "11:1").replace("orderbook.50", "orderbook.1");
    assert_eq!(desk.text(&top(5, "10:1"))[..1], ["A bbo 5 10:1 11:1"]);
    let said = desk.text(&snapshot("A", 100));
    assert!(said.iter().all(|line| !line.starts_with("A bbo 1")), "{said:?}");
    assert_eq!(desk.text(&top(5, "10:1")), [""; 0], "a repeat");
    assert_eq!(desk.text(&top(6, "10:2")), ["A bbo 6 10:2 11:1"]);
    assert_eq!(desk.text(&top(7, "10:2")), [""; 0], "the same best");
    let said = desk.text(&top(8, "12:1"));
    assert_eq!(said[0], "A bbo stale crossed (aside)");
    assert_eq!(desk.states()["A"], State::Live, "the book itself is well");
}

#[test]
fn a_symbol_with_only_its_best_has_no_book_to_join() {
    let mut desk = Desk::new(&["bbo A"]);
    desk.text(&snapshot("A", 5).replace("orderbook.50", "orderbook.1"));
    assert_eq!(desk.states()["A"], State::Live);
    assert!(desk.feed.book(desk.feed.symbol_id("A").expect("a symbol")).is_none());
}

#[test]
fn an_operator_may_ask_for_a_resync() {
    let mut desk = live();
    assert!(!desk.feed.resync("ZZZ", desk.now, &mut desk.said));
    assert!(desk.feed.resync("A", desk.now, &mut desk.said));
    assert_eq!(desk.lines()[..2], ["A book:50 stale requested", "A book:50 syncing requested"]);
    assert_eq!(desk.requests(), ["unsubscribe orderbook.50.A"]);
    desk.take(Input::Disconnected);
    assert!(!desk.feed.resync("A", desk.now, &mut desk.said), "not without a connection");
}

#[test]
fn symbols_beyond_the_limit_are_counted_and_never_share_a_topic() {
    let spec = FeedSpec {
        market: "linear".to_owned(),
        streams: Vec::new(),
        discover: true,
        silence: Duration::MAX,
        ..FeedSpec::default()
    };
    let (mut feed, mut said) = (Feed::new(&bybit::VENUE, spec), Said::default());
    for n in 0..20_002 {
        let trade = json!({"T": 1, "s": format!("S{n}"), "S": "Buy", "v": "1", "p": "2", "i": "id", "BT": false});
        let message = json!({"topic": format!("publicTrade.S{n}"), "type": "snapshot", "ts": 1, "data": [trade]});
        feed.handle(Input::Text(message.to_string().as_bytes()), Stamp::default(), &mut said);
    }
    let trades: Vec<_> = said.lines.iter().filter(|line| line.ends_with("trade id")).collect();
    assert_eq!((trades.len(), trades.last().map(|line| line.as_str())), (20_000, Some("S19999 trade id")));
    assert_eq!(feed.report().counters.ignored, 2);
}
