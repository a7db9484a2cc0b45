//! Requests and what they are answered with, what a connection serves, and how it ends.

use serde_json::json;

use super::*;
use crate::sim::venue::Beat;

#[test]
fn requests_are_answered_as_documented() {
    let mut scene = Scene::new("/ws");
    let accepted = json!({"result": null, "id": 1});
    assert_eq!(
        scene.ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","moonusdt@depth"],"id":1}"#),
        std::slice::from_ref(&accepted)
    );
    let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#;
    assert_eq!(scene.ask(list), [json!({"result": ["btcusdt@trade", "moonusdt@depth"], "id": 3})]);
    assert_eq!(scene.ask(r#"{"method":"UNSUBSCRIBE","params":["moonusdt@depth"],"id":1}"#), [accepted]);
    assert_eq!(scene.ask(list), [json!({"result": ["btcusdt@trade"], "id": 3})]);
    let get = r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#;
    assert_eq!(scene.ask(get), [json!({"result": false, "id": 2})]);
    scene.ask(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#);
    assert_eq!(scene.ask(get), [json!({"result": true, "id": 2})]);
    assert_eq!(scene.ask("}{")[0]["code"], 3);
    assert_eq!(scene.ask(r#"{"method":"STOP","id":"a"}"#)[0]["id"], "a");
    scene.reconnect("/public/ws");
    assert_eq!(scene.ask("}{")[0]["error"]["code"], 3);
}

#[test]
fn an_answer_comes_late_now_and_then_but_before_the_next() {
    let mut scene = Scene::new("/ws");
    let subscribe =
        |id: u64| json!({"method": "SUBSCRIBE", "params": [format!("btcusdt@kline_{id}m")], "id": id}).to_string();
    let at_once = |scene: &mut Scene, id| scene.ask(&subscribe(id)).len();
    assert_eq!([1, 2, 3, 4].map(|id| at_once(&mut scene, id)), [1, 1, 1, 0]);
    let answers = scene.ask(&subscribe(5));
    assert_eq!(answers, [json!({"result": null, "id": 4}), json!({"result": null, "id": 5})]);
    for id in 6..=9 {
        at_once(&mut scene, id);
    }
    assert!(scene.session.on_alarm(scene.now()).is_empty(), "not yet");
    scene.ms += 150;
    assert_eq!(scene.session.alarm(), scene.now().mono);
    let late: Vec<Value> = scene.session.on_alarm(scene.now()).into_iter().map(value).collect();
    assert_eq!(late, [json!({"result": null, "id": 9})]);
}

#[test]
fn too_many_messages_end_the_connection() {
    for (path, most) in [("/ws", 5), ("/public/ws", 10), ("/coinm/ws", 10)] {
        let mut scene = Scene::new(path);
        let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#;
        let ask = |scene: &mut Scene| scene.session.on_text(list, stamp(500), &mut scene.venue, &mut |_| false);
        for _ in 0..most - 1 {
            assert!(matches!(ask(&mut scene)[..], [Reply::Control(_)]), "{path}");
        }
        assert!(scene.session.on_beat(Beat::Pong(b""), stamp(500)).is_empty(), "{path}: pongs count too");
        assert!(matches!(ask(&mut scene)[..], [Reply::Close(1_008, _)]), "{path}");
    }
}

#[test]
fn too_many_streams_are_refused() {
    let mut scene = Scene::new("/ws");
    let many: Vec<String> = (0..1_000).map(|at| format!("s{at}@trade")).collect();
    let subscribe = |names: &[String]| json!({"method": "SUBSCRIBE", "params": names, "id": 1}).to_string();
    assert_eq!(scene.ask(&subscribe(&many))[0]["result"], Value::Null);
    let more: Vec<String> = (0..25).map(|at| format!("t{at}@trade")).collect();
    assert_eq!(scene.ask(&subscribe(&more))[0]["code"], 2);
    let path = format!("/stream?streams={}", vec!["a@b"; 1_025].join("/"));
    assert_eq!(connect(&mut scene.venue, &path, 9, 0).err(), Some(400));
}

#[test]
fn pings_come_and_silence_ends_the_connection() {
    let mut scene = Scene::new("/ws");
    assert_eq!(scene.session.alarm(), stamp(20_000).mono);
    assert!(matches!(&scene.session.on_alarm(stamp(20_000))[..], [Reply::Ping(payload)] if !payload.is_empty()));
    assert_eq!(scene.session.idle(), (stamp(80_000).mono, 1_008, "Pong timeout"));
    // A connection without a market of its own becomes one to futures.
    let mut scene = Scene::new("/ws");
    scene.subscribe(&["btcusd_perp@depth"]);
    assert_eq!((scene.session.place(), scene.session.alarm()), ("coinm", stamp(180_000).mono));
}

#[test]
fn a_shutdown_is_announced_on_spot_only() {
    let event = json!({"e": "serverShutdown", "E": BEGINNING});
    let notice = |path: &str| {
        let text = Scene::new(path).session.notice(stamp(0))?;
        Some(serde_json::from_str::<Value>(&text).unwrap())
    };
    assert_eq!(notice("/spot/ws"), Some(event.clone()));
    assert_eq!(notice("/stream"), Some(json!({"stream": "!serverShutdown", "data": event})));
    assert_eq!(notice("/public/stream"), None);
}

#[test]
fn each_route_of_usdm_serves_its_class_and_the_unrouted_one_books_only() {
    let served = |path: &str| {
        let mut scene = Scene::new(path);
        scene.subscribe(&["btcusdt@depth@100ms", "btcusdt@aggTrade", "btcusdt@markPrice@1s"]);
        let mut kinds: Vec<String> =
            scene.live(2_000).iter().map(|message| message["e"].as_str().unwrap().to_owned()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    assert_eq!(served("/public/ws"), ["depthUpdate"]);
    assert_eq!(served("/market/ws"), ["aggTrade", "markPriceUpdate"]);
    assert_eq!(served("/usdm/ws"), ["depthUpdate"]);
    assert!(served("/private/ws").is_empty());
}

#[test]
fn new_connections_are_limited() {
    let mut scene = Scene::new("/ws");
    let admitted = (0..310).filter(|at| connect(&mut scene.venue, "/ws", *at, 0).is_ok()).count();
    assert_eq!(admitted, 299, "one was there already");
    assert_eq!(connect(&mut scene.venue, "/ws", 400, 1_000).err(), Some(429));
    assert!(connect(&mut scene.venue, "/ws", 401, 300_000).is_ok());
    assert_eq!(scene.venue.stats(stamp(0))["refused_connects"], 12);
}

#[test]
fn closing_leaves_nothing_behind() {
    let mut scene = Scene::new("/ws");
    scene.subscribe(&["btcusdt@depth", "btcusdt@depth5", "ethusdt@kline_1m", "!miniTicker@arr"]);
    scene.session.close(&mut scene.venue);
    let mut published = Vec::new();
    scene.venue.step(100, stamp(5_000), &mut published);
    scene.venue.tick(stamp(60_000), &mut published);
    assert!(published.is_empty());
}
