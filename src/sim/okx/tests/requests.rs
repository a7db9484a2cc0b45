//! Requests and what they are answered with: acknowledgements, every refusal, limits, logging in.

use super::*;

#[test]
fn one_acknowledgement_an_argument_with_id_and_connection() {
    let mut bench = Bench::new("public");
    let answers =
        bench.request("subscribe", &[arg("books", "BTC-USDT"), arg("trades", "NOPE"), arg("trades", "BTC-USDT")]);
    let conn_id = answers[0]["connId"].as_str().unwrap().to_owned();
    assert_eq!(conn_id.len(), 8);
    let ack = |channel| json!({"id": "7", "event": "subscribe", "arg": arg(channel, "BTC-USDT"), "connId": conn_id});
    assert_eq!(answers[0], ack("books"));
    assert_eq!((&answers[1]["code"], &answers[1]["connId"]), (&json!("60018"), &json!(conn_id)));
    assert!(answers[1]["msg"].as_str().unwrap().contains("channel:trades,instId:NOPE doesn't exist"));
    assert_eq!(answers[2], ack("trades"), "the good ones of a request are served");
    assert_eq!((answers.len(), &answers[3]["action"]), (4, &json!("snapshot")));
    let gone = bench.request("unsubscribe", &[arg("books", "BTC-USDT"), arg("books", "ETH-USDT")]);
    assert_eq!(gone[0], json!({"id": "7", "event": "unsubscribe", "arg": arg("books", "BTC-USDT"), "connId": conn_id}));
    assert_eq!((gone.len(), &gone[1]["event"]), (2, &json!("unsubscribe")), "also for what was not subscribed");
    assert!(of(&bench.run(1_000), "books").is_empty());
}

#[test]
fn requests_that_make_no_sense() {
    let mut bench = Bench::new("public");
    let long_id = "a".repeat(33);
    for (text, code) in [
        ("nonsense", "60012"),
        ("[]", "60012"),
        ("{}", "60012"),
        (r#"{"id":5,"op":"subscribe","args":[]}"#, "60012"),
        (r#"{"op":"subscribe","args":7}"#, "60012"),
        (r#"{"op":"dance"}"#, "60019"),
        (r#"{"op":"subscribe"}"#, "60013"),
        (r#"{"op":"subscribe","args":[5]}"#, "60013"),
        (r#"{"op":"subscribe","args":[{"instId":"BTC-USDT"}]}"#, "60013"),
        (r#"{"op":"subscribe","args":[{"channel":"books"}]}"#, "60013"),
        (r#"{"op":"subscribe","args":[{"channel":"books","instId":7}]}"#, "60013"),
        (r#"{"op":"subscribe","args":[{"channel":"instruments","instType":"MOON"}]}"#, "60013"),
        (r#"{"op":"subscribe","args":[{"channel":"tickers","uly":"BTC-USDT"}]}"#, "64000"),
        (r#"{"id":"a-b","op":"subscribe","args":[]}"#, "60033"),
        (&format!(r#"{{"id":"{long_id}","op":"subscribe","args":[]}}"#), "60033"),
    ] {
        let answers = bench.ask(text);
        assert_eq!(
            (answers.len(), &answers[0]["event"], &answers[0]["code"]),
            (1, &json!("error"), &json!(code)),
            "{text}"
        );
        assert_eq!(answers[0].get("id"), None, "{text}");
    }
    assert_eq!(bench.closed, None, "the socket stays open");
    assert!(bench.ask("nonsense")[0]["msg"].as_str().unwrap().starts_with("Invalid request: nonsense"));
    let illegal = Bench::of(JAPAN, "public", Settings::default()).ask("nonsense");
    assert!(illegal[0]["msg"].as_str().unwrap().starts_with("Illegal request: "));
}

#[test]
fn channels_are_on_one_path_only() {
    let mut public = Bench::new("public");
    for moved in ["candle1m", "trades-all"] {
        assert_eq!(public.refusal(arg(moved, "BTC-USDT")), "64001", "{moved}");
    }
    assert_eq!(public.refusal(json!({"channel": "orders", "instType": "ANY"})), "60011");
    assert_eq!(public.refusal(arg("candle7m", "BTC-USDT")), "60018");
    assert_eq!(public.refusal(arg("funding-rate", "BTC-USDT")), "60018", "a pair has no funding");
    assert_eq!(public.refusal(arg("books", "btc-usdt")), "60018");
    public.refused = "books:BTC-USDT";
    assert_eq!(public.refusal(arg("books", "BTC-USDT")), "60018");
    public.log_in();
    assert_eq!(public.refusal(json!({"channel": "orders", "instType": "ANY"})), "60008");
    let mut business = Bench::new("business");
    assert_eq!(business.refusal(arg("books", "BTC-USDT")), "64002");
    assert_eq!(business.refusal(json!({"channel": "account"})), "64002");
    let mut private = Bench::new("private");
    assert_eq!(private.refusal(arg("books", "BTC-USDT")), "60008");
    assert_eq!(private.refusal(json!({"channel": "account"})), "60011");
}

#[test]
fn tick_by_tick_books_need_a_login_and_a_tier() {
    let codes = |vip| {
        let mut bench = Bench::with("public", Settings { vip, ..Settings::default() });
        assert_eq!(bench.refusal(arg("books-l2-tbt", "BTC-USDT")), "60011");
        assert_eq!(bench.log_in()[0]["code"], "0");
        ["books-l2-tbt", "books50-l2-tbt"].map(|channel| bench.join(channel, "BTC-USDT")[0]["code"].clone())
    };
    assert_eq!(codes(0), ["64003", "64003"]);
    assert_eq!(codes(4), ["60029", "60030"]);
    assert_eq!(codes(5), [json!("60029"), Value::Null]);
}

#[test]
fn books_l2_tbt_goes_with_no_other_book_of_the_instrument() {
    let mut bench = Bench::new("public");
    bench.log_in();
    assert_eq!(bench.join("books-l2-tbt", "BTC-USDT").len(), 2);
    for other in ["books", "books50-l2-tbt"] {
        assert_eq!(bench.refusal(arg(other, "BTC-USDT")), "64004", "{other}");
    }
    assert_eq!(bench.join("books", "ETH-USDT").len(), 2);
    assert_eq!(bench.refusal(arg("books-l2-tbt", "ETH-USDT")), "64004");
    assert_eq!(bench.join("books5", "BTC-USDT").len(), 2);
    bench.request("unsubscribe", &[arg("books-l2-tbt", "BTC-USDT")]);
    assert_eq!(bench.join("books", "BTC-USDT").len(), 2);
}

#[test]
fn requests_an_hour_are_counted() {
    let mut bench = Bench::new("public");
    for at in 0..480 {
        let op = if at % 2 == 0 { "subscribe" } else { "unsubscribe" };
        assert_eq!(bench.request(op, &[arg("trades", "BTC-USDT")])[0]["event"], op);
        bench.ms += 1_000;
    }
    let refused = bench.join("trades", "BTC-USDT").remove(0);
    assert_eq!((&refused["code"], &refused["id"]), (&json!("60014"), &json!("7")));
    assert_eq!(bench.ask("ping"), ["pong"], "pings are free");
    bench.ms = 3_599_999;
    assert_eq!(bench.join("trades", "BTC-USDT")[0]["code"], "60014");
    bench.ms = 3_600_000;
    assert_eq!(bench.join("trades", "BTC-USDT")[0]["event"], "subscribe");
    assert_eq!(bench.join("trades", "BTC-USDT")[0]["code"], "60014", "one hour-old request made room for one");
}

#[test]
fn too_long_a_request_closes_the_connection() {
    let mut bench = Bench::new("public");
    let args: Vec<Value> = (0..1_000).map(|n| arg("books", &format!("NO{n}-USDT"))).collect();
    assert_eq!(bench.request("subscribe", &args).len(), 1_000);
    assert_eq!(bench.closed, None);
    let args: Vec<Value> = (0..2_000).map(|n| arg("books", &format!("NO{n}-USDT"))).collect();
    assert!(bench.request("subscribe", &args).is_empty());
    assert_eq!(bench.closed, Some(1_009));
}

#[test]
fn a_connection_on_which_nothing_happens_has_half_a_minute() {
    let mut bench = Bench::new("public");
    let left = |bench: &Bench| bench.session.idle().0.since(at(0).mono);
    assert_eq!(left(&bench), Duration::from_secs(30));
    bench.ms = 20_000;
    assert_eq!(bench.ask("ping"), ["pong"]);
    assert_eq!((left(&bench), bench.session.idle().1), (Duration::from_secs(50), 4_004));
    let quick = Bench::with("public", Settings { idle: Duration::from_millis(200), ..Settings::default() });
    assert_eq!(left(&quick), Duration::from_millis(200));
}

#[test]
fn three_connections_a_second() {
    let mut bench = Bench::new("public");
    let mut connect = |limit: bool, path: &str, ms: u64| {
        bench.venue.settings.connect_limit = limit;
        let asked = Asked::get(path, "", IpAddr::V4(Ipv4Addr::LOCALHOST));
        bench.venue.connect(&asked, 2, at(ms)).err()
    };
    let path = "/ws/v5/public";
    let statuses = [10, 20, 30, 999, 1_000, 1_005].map(|ms| connect(true, path, ms));
    assert_eq!(statuses, [None, None, Some(429), Some(429), None, Some(429)], "one was there at 0 ms");
    assert_eq!(connect(false, path, 1_006), None);
    assert_eq!(connect(true, "/ws/v5/moon", 1_007), Some(404));
    assert_eq!(connect(true, "/v5/public/linear", 1_007), Some(404));
}

#[test]
fn a_refused_login_ends_the_connection() {
    let mut bench = Bench::new("private");
    let shown =
        json!({"apiKey": "key", "passphrase": "phrase", "timestamp": (START_MS / 1_000 - 31).to_string(), "sign": "x"});
    let answers = bench.ask(&json!({"op": "login", "args": [shown]}).to_string());
    assert_eq!((&answers[0]["event"], &answers[0]["code"]), (&json!("error"), &json!("60006")));
    assert_eq!(bench.closed.take(), Some(4_001));
    assert_eq!(bench.ask(r#"{"op":"login","args":[]}"#)[0]["code"], "60009");
    assert_eq!(bench.closed.take(), Some(4_001));
    assert_eq!(bench.log_in()[0]["event"], "login");
    assert_eq!(bench.log_in()[0]["code"], "60031");
    assert_eq!(bench.closed, None, "a second login is refused only");
}

#[test]
fn subscribing_again_gives_a_second_snapshot_but_not_in_japan() {
    let mut bench = Bench::new("public");
    bench.join("books", "BTC-USDT");
    bench.run(500);
    let again = bench.join("books", "BTC-USDT");
    assert_eq!((again.len(), &again[1]["action"]), (2, &json!("snapshot")));
    let next = &bench.run(500)[0]["data"][0];
    assert_eq!(next["prevSeqId"], again[1]["data"][0]["seqId"], "updates come once and go on from it");
    let mut japan = Bench::of(JAPAN, "public", Settings::default());
    assert_eq!(japan.join("books", "BTC-JPY").len(), 2);
    assert_eq!(japan.join("books", "BTC-JPY").len(), 1);
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    const CHANNELS: [&str; 12] = [
        "books",
        "bbo-tbt",
        "books-l2-tbt",
        "trades",
        "candle1Mutc",
        "index-candle1s",
        "funding-rate",
        "liquidation-orders",
        "orders",
        "account",
        "positions",
        "status",
    ];

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!("BTC-USDT")),
            Just(json!("BTC-USD-270326-60000-C")),
            Just(json!("SWAP")),
            Just(json!("ANY")),
            Just(json!("{\"updateInterval\":0}")),
            any::<String>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!([{}])),
        ]
    }

    fn request() -> impl Strategy<Value = String> {
        let names = ["instId", "instType", "instFamily", "ccy", "extraParams", "apiKey", "timestamp", "sign"];
        let fields = proptest::collection::vec((proptest::sample::select(names.to_vec()), value()), 0..4);
        let arg = (proptest::sample::select(CHANNELS.to_vec()), fields).prop_map(|(channel, fields)| {
            let mut arg = json!({"channel": channel});
            for (name, value) in fields {
                arg[name] = value;
            }
            arg
        });
        let ops = proptest::sample::select(vec!["subscribe", "unsubscribe", "login", "ping"]);
        let args = proptest::collection::vec(arg, 0..4);
        let ids = prop_oneof![3 => Just(json!("7")), 1 => value()];
        let whole = (ops, args, ids).prop_map(|(op, args, id)| json!({"op": op, "args": args, "id": id}).to_string());
        let whole = whole.boxed();
        let cut = (whole.clone(), any::<prop::sample::Index>())
            .prop_map(|(text, at)| text.chars().take(at.index(text.len())).collect());
        prop_oneof![4 => whole, 1 => cut, 1 => any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever clients ask, every request has an answer, and nobody is still counted in when all are gone.
        #[test]
        fn any_request_is_answered_and_nothing_is_left(texts in proptest::collection::vec(request(), 1..40), private in any::<bool>()) {
            let mut bench = Bench::new(if private { "private" } else { "public" });
            bench.log_in();
            for text in texts {
                let answers = bench.ask(&text);
                prop_assert!(!answers.is_empty() || bench.closed.is_some(), "{text}");
                bench.run(30);
            }
            bench.session.close(&mut bench.venue);
            prop_assert!(bench.venue.nobody_listens());
        }
    }
}
