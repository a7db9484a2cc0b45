//! The reference counting against a model that only knows sets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn stream(symbol: usize, channel: usize) -> Stream {
    let channels =
        [Channel::Trade, Channel::Ticker, Channel::Book(BookDepth::Levels(50)), Channel::Book(BookDepth::Levels(200))];
    Stream::new(["A", "AB", "B"][symbol], channels[channel])
}

fn owner(which: u64) -> Owner {
    match which {
        0 => Owner::Config,
        1 | 2 => Owner::Client(format!("client{which}").into()),
        connection => Owner::Connection(connection),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wish(usize, usize, u64),
    Unwish(usize, usize, u64),
    End(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize, 0..4_usize, 0..6_u64).prop_map(|(symbol, channel, who)| Step::Wish(symbol, channel, who)),
        3 => (0..3_usize, 0..4_usize, 0..6_u64).prop_map(|(symbol, channel, who)| Step::Unwish(symbol, channel, who)),
        1 => (3..6_u64).prop_map(Step::End),
    ];
    prop::collection::vec(step, 0..120)
}

/// Who wishes what.
type Model = BTreeMap<Stream, BTreeSet<Owner>>;

fn is_book(stream: &Stream) -> bool {
    matches!(stream.channel, Channel::Book(_))
}

fn step(wished: &mut Wished, model: &mut Model, step: Step) {
    match step {
        Step::Wish(symbol, channel, who) => {
            let (stream, owner) = (stream(symbol, channel), owner(who));
            let rival = model
                .keys()
                .find(|other| is_book(other) && is_book(&stream) && other.symbol == stream.symbol && **other != stream);
            let met = wished.wish(&stream, &owner);
            if let Some(rival) = rival {
                return assert_eq!(met, Err(Refusal::Instead(rival.clone())));
            }
            let is_new = model.entry(stream).or_default().insert(owner);
            assert_eq!(matches!(met, Ok(Wish::New(_))), is_new, "{met:?}");
        }
        Step::Unwish(symbol, channel, who) => {
            let (stream, owner) = (stream(symbol, channel), owner(who));
            let left = wished.unwish(&stream, &owner);
            let Some(owners) = model.get_mut(&stream) else { return assert_eq!(left, Left::Nothing) };
            owners.remove(&owner);
            if who > 2 {
                owners.remove(&Owner::Nobody);
            }
            let expected = if owners.is_empty() { Left::Last } else { Left::Others(owners.len()) };
            assert_eq!(left, expected);
            model.retain(|_, owners| !owners.is_empty());
        }
        Step::End(connection) => {
            wished.connection_ended(connection);
            for owners in model.values_mut() {
                if owners.remove(&Owner::Connection(connection)) {
                    owners.insert(Owner::Nobody);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_stream_is_wished_for_exactly_while_somebody_wishes_it(steps in steps()) {
        let (mut wished, mut model) = (Wished::default(), Model::new());
        for one in steps {
            step(&mut wished, &mut model, one);
            let all: Model =
                wished.all().map(|(stream, owners)| (stream.clone(), owners.into_iter().cloned().collect())).collect();
            prop_assert_eq!(&all, &model);
            prop_assert_eq!(wished.wishes, model.values().map(BTreeSet::len).sum::<usize>());
            prop_assert_eq!(wished.places.len(), model.len());
            for symbol in ["A", "AB", "B", ""] {
                let of_symbol: Vec<_> = wished.of_symbol(symbol).map(|(stream, _)| stream.clone()).collect();
                let expected: Vec<_> = model.keys().filter(|stream| stream.symbol == symbol).cloned().collect();
                prop_assert_eq!(of_symbol, expected);
            }
        }
    }
}

#[test]
fn a_refused_wish_goes_alone() {
    let mut wished = Wished::default();
    let trade = stream(0, 0);
    let Ok(Wish::New(first)) = wished.wish(&trade, &owner(1)) else { panic!("a new wish") };
    let Ok(Wish::New(second)) = wished.wish(&trade, &owner(2)) else { panic!("a new wish") };
    assert_eq!(wished.drop_wish(&trade, first), Left::Others(1));
    assert_eq!(wished.drop_wish(&trade, first), Left::Others(1), "that wish is gone already");
    assert_eq!(wished.drop_wish(&trade, second), Left::Last);
    assert_eq!(wished.drop_wish(&trade, second), Left::Nothing);
}

#[test]
fn wishes_are_bounded() {
    let mut wished = Wished { wishes: WISHES_MAX, ..Wished::default() };
    assert_eq!(wished.wish(&stream(0, 0), &owner(1)), Err(Refusal::Full));
}
