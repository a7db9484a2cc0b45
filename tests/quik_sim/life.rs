//! The life of the script as our own client sees it: one call at a time over all endpoints, ends and returns, leaks.

use std::time::Duration;

use serde_json::json;
use tickbus::clock;
use tickbus::io::zmq::Kind;
use tickbus::sim::quik::{FaultKind, Options, Settings};

use crate::client::{DEADLINE, call, event, riz6, settings, socket, subscriber, terminal, terminal_with, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_one_at_a_time_over_both_endpoints() {
    let options =
        Options { data: Some("127.0.0.1:0".to_owned()), settings: settings(&["slow:40"]), ..Options::default() };
    let server = terminal_with(options).await;
    let endpoints = [server.rpc(), server.data().unwrap(), server.rpc(), server.data().unwrap()];
    let mut sockets = Vec::new();
    for endpoint in endpoints {
        sockets.push(socket(&endpoint, Kind::Req).await);
    }
    let started = clock::now().mono;
    let calls = sockets
        .into_iter()
        .map(|mut socket| tokio::spawn(async move { call(&mut socket, "isConnected", json!({})).await }));
    for answer in calls.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap()["result"]["is_connected"], 1);
    }
    assert!(clock::now().mono.since(started) >= Duration::from_millis(160));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_script_says_nothing_and_comes_back_without_memory() {
    let server = terminal(&["dead:50@3"]).await;
    let (truth, mut events) = (server.truth().clone(), subscriber(&server.events(), "").await);
    assert_eq!(event(&mut events).await, ("PublisherOnline".to_owned(), None));
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    call(&mut rpc, "Subscribe_Level_II_Quotes", riz6()).await;
    let mut order = riz6();
    order["db_name"] = "LAST".into();
    call(&mut rpc, "ParamRequest", order).await;
    assert_eq!((truth.level_ii().len(), truth.param_requests().len()), (1, 1));
    rpc.send(&[br#"{"method":"isConnected"}"#]).await.unwrap();
    rpc.receive().await.unwrap_err();
    events.receive().await.unwrap_err();
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    assert_eq!(call(&mut rpc, "isConnected", json!({})).await["result"]["is_connected"], 1);
    assert_eq!((truth.runs(), truth.level_ii().len(), truth.param_requests().len()), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_announced() {
    let server = terminal(&["restart:50@1"]).await;
    let mut events = subscriber(&server.events(), "On").await;
    until("online", || server.truth().subscribers() == 1 && server.truth().runs() == 1).await;
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    rpc.send(&[br#"{"method":"isConnected"}"#]).await.unwrap();
    rpc.receive().await.unwrap_err();
    assert_eq!(event(&mut events).await, ("OnStop".to_owned(), Some(json!({"signal": 1}))));
    events.receive().await.unwrap_err();
    until("online again", || server.truth().runs() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_quick_calls_crash_the_terminal_and_a_pause_saves_it() {
    let server = terminal(&["crash_on_burst:100"]).await;
    let mut dealer = socket(&server.rpc(), Kind::Dealer).await;
    for _ in 0..500 {
        if dealer.send(&[b"", br#"{"method":"isConnected"}"#]).await.is_err() {
            break;
        }
    }
    let mut answers = 0;
    while dealer.receive().await.is_ok() {
        answers += 1;
    }
    assert!((90..200).contains(&answers), "{answers} answers");
    let server = terminal(&["crash_on_burst:100"]).await;
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    for _ in 0..200 {
        call(&mut rpc, "isConnected", json!({})).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(server.truth().runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_trades_by_itself_and_closes_in_order() {
    let settings = Settings { rate: 500, deal_every: Duration::from_millis(20), ..Settings::default() };
    let server = terminal_with(Options { settings, ..Options::default() }).await;
    let mut events = subscriber(&server.events(), "On").await;
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    call(&mut rpc, "Subscribe_Level_II_Quotes", riz6()).await;
    let mut left = vec!["OnAllTrade", "OnQuote", "OnOrder", "OnTrade"];
    while !left.is_empty() {
        let (name, _) = event(&mut events).await;
        left.retain(|wanted| *wanted != name);
    }
    server.stop().await;
    let mut last = Vec::new();
    while let Ok(frames) = events.receive().await {
        last.push(String::from_utf8(frames[0].to_vec()).unwrap());
    }
    assert_eq!(last[last.len() - 2..], ["OnClose", "OnStop"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_loses_the_newest_and_harms_nobody() {
    let options = Options { events_queue: 1_000, settings: settings(&[]), ..Options::default() };
    let server = terminal_with(options).await;
    let mut stalled = subscriber(&server.events(), "OnAllTrade").await;
    until("subscribed", || server.truth().subscribers() == 1 && server.truth().runs() == 1).await;
    while server.truth().dropped_events() == 0 {
        server.truth().step(10_000);
        tokio::task::yield_now().await;
    }
    let dropped = server.truth().dropped_events();
    let mut rpc = socket(&server.rpc(), Kind::Req).await;
    assert_eq!(call(&mut rpc, "isConnected", json!({})).await["result"]["is_connected"], 1);
    let first = event(&mut stalled).await.1.unwrap();
    let (class, code) = (first["class_code"].as_str().unwrap(), first["sec_code"].as_str().unwrap());
    let known = server.truth().trades(class, code);
    assert!(known.iter().any(|trade| trade.num == first["trade_num"].as_i64().unwrap()), "the oldest are kept");
    assert!(dropped > 0);
}

/// A figure of this machine, printed; the bound leaves room for builds for debugging on machines that do other things.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_thousand_trades_reach_our_own_client_in_a_moment() {
    const TRADES: usize = 30_000;
    let server = terminal(&[]).await;
    let mut events = subscriber(&server.events(), "OnAllTrade").await;
    until("subscribed", || server.truth().subscribers() == 1 && server.truth().runs() == 1).await;
    server.truth().inject(FaultKind::Burst(TRADES));
    let mut started = None;
    for _ in 0..TRADES {
        let frames = tokio::time::timeout(DEADLINE, events.receive()).await.expect("a trade").unwrap();
        assert_eq!((frames.len(), &frames[0][..]), (2, &b"OnAllTrade"[..]));
        started.get_or_insert_with(|| clock::now().mono);
    }
    let took = clock::now().mono.since(started.unwrap());
    println!("{} events/s", TRADES as u128 * 1_000_000 / took.as_micros().max(1));
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(server.truth().dropped_events(), 0);
}
