//! The pool against a terminal without sockets, on a clock that the tests set.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep, timeout};

use super::fake::{Door, Mood, Terminal};
use super::{Caller, LinkError, Pool, PoolLimits, RpcAnswer};
use crate::venue::{Host, RpcRequest, Urgency};

const QUICK: Mood = Mood::Answer(Duration::from_millis(1));
/// A budget that no test notices.
const WIDE: PoolLimits = PoolLimits { connections: 5, calls_per_second: 1_000_000, burst: 1_000_000 };

fn request(id: u64, urgency: Urgency) -> RpcRequest {
    let (timeout, body) = (Duration::from_secs(1), format!("{urgency:?} {id}"));
    RpcRequest { id, host: Host::Rpc, urgency, body, timeout, idempotent: true }
}

fn data(id: u64) -> RpcRequest {
    request(id, Urgency::Data)
}

fn open(terminal: &Terminal, limits: PoolLimits) -> Arc<Pool> {
    Pool::open("quik", terminal.clone(), None, limits)
}

async fn answer(caller: &mut Caller) -> RpcAnswer {
    timeout(Duration::from_secs(60), caller.answer()).await.expect("no answer")
}

/// Makes one call and gives its end.
async fn ask(caller: &mut Caller, request: RpcRequest) -> Result<bytes::Bytes, String> {
    caller.call(request).unwrap();
    answer(caller).await.result
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_its_own_answer() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, PoolLimits::default());
    let mut caller = pool.caller();
    caller.call(data(7)).unwrap();
    assert_eq!(caller.outstanding(), 1);
    let got = answer(&mut caller).await;
    assert_eq!((got.id, &*got.endpoint, got.request.as_str()), (7, "tcp://fake:1", "Data 7"));
    assert_eq!(got.result.unwrap(), "Data 7");
    assert_eq!(caller.outstanding(), 0);
    let report = pool.report();
    assert_eq!((report.hosts[0].open, report.hosts[0].connects), (5, 5));
    assert_eq!((report.counters.calls, report.counters.sent, report.counters.answered), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_are_served_within_the_budget_and_evenly() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, PoolLimits { calls_per_second: 200, burst: 20, connections: 5 });
    let began = Instant::now();
    let mut callers: Vec<Caller> = (0..1000).map(|_| pool.caller()).collect();
    for caller in &mut callers {
        caller.call(request(1, Urgency::Background)).unwrap();
    }
    for caller in &mut callers {
        answer(caller).await.result.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    assert!((4.9..5.1).contains(&took), "980 calls behind the burst take 4.9 s: {took}");
    let counters = pool.report().counters;
    assert_eq!((counters.answered, counters.failed), (1000, 0));
    assert!(counters.throttled > 900, "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn while_the_budget_is_short_the_urgent_go_first_and_feeds_take_turns() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, PoolLimits { calls_per_second: 10, burst: 1, connections: 5 });
    let (mut one, mut two) = (pool.caller(), pool.caller());
    sleep(Duration::from_millis(10)).await;
    for id in 0..3 {
        one.call(request(id, Urgency::Background)).unwrap();
        one.call(request(id, Urgency::Data)).unwrap();
    }
    two.call(request(9, Urgency::Data)).unwrap();
    two.call(request(9, Urgency::Control)).unwrap();
    for _ in 0..6 {
        answer(&mut one).await.result.unwrap();
    }
    let wanted = ["Control 9", "Data 0", "Data 9", "Data 1", "Data 2", "Background 0", "Background 1", "Background 2"];
    assert_eq!(terminal.requests(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_silent_terminal_costs_a_deadline_and_one_more_try_where_that_does_no_harm() {
    let terminal = Terminal::new(Mood::Hang);
    let pool = open(&terminal, WIDE);
    let mut caller = pool.caller();
    let began = Instant::now();
    let error = ask(&mut caller, data(1)).await.unwrap_err();
    assert_eq!(error, "tcp://fake:1 did not answer within 1000 ms, asked twice");
    assert_eq!(began.elapsed().as_secs(), 2);
    let error = ask(&mut caller, RpcRequest { idempotent: false, ..data(2) }).await.unwrap_err();
    assert_eq!(error, "tcp://fake:1 did not answer within 1000 ms");
    assert_eq!(terminal.requests(), ["Data 1", "Data 1", "Data 2"]);
    let counters = pool.report().counters;
    assert_eq!((counters.timed_out, counters.retried, counters.failed, counters.calls), (3, 1, 2, 2));
    assert_eq!(terminal.dials(), 5 + 3, "every try without an answer costs its connection");
}

#[tokio::test(start_paused = true)]
async fn a_second_try_goes_over_a_fresh_connection_and_may_succeed() {
    let terminal = Terminal::new(Mood::HangUp);
    let pool = open(&terminal, PoolLimits { connections: 1, ..WIDE });
    let mut caller = pool.caller();
    caller.call(data(1)).unwrap();
    sleep(Duration::from_millis(1)).await;
    terminal.set(QUICK);
    assert_eq!(answer(&mut caller).await.result.unwrap(), "Data 1");
    assert_eq!(terminal.dials(), 2);
    terminal.set(Mood::HangUp);
    let error = ask(&mut caller, RpcRequest { idempotent: false, ..data(2) }).await.unwrap_err();
    assert_eq!(error, "tcp://fake:1: the other end closed the connection before the answer");
}

#[tokio::test(start_paused = true)]
async fn what_piles_up_before_a_hanging_terminal_is_bounded() {
    let terminal = Terminal::new(Mood::Hang);
    let pool = open(&terminal, WIDE);
    let mut caller = pool.caller();
    for id in 0..500 {
        caller.call(data(id)).unwrap();
    }
    for _ in 0..500 {
        answer(&mut caller).await.result.unwrap_err();
    }
    let asked = terminal.requests().len();
    assert!((10..=15).contains(&asked), "each of five connections twice, some once more: {asked}");
    for id in 0..100 {
        caller.call(data(id)).unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let more = terminal.requests().len() - asked;
    assert!((5..=11).contains(&more), "one at a time, each for a second: {more}");
    terminal.set(QUICK);
    sleep(Duration::from_secs(2)).await;
    while caller.answer_now().is_some() {}
    assert_eq!(ask(&mut caller, data(1)).await.unwrap(), "Data 1", "it is back as soon as it answers");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_told_to_every_call_at_once_and_not_hammered() {
    let terminal = Terminal::new(QUICK);
    terminal.shut(true, "the server refused our key (400)");
    let pool = open(&terminal, WIDE);
    let mut caller = pool.caller();
    let began = Instant::now();
    for id in 0..50 {
        let error = ask(&mut caller, data(id)).await.unwrap_err();
        assert_eq!(error, "tcp://fake:1: the server refused our key (400)");
    }
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert_eq!(terminal.dials(), 5);
    sleep(Duration::from_secs(120)).await;
    assert!((8..=13).contains(&terminal.dials()), "{} dials in two minutes", terminal.dials());
    let host = &pool.report().hosts[0];
    assert_eq!(host.trouble.as_deref(), Some("the server refused our key (400)"));
    terminal.set_door(Door::Open);
    sleep(Duration::from_secs(25)).await;
    assert_eq!(ask(&mut caller, data(1)).await.unwrap(), "Data 1");
    assert_eq!(pool.report().hosts[0].open, 5);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_an_error_within_seconds() {
    let terminal = Terminal::new(QUICK);
    terminal.set_door(Door::Stuck);
    let mut caller = open(&terminal, WIDE).caller();
    let began = Instant::now();
    let error = ask(&mut caller, data(1)).await.unwrap_err();
    assert_eq!(error, "tcp://fake:1: no connection within 6 s");
    assert_eq!(began.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_terminal_is_noticed_and_got_over() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, WIDE);
    let mut caller = pool.caller();
    ask(&mut caller, data(1)).await.unwrap();
    terminal.shut(false, "connection refused");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(pool.report().hosts[0].open, 0);
    let error = ask(&mut caller, data(2)).await.unwrap_err();
    assert_eq!(error, "tcp://fake:1: connection refused");
    let before = terminal.dials();
    sleep(Duration::from_secs(60)).await;
    assert!(terminal.dials() - before < 40, "{} dials in a minute", terminal.dials() - before);
    terminal.set_door(Door::Open);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(ask(&mut caller, data(3)).await.unwrap(), "Data 3");
}

#[tokio::test(start_paused = true)]
async fn answers_of_others_are_dropped_and_counted() {
    let terminal = Terminal::new(Mood::Confused);
    let pool = open(&terminal, PoolLimits { connections: 1, ..WIDE });
    let mut caller = pool.caller();
    assert_eq!(ask(&mut caller, data(1)).await.unwrap(), "Data 1");
    sleep(Duration::from_millis(10)).await;
    terminal.set(QUICK);
    assert_eq!(ask(&mut caller, data(2)).await.unwrap(), "Data 2");
    assert_eq!(pool.report().counters.stray, 3);
    assert_eq!(terminal.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_at_once_and_counted() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, PoolLimits { calls_per_second: 1, burst: 1, connections: 1 });
    let (mut one, mut two) = (pool.caller(), pool.caller());
    for id in 0..super::MOST_OUTSTANDING as u64 {
        one.call(request(id, Urgency::Background)).unwrap();
    }
    assert!(one.call(data(0)).unwrap_err().contains("unanswered"));
    assert!(two.call(request(0, Urgency::Background)).unwrap_err().contains("wait for the terminal"));
    two.call(request(0, Urgency::Control)).unwrap();
    assert_eq!(pool.report().counters.refused, 2);
    for _ in 0..super::MOST_OUTSTANDING {
        let _late_or_answered = answer(&mut one).await;
    }
    assert_eq!(one.outstanding(), 0);
    assert!(pool.report().counters.expired > 4000, "nobody waits for more than ten seconds: {:?}", pool.report());
}

#[tokio::test(start_paused = true)]
async fn hosts_do_not_wait_for_each_other_but_share_the_budget() {
    let (main, other) = (Terminal::new(Mood::Hang), Terminal::new(QUICK));
    let pool = Pool::open("quik", main.clone(), Some(other.clone()), WIDE);
    let mut caller = pool.caller();
    caller.call(data(1)).unwrap();
    caller.call(RpcRequest { host: Host::Data, ..data(2) }).unwrap();
    assert_eq!(answer(&mut caller).await.result.unwrap(), "Data 2");
    assert_eq!((main.requests(), other.requests()), (vec!["Data 1".to_owned()], vec!["Data 2".to_owned()]));

    let (main, other) = (Terminal::new(QUICK), Terminal::new(QUICK));
    let pool = Pool::open(
        "quik",
        main.clone(),
        Some(other.clone()),
        PoolLimits { calls_per_second: 10, burst: 2, connections: 2 },
    );
    let mut caller = pool.caller();
    for id in 0..20 {
        caller.call(RpcRequest { host: if id % 2 == 0 { Host::Rpc } else { Host::Data }, ..data(id) }).unwrap();
    }
    sleep(Duration::from_millis(1050)).await;
    let (a, b) = (main.requests().len(), other.requests().len());
    assert_eq!((a + b, a.abs_diff(b)), (12, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_taken_back_never_leave_and_the_pool_ends_with_its_users() {
    let terminal = Terminal::new(QUICK);
    let pool = open(&terminal, PoolLimits { calls_per_second: 1, burst: 1, connections: 1 });
    let mut caller = pool.caller();
    for id in 0..5 {
        caller.call(data(id)).unwrap();
    }
    advance(Duration::from_millis(10)).await;
    answer(&mut caller).await.result.unwrap();
    assert_eq!(caller.take_back(), [1, 2, 3, 4]);
    assert_eq!((caller.outstanding(), pool.report().waiting), (0, 0));
    caller.call(data(9)).unwrap();
    drop(caller);
    sleep(Duration::from_secs(5)).await;
    assert_eq!((terminal.requests().len(), pool.report().waiting), (1, 0), "nobody calls for those who left");
    drop(pool);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(Arc::strong_count(&terminal.seen), 1, "nothing runs on");
}

#[tokio::test(start_paused = true)]
async fn a_broken_link_is_no_reason_to_panic() {
    let terminal = Terminal::new(Mood::HangUp);
    terminal.set_door(Door::Shut(LinkError { refused: false, reason: String::new() }));
    let mut caller = open(&terminal, WIDE).caller();
    assert_eq!(ask(&mut caller, data(1)).await.unwrap_err(), "tcp://fake:1: ");
}
