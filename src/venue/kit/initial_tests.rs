//! The merging of a stream and an image, played through in every order in which things can happen.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::venue::FieldValue;

/// An order, or where there are no versions, a balance, as it stands at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The venue's time, which several changes may share.
    at: u64,
    filled: u32,
    is_open: bool,
}

/// The venue, its stream and its REST side, and what was published of them.
#[derive(Clone)]
struct World {
    versions: bool,
    truth: BTreeMap<&'static str, State>,
    connected: bool,
    stream: VecDeque<(&'static str, State)>,
    image: Vec<(&'static str, State)>,
    initial: Initial,
    published: BTreeMap<String, State>,
}

impl World {
    /// An account with one row, of which everything is known.
    fn new(versions: bool) -> Self {
        let truth = BTreeMap::from([("a", State { at: 1, filled: 0, is_open: true })]);
        let mut world = Self {
            versions,
            truth,
            connected: false,
            stream: VecDeque::new(),
            image: Vec::new(),
            initial: Initial::default(),
            published: BTreeMap::new(),
        };
        (0..4).for_each(|step| world.link(step));
        world
    }

    fn kind(&self) -> AccountKind {
        if self.versions { AccountKind::Order } else { AccountKind::Balance }
    }

    fn row<'a>(&self, id: &'a str, state: State, filled: &'a str) -> Row<'a> {
        Row {
            kind: self.kind(),
            market: None,
            symbol: "S",
            keys: &["id"],
            version: self.versions.then(|| Version::of_order(state.at, Some(filled), state.is_open)),
            is_open: state.is_open,
            fields: vec![("id", FieldValue::Text(id))],
            event: None,
        }
    }

    fn change(&mut self, id: &'static str, state: State) {
        self.truth.insert(id, state);
        if self.connected {
            self.stream.push_back((id, state));
        }
    }

    fn deliver(&mut self) {
        let Some((id, state)) = self.stream.pop_front() else { return };
        let filled = state.filled.to_string();
        let row = self.row(id, state, &filled);
        if self.initial.streamed(&row) {
            self.published.insert(id.to_owned(), state);
        }
    }

    /// Connected, asked, image made, image come, disconnected: in this order, over and over.
    fn link(&mut self, step: usize) {
        match step {
            0 => {
                self.connected = true;
                self.initial.connected();
            }
            1 => self.initial.asked(self.kind()),
            2 => self.image = self.truth.iter().filter(|(_, s)| s.is_open).map(|(id, s)| (*id, *s)).collect(),
            3 => {
                for (id, state) in std::mem::take(&mut self.image) {
                    let filled = state.filled.to_string();
                    let row = self.row(id, state, &filled);
                    if self.initial.imaged(&row) {
                        self.published.insert(id.to_owned(), state);
                    }
                }
                for gone in self.initial.completed(self.kind()) {
                    let state = self.published.get_mut(&*gone.keys[0].1).expect("what is gone was there");
                    state.is_open = false;
                }
            }
            _ => {
                self.connected = false;
                self.stream.clear();
            }
        }
    }

    /// At rest, what was published last is how it stands.
    fn check(&self, path: &str) {
        for (id, state) in &self.truth {
            match self.published.get(*id) {
                Some(told) if state.is_open => assert_eq!(told, state, "{id} after {path}"),
                Some(told) => assert!(!told.is_open, "{id} is still open after {path}: {told:?}"),
                None => assert!(!state.is_open, "{id} was never told after {path}"),
            }
        }
    }
}

/// Tries every order of the changes, the deliveries, and these steps of the link.
fn explore(world: &World, changes: &[(&'static str, State)], link: &[usize], path: &mut String, ends: &mut u64) {
    let mut moved = false;
    let mut go = |name: &str, next: World, changes: &[(&'static str, State)], link: &[usize]| {
        let length = path.len();
        path.push_str(name);
        explore(&next, changes, link, path, ends);
        path.truncate(length);
        moved = true;
    };
    if let Some(((id, state), rest)) = changes.split_first() {
        let mut next = world.clone();
        next.change(id, *state);
        go("c", next, rest, link);
    }
    if !world.stream.is_empty() {
        let mut next = world.clone();
        next.deliver();
        go("d", next, changes, link);
    }
    if let Some((step, rest)) = link.split_first() {
        let mut next = world.clone();
        next.link(*step);
        go(["C", "A", "M", "I", "L"][*step], next, changes, rest);
    }
    if !moved {
        *ends += 1;
        world.check(path);
    }
}

fn state(at: u64, filled: u32, is_open: bool) -> State {
    State { at, filled, is_open }
}

/// Changes of two rows, some within the same moment of the venue's clock.
fn changes() -> [(&'static str, State); 4] {
    [("b", state(2, 0, true)), ("a", state(2, 1, true)), ("b", state(2, 2, false)), ("a", state(3, 1, false))]
}

/// The steps of a link: see [`World::link`].
const RECONNECT: [usize; 5] = [4, 0, 1, 2, 3];
const ANOTHER_IMAGE: [usize; 3] = [1, 2, 3];

#[test]
fn every_order_of_stream_and_image_ends_in_the_truth() {
    for versions in [true, false] {
        for steps in [&RECONNECT[..], &ANOTHER_IMAGE] {
            let mut world = World::new(versions);
            world.change("c", state(1, 0, true));
            let mut ends = 0;
            explore(&world, &changes(), steps, &mut String::new(), &mut ends);
            assert!(ends > 1_000, "{ends}");
        }
    }
}

proptest! {
    /// Long lives of many rows over many connections.
    #[test]
    fn long_lives_end_in_the_truth(
        versions: bool,
        steps in prop::collection::vec((0_u8..6, 0_usize..4, any::<bool>()), 1..200),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let mut world = World::new(versions);
        let (mut link, mut now) = (4, 2);
        for (what, which, flag) in steps {
            let id = IDS[which];
            match what {
                0 | 1 => {
                    let old = world.truth.get(id).copied().unwrap_or(state(0, 0, true));
                    // A closed order stays closed; a balance may come back.
                    if versions && !old.is_open {
                        continue;
                    }
                    now += u64::from(flag);
                    let is_open = what == 0 || !flag;
                    world.change(id, state(now, old.filled + 1, is_open));
                }
                2..=4 => world.deliver(),
                _ => {
                    world.link(link % 5);
                    link += 1;
                }
            }
        }
        // To the end of the image of the last connection, and over another one.
        while link % 5 != 4 {
            world.link(link % 5);
            link += 1;
        }
        RECONNECT.into_iter().for_each(|step| world.link(step));
        while !world.stream.is_empty() {
            world.deliver();
        }
        world.check("a long life");
    }
}

#[test]
fn an_image_that_is_late_opens_nothing_again() {
    let mut world = World::new(true);
    world.link(1);
    world.link(2);
    world.change("a", state(5, 3, false));
    world.deliver();
    world.link(3);
    assert_eq!(world.published["a"], state(5, 3, false));
}

#[test]
fn what_the_stream_has_told_is_not_gone_because_an_image_lags() {
    let mut world = World::new(true);
    world.change("b", state(2, 0, true));
    world.deliver();
    world.link(1);
    world.image = Vec::new();
    world.link(3);
    assert!(world.published["b"].is_open);
    assert!(!world.published["a"].is_open, "of which the stream has told nothing");
}

#[test]
fn closed_rows_are_forgotten_in_time() {
    let mut initial = Initial::default();
    initial.connected();
    for n in 0..CLOSED_MAX + 100 {
        let id = n.to_string();
        let row = |is_open| Row {
            kind: AccountKind::Order,
            market: None,
            symbol: "S",
            keys: &["id"],
            version: Some(Version::of_order(1, None, is_open)),
            is_open,
            fields: vec![("id", FieldValue::Text(&id))],
            event: None,
        };
        assert!(initial.streamed(&row(true)) && initial.streamed(&row(false)));
    }
    assert_eq!(initial.rows.len(), CLOSED_MAX);
    assert_eq!(initial.closed.len(), CLOSED_MAX);
}
