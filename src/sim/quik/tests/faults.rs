//! What each fault does, without sockets.

use super::*;

#[test]
fn offline_and_frozen() {
    let mut t = terminal(&["offline:500@2", "frozen:500@5"]);
    t.take_events();
    let info = |t: &mut Terminal, ms| {
        call_at(t, ms, "getInfoParam", json!({"param_name": "LASTRECORDTIME"}))["result"]["info_param"].clone()
    };
    assert_eq!(info(&mut t, 0), "11:57:56");
    assert_eq!(info(&mut t, 0), "");
    assert_eq!(call(&mut t, "isConnected", json!({}))["result"]["is_connected"], 0);
    assert_eq!(names(&mut t), ["OnDisconnected"]);
    t.tick(at(499));
    assert_eq!(names(&mut t), [""; 0]);
    t.tick(at(500));
    assert_eq!(events(&mut t), [("OnConnected".to_owned(), Some(json!({"flag": true})))]);
    assert_eq!(call_at(&mut t, 600, "isConnected", json!({}))["result"]["is_connected"], 1);
    assert_eq!(info(&mut t, 4_600), "11:58:01");
    assert_eq!(info(&mut t, 5_000), "11:58:01");
    t.tick(at(5_100));
    assert_eq!(info(&mut t, 5_600), "11:58:02");
}

#[test]
fn faults_that_end_the_script() {
    let end = |fault: &str| terminal(&[fault]).answer(br#"{"method":"isConnected"}"#, at(0));
    for (fault, ms, said) in [("dead:7@1", 7, false), ("restart:8@1", 8, true), ("encode_crash:9@1", 9, false)] {
        let answered = end(fault);
        assert_eq!(answered.end, Some(End { down: Duration::from_millis(ms), said }), "{fault}");
        assert_eq!(answered.reply, None, "{fault}");
    }
    let mut t = terminal(&["crash_on_burst:10"]);
    let mut every = |micros: u64, from_second: u64| {
        let stamp = |n: u64| Stamp { mono: Mono(from_second * 1_000_000_000 + n * micros * 1_000), ..at(0) };
        (1..=100).find(|n| t.answer(br#"{"method":"isConnected"}"#, stamp(*n)).end.is_some())
    };
    assert_eq!((every(1_900, 60), every(1_000, 70), every(999, 80)), (None, None, Some(11)));
}

#[test]
fn faults_of_answers() {
    let mut t = terminal(&["lost_answer@2", "slow:30@3"]);
    let ask = |t: &mut Terminal| t.answer(br#"{"method":"isConnected"}"#, at(0));
    assert!(ask(&mut t).reply.is_some());
    assert!(ask(&mut t).reply.is_none());
    let slow = ask(&mut t);
    assert!(slow.reply.is_some() && slow.busy == Duration::from_millis(30));
    assert_eq!(t.calls()["isConnected"], 3, "a lost answer's call is executed");
    let mut t = terminal(&["cp1251"]);
    assert!(String::from_utf8(raw_at(&mut t, 0, r#"{"method":"foo"}"#)).is_err());
    let mut t = terminal(&["no_quantity"]);
    call(&mut t, "Subscribe_Level_II_Quotes", riz6());
    let quotes = call(&mut t, "getQuoteLevel2", riz6());
    assert_eq!(
        (quotes["result"]["bids"][0].get("quantity"), quotes["result"]["offers"][19].get("quantity")),
        (None, None)
    );
    let book = t.book("SPBFUT", "RIZ6").unwrap();
    assert_eq!((book.bids.len(), book.asks.len()), (19, 19));
    let mut t = terminal(&["unknown_security:RIZ6"]);
    assert_eq!(call(&mut t, "getSecurityInfo", riz6()), nothing());
    assert_ne!(call(&mut t, "getSecurityInfo", json!({"class_code": "SPBFUT", "sec_code": "SiZ6"})), nothing());
}

#[test]
fn faults_of_history() {
    let size = |t: &mut Terminal, uuid: &str, ms| {
        call_at(t, ms, "datasource.Size", json!({"datasource_uuid": uuid}))["result"]["value"].as_i64().unwrap()
    };
    let mut t = terminal(&["late_history:1000"]);
    let uuid = create(&mut t, "INTERVAL_M1");
    assert_eq!((size(&mut t, &uuid, 1_000), size(&mut t, &uuid, 1_300)), (0, 300));
    let mut t = terminal(&["no_history"]);
    let uuid = create(&mut t, "INTERVAL_M1");
    assert_eq!(size(&mut t, &uuid, 3_600_000), 0);
}

#[test]
fn faults_of_events() {
    let traded = |t: &mut Terminal| {
        t.step(100, at(0));
        t.take_events()
    };
    assert!(traded(&mut terminal(&["light"])).iter().all(|event| event.name == "PublisherOnline"));
    assert!(traded(&mut terminal(&["events_off"])).is_empty());
    let mut t = terminal(&["garbage@1"]);
    call(&mut t, "isConnected", json!({}));
    let told = traded(&mut t);
    let readable = |event: &&Event| event.payload.as_ref().is_some_and(|p| serde_json::from_slice::<Value>(p).is_ok());
    assert_eq!(
        told.len() - told.iter().filter(readable).count(),
        2,
        "the garbage, and PublisherOnline without payload"
    );
    let mut t = terminal(&["exponent_ids"]);
    let payload = traded(&mut t).pop().unwrap().payload.unwrap();
    let text = String::from_utf8(payload).unwrap();
    let number = text.split("\"trade_num\":").nth(1).unwrap().split([',', '}']).next().unwrap();
    assert!(number.contains("e+14"), "{number}");
    let mut t = terminal(&["burst:1000@1"]);
    call(&mut t, "isConnected", json!({}));
    t.take_events();
    (0..4).for_each(|_| t.tick(at(0)));
    assert_eq!(t.take_events().len(), 1_000);
}

#[test]
fn the_day_is_told_again_after_connecting() {
    let mut t = terminal(&["day_replay:30", "offline:100@1"]);
    t.tick(at(0));
    assert_eq!(names(&mut t).iter().filter(|name| *name == "OnAllTrade").count(), 30);
    t.step(100, at(0));
    t.take_events();
    call(&mut t, "isConnected", json!({}));
    t.tick(at(100));
    let told = events(&mut t);
    assert_eq!((told[0].0.as_str(), told[1].0.as_str(), told.len()), ("OnDisconnected", "OnConnected", 32));
    let last = told[31].1.as_ref().unwrap();
    let (class, code) = (last["class_code"].as_str().unwrap(), last["sec_code"].as_str().unwrap());
    assert_eq!(t.trades(class, code).last().unwrap().num, last["trade_num"].as_i64().unwrap());
}

#[test]
fn a_day_ends_at_midnight_in_moscow() {
    let clock = UnixNanos(WALL + (12 * 3_600 + 2 * 60) * 1_000_000_000);
    let mut t =
        terminal_with(Settings { clock: Some(clock), deal_every: Duration::from_secs(1), ..Settings::default() });
    t.tick(at(3_000));
    let told = names(&mut t);
    assert!(told.contains(&"OnOrder".to_owned()) && !told.contains(&"OnCleanUp".to_owned()), "{told:?}");
    t.tick(at(4_000));
    assert!(names(&mut t).contains(&"OnCleanUp".to_owned()));
    let rows = call_at(&mut t, 4_000, "getNumberOf", json!({"table_name": "all_trades"}));
    assert_eq!(rows["result"]["result"], 0);
    let time = call_at(&mut t, 4_000, "getInfoParam", json!({"param_name": "SERVERTIME"}));
    assert_eq!(time["result"]["info_param"], "00:00:00");
}
