//! Full books: deltas on the stream, the image by REST.

use super::*;

fn delta(u: u64) -> String {
    super::delta("A", u).replace("orderbook.50", "orderbook.full")
}

/// A feed of one full book, its instruments answered.
fn desk() -> Desk {
    let mut desk = Desk::new(&["book:full A"]);
    desk.said.requests.clear();
    desk
}

/// The id of the one image request that was made.
fn image_request(desk: &mut Desk) -> Option<u64> {
    let requests = std::mem::take(&mut desk.said.requests);
    let images: Vec<_> = requests.iter().filter(|r| r.path.contains("full_orderbook")).collect();
    assert!(images.len() <= 1, "{images:?}");
    images.first().map(|request| request.id)
}

fn answer(desk: &mut Desk, id: u64, u: u64) -> Vec<String> {
    let result = json!({"s": "A", "b": [["10", "1"], ["9", "1"]], "a": [["11", "1"]], "ts": 5, "u": u, "seq": u * 10});
    let body = json!({"retCode": 0, "retMsg": "OK", "result": result}).to_string();
    desk.take(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None });
    desk.lines()
}

#[test]
fn the_first_delta_asks_for_the_image_and_the_image_joins_the_deltas() {
    let mut desk = desk();
    assert_eq!(desk.text(&delta(100)), [""; 0]);
    let id = image_request(&mut desk).expect("an image is asked for");
    desk.text(&delta(101));
    desk.text(&delta(102));
    assert_eq!(image_request(&mut desk), None, "once");
    let said = answer(&mut desk, id, 101);
    assert_eq!(said[..2], ["A book:full live", "A delta whole 102 [10:2 9:1] [11:1]"]);
    assert_eq!(desk.text(&delta(103))[0], "A delta 103 [10:2] []");
    assert_eq!(desk.text(&delta(103)), [""; 0], "a duplicate");
}

#[test]
fn an_image_that_is_too_old_is_asked_for_again() {
    let mut desk = desk();
    desk.text(&delta(100));
    let id = image_request(&mut desk).expect("an image is asked for");
    assert_eq!(answer(&mut desk, id, 90), [""; 0]);
    desk.pass(Duration::from_millis(300));
    let id = image_request(&mut desk).expect("asked for again");
    assert_eq!(answer(&mut desk, id, 100)[0], "A book:full live");
}

#[test]
fn an_image_ahead_of_the_stream_waits_for_it() {
    let mut desk = desk();
    desk.text(&delta(100));
    let id = image_request(&mut desk).expect("an image is asked for");
    assert_eq!(answer(&mut desk, id, 102), [""; 0]);
    assert_eq!(desk.text(&delta(101)), [""; 0]);
    assert_eq!(desk.text(&delta(102))[1], "A delta whole 102 [10:1 9:1] [11:1]", "the image is of 102 already");
    assert_eq!(image_request(&mut desk), None);
}

/// Images that differ from each other, and no delta between them: the venue has confirmed the stream and does not send it.
#[test]
fn a_mute_stream_is_stale_and_is_asked_for_again() {
    let mut desk = Desk::new(&["book:full A", "book:50 B"]);
    desk.said.requests.clear();
    desk.text(&snapshot("B", 200));
    desk.text(&delta(100));
    let (mut image, mut said, mut seconds) = (110, Vec::new(), 0);
    while !said.iter().any(|line: &String| line == "A book:full stale silence") {
        if let Some(id) = image_request(&mut desk) {
            image += 10;
            let result = json!({"s": "A", "b": [[image.to_string(), "1"]], "a": [["900", "1"]], "ts": 5, "u": image, "seq": image * 10});
            let body = json!({"retCode": 0, "retMsg": "OK", "result": result}).to_string();
            desk.take(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None });
        }
        desk.pass(Duration::from_secs(1));
        desk.settle();
        desk.said.sent.clear();
        said.extend(desk.text(&super::delta("B", 201 + seconds)));
        seconds += 1;
        assert!(seconds < 70, "{image} {:?}", desk.feed.report().symbols);
    }
    assert!(seconds > 55 && image == 130, "after two images, {seconds} s");
    let report = desk.feed.report();
    let status = &report.symbols.iter().find(|symbol| symbol.symbol == "A").expect("A").status;
    assert!(status.detail.as_deref().is_some_and(|detail| detail.contains("check the symbol")), "{status:?}");
    assert!(desk.said.reconnects.is_empty() && desk.states()["B"] == State::Live);
}

#[test]
fn update_one_and_gaps_ask_for_a_new_image_and_not_for_a_new_subscription() {
    for bad in [1, 105] {
        let mut desk = desk();
        desk.text(&delta(100));
        let id = image_request(&mut desk).expect("an image is asked for");
        answer(&mut desk, id, 100);
        desk.lines();
        let said = desk.text(&delta(bad));
        assert_eq!(said[..2], ["A book:full stale gap", "A book:full syncing gap"]);
        let id = image_request(&mut desk).expect("a new image");
        assert_eq!(desk.requests(), [""; 0]);
        desk.text(&delta(bad + 1));
        assert_eq!(answer(&mut desk, id, bad + 1)[0], "A book:full live");
        assert_eq!(desk.text(&delta(bad + 2))[0], format!("A delta {} [10:2] []", bad + 2));
    }
}

#[test]
fn a_failed_image_is_asked_for_again_with_patience() {
    let mut desk = desk();
    desk.text(&delta(100));
    let mut asked = 0;
    for second in 0..120 {
        desk.text(&delta(101 + second));
        if let Some(id) = image_request(&mut desk) {
            asked += 1;
            desk.take(Input::Http { id, status: Some(500), body: b"", url: None });
        }
        desk.pass(Duration::from_secs(1));
        desk.settle();
    }
    assert!((4..=12).contains(&asked), "{asked} in two minutes");
    assert_ne!(desk.states()["A"], State::Live);
}

#[test]
fn a_failure_of_a_call_from_before_does_not_touch_a_live_book() {
    let mut desk = desk();
    desk.text(&delta(100));
    let old = image_request(&mut desk).expect("an image is asked for");
    desk.take(Input::Disconnected);
    desk.take(Input::Connected);
    desk.settle();
    desk.text(&delta(200));
    let id = image_request(&mut desk).expect("an image is asked for");
    assert_eq!(answer(&mut desk, id, 200)[0].split(' ').next(), Some("A"));
    assert_eq!(desk.states()["A"], State::Live);
    desk.take(Input::Http { id: old, status: None, body: b"timed out", url: None });
    assert_eq!(desk.states()["A"], State::Live);
}
