//! The subscriber's book: joining, gaps, and what ends it.

use super::*;
use proptest::prelude::*;

fn delta(epoch: u64, seq: u64, bids: &str) -> String {
    format!(r#"{{"type":"delta","epoch":{epoch},"seq":{seq},"bids":{bids},"asks":[]}}"#)
}

fn image(epoch: u64, delta_seq: u64, ts_pub: u64, bids: &str) -> String {
    format!(
        r#"{{"type":"book","state":"live","epoch":{epoch},"seq":9,"delta_seq":{delta_seq},"ts_pub":{ts_pub},"bids":{bids}}}"#
    )
}

fn feed_delta(book: &mut JoinedBook, text: &str) -> Step {
    book.delta(&View::read(text).unwrap())
}

fn feed_image(book: &mut JoinedBook, text: &str) -> Step {
    book.snapshot(&View::read(text).unwrap())
}

fn feed_status(book: &mut JoinedBook, state: &str, ts_pub: u64) -> Step {
    let text = format!(r#"{{"type":"status","state":"{state}","ts_pub":{ts_pub}}}"#);
    book.status(&View::read(&text).unwrap())
}

fn bids(book: &JoinedBook) -> Vec<(String, String)> {
    book.bids().map(|level| (level.price.to_string(), level.size.to_string())).collect()
}

fn joined() -> JoinedBook {
    let mut book = JoinedBook::default();
    assert_eq!(feed_image(&mut book, &image(1, 10, 5, r#"[["100.5","1"],["99","2"]]"#)), Step::Applied);
    book
}

#[test]
fn deltas_before_the_snapshot_are_dropped_and_the_rest_applied() {
    let mut book = JoinedBook::default();
    assert_eq!(book.need(), Some(Need::Start));
    assert_eq!(feed_delta(&mut book, &delta(1, 10, r#"[["1","1"]]"#)), Step::Buffered);
    assert_eq!(feed_delta(&mut book, &delta(1, 11, r#"[["99","0"],["100.50","3"]]"#)), Step::Buffered);
    assert_eq!(feed_image(&mut book, &image(1, 10, 5, r#"[["100.5","1"],["99","2"]]"#)), Step::Applied);
    assert_eq!(bids(&book), [("100.50".to_owned(), "3".to_owned())]);
    assert_eq!((book.need(), book.seq()), (None, (1, 11)));
    assert_eq!(feed_delta(&mut book, &delta(1, 11, r#"[["7","7"]]"#)), Step::Ignored);
    assert_eq!(feed_delta(&mut book, &delta(1, 12, r#"[["101","1"]]"#)), Step::Applied);
    assert_eq!(bids(&book)[0], ("101".to_owned(), "1".to_owned()));
}

#[test]
fn a_snapshot_that_does_not_reach_the_deltas_is_asked_for_again() {
    let mut book = JoinedBook::default();
    feed_delta(&mut book, &delta(1, 12, "[]"));
    assert_eq!(feed_image(&mut book, &image(1, 10, 5, "[]")), Step::NeedSnapshot(Need::TooOld));
    assert_eq!(feed_image(&mut book, &image(1, 11, 6, "[]")), Step::Applied);
    assert_eq!(book.seq(), (1, 12));
}

#[test]
fn a_jump_loses_the_book_and_keeps_what_follows() {
    let mut book = joined();
    assert_eq!(feed_delta(&mut book, &delta(1, 12, r#"[["98","1"]]"#)), Step::NeedSnapshot(Need::Gap));
    assert_eq!((bids(&book).len(), book.need()), (0, Some(Need::Gap)));
    assert_eq!(feed_image(&mut book, &image(1, 11, 6, r#"[["97","1"]]"#)), Step::Applied);
    assert_eq!(bids(&book).len(), 2);
}

#[test]
fn a_new_epoch_needs_a_new_snapshot_of_that_epoch() {
    let mut book = joined();
    assert_eq!(feed_delta(&mut book, &delta(2, 1, r#"[["50","1"]]"#)), Step::NeedSnapshot(Need::Epoch));
    assert_eq!(feed_image(&mut book, &image(1, 11, 6, "[]")), Step::NeedSnapshot(Need::TooOld));
    assert_eq!(feed_image(&mut book, &image(2, 0, 7, r#"[["49","1"]]"#)), Step::Applied);
    assert_eq!((bids(&book).len(), book.seq()), (2, (2, 1)));
}

#[test]
fn trouble_of_another_channel_does_not_touch_the_book() {
    let mut book = joined();
    let status = |channel| format!(r#"{{"type":"status","channel":"{channel}","state":"rejected","ts_pub":7}}"#);
    assert_eq!(book.status(&View::read(&status("liquidation")).unwrap()), Step::Ignored);
    assert_eq!(book.need(), None);
    assert_eq!(book.status(&View::read(&status("book")).unwrap()), Step::NeedSnapshot(Need::Stale));
}

#[test]
fn a_stale_book_is_not_revived_by_a_snapshot_made_before() {
    let mut book = joined();
    assert_eq!(feed_status(&mut book, "live", 6), Step::Ignored);
    assert_eq!(feed_status(&mut book, "stale", 20), Step::NeedSnapshot(Need::Stale));
    assert_eq!(feed_image(&mut book, &image(1, 10, 19, "[]")), Step::NeedSnapshot(Need::TooOld));
    assert_eq!(feed_image(&mut book, &image(1, 11, 21, "[]")), Step::Applied);
}

#[test]
fn a_delta_that_replaces_everything_joins_by_itself() {
    let mut book = joined();
    feed_status(&mut book, "syncing", 20);
    let text = r#"{"type":"delta","epoch":1,"seq":11,"snapshot":true,"bids":[["5","1"]],"asks":[["6","1"]]}"#;
    assert_eq!(feed_delta(&mut book, text), Step::Applied);
    assert_eq!((bids(&book).len(), book.asks().count(), book.seq()), (1, 1, (1, 11)));
}

#[test]
fn unreadable_frames_lose_the_book() {
    for text in [r#"{"seq":11}"#, r#"{"epoch":1}"#, r#"{"epoch":1,"seq":11,"bids":[["x","1"]]}"#] {
        assert_eq!(feed_delta(&mut joined(), text), Step::NeedSnapshot(Need::Unreadable), "{text}");
    }
    assert_eq!(feed_image(&mut joined(), r#"{"epoch":1,"bids":[]}"#), Step::NeedSnapshot(Need::Unreadable));
}

fn feed_heartbeat(book: &mut JoinedBook, epoch: u64, seq: u64) -> Step {
    let text = format!(r#"{{"type":"heartbeat","epoch":{epoch},"topics":{{"book.":99,"delta.":{seq}}}}}"#);
    book.heartbeat(&Heartbeat::read(&text).unwrap(), "delta.")
}

#[test]
fn a_heartbeat_shows_deltas_that_nothing_follows() {
    let mut book = joined();
    assert_eq!(feed_heartbeat(&mut book, 1, 10), Step::Ignored);
    assert_eq!(feed_heartbeat(&mut book, 1, 12), Step::NeedSnapshot(Need::Gap));
    // An answer made before does not reach it.
    assert_eq!(feed_image(&mut book, &image(1, 11, 6, "[]")), Step::NeedSnapshot(Need::TooOld));
    assert_eq!(feed_image(&mut book, &image(1, 12, 7, r#"[["1","1"]]"#)), Step::Applied);
    assert_eq!((bids(&book).len(), book.seq()), (1, (1, 12)));
}

#[test]
fn a_heartbeat_of_another_run_ends_the_book_and_an_older_one_does_not() {
    let mut book = joined();
    assert_eq!(book.heartbeat(&Heartbeat { epoch: 0, ..Heartbeat::default() }, "delta."), Step::Ignored);
    let newer = Heartbeat { epoch: 2, ..Heartbeat::default() };
    assert_eq!(book.heartbeat(&newer, "delta."), Step::NeedSnapshot(Need::Epoch));
}

#[test]
fn a_lost_connection_ends_the_book() {
    let mut book = joined();
    assert_eq!(book.lose(Need::Disconnected), Step::NeedSnapshot(Need::Disconnected));
    assert_eq!((book.need(), bids(&book).len()), (Some(Need::Disconnected), 0));
}

#[test]
fn waiting_is_bounded() {
    let mut book = JoinedBook::default();
    let last = MAX_WAITING as u64 + 1;
    let steps: Vec<Step> = (1..=last).map(|seq| feed_delta(&mut book, &delta(1, seq, "[]"))).collect();
    assert_eq!(steps.last(), Some(&Step::NeedSnapshot(Need::Overflow)));
    assert_eq!(book.waiting.len(), 1);
    assert_eq!(feed_image(&mut book, &image(1, last - 1, 5, "[]")), Step::Applied);
}

/// What happens between gateway and subscriber.
#[derive(Clone, Debug)]
enum Event {
    /// The book changes; the delta arrives or is lost.
    Change { price: u8, size: u8, lost: bool },
    /// The gateway answers a request: its book as it is now, to arrive later.
    Answer,
    /// The oldest answer on its way arrives.
    Arrive,
    /// A heartbeat arrives.
    Heartbeat,
    /// The gateway starts anew with an empty book.
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0_u8..6, 0_u8..3, prop::bool::weighted(0.1))
            .prop_map(|(price, size, lost)| Event::Change { price, size, lost }),
        2 => Just(Event::Answer),
        3 => Just(Event::Arrive),
        1 => Just(Event::Heartbeat),
        1 => Just(Event::Restart),
    ];
    proptest::collection::vec(event, 0..120)
}

/// The gateway's book, and all its books so far by epoch and seq.
#[derive(Default)]
struct Gateway {
    epoch: u64,
    seq: u64,
    book: BTreeMap<u8, u8>,
    past: BTreeMap<(u64, u64), BTreeMap<u8, u8>>,
}

impl Gateway {
    fn change(&mut self, price: u8, size: u8) -> String {
        self.seq += 1;
        self.book.insert(price, size);
        self.book.retain(|_, size| *size > 0);
        self.past.insert((self.epoch, self.seq), self.book.clone());
        delta(self.epoch, self.seq, &format!(r#"[["{price}","{size}"]]"#))
    }

    fn image(&mut self) -> String {
        self.past.insert((self.epoch, self.seq), self.book.clone());
        let levels: Vec<String> = self.book.iter().map(|(price, size)| format!(r#"["{price}","{size}"]"#)).collect();
        image(self.epoch, self.seq, 1, &format!("[{}]", levels.join(",")))
    }
}

proptest! {
    #[test]
    fn a_live_book_equals_the_gateways_at_its_seq(events in events()) {
        let mut gateway = Gateway { epoch: 1, ..Gateway::default() };
        let mut book = JoinedBook::default();
        let mut answers = VecDeque::new();
        let mut told = (0, 0);
        for event in events {
            match event {
                Event::Change { price, size, lost } => {
                    let text = gateway.change(price, size);
                    if !lost {
                        feed_delta(&mut book, &text);
                    }
                }
                Event::Answer => answers.push_back(gateway.image()),
                Event::Arrive => {
                    if let Some(text) = answers.pop_front() {
                        feed_image(&mut book, &text);
                    }
                }
                Event::Heartbeat => {
                    feed_heartbeat(&mut book, gateway.epoch, gateway.seq);
                    told = (gateway.epoch, gateway.seq);
                }
                Event::Restart => {
                    gateway = Gateway { epoch: gateway.epoch + 1, past: gateway.past, ..Gateway::default() };
                }
            }
            if book.need().is_none() {
                let levels: BTreeMap<u8, u8> = bids(&book).into_iter()
                    .map(|(price, size)| (price.parse().unwrap(), size.parse().unwrap()))
                    .collect();
                prop_assert_eq!(Some(&levels), gateway.past.get(&book.seq()));
                prop_assert!(book.seq() >= told, "live at {:?} after a heartbeat told of {told:?}", book.seq());
            }
        }
        // Without further loss, one more delta and one more answer always suffice.
        let text = gateway.change(1, 1);
        feed_delta(&mut book, &text);
        feed_image(&mut book, &gateway.image());
        prop_assert_eq!((book.need(), book.seq()), (None, (gateway.epoch, gateway.seq)));
    }
}
