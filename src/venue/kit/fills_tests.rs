//! Fills that are streamed, missed and read, played through in every order in which things can happen.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::model::{Stream, StreamId};
use crate::venue::{HttpRequest, RpcRequest};

const SECOND: u64 = 1_000_000_000;
/// How long a venue may take to list a fill, in seconds.
const LISTED_AFTER: u64 = 5;

/// A number, and the second in which it happened.
type Trade = (u64, u64);

/// What was published, each once.
#[derive(Default)]
struct Published {
    seen: Seen,
    /// Numbers, and whether they were fetched.
    fills: Vec<(u64, bool)>,
}

impl Output for Published {
    fn update(&mut self, update: Update<'_>) {
        let Update::Account(fill) = update else { return };
        if self.seen.admits(&fill) {
            let fetched = fill.fields.contains(&("backfill", FieldValue::Boolean(true)));
            self.fills.push((fill.clocks.event.map_or(0, |at| at.0 % SECOND), fetched));
        }
    }
    fn send(&mut self, _: String) {}
    fn http(&mut self, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn discovered(&mut self, _: Stream) -> Option<StreamId> {
        None
    }
    fn reconnect(&mut self, _: String) {}
    fn replace(&mut self, _: &str) {}
}

/// The number is hidden in the nanoseconds, so that what is published tells it.
fn with_row<R>((number, at): Trade, then: impl FnOnce(&Row<'_>) -> R) -> R {
    let id = number.to_string();
    then(&Row {
        kind: AccountKind::Fill,
        market: None,
        symbol: "S",
        keys: &["id"],
        version: None,
        is_open: true,
        fields: vec![("id", FieldValue::Text(&id)), ("order_id", FieldValue::Text("o"))],
        event: Some(UnixNanos(at * SECOND + number)),
    })
}

/// The venue, its stream and its REST side, and what was published of them.
struct World {
    now: u64,
    truth: Vec<Trade>,
    is_streamed: bool,
    stream: VecDeque<Trade>,
    image: Vec<Trade>,
    lists_late: bool,
    /// Whether a reading is to be made, and in how many seconds.
    is_wanted: bool,
    waits: u64,
    fills: Fills,
    published: Published,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Trade,
    Deliver,
    Confirm,
    Ask,
    Make,
    Read,
    Lose,
}

impl World {
    /// Some seconds after the stream was confirmed for the first time. What happened long before is not told.
    fn new(lists_late: bool) -> Self {
        let mut world = Self {
            now: 10_000,
            truth: Vec::new(),
            is_streamed: false,
            stream: VecDeque::new(),
            image: Vec::new(),
            lists_late,
            is_wanted: false,
            waits: 0,
            fills: Fills::default(),
            published: Published::default(),
        };
        world.truth.push((1, 9_000));
        world.step(Step::Confirm);
        world
    }

    fn at(&self) -> UnixNanos {
        UnixNanos(self.now * SECOND)
    }

    fn step(&mut self, step: Step) {
        self.now += 1;
        match step {
            Step::Trade => {
                let trade = (u64::try_from(self.truth.len()).expect("few") + 1, self.now);
                self.truth.push(trade);
                if self.is_streamed {
                    self.stream.push_back(trade);
                }
            }
            Step::Deliver => {
                if let Some(trade) = self.stream.pop_front() {
                    self.fills.heard(self.at());
                    with_row(trade, |row| row.tell("main", Clocks::default(), &mut self.published));
                }
            }
            Step::Confirm => {
                self.is_streamed = true;
                (self.is_wanted, self.waits) = (self.fills.confirmed(self.at()), 0);
            }
            Step::Ask | Step::Make | Step::Read if !self.is_wanted => {}
            Step::Ask => {
                self.now += self.waits;
                self.fills.heard(self.at());
                let (_, is_late) = self.fills.asked(self.at(), Duration::from_secs(1_000_000));
                assert!(!is_late);
            }
            Step::Make => {
                let from = self.fills.from();
                let listed_until = if self.lists_late { self.now - LISTED_AFTER } else { self.now };
                let is_listed = |(_, at): &&Trade| *at * SECOND >= from.0 && *at <= listed_until;
                // Newest first, as most venues list them.
                self.image = self.truth.iter().rev().filter(is_listed).copied().collect();
            }
            Step::Read => {
                for trade in std::mem::take(&mut self.image) {
                    with_row(trade, |row| self.fills.read(row));
                }
                let (fills, is_wanted) = self.fills.completed();
                (self.is_wanted, self.waits) = (is_wanted, AGAIN_AFTER.as_secs());
                assert!(fills.is_sorted_by_key(|fill| fill.event), "in order of time");
                fills.iter().for_each(|fill| fill.tell("main", None, &mut self.published));
            }
            Step::Lose => {
                self.now += 1_000;
                self.is_streamed = false;
                self.stream.clear();
                self.image.clear();
                self.fills.disconnected();
            }
        }
    }

    /// At rest, each was published once.
    fn check(&mut self, path: &[Step]) {
        let mut told: Vec<u64> = self.published.fills.iter().map(|(number, _)| *number).collect();
        told.sort_unstable();
        let truth: Vec<u64> = self.truth.iter().skip(1).map(|(number, _)| *number).collect();
        assert_eq!(told, truth, "after {path:?}");
    }
}

/// Tries every order of so many trades, their deliveries, and these steps of the link.
fn explore(lists_late: bool, trades: usize, link: &[Step], path: &mut Vec<Step>, ends: &mut u64) {
    let mut world = World::new(lists_late);
    path.iter().for_each(|step| world.step(*step));
    let mut next = Vec::new();
    next.extend((trades > 0).then_some((Step::Trade, trades.saturating_sub(1), link)));
    next.extend((!world.stream.is_empty()).then_some((Step::Deliver, trades, link)));
    next.extend(link.split_first().map(|(step, rest)| (*step, trades, rest)));
    if next.is_empty() {
        *ends += 1;
        return world.check(path);
    }
    for (step, trades, link) in next {
        path.push(step);
        explore(lists_late, trades, link, path, ends);
        path.pop();
    }
}

const RECONNECT: [Step; 8] = {
    use Step::{Ask, Confirm, Lose, Make, Read};
    [Lose, Confirm, Ask, Make, Read, Ask, Make, Read]
};
const LOST_WHILE_READ: [Step; 9] = {
    use Step::{Ask, Confirm, Lose, Make, Read};
    [Lose, Confirm, Ask, Make, Lose, Confirm, Ask, Make, Read]
};
/// In between nothing new is read: the second reading was not made.
const LOST_BEFORE_THE_SECOND: [Step; 9] = {
    use Step::{Ask, Confirm, Lose, Make, Read};
    [Lose, Confirm, Ask, Make, Read, Lose, Confirm, Ask, Make]
};

#[test]
fn every_order_of_stream_and_image_ends_with_each_fill_once() {
    let second_loss = [&LOST_BEFORE_THE_SECOND[..], &[Step::Read, Step::Ask, Step::Make, Step::Read]].concat();
    for (lists_late, steps, trades) in
        [(false, &RECONNECT[..], 4), (true, &RECONNECT, 4), (false, &LOST_WHILE_READ, 3), (true, &second_loss, 3)]
    {
        let mut ends = 0;
        explore(lists_late, trades, steps, &mut Vec::new(), &mut ends);
        assert!(ends > 1_000, "{ends}");
    }
}

proptest! {
    /// Long lives over many connections.
    #[test]
    fn long_lives_end_with_each_fill_once(
        lists_late: bool,
        steps in prop::collection::vec(0_u8..6, 1..200),
    ) {
        let mut world = World::new(lists_late);
        let mut link = 0;
        let path: Vec<Step> = steps
            .into_iter()
            .map(|what| match what {
                0 | 1 => Step::Trade,
                2..=4 => Step::Deliver,
                _ => {
                    link += 1;
                    RECONNECT[(link - 1) % 8]
                }
            })
            .collect();
        path.iter().for_each(|step| world.step(*step));
        // To the end of what the last connection began, and over another one.
        (link % 8..8).filter(|_| link % 8 > 0).for_each(|at| world.step(RECONNECT[at]));
        RECONNECT.into_iter().for_each(|step| world.step(step));
        while !world.stream.is_empty() {
            world.step(Step::Deliver);
        }
        world.check(&path);
    }
}

#[test]
fn what_happened_before_the_first_connection_is_not_read() {
    let mut fills = Fills::default();
    let at = |seconds: u64| UnixNanos(seconds * SECOND);
    assert!(!fills.confirmed(at(1_000)), "nothing to read");
    fills.heard(at(1_500));
    fills.disconnected();
    fills.heard(at(1_900));
    assert!(fills.confirmed(at(2_000)));
    let reach = Duration::from_secs(10_000);
    assert_eq!(fills.asked(at(2_000), reach), (at(1_440), false), "from the margin before what was heard last");
    assert_eq!(fills.asked(at(2_000), Duration::from_secs(300)), (at(1_700), true), "as far as REST reaches");
    fills.left();
    assert!(!fills.confirmed(at(3_000)), "nobody wished it meanwhile");
    let mut successor = Fills::since(Some(at(500)));
    assert!(successor.confirmed(at(501)), "what its predecessor may have missed");
}

#[test]
fn too_many_fills_are_told_and_the_oldest_ids_forgotten() {
    let mut fills = Fills::default();
    fills.asked(UnixNanos(0), Duration::ZERO);
    for number in 0..20_000 {
        with_row((number, 5), |row| fills.read(row));
    }
    assert_eq!(fills.lack(), None);
    with_row((20_000, 5), |row| fills.read(row));
    assert_eq!(fills.lack().as_deref(), Some("there are more than 20000 fills: not all were read"));
    let mut out = Published::default();
    let mut tell = |number| with_row((number, 5), |row| row.tell("main", Clocks::default(), &mut out));
    (0..=40_000).for_each(&mut tell);
    tell(1);
    tell(0);
    assert_eq!(out.fills.len(), 40_002, "the first alone comes again");
    assert_eq!((out.seen.ids.len(), out.seen.order.len()), (40_000, 40_000));
}

#[test]
fn a_trade_with_oneself_is_two_fills_and_what_has_no_id_is_never_the_same() {
    let mut seen = Seen::default();
    let mut admits = |symbol, fields: &[(&'static str, FieldValue<'_>)]| {
        let (kind, account, clocks) = (AccountKind::Fill, "main", Clocks::default());
        seen.admits(&AccountUpdate { kind, account, market: None, symbol, fields, clocks })
    };
    let of = |order| [("id", FieldValue::Text("7")), ("order_id", FieldValue::Text(order))];
    assert!(admits("A", &of("1")) && admits("A", &of("2")) && admits("B", &of("1")));
    assert!(!admits("A", &of("1")) && !admits("B", &of("1")));
    assert!(admits("A", &[]) && admits("A", &[]));
}

#[test]
fn symbols_are_those_with_the_latest_rows() {
    let mut symbols = Symbols::default();
    (0..SYMBOLS_MAX).for_each(|number| symbols.know(&number.to_string()));
    symbols.know("0");
    assert_eq!(symbols.lack(), None);
    symbols.know("new");
    let known: Vec<&str> = symbols.known().iter().map(|symbol| &**symbol).collect();
    assert_eq!((known.len(), &known[98..]), (SYMBOLS_MAX, &["0", "new"][..]));
    assert!(!known.contains(&"1"));
    assert_eq!(symbols.lack().as_deref(), Some("fills were read of the last 100 symbols only"));
}
