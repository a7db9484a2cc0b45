//! Subscribed candle streams: what is published, and each candle closed once.

use super::*;

fn streaming(series: Series) -> Desk {
    let mut desk = Desk::with(&[("RIZ6", "1m")], 3);
    desk.terminal.series.insert("RIZ6 INTERVAL_M1".to_owned(), series);
    desk.live();
    desk
}

/// Minutes since the begin, whether closed, whether a backfill.
fn candles(told: &[Told]) -> Vec<(i64, bool, bool)> {
    let of = |told: &Told| match told {
        Told::Candle { open_time, closed, backfill, .. } => {
            let minute = i64::try_from(open_time / MINUTE).expect("small") - i64::try_from(BEGIN).expect("small");
            Some((minute, *closed, *backfill))
        }
        _ => None,
    };
    told.iter().filter_map(of).collect()
}

#[test]
fn a_stream_begins_with_a_few_candles_and_then_tells_changes() {
    let mut desk = streaming(Series::of(3000));
    desk.run(1000, 100);
    let told = desk.said.take();
    assert_eq!(told[0], Told::Subscribed(0));
    let expected: Vec<_> = (-10..=-1).map(|minute| (minute, minute < -1, minute < -1)).collect();
    assert_eq!(candles(&told), expected, "ten of three thousand, closed but for the last");
    assert_eq!(told.len(), 11);

    desk.take_log();
    desk.run(3000, 100);
    assert!(desk.said.take().is_empty(), "nothing changed");
    let log = desk.take_log();
    assert_eq!(log.len(), 3 * 2, "a quiet candle costs two calls a second: {log:?}");

    desk.series().trade(1234);
    desk.run(1000, 100);
    let told = desk.said.take();
    assert_eq!(candles(&told), [(-1, false, false)]);
    let texts = ["105.9", "123.4", "105.9", "123.4", "2"].map(str::to_owned);
    let stamps = |told: &Told| matches!(told, Told::Candle { texts: t, stream: 0, .. } if *t == texts);
    assert!(stamps(&told[0]), "{told:?}");

    desk.series().trade(1300);
    desk.series().next(1310);
    desk.run(1000, 100);
    let told = desk.said.take();
    assert_eq!(candles(&told), [(-1, true, false), (0, false, false)]);
    let Told::Candle { texts, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(texts[3], "130", "the closed one has its last trade");

    for minute in 1..=3 {
        desk.series().next(1300 + minute);
    }
    desk.run(1000, 100);
    let closed = [(0, true, false), (1, true, false), (2, true, false), (3, false, false)];
    assert_eq!(candles(&desk.said.take()), closed, "none is left out");
}

#[test]
fn what_was_missed_is_made_up_for_and_nothing_is_closed_twice() {
    let mut desk = streaming(Series::of(100));
    desk.run(1000, 100);
    desk.said.take();
    desk.down();
    desk.said.calls.clear();
    desk.terminal.restart();
    for minute in 0..40 {
        desk.series().next(900 + minute);
    }
    desk.run(5000, 100);
    desk.live();
    desk.run(2000, 100);
    let told = desk.said.take();
    assert_eq!(told[0], Told::Subscribed(0));
    let expected: Vec<_> = (-1..=39).map(|minute| (minute, minute < 39, minute < 39)).collect();
    assert_eq!(candles(&told), expected);
    desk.down();
    desk.live();
    desk.run(2000, 100);
    assert_eq!(desk.said.take(), [Told::Subscribed(0)], "nothing new: live all the same");
}

#[test]
fn a_long_absence_is_made_up_for_within_a_bound() {
    let mut desk = streaming(Series::of(100));
    desk.run(1000, 100);
    desk.said.take();
    desk.down();
    for minute in 0..2000 {
        desk.series().next(900 + minute);
    }
    desk.said.calls.clear();
    desk.live();
    desk.run(3000, 100);
    assert_eq!(candles(&desk.said.take()).len(), 500);
}

#[test]
fn an_instrument_without_trades_is_live_and_gets_its_first_candle() {
    let mut desk = streaming(Series { at_first: usize::MAX, ..Series::default() });
    desk.run(11_000, 100);
    assert_eq!(desk.said.take(), [Told::Subscribed(0)]);
    assert_eq!(desk.terminal.open(), 1, "its datasource stays open");
    desk.take_log();
    desk.run(10_000, 100);
    assert_eq!(desk.take_log().len(), 2, "a look each five seconds");
    desk.series().next(1000);
    desk.run(6000, 100);
    assert_eq!(candles(&desk.said.take_news()), [(0, false, false)]);
    assert_eq!(desk.terminal.made, 1);
}

#[test]
fn an_unknown_security_is_refused_and_tried_again_slowly() {
    let mut desk = Desk::with(&[("REFUSED", "1m"), ("RIZ6", "1m")], 3);
    desk.terminal.series.insert("RIZ6 INTERVAL_M1".to_owned(), Series::of(3));
    desk.live();
    desk.run(60_000, 100);
    let told = desk.said.take();
    let refused: Vec<_> = told.iter().filter(|told| matches!(told, Told::Rejected(..))).collect();
    assert_eq!(refused, [&Told::Rejected(0, "Класс не найден".to_owned())]);
    assert_eq!(candles(&told).len(), 3, "the other one runs on");
    desk.take_log();
    desk.run(600_000, 100);
    let creates = desk.take_log().iter().filter(|method| *method == "datasource.CreateDataSource").count();
    assert_eq!(creates, 1);
}

#[test]
fn more_streams_than_datasources_are_refused_by_name() {
    let mut desk = Desk::with(&[("RIZ6", "1m"), ("RIZ6", "5m"), ("SiZ6", "1m")], 2);
    for key in ["RIZ6 INTERVAL_M1", "RIZ6 INTERVAL_M5", "SiZ6 INTERVAL_M1"] {
        desk.terminal.series.insert(key.to_owned(), Series::of(3));
    }
    desk.live();
    desk.run(3000, 100);
    let told = desk.said.take();
    let refused: Vec<_> = told.iter().filter(|told| matches!(told, Told::Rejected(..))).collect();
    let [Told::Rejected(2, detail)] = refused[..] else { panic!("{refused:?}") };
    assert!(detail.contains("terminal.datasources allows 2"), "{detail}");
    assert_eq!(desk.terminal.open(), 2);
    let answer = desk.fetch(&json!({"op": "history", "symbol": "SiZ6", "interval": "1m"}));
    assert_eq!(answer["reason"], "failed", "and no question can have one: {answer}");
    assert_eq!(super::candles(&desk.fetch_last(3)).len(), 3, "but questions share those of the streams");
}

#[test]
fn a_doubted_stream_is_told_again() {
    let mut desk = streaming(Series::of(100));
    desk.run(1000, 100);
    desk.said.take();
    desk.history.resync(StreamId(0), at(desk.ms), &mut desk.said);
    desk.run(100, 100);
    assert_eq!(candles(&desk.said.take()), [(-1, false, false)]);
}

#[test]
fn a_short_budget_is_shared_by_all_streams() {
    let names: Vec<String> = (0..40).map(|n| format!("F{n}")).collect();
    let streams: Vec<_> = names.iter().map(|name| (name.as_str(), "1m")).collect();
    let mut desk = Desk::with(&streams, 40);
    for name in &names {
        desk.terminal.series.insert(format!("{name} INTERVAL_M1"), Series::of(50));
    }
    desk.live();
    // One call each 5 ms.
    for _ in 0..8000 {
        desk.run(4, 0);
        desk.run(1, 1);
        assert!(desk.said.calls.len() <= calls::IN_FLIGHT + 2 * names.len(), "{}", desk.said.calls.len());
    }
    let mut told = [0; 40];
    for update in desk.said.take() {
        if let Told::Candle { stream, .. } = update {
            told[stream as usize] += 1;
        }
    }
    assert!(told.iter().all(|told| *told == 10), "{told:?}");
}
