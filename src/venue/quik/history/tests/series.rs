//! Properties: history is the terminal's series, whatever grows, gets lost or starts anew, and whenever.

use proptest::prelude::*;

use super::*;

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Step {
    Trade(i64),
    Bar(i64),
    Bars(u8),
    Pass(u16),
    Answers(u8),
    Lose,
    LoseAll,
    Restart,
    Reload,
    Down,
    Ask(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (900_i64..1100).prop_map(Step::Trade),
        4 => (900_i64..1100).prop_map(Step::Bar),
        1 => (1_u8..80).prop_map(Step::Bars),
        6 => (1_u16..400).prop_map(Step::Pass),
        8 => (1_u8..100).prop_map(Step::Answers),
        1 => Just(Step::Lose),
        1 => Just(Step::LoseAll),
        1 => Just(Step::Restart),
        1 => Just(Step::Reload),
        1 => Just(Step::Down),
        4 => (1_u16..200).prop_map(Step::Ask),
    ]
}

impl Desk {
    fn take_step(&mut self, step: Step) {
        match step {
            Step::Trade(price) => self.series().trade(price),
            Step::Bar(price) => self.series().next(price),
            Step::Bars(count) => (0..count).for_each(|n| self.series().next(1000 + i64::from(n))),
            Step::Pass(ms) => self.run(u64::from(ms), 0),
            Step::Answers(count) => (0..count).for_each(|_| {
                self.answer_one();
            }),
            Step::Lose => {
                if let Some(call) = self.said.calls.pop_front() {
                    self.answered(call.id, &Reply::Lost("lost"));
                }
            }
            Step::LoseAll => {
                for call in std::mem::take(&mut self.said.calls) {
                    self.answered(call.id, &Reply::Lost("lost"));
                }
            }
            Step::Restart => self.terminal.restart(),
            // The terminal gets its bars anew, and gives them bit by bit.
            Step::Reload => {
                let series = self.series();
                (series.at_first, series.a_look) = (3, 50);
                self.terminal.sources.values_mut().for_each(|source| source.shown = 3);
            }
            Step::Down => {
                self.down();
                self.live();
            }
            Step::Ask(n) => {
                self.ask_for(usize::from(n));
            }
        }
    }

    /// Lets everything come to rest: answers arrive, time passes.
    fn settle(&mut self) {
        let series = self.series();
        (series.at_first, series.a_look) = (usize::MAX, 0);
        self.terminal.sources.values_mut().for_each(|source| source.shown = usize::MAX);
        self.run(16_000, 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn history_is_the_terminals(bars in 1_u64..150, n in 1_usize..150, steps in prop::collection::vec(step(), 0..60)) {
        let mut desk = Desk::new(Series::of(bars));
        for step in steps {
            desk.take_step(step);
        }
        desk.settle();
        let answer = desk.fetch_last(n);
        let all = desk.series().candles();
        prop_assert_eq!(candles(&answer), &all[all.len().saturating_sub(n)..]);
        prop_assert_eq!(desk.said.answers.len() as u64, desk.asked, "every question has one answer");
        prop_assert_eq!(desk.history.waiting(), 0);
        desk.history.shut_down(&mut desk.said);
        desk.run(100, 100);
        prop_assert_eq!(desk.terminal.open(), 0, "nothing is left open");
    }

    #[test]
    fn each_candle_is_closed_once_and_as_it_ended(bars in 1_u64..50, steps in prop::collection::vec(step(), 0..60)) {
        let mut desk = Desk::with(&[("RIZ6", "1m")], 2);
        desk.terminal.series.insert("RIZ6 INTERVAL_M1".to_owned(), Series::of(bars));
        desk.live();
        desk.run(1000, 100);
        for step in steps {
            desk.take_step(step);
        }
        desk.settle();
        let rows: BTreeMap<u64, Row> = desk.series().rows.iter().map(|row| (row.minute * MINUTE, *row)).collect();
        let mut closed = BTreeSet::new();
        let mut last = 0;
        for told in desk.said.take() {
            let Told::Candle { open_time, closed: is_closed, texts, .. } = told else { continue };
            prop_assert!(open_time >= last, "in order");
            last = open_time;
            let [open, high, low, close, _] = texts.clone().map(|text| text.parse::<f64>().expect("a number"));
            prop_assert!(low <= open.min(close) && high >= open.max(close), "within its range: {texts:?}");
            if is_closed {
                prop_assert!(closed.insert(open_time), "closed twice");
                prop_assert_eq!(&texts, &rows[&open_time].numbers.map(decimal), "as it ended");
            } else {
                prop_assert!(!closed.contains(&open_time), "open again");
            }
        }
        let newest = *rows.keys().next_back().expect("a bar");
        prop_assert_eq!(last, newest);
        let due: Vec<u64> = rows.keys().copied().filter(|time| *time < newest).collect();
        let from = closed.iter().next().copied().unwrap_or(newest);
        let missed = due.iter().filter(|time| **time >= from && !closed.contains(time)).count();
        prop_assert!(missed == 0 || due.len() > 500, "{missed} candles were never closed");
    }
}
