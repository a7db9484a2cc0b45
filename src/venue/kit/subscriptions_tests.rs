//! The wished set against every kind of answer, and against a venue that refuses, forgets and loses.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    topics_per_request: 3,
    characters: 10_000,
    pace: Duration::from_millis(50),
    per_hour: 1_000_000,
    in_flight: 2,
    patience: Duration::from_secs(5),
    retry_refused: Duration::from_secs(600),
};

const fn ms(n: u64) -> Mono {
    Mono(n * 1_000_000)
}

/// A set of topics `t0`, `t1`, …, each with the stream of its number.
fn set(topics: u32) -> Subscriptions {
    let mut set = Subscriptions::new(LIMITS);
    for n in 0..topics {
        set.add(&format!("t{n}"), StreamId(n));
    }
    set
}

/// Connects at time zero and takes the one request that may be sent then.
fn connected(topics: u32) -> (Subscriptions, Request) {
    let mut set = set(topics);
    assert!(set.connected(ms(0)).is_empty());
    let first = set.next_request(ms(0)).expect("a request");
    (set, first)
}

fn failed(topic: Option<&str>) -> Answer<'_> {
    Answer::Failed { topic, detail: "no" }
}

#[test]
fn requests_are_batched_paced_and_limited_in_flight() {
    let (mut set, first) = connected(8);
    assert_eq!((first.op, first.topics.as_slice()), (Op::Subscribe, &[0, 1, 2][..]));
    assert_eq!(set.next_request(ms(49)), None, "too soon");
    assert_eq!(set.next_timeout(), Some(ms(50)));
    let second = set.next_request(ms(50)).expect("the pace allows it");
    assert_eq!(second.topics, [3, 4, 5]);
    assert_ne!(first.id, second.id);
    assert_eq!(set.next_request(ms(200)), None, "two are in flight");
    assert_eq!(set.answered(Some(first.id), None, Answer::Done, ms(200)).len(), 3);
    assert_eq!(set.next_request(ms(200)).expect("room again").topics, [6, 7]);
}

#[test]
fn an_answer_finds_its_request_with_and_without_an_id() {
    let (mut set, first) = connected(6);
    let second = set.next_request(ms(50)).expect("a request");
    let confirmed = |changes: Vec<Change>| {
        let place = |change| if let Change::Subscribed(place) = change { Some(place) } else { None };
        changes.into_iter().map(place).collect::<Option<Vec<_>>>()
    };
    assert_eq!(confirmed(set.answered(Some(second.id), None, Answer::Done, ms(60))), Some(vec![3, 4, 5]));
    assert_eq!(confirmed(set.answered(Some(77), None, Answer::Done, ms(60))), Some(vec![]), "an unknown id");
    assert_eq!(confirmed(set.answered(None, Some(Op::Unsubscribe), Answer::Done, ms(60))), Some(vec![]));
    assert_eq!(confirmed(set.answered(None, Some(Op::Subscribe), Answer::Done, ms(60))), Some(first.topics));
}

#[test]
fn a_named_topic_is_refused_and_the_rest_asked_for_again() {
    let (mut set, first) = connected(3);
    let changes = set.answered(Some(first.id), None, failed(Some("t1")), ms(10));
    assert_eq!(changes, [Change::Refused(1, "no".to_owned())]);
    assert_eq!(set.next_request(ms(50)).expect("the rest").topics, [0, 2]);
}

#[test]
fn a_name_without_an_id_finds_the_request_it_was_in() {
    let (mut set, _) = connected(6);
    let _second = set.next_request(ms(50)).expect("a request");
    let changes = set.answered(None, Some(Op::Subscribe), failed(Some("t4")), ms(60));
    assert_eq!(changes, [Change::Refused(4, "no".to_owned())], "the older request has no t4");
    assert_eq!(set.next_request(ms(100)).expect("the rest").topics, [3, 5]);
}

#[test]
fn a_topic_is_never_refused_for_another_ones_sake() {
    let (mut set, _) = connected(1);
    set.add("elsewhere", StreamId(9));
    assert_eq!(set.answered(None, Some(Op::Subscribe), failed(Some("elsewhere")), ms(60)), []);
    assert_eq!(set.answered(None, None, Answer::Done, ms(61)), [Change::Subscribed(0)]);
}

#[test]
fn an_unnamed_failure_is_bisected_down_to_the_guilty_one() {
    let mut set = set(3);
    set.connected(ms(0));
    let (mut now, mut refused, mut confirmed) = (0, Vec::new(), BTreeSet::new());
    while let Some(request) = set.next_request(ms(now)) {
        let answer = if request.topics.contains(&1) { failed(None) } else { Answer::Done };
        for change in set.answered(Some(request.id), None, answer, ms(now)) {
            match change {
                Change::Refused(place, _) => refused.push(place),
                Change::Subscribed(place) => drop(confirmed.insert(place)),
                Change::Left(stream) => panic!("{stream:?} was wished"),
            }
        }
        now += 50;
    }
    assert_eq!((refused, confirmed), (vec![1], BTreeSet::from([0, 2])));
}

#[test]
fn already_is_as_good_as_done_but_not_for_the_rest() {
    let (mut set, first) = connected(3);
    let changes = set.answered(Some(first.id), None, Answer::Already("t0"), ms(10));
    assert_eq!(changes, [Change::Subscribed(0)]);
    assert_eq!(set.next_request(ms(50)).expect("the rest").topics, [1, 2]);
}

#[test]
fn answers_by_name_settle_each_topic() {
    let (mut set, _) = connected(3);
    let changes = set.answered_by_name(&["t2"], &["t0"], "listed", ms(10));
    assert_eq!(changes, [Change::Subscribed(2), Change::Refused(0, "listed".to_owned())]);
    assert_eq!(set.next_request(ms(50)).expect("what was not named").topics, [1]);
    assert_eq!(set.answered_by_name(&["unknown"], &[], "", ms(60)), []);
}

#[test]
fn what_is_not_answered_is_asked_again_once_and_then_given_up() {
    let (mut set, first) = connected(2);
    assert_eq!(set.next_timeout(), Some(ms(5_000)));
    assert_eq!(set.timeout(ms(4_999)), Ok(()));
    assert_eq!(set.next_request(ms(4_999)), None);
    assert_eq!(set.timeout(ms(5_000)), Ok(()));
    let again = set.next_request(ms(5_000)).expect("asked again");
    assert_eq!(again.topics, first.topics);
    let reason = set.timeout(ms(10_000)).expect_err("the connection is of no use");
    assert!(reason.contains("t0") && reason.contains("5 s"), "{reason}");
    set.disconnected();
    assert_eq!(set.next_timeout(), None);
}

#[test]
fn data_of_every_topic_is_an_answer_too() {
    let (mut set, _) = connected(6);
    set.next_request(ms(50)).expect("a request");
    (0..6).for_each(|place| set.data(place));
    for seconds in 1..60 {
        assert_eq!(set.timeout(ms(seconds * 1_000)), Ok(()));
        assert_eq!(set.next_request(ms(seconds * 1_000)), None, "nothing is open");
    }
    assert_eq!(set.next_timeout(), None);
}

#[test]
fn a_refused_topic_is_asked_for_again_later() {
    let (mut set, first) = connected(1);
    set.answered(Some(first.id), None, failed(None), ms(10));
    assert_eq!(set.next_timeout(), Some(ms(600_010)));
    assert_eq!(set.timeout(ms(600_009)), Ok(()));
    assert_eq!(set.next_request(ms(600_009)), None);
    assert_eq!(set.timeout(ms(600_010)), Ok(()));
    let again = set.next_request(ms(600_010)).expect("asked again");
    assert_eq!(set.answered(Some(again.id), None, Answer::Done, ms(600_020)), [Change::Subscribed(0)]);
    assert_eq!(set.next_timeout(), None);
}

#[test]
fn a_resync_leaves_and_asks_anew() {
    let (mut set, first) = connected(3);
    set.answered(Some(first.id), None, Answer::Done, ms(10));
    set.resync(1);
    set.resync(1);
    set.resync(2);
    let leave = set.next_request(ms(50)).expect("leaves");
    assert_eq!((leave.op, leave.topics.as_slice()), (Op::Unsubscribe, &[1, 2][..]));
    assert_eq!(set.next_request(ms(100)), None, "not before it has left");
    assert_eq!(set.answered(Some(leave.id), None, Answer::Done, ms(100)), []);
    let back = set.next_request(ms(100)).expect("asks anew");
    assert_eq!((back.op, back.topics.as_slice()), (Op::Subscribe, &[1, 2][..]));
}

#[test]
fn a_new_connection_is_asked_for_everything() {
    let (mut set, first) = connected(4);
    set.answered(Some(first.id), None, failed(Some("t0")), ms(10));
    set.disconnected();
    assert_eq!(set.next_request(ms(50)), None);
    set.resync(1);
    set.connected(ms(100));
    let one = set.next_request(ms(100)).expect("a request");
    let two = set.next_request(ms(150)).expect("a request");
    assert_eq!([one.topics, two.topics].concat(), [0, 1, 2, 3], "the refused one too");
}

#[test]
fn topics_beyond_the_characters_of_a_connection_are_told() {
    let mut set = Subscriptions::new(Limits { characters: 4, ..LIMITS });
    for name in ["aa", "bb", "cc"] {
        set.add(name, StreamId(0));
    }
    assert_eq!(set.connected(ms(0)), [2]);
    assert_eq!(set.next_request(ms(0)).expect("those within").topics, [0, 1]);
    assert_eq!(set.add("aa", StreamId(5)), 0, "a shared topic costs nothing");
    assert_eq!(set.streams(0), [StreamId(0), StreamId(5)]);
}

/// How a venue answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// With the request's id; requests and answers may get lost.
    Ids { names: bool },
    /// Without ids, in order, nothing lost.
    Order { names: bool },
    /// By topic, some done and some not, without saying to what: requests and answers may get lost as long as
    /// no topic is in two of them.
    Names,
    /// Each topic apart, with the request's id; requests and answers may get lost.
    Each,
}

/// A venue that has refused topics, fails a request as a whole, and answers in its own style.
struct Venue {
    style: Style,
    refused: BTreeSet<String>,
    subscribed: BTreeSet<String>,
    fates: Vec<u8>,
}

/// An answer on its way: id, kind, what failed (if anything), topics done and not done.
struct Reply {
    id: u64,
    op: Op,
    failed: Option<(Option<String>, bool)>,
    done: Vec<String>,
    not_done: Vec<String>,
}

impl Venue {
    fn take(&mut self, id: u64, op: Op, topics: Vec<String>) -> Option<Reply> {
        let fate = if matches!(self.style, Style::Order { .. }) { 9 } else { self.fates.pop().unwrap_or(9) };
        if fate == 0 {
            return None;
        }
        let mut reply = Reply { id, op, failed: None, done: Vec::new(), not_done: Vec::new() };
        let named = matches!(self.style, Style::Ids { names: true } | Style::Order { names: true });
        let bad = topics.iter().find(|topic| self.refused.contains(*topic));
        let known = topics.iter().find(|topic| self.subscribed.contains(*topic));
        match (op, self.style) {
            (Op::Unsubscribe, _) => {
                self.subscribed.retain(|topic| !topics.contains(topic));
                reply.done = topics;
            }
            (Op::Subscribe, Style::Names | Style::Each) => {
                (reply.not_done, reply.done) = topics.into_iter().partition(|topic| self.refused.contains(topic));
                self.subscribed.extend(reply.done.iter().cloned());
            }
            (Op::Subscribe, _) => match (bad, known) {
                (Some(bad), _) => reply.failed = Some((named.then(|| bad.clone()), false)),
                (None, Some(known)) => reply.failed = Some((Some(known.clone()), true)),
                (None, None) => self.subscribed.extend(topics),
            },
        }
        (fate != 1).then_some(reply)
    }

    fn deliver(&self, reply: &Reply, set: &mut Subscriptions, now: Mono) -> Vec<Change> {
        if self.style == Style::Each {
            let one = |topic: &String, refusal| (set.place(topic).expect("a topic of the set"), refusal);
            let done = reply.done.iter().map(|topic| one(topic, None));
            let answers: Vec<_> = done.chain(reply.not_done.iter().map(|topic| one(topic, Some("no")))).collect();
            let each = answers
                .into_iter()
                .flat_map(|(place, refusal)| set.answered_one(Some(reply.id), Some(reply.op), place, refusal, now));
            return each.collect();
        }
        if self.style == Style::Names {
            let done: Vec<&str> = reply.done.iter().map(String::as_str).collect();
            let not_done: Vec<&str> = reply.not_done.iter().map(String::as_str).collect();
            return set.answered_by_name(&done, &not_done, "listed", now);
        }
        let id = matches!(self.style, Style::Ids { .. }).then_some(reply.id);
        let answer = match &reply.failed {
            None => Answer::Done,
            Some((Some(topic), true)) => Answer::Already(topic),
            Some((topic, _)) => Answer::Failed { topic: topic.as_deref(), detail: "no" },
        };
        set.answered(id, Some(reply.op), answer, now)
    }
}

/// Something done to a topic while answers come in.
#[derive(Clone, Copy, Debug)]
enum Act {
    Resync,
    Wish,
    Unwish,
}

/// What was wished last, and what was said of it.
#[derive(Debug, Default)]
struct Told {
    last_word: Vec<bool>,
    wished: BTreeSet<usize>,
    /// How many streams were left, and how many of them were told so.
    left: (u32, u32),
}

impl Told {
    fn act(&mut self, act: Act, place: usize, set: &mut Subscriptions) {
        if place >= set.topics.len() {
            return;
        }
        let stream = StreamId(place as u32);
        match act {
            Act::Resync => drop(set.resync(place)),
            Act::Wish if self.wished.insert(place) => {
                let (_, wish) = set.wish(&format!("t{place}"), stream);
                self.last_word[place] |= wish == Wish::Confirmed;
            }
            Act::Unwish if self.wished.remove(&place) => {
                self.left.0 += 1;
                let change = set.unwish(place, stream);
                change.into_iter().for_each(|change| self.note(change));
            }
            Act::Wish | Act::Unwish => {}
        }
    }

    fn note(&mut self, change: Change) {
        match change {
            Change::Subscribed(place) => self.last_word[place] = true,
            Change::Refused(place, _) => self.last_word[place] = false,
            Change::Left(stream) => {
                self.left.1 += 1;
                self.last_word[stream.0 as usize] = false;
            }
        }
    }
}

/// Runs the set against the venue until nothing is left to do; returns what was said.
fn run(set: &mut Subscriptions, venue: &mut Venue, mut acts: Vec<(usize, Act)>) -> Result<Told, TestCaseError> {
    let (mut now, mut last_sent) = (ms(0), None::<Mono>);
    let mut replies: VecDeque<(Mono, Reply)> = VecDeque::new();
    let topics = set.topics.len();
    let mut told = Told { last_word: vec![false; topics], wished: (0..topics).collect(), left: (0, 0) };
    set.connected(now);
    for _ in 0..3_000 {
        while let Some(request) = set.next_request(now) {
            prop_assert!(request.topics.len() <= LIMITS.topics_per_request && !request.topics.is_empty());
            prop_assert!(set.pending.len() <= LIMITS.in_flight);
            prop_assert!(last_sent.is_none_or(|at| now.since(at) >= LIMITS.pace), "too fast");
            last_sent = Some(now);
            let topics = request.topics.iter().map(|place| set.name(*place).to_owned()).collect();
            let reply = venue.take(request.id, request.op, topics);
            replies.extend(reply.map(|reply| (now.after(Duration::from_millis(30)), reply)));
        }
        while replies.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, reply)) = replies.pop_front() else { break };
            for change in venue.deliver(&reply, set, now) {
                told.note(change);
            }
            if let Some((place, act)) = acts.pop() {
                told.act(act, place, set);
            }
        }
        let next = set.next_timeout().into_iter().chain(replies.front().map(|(at, _)| *at)).min();
        let Some(next) = next.filter(|at| at.since(now) < Duration::from_secs(60)) else {
            let Some((place, act)) = acts.pop() else { return Ok(told) };
            told.act(act, place, set);
            continue;
        };
        now = Mono(next.0.max(now.0));
        if set.timeout(now).is_err() {
            venue.subscribed.clear();
            replies.clear();
            now = now.after(LIMITS.pace);
            set.disconnected().into_iter().for_each(|change| told.note(change));
            set.connected(now);
        }
    }
    Err(TestCaseError::fail("never comes to rest"))
}

proptest! {
    #[test]
    fn the_set_becomes_what_was_wished_without_what_is_refused(
        topics in 1_u32..25,
        refused in prop::collection::btree_set(0_u32..25, 0..6),
        style in prop_oneof![
            any::<bool>().prop_map(|names| Style::Ids { names }),
            any::<bool>().prop_map(|names| Style::Order { names }),
            Just(Style::Names),
            Just(Style::Each),
        ],
        fates in prop::collection::vec(0_u8..8, 0..40),
        acts in prop::collection::vec(
            (0_usize..25, prop_oneof![Just(Act::Resync), Just(Act::Wish), Just(Act::Unwish)]),
            0..30,
        ),
    ) {
        let mut set = set(topics);
        let fates = if style == Style::Names && !acts.is_empty() { Vec::new() } else { fates };
        let refused: BTreeSet<_> = refused.iter().filter(|n| **n < topics).map(|n| format!("t{n}")).collect();
        let mut venue = Venue { style, refused: refused.clone(), subscribed: BTreeSet::new(), fates };
        let told = run(&mut set, &mut venue, acts)?;
        let wished = told.wished.iter().map(|place| format!("t{place}"));
        let wanted: BTreeSet<_> = wished.filter(|topic| !refused.contains(topic)).collect();
        prop_assert_eq!(&venue.subscribed, &wanted);
        for (place, subscribed) in told.last_word.iter().enumerate() {
            prop_assert_eq!(*subscribed, wanted.contains(set.name(place)), "{}", set.name(place));
        }
        prop_assert_eq!(told.left.0, told.left.1, "each stream that was left is told so once");
    }
}

#[test]
fn a_refused_topic_is_asked_for_at_once_by_a_resync() {
    let (mut set, first) = connected(1);
    set.answered(Some(first.id), None, failed(Some("t0")), ms(10));
    set.resync(0);
    let again = set.next_request(ms(60)).expect("a request");
    assert_eq!((again.op, again.topics), (Op::Subscribe, vec![0]));
}

#[test]
fn a_topic_beyond_the_limit_cannot_be_resynced() {
    let mut set = Subscriptions::new(Limits { characters: 3, ..LIMITS });
    set.add("t0", StreamId(0));
    set.add("t1", StreamId(1));
    assert_eq!(set.connected(ms(0)), [1]);
    assert!(!set.resync(1));
}
