//! Calls over libzmq's REP socket: any number at once, through restarts, slowness and silence.

use std::time::Duration;

use tickbus::io::terminal::{Caller, Pool, PoolLimits};
use tickbus::zmtp::ClientSecurity;
use tokio::time::Instant;

use crate::python::{PATIENCE, Terminal, WIDE, ask, ask_until_answered, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_each_get_their_own_answer() {
    let Some(mut terminal) = Terminal::start(&["null"]) else { return };
    let pool = terminal.pool(&ClientSecurity::Null, WIDE);
    let mut callers: Vec<Caller> = (0..1000).map(|_| pool.caller()).collect();
    for (id, caller) in callers.iter_mut().enumerate() {
        caller.call(request(id as u64)).unwrap();
    }
    for (id, caller) in callers.iter_mut().enumerate() {
        let body = tokio::time::timeout(PATIENCE, caller.answer()).await.unwrap().result.unwrap();
        let wanted = format!("{{\"result\": {{\"echo\": {{\"method\": \"m\", \"args\": {{\"n\": {id}}}}}}}}}");
        assert_eq!(body, wanted);
    }
    assert_eq!(terminal.asked(), 1000);
    let report = pool.report();
    assert_eq!((report.hosts[0].open, report.counters.answered, report.counters.failed), (5, 1000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_holds_towards_a_real_terminal() {
    let Some(mut terminal) = Terminal::start(&["null"]) else { return };
    let pool = terminal.pool(&ClientSecurity::Null, PoolLimits { calls_per_second: 100, burst: 10, connections: 5 });
    let mut caller = pool.caller();
    let began = Instant::now();
    for id in 0..110 {
        caller.call(request(id)).unwrap();
    }
    for _ in 0..110 {
        tokio::time::timeout(PATIENCE, caller.answer()).await.unwrap().result.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
    assert_eq!(terminal.asked(), 110);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_dies_and_comes_back_on_its_ports_is_found_again() {
    let Some(terminal) = Terminal::start(&["null"]) else { return };
    let pool = terminal.pool(&ClientSecurity::Null, WIDE);
    let mut caller = pool.caller();
    ask(&mut caller, request(1)).await.unwrap();
    let mut terminal = terminal.restart(&["null"]);
    ask_until_answered(&mut caller).await;
    terminal.order("hang");
    terminal.asked();
    let (rpc, events) = (terminal.rpc.clone(), terminal.events.clone());
    let error = ask(&mut caller, request(2)).await.unwrap_err();
    assert_eq!(error, format!("{rpc} did not answer within 1000 ms, asked twice"));
    drop(terminal);
    let began = Instant::now();
    ask(&mut caller, request(3)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "told at once: {:?}", began.elapsed());
    let down = async {
        while !ask(&mut caller, request(4)).await.unwrap_err().contains("cannot be reached") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, down).await.unwrap();
    let _terminal = Terminal::start_at(&rpc, &events, &["null"]).unwrap();
    ask_until_answered(&mut caller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_terminal_costs_its_calls_and_no_others() {
    let Some(mut terminal) = Terminal::start(&["null"]) else { return };
    let pool = terminal.pool(&ClientSecurity::Null, WIDE);
    let mut caller = pool.caller();
    ask(&mut caller, request(1)).await.unwrap();
    terminal.order("delay 1300");
    terminal.asked();
    let once = tickbus::venue::RpcRequest { idempotent: false, ..request(2) };
    let error = ask(&mut caller, once).await.unwrap_err();
    assert!(error.ends_with("did not answer within 1000 ms"), "{error}");
    terminal.order("delay 0");
    assert!(
        ask(&mut caller, request(3)).await.unwrap().ends_with(b"{\"n\": 3}}}}"),
        "its own answer, not the late one"
    );
    assert_eq!(terminal.asked(), 3, "a call that may do harm is not repeated");
    assert_eq!(pool.report().counters.timed_out, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_ipv6_and_unix_sockets_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}/rpc", folder.path().display());
    for at in ["tcp://[::1]:*", "tcp://127.0.0.1:*", &ipc] {
        let Some(terminal) = Terminal::start_at(at, "tcp://127.0.0.1:*", &["null"]) else { return };
        let endpoint = terminal.rpc.replace("127.0.0.1", "localhost");
        let pool = Pool::connect("quik", &endpoint, None, &ClientSecurity::Null, WIDE);
        ask(&mut pool.caller(), request(1)).await.unwrap_or_else(|error| panic!("{endpoint}: {error}"));
    }
}
