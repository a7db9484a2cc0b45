//! Questions: the first load, refreshes, memory, errors, limits.

use super::*;

#[test]
fn the_first_load_waits_until_the_size_stands_still() {
    let mut series = Series::of(100);
    (series.at_first, series.a_look) = (0, 40);
    let mut desk = Desk::new(series);
    let id = desk.ask_for(100);
    desk.run(450, 100);
    assert!(desk.answer_of(id).is_none());
    assert!(!desk.take_log().contains(&"datasource.T".to_owned()), "no bar is read while it grows");
    desk.run(500, 100);
    let answer = desk.answer_of(id).unwrap_or_else(|| desk.fetch_last(100));
    assert_eq!(candles(&answer), desk.series().candles());
    assert_eq!(
        (&answer["symbol"], &answer["interval"], &answer["complete"]),
        (&json!("RIZ6"), &json!("1m"), &json!(true))
    );
}

#[test]
fn only_what_is_asked_for_is_read_and_later_only_what_is_new() {
    let mut desk = Desk::new(Series::of(3000));
    let answer = desk.fetch_last(10);
    assert_eq!(candles(&answer), &desk.series().candles()[2990..]);
    let log = desk.take_log();
    assert_eq!(log.iter().filter(|method| *method == "datasource.T").count(), 10);
    assert_eq!(log.len(), 1 + 2 + 10 * 6, "a datasource, two looks at its size, six calls a bar: {log:?}");

    assert_eq!(desk.fetch_last(10), answer);
    assert!(desk.take_log().is_empty(), "from memory");

    desk.run(300, 10);
    desk.series().trade(2000);
    let answer = desk.fetch_last(10);
    assert_eq!(candles(&answer), &desk.series().candles()[2990..]);
    assert_eq!(desk.take_log().len(), 1 + 6, "the size and the last bar");

    desk.run(300, 10);
    desk.series().next(1500);
    desk.series().trade(1510);
    let answer = desk.fetch_last(11);
    assert_eq!(candles(&answer), &desk.series().candles()[2990..]);
    assert_eq!(desk.take_log().len(), 1 + 2 * 6);

    desk.run(300, 10);
    let answer = desk.fetch_last(50);
    assert_eq!(candles(&answer), &desk.series().candles()[2951..], "older ones are added");
    let bars = desk.take_log().iter().filter(|method| *method == "datasource.T").count();
    assert!((40..=80).contains(&bars), "{bars}");
}

#[test]
fn times_select_bars() {
    let mut desk = Desk::new(Series::of(600));
    let time = |minute: u64| (BEGIN - 600 + minute) * MINUTE;
    let from = json!({"op": "history", "symbol": "RIZ6", "interval": "1m", "from": time(500), "to": time(520)});
    let answer = desk.fetch(&from);
    assert_eq!(candles(&answer), &desk.series().candles()[500..520]);
    assert_eq!(answer["complete"], true);
    let text = json!({"op": "history", "symbol": "RIZ6", "interval": "1m", "n": 2, "to": "2026-11-21T08:00:00+03:00"});
    let answer = desk.fetch(&text);
    assert_eq!(candles(&answer), &desk.series().candles()[538..540]);
    let before = json!({"op": "history", "symbol": "RIZ6", "interval": "1m", "from": 0, "to": 5});
    let answer = desk.fetch(&before);
    assert_eq!((candles(&answer).len(), &answer["complete"]), (0, &json!(true)));
}

#[test]
fn three_errors_and_none_leaves_a_datasource() {
    let mut desk = Desk::new(Series::of(5));
    desk.terminal.series.insert("EMPTY INTERVAL_D1".to_owned(), Series::default());
    let ask = |symbol: &str, interval: &str| json!({"op": "history", "symbol": symbol, "interval": interval});

    let answer = desk.fetch(&ask("REFUSED", "1m"));
    assert_eq!(answer["reason"], "unknown_security");
    assert!(answer["error"].as_str().expect("words").contains("Класс не найден"), "{answer}");

    let began = desk.ms;
    let answer = desk.fetch(&ask("NOPE", "1m"));
    assert_eq!(answer["reason"], "unknown_security", "the datasource is empty, and the security is not known");
    assert!(desk.ms - began < 500, "that is known at once");

    let began = desk.ms;
    let id = desk.ask(&ask("EMPTY", "1d"));
    desk.run(905, 100);
    let loading = desk.answer_of(id).expect("it waits 900 ms");
    assert_eq!((&loading["reason"], &loading["bars"], &loading["of"]), (&json!("loading"), &json!(0), &json!(0)));
    let answer = desk.fetch(&ask("EMPTY", "1d"));
    assert_eq!(answer["reason"], "no_history");
    assert!((10_000..11_000).contains(&(desk.ms - began)));
    assert_eq!(desk.terminal.open(), 0, "{:?}", desk.terminal.sources);

    desk.take_log();
    assert_eq!(desk.fetch(&ask("EMPTY", "1d")), answer);
    assert!(desk.take_log().is_empty(), "a failure is remembered for a moment");
    desk.run(6000, 10);
    assert!(desk.history.places.is_empty(), "and forgotten");
    desk.terminal.series.insert("EMPTY INTERVAL_D1".to_owned(), Series::of(3));
    assert_eq!(candles(&desk.fetch(&ask("EMPTY", "1d"))).len(), 3);
}

#[test]
fn a_long_load_tells_how_far_it_is_and_goes_on_meanwhile() {
    let mut desk = Desk::new(Series::of(3000));
    let (mut last, mut answers) = (0, 0);
    let answer = loop {
        let id = desk.ask_for(1000);
        while desk.answer_of(id).is_none() {
            desk.run(1, 1);
        }
        let answer = desk.answer_of(id).expect("an answer");
        if answer["ok"] == true {
            break answer;
        }
        answers += 1;
        let bars = answer["bars"].as_u64().expect("bars");
        assert!(answer["reason"] == "loading" && answer["of"] == 1000 && bars >= last, "{answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("of 1000 bars")), "{answer}");
        last = bars;
    };
    assert_eq!(candles(&answer), &desk.series().candles()[2000..]);
    assert!((5..=9).contains(&answers), "6,000 calls at a thousand a second: {answers}");
}

#[test]
fn a_load_nobody_asks_for_any_more_ends() {
    let mut desk = Desk::new(Series::of(50_000));
    desk.ask_for(5000);
    desk.run(12_000, 1);
    desk.take_log();
    desk.run(5000, 1);
    assert!(desk.take_log().is_empty());
    // A short question during a long load need not wait for its end.
    desk.ask_for(5000);
    desk.run(500, 1);
    let id = desk.ask_for(5);
    desk.run(300, 1);
    assert_eq!(candles(&desk.answer_of(id).expect("an answer")).len(), 5);
}

#[test]
fn a_thousand_questions_share_one_load() {
    let mut desk = Desk::new(Series::of(500));
    for _ in 0..1000 {
        desk.ask_for(100);
    }
    assert_eq!(desk.history.waiting(), 1000);
    desk.run(800, 100);
    assert_eq!(desk.said.answers.len(), 1000);
    let expected = desk.answer_of(1);
    assert!((2..=1000).all(|id| desk.answer_of(id) == expected));
    assert!(desk.take_log().len() < 3 + 6 * 133, "one load");
}

#[test]
fn datasources_are_few_and_the_least_used_is_closed() {
    let mut desk = Desk::new(Series::of(5));
    for name in ["A", "B", "C", "D", "E"] {
        desk.terminal.series.insert(format!("{name} INTERVAL_M1"), Series::of(5));
    }
    let ask = |symbol: &str| json!({"op": "history", "symbol": symbol, "interval": "1m", "n": 5});
    for name in ["A", "B", "C"] {
        desk.fetch(&ask(name));
    }
    desk.run(1000, 10);
    desk.fetch(&ask("A"));
    desk.fetch(&ask("D"));
    let open: BTreeSet<_> = desk.terminal.sources.values().filter(|s| !s.closed).map(|s| s.key.clone()).collect();
    let keys = ["A INTERVAL_M1", "C INTERVAL_M1", "D INTERVAL_M1"].map(str::to_owned);
    assert_eq!(open, BTreeSet::from(keys), "B was used least");

    // All of them at once: three are loaded at a time, and the others wait.
    desk.run(1000, 10);
    let ids: Vec<u64> = ["A", "B", "C", "D", "E", "RIZ6"].iter().map(|name| desk.ask(&ask(name))).collect();
    desk.run(900, 100);
    assert!(desk.terminal.open() <= 3);
    let answered = ids.iter().filter(|id| desk.answer_of(**id).is_some_and(|answer| answer["ok"] == true)).count();
    assert_eq!(answered, 6);
}

#[test]
fn waiting_for_a_datasource_is_loading_too() {
    let mut desk = Desk::with(&[], 1);
    for name in ["A", "B"] {
        desk.terminal.series.insert(format!("{name} INTERVAL_M1"), Series::of(5000));
    }
    desk.live();
    let ask = |symbol: &str, n: usize| json!({"op": "history", "symbol": symbol, "interval": "1m", "n": n});
    desk.ask(&ask("A", 5000));
    let id = desk.ask(&ask("B", 1));
    desk.run(905, 1);
    let answer = desk.answer_of(id).expect("an answer");
    assert_eq!(answer["reason"], "loading");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("all 1 datasources")), "{answer}");
    // Nobody asks for A any more: B gets its turn.
    desk.run(11_000, 10);
    assert_eq!(candles(&desk.fetch(&ask("B", 1))).len(), 1);
}

#[test]
fn bad_questions_and_a_terminal_that_is_away_are_answered_at_once() {
    let mut desk = Desk::new(Series::of(5));
    let id = desk.ask(&json!({"op": "history", "symbol": "RIZ6", "interval": "7m"}));
    assert_eq!(desk.answer_of(id).expect("now")["reason"], "bad_request");
    let waits = desk.ask_for(5);
    desk.down();
    assert_eq!(desk.answer_of(waits).expect("now")["reason"], "down");
    let id = desk.ask_for(5);
    assert_eq!(desk.answer_of(id).expect("now")["reason"], "down");
    desk.said.calls.clear();
    desk.run(100, 10);
    desk.live();
    assert_eq!(candles(&desk.fetch_last(5)).len(), 5);
}

#[test]
fn a_question_that_does_not_wait_is_answered_from_memory_or_told_to_come_back() {
    let mut desk = Desk::new(Series::of(5));
    let ask = json!({"op": "history", "symbol": "RIZ6", "interval": "1m", "n": 5, "wait_ms": 0});
    let id = desk.ask(&ask);
    assert_eq!(desk.answer_of(id).expect("now")["reason"], "loading");
    desk.run(300, 100);
    let id = desk.ask(&ask);
    assert_eq!(candles(&desk.answer_of(id).expect("now")).len(), 5, "it was loaded meanwhile");
}

#[test]
fn a_datasource_of_before_the_restart_is_made_anew_once() {
    let mut desk = Desk::new(Series::of(50));
    desk.fetch_last(20);
    desk.run(1000, 10);
    desk.terminal.restart();
    desk.series().next(77);
    let answer = desk.fetch_last(20);
    assert_eq!(candles(&answer), &desk.series().candles()[31..]);
    assert_eq!((desk.terminal.made, desk.terminal.open()), (2, 1));

    desk.run(1000, 10);
    let id = desk.ask_for(20);
    for _ in 0..200 {
        desk.terminal.restart();
        desk.run(1, 1);
    }
    let answer = desk.answer_of(id).expect("it gives up");
    assert_eq!(answer["reason"], "failed");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("keeps losing")), "{answer}");
    assert_eq!(desk.terminal.made, 3);
}

#[test]
fn no_answer_is_not_the_end() {
    let mut desk = Desk::new(Series::of(50));
    desk.fetch_last(20);
    desk.run(1000, 10);
    let id = desk.ask_for(20);
    let call = desk.said.calls.pop_front().expect("a look at the size");
    desk.answered(call.id, &Reply::Lost("no answer within 1 s"));
    let answer = desk.answer_of(id).expect("now");
    assert_eq!(answer["reason"], "down");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("no answer within 1 s")), "{answer}");
    assert_eq!(candles(&desk.fetch_last(20)).len(), 20);
    assert_eq!(desk.terminal.made, 1, "the datasource is still good");
}

#[test]
fn answers_without_sense_are_told() {
    for (method, reply) in [
        ("datasource.Size", r#"{"result":{"value":"many"}}"#),
        ("datasource.Size", r#"{"result":{"value":-1}}"#),
        ("datasource.Size", r#"{"error":{"code":500,"message":"x"}}"#),
        ("datasource.T", r#"{"result":{"time":{"year":2026,"month":13}}}"#),
        ("datasource.C", r#"{"result":{"value":"nan"}}"#),
        ("datasource.H", r#"{"result":{"value":"123456789012345678901234567890"}}"#),
        ("datasource.O", "[]"),
        ("datasource.CreateDataSource", r#"{"error":{"code":1}}"#),
        ("datasource.CreateDataSource", r#"{"error":{"code":404,"message":"?"}}"#),
    ] {
        let mut desk = Desk::new(Series::of(5));
        let id = desk.ask_for(5);
        for _ in 0..400 {
            let is_it = |call: &crate::venue::RpcRequest| read_call(&call.body).0 == method;
            if desk.said.calls.front().is_some_and(is_it) {
                let call = desk.said.calls.pop_front().expect("a call");
                desk.answered(call.id, &Reply::read(reply));
            }
            desk.run(1, 1);
        }
        let answer = desk.answer_of(id).unwrap_or_else(|| panic!("{method} {reply}"));
        assert_eq!(answer["reason"], "failed", "{method} {reply}: {answer}");
        assert_eq!(desk.terminal.open(), 0, "{method} {reply}: it is closed");
    }
}

#[test]
fn the_end_closes_every_datasource_even_those_being_made() {
    let mut desk = Desk::new(Series::of(50));
    desk.fetch_last(20);
    let waits = desk.ask(&json!({"op": "history", "symbol": "B", "interval": "1h"}));
    let create = desk.said.calls.pop_back().expect("a datasource being made");
    assert_eq!(read_call(&create.body).0, "datasource.CreateDataSource");
    assert!(!create.idempotent, "made twice it would stay open");
    desk.history.shut_down(&mut desk.said);
    assert_eq!(desk.answer_of(waits).expect("now")["reason"], "down");
    desk.said.calls.push_back(create);
    desk.run(10, 10);
    assert_eq!(desk.terminal.open(), 0);
    desk.live();
    assert!(desk.said.calls.is_empty());
}
