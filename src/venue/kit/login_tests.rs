//! The login driven without a socket: refusals, clocks that are wrong, connections that come and go.

use super::*;
use crate::model::{AccountKind, Channel, Stream, StreamId};
use crate::venue::bybit::VENUE;
use crate::venue::bybit::tests::Recorder;

const HOUR_MS: u64 = 3_600_000;
/// What our clock shows when the test begins.
const BEGIN_MS: u64 = 1_700_000_000_000;

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn stamp(seconds: u64) -> Stamp {
    Stamp { mono: at(seconds), wall: UnixNanos::from_ms(BEGIN_MS + seconds * 1_000) }
}

/// A login whose venue tells its time.
fn timed() -> Login {
    Login::by_clock(VENUE.server_time.expect("it tells its time"), "/v5/private")
}

/// The venue's answer at this many milliseconds since 1970.
fn told(ms: u64) -> String {
    format!(r#"{{"retCode":0,"result":{{"timeNano":"{ms}000000"}}}}"#)
}

/// Connects and is refused after a second: the call for the time.
fn refused(login: &mut Login, seconds: u64) -> HttpRequest {
    assert_eq!(login.connected(at(seconds)), Next::SignIn);
    match login.refused("no", at(seconds + 1)) {
        Next::AskTime(request) => request,
        other => panic!("{other:?}"),
    }
}

fn answered(login: &mut Login, request: &HttpRequest, ms: u64, seconds: u64) -> Next {
    login.http(request.id, Some(200), told(ms).as_bytes(), stamp(seconds)).expect("it was asked for")
}

fn stands(words: &str) -> Next {
    Next::Refused(words.to_owned())
}

/// The venue's word on what was sent, and what there was to tell then.
fn accepted(login: &mut Login) -> (bool, Vec<String>) {
    let mut out = Recorder::default();
    (login.accepted(&mut out), out.updates)
}

#[test]
fn a_refusal_holds_over_connections_and_is_tried_again_slowly() {
    let mut login = Login::new();
    assert_eq!(login.connected(at(0)), Next::SignIn);
    assert_eq!((login.refused("bad key", at(1)), login.refused("again", at(1))), (stands("bad key"), Next::Nothing));
    login.disconnected();
    assert_eq!((login.next_timeout(), login.due(at(400))), (None, Next::Nothing), "there is nothing to ask over");
    assert_eq!(login.connected(at(2)), stands("bad key"));
    assert_eq!((login.due(at(300)), login.next_timeout()), (Next::Nothing, Some(at(301))));
    assert_eq!((login.due(at(301)), login.refusal()), (Next::SignIn, None));
    assert_eq!((accepted(&mut login), accepted(&mut login)), ((true, vec![]), (false, vec![])));
    assert!(login.is_done());
    login.disconnected();
    assert_eq!(login.connected(at(400)), Next::SignIn, "it was accepted meanwhile");
}

#[test]
fn no_answer_ends_the_connection() {
    let mut login = timed();
    assert_eq!(login.connected(at(0)), Next::SignIn);
    assert_eq!((login.due(at(9)), login.due(at(10))), (Next::Nothing, Next::NoAnswer));
}

#[test]
fn a_clock_that_is_wrong_is_corrected_at_once_and_for_good() {
    for (venue_ms, note) in [
        (BEGIN_MS + HOUR_MS, "logins are signed by the venue's clock, 3599.0 s ahead of ours"),
        (BEGIN_MS - HOUR_MS, "logins are signed by the venue's clock, 3601.0 s behind ours"),
    ] {
        let mut login = timed();
        assert_eq!(login.time(stamp(0)), stamp(0).wall);
        let request = refused(&mut login, 0);
        assert_eq!((&*request.path, request.signed, login.refusal()), ("/v5/market/time", false, None));
        // The time that was told at 1 s here.
        assert_eq!(answered(&mut login, &request, venue_ms, 1), Next::SignIn);
        assert_eq!(login.time(stamp(1)).as_ms(), venue_ms);
        let (done, told) = accepted(&mut login);
        assert!(done && told.len() == 1 && told[0].contains(note), "{told:?}");
        login.disconnected();
        assert_eq!(login.connected(at(100)), Next::SignIn);
        assert_eq!(login.time(stamp(101)).as_ms(), venue_ms + 100_000, "the next login is signed so too");
        assert_eq!(login.ahead_ms().map(i64::signum), Some(if venue_ms > BEGIN_MS { 1 } else { -1 }));
    }
}

#[test]
fn a_connection_that_the_venue_closes_is_waited_for() {
    let mut login = timed();
    let request = refused(&mut login, 0);
    login.disconnected();
    assert_eq!(answered(&mut login, &request, BEGIN_MS + HOUR_MS, 2), Next::Nothing);
    assert_eq!((login.next_timeout(), login.connected(at(3))), (None, Next::SignIn));
    assert!(login.time(stamp(3)) > stamp(3_500).wall);

    // It is back before the time is known.
    let mut login = timed();
    let request = refused(&mut login, 0);
    login.disconnected();
    assert_eq!(login.connected(at(2)), Next::Nothing);
    assert_eq!(answered(&mut login, &request, BEGIN_MS + HOUR_MS, 3), Next::SignIn);
}

#[test]
fn a_clock_that_is_right_leaves_the_refusal_as_it_is() {
    for ms in [BEGIN_MS, BEGIN_MS + 1_000, BEGIN_MS + 2_000] {
        let mut login = timed();
        let request = refused(&mut login, 0);
        assert_eq!(answered(&mut login, &request, ms, 1), stands("no"), "{ms}");
        assert_eq!((login.ahead_ms(), login.refusal(), login.next_timeout()), (None, Some("no"), Some(at(301))));
        assert_eq!(answered(&mut login, &request, ms + HOUR_MS, 2), Next::Nothing, "once");
    }
    let mut login = timed();
    let request = refused(&mut login, 0);
    assert_eq!(answered(&mut login, &request, BEGIN_MS + 2_001, 1), Next::SignIn, "beyond a second");
    // Told when there is somebody to tell.
    let mut login = timed();
    let request = refused(&mut login, 0);
    login.disconnected();
    assert_eq!(answered(&mut login, &request, BEGIN_MS, 1), Next::Nothing);
    assert_eq!(login.connected(at(2)), stands("no"));
}

#[test]
fn a_login_that_is_refused_by_the_venues_clock_too_is_not_repeated() {
    let mut login = timed();
    let request = refused(&mut login, 0);
    assert_eq!(answered(&mut login, &request, BEGIN_MS + HOUR_MS, 1), Next::SignIn);
    let both = stands("bad key (signed by the venue's clock, 3599.0 s ahead of ours)");
    assert_eq!(login.refused("bad key", at(2)), both);
    assert_eq!(login.due(at(302)), Next::SignIn, "the next time after five minutes");
    // Then the time is measured anew: it is where it was, so nothing is to be made of it.
    let Next::AskTime(request) = login.refused("bad key", at(303)) else { panic!("not asked") };
    assert_eq!(answered(&mut login, &request, BEGIN_MS + HOUR_MS + 303_000, 303), both);
    // And once our clock was set, ours is good again.
    assert_eq!(login.due(at(603)), Next::SignIn);
    let Next::AskTime(request) = login.refused("late", at(604)) else { panic!("not asked") };
    assert_eq!(answered(&mut login, &request, BEGIN_MS + 604_000, 604), Next::SignIn);
    assert_eq!((login.ahead_ms(), login.time(stamp(604))), (None, stamp(604).wall));
    assert_eq!(accepted(&mut login), (true, vec![]));
}

#[test]
fn a_venue_whose_time_jumps_is_not_hammered() {
    let mut login = timed();
    let (mut logins, mut questions) = (0, 0);
    let mut next = login.connected(at(0));
    for second in 0..1_200 {
        next = match next {
            Next::SignIn => {
                logins += 1;
                login.disconnected();
                let back = login.connected(at(second));
                assert!(matches!(back, Next::SignIn | Next::Nothing), "{back:?}");
                login.refused("no", at(second))
            }
            Next::AskTime(request) => {
                questions += 1;
                answered(&mut login, &request, BEGIN_MS + second * HOUR_MS, second)
            }
            _ => login.due(at(second)),
        };
    }
    assert_eq!((logins, questions), (8, 4), "in twenty minutes");
}

#[test]
fn a_time_that_is_not_told_leaves_the_refusal_as_it_is() {
    let words = stands("no; the venue did not tell its time");
    let far = told(u64::MAX / 1_000_000);
    for (status, body) in [(Some(200), "<p>"), (Some(500), &*far), (None, "timed out"), (Some(200), "")] {
        let mut login = timed();
        let request = refused(&mut login, 0);
        assert_eq!(login.http(7, status, body.as_bytes(), stamp(1)), None, "another's answer");
        assert_eq!(login.http(request.id, status, body.as_bytes(), stamp(1)), Some(words.clone()), "{body}");
    }
    let mut login = timed();
    let request = refused(&mut login, 0);
    assert_eq!((login.due(at(10)), login.next_timeout()), (Next::Nothing, Some(at(11))));
    assert_eq!((login.due(at(11)), login.next_timeout()), (words, Some(at(311))));
    assert_eq!(answered(&mut login, &request, BEGIN_MS + HOUR_MS, 12), Next::Nothing, "too late");
    // What no clock shows does no harm.
    let mut login = timed();
    let request = refused(&mut login, 0);
    let body = format!(r#"{{"result":{{"timeNano":"{}"}}}}"#, u64::MAX);
    assert_eq!(login.http(request.id, Some(200), body.as_bytes(), stamp(1)), Some(Next::SignIn));
    assert!(login.time(stamp(1)) > stamp(1).wall);
}

#[test]
fn a_refusal_is_told_to_all_streams_and_what_cannot_be_sent_is_one() {
    let mut streams = Streams::default();
    for id in [1, 4] {
        streams.insert(StreamId(id), Stream::new("", Channel::Account(AccountKind::Order)));
    }
    let (mut login, mut out) = (timed(), Recorder::default());
    assert!(login.connected(at(0)).follow(&streams, &mut out) && out.updates.is_empty());
    login.unable("no key", at(0), &streams, &mut out);
    assert_eq!(out.updates, ["rejected 1: no key", "rejected 4: no key"]);
    assert!(out.requests.is_empty(), "that is not the clock's fault");
    assert!(!Next::NoAnswer.follow(&streams, &mut out) && out.reconnects == ["no answer to signing in in 10 s"]);
}
