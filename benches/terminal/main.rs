//! Calls a second through a terminal's pool, and events a second from a terminal's socket to frames, each beside a
//! yardstick that does nothing but the wire. The terminal is in this process and shares its processors.

mod feed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{Asker, Frame, Outgoing, Publisher, PublisherOptions, Reply, RequestHandler, RequestOptions};
use tickbus::bus::{RequestServer, Retain};
use tickbus::clock;
use tickbus::io::terminal::{Caller, Pool, PoolLimits};
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqLimits, connect};
use tickbus::model::Mono;
use tickbus::venue::{Host, RpcRequest, Urgency};
use tickbus::zmtp::ClientSecurity;
use tokio::time::timeout;

use self::feed::Running;

/// What the contract asks for.
const CALLS_TARGET: f64 = 1_000.0;
const EVENTS_TARGET: f64 = 20_000.0;
const CONNECTIONS: usize = 5;
/// Callers that ask at the same time.
const CALLERS: usize = 1_000;
/// Trades published together.
const BATCH: usize = 256;
/// Trades published and not yet frames, in the long run: the publisher is in this process and knows no other limit.
const ON_THEIR_WAY: usize = 10_000;
/// Trades published at once, as after a reconnect.
const BURST: usize = 60_000;
/// Nothing that works takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(120);
const OPEN: PoolLimits = PoolLimits { connections: CONNECTIONS, calls_per_second: 1_000_000, burst: 1_000_000 };

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (calls, events, rounds) = if quick { (20_000, 50_000, 2) } else { (100_000, 300_000, 5) };
    let server = RequestServer::bind("tcp://127.0.0.1:0", RequestOptions::default(), Arc::new(Answers)).await;
    let server = server.expect("a port");
    let rpc = server.endpoints()[0].clone();
    let (mut pool, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        pool.push(pool_calls(&rpc, calls).await);
        bare.push(bare_calls(&rpc, calls).await);
    }
    print_rates("calls through the pool", "bare connections", &pool, &bare, CALLS_TARGET);
    let (mut fed, mut bursts, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        fed.push(events_to_frames(&rpc, events, ON_THEIR_WAY).await);
        bursts.push(events_to_frames(&rpc, BURST, BURST).await);
        read.push(events_read(events).await);
    }
    print_rates("events to frames, none lost", "events only read", &fed, &read, EVENTS_TARGET);
    print_rates("a burst of 60,000 to frames, none lost", "events only read", &bursts, &read, EVENTS_TARGET);
    server.close(Duration::from_millis(100)).await;
}

fn print_rates(name: &str, yardstick: &str, rates: &[f64], yardsticks: &[f64], target: f64) {
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let worst = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let (ours, theirs) = (best(rates), best(yardsticks));
    let verdict = if worst >= target { "met" } else { "MISSED" };
    println!("{name}: best {ours:.0}/s, worst {worst:.0}/s; target {target:.0}/s {verdict}");
    println!(
        "  yardstick, {yardstick}: {theirs:.0}/s; ratio {:.2}; limited by this machine's processors",
        ours / theirs
    );
}

fn rate(count: usize, since: Mono) -> f64 {
    count as f64 / clock::now().mono.since(since).as_secs_f64()
}

/// A terminal that is connected to its broker and has nothing else to say.
struct Answers;

impl RequestHandler for Answers {
    fn handle<'a>(&'a self, request: Bytes, _asker: &'a Asker) -> Reply<'a> {
        let has = |name: &str| request.windows(name.len()).any(|window| window == name.as_bytes());
        let answer = match (has("isConnected"), has("getInfoParam")) {
            (true, _) => r#"{"result":{"is_connected":1}}"#,
            (_, true) => r#"{"result":{"info_param":"12:00:00"}}"#,
            _ => r#"{"result":{"result":true}}"#,
        };
        Box::pin(std::future::ready(vec![Bytes::from_static(answer.as_bytes())]))
    }
}

fn request(id: u64) -> RpcRequest {
    let body = r#"{"method":"getParamEx2","args":{"class_code":"SPBFUT","sec_code":"RIZ6","param_name":"LAST"}}"#;
    let timeout = Duration::from_secs(5);
    RpcRequest { id, host: Host::Rpc, urgency: Urgency::Data, body: body.to_owned(), timeout, idempotent: true }
}

/// A thousand callers, each asking again when it has its answer.
async fn pool_calls(rpc: &str, calls: usize) -> f64 {
    let pool = Pool::connect("bench", rpc, None, &ClientSecurity::Null, OPEN);
    let callers: Vec<Caller> = (0..CALLERS).map(|_| pool.caller()).collect();
    while pool.report().hosts[0].open < CONNECTIONS {
        tokio::task::yield_now().await;
    }
    let began = clock::now().mono;
    let asking = callers.into_iter().map(|mut caller| {
        tokio::spawn(async move {
            for id in 0..calls / CALLERS {
                caller.call(request(id as u64)).expect("room for a call");
                caller.answer().await.result.expect("an answer");
            }
        })
    });
    for asking in asking.collect::<Vec<_>>() {
        timeout(PATIENCE, asking).await.expect("in time").expect("no panic");
    }
    let report = pool.report();
    assert_eq!((report.counters.answered as usize, report.counters.failed), (calls, 0));
    rate(calls, began)
}

/// As many connections, each asking again when it has its answer, with nothing between.
async fn bare_calls(rpc: &str, calls: usize) -> f64 {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connection(rpc, Kind::Dealer).await);
    }
    let began = clock::now().mono;
    let asking = connections.into_iter().map(|mut connection| {
        tokio::spawn(async move {
            for id in 0..calls / CONNECTIONS {
                let request = request(id as u64);
                connection.send(&[id.to_string().as_bytes(), b"", request.body.as_bytes()]).await.expect("sent");
                connection.receive().await.expect("an answer");
            }
        })
    });
    for asking in asking.collect::<Vec<_>>() {
        timeout(PATIENCE, asking).await.expect("in time").expect("no panic");
    }
    rate(calls, began)
}

async fn connection(endpoint: &str, kind: Kind) -> ZmqConnection {
    connect(endpoint, kind, &ClientSecurity::Null, ZmqLimits::default()).await.expect("a connection")
}

/// A terminal's events socket that drops nothing.
async fn publisher(events: usize) -> Publisher {
    let options = PublisherOptions {
        endpoints: vec!["tcp://127.0.0.1:0".to_owned()],
        queue_frames: 2 * events,
        queue_bytes: 4 << 30,
        ..PublisherOptions::default()
    };
    Publisher::bind(options).await.expect("a port")
}

/// Publishes these trades in batches, as fast as they are taken.
async fn publish(publisher: &Publisher, trades: std::ops::Range<usize>) {
    let numbers: Vec<usize> = trades.collect();
    for batch in numbers.chunks(BATCH) {
        let frames = batch.iter().map(|number| Outgoing::Frame(trade(*number)));
        publisher.publish(&mut frames.collect());
        tokio::task::yield_now().await;
    }
}

fn trade(number: usize) -> Frame {
    let payload = format!(
        r#"{{"class_code":"SPBFUT","sec_code":"RIZ6","trade_num":{},"flags":1026,"price":"{}.0","qty":{},"value":"112480.0","open_interest":"1200025","period":1,"settlecode":"","exchange_code":"","exec_market":"","accruedint":"0.0","yield":"0.0","reporate":"0.0","repovalue":"0.0","repo2value":"0.0","repoterm":"0","datetime":{{"year":2026,"month":11,"day":20,"week_day":5,"hour":11,"min":57,"sec":56,"ms":485,"mcs":{}}}}}"#,
        1_925_043_082_672_401_077_u64 + number as u64,
        112_000 + number % 500,
        1 + number % 9,
        number % 1_000_000,
    );
    Frame { topic: Bytes::from_static(b"OnAllTrade"), payload: payload.into(), retain: Retain::Stream, seq: 0 }
}

/// From the terminal's socket through session and encoder to frames, with at most so many trades on their way.
async fn events_to_frames(rpc: &str, events: usize, on_their_way: usize) -> f64 {
    let publisher = publisher(events).await;
    let running = Running::start(rpc, &publisher.endpoints()[0]);
    // The first trades find out that the subscription is there.
    let mut first = 0;
    while running.trades() == 0 {
        publish(&publisher, first..first + 1).await;
        first += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = settled(&running).await;
    let arrived = || usize::try_from(running.trades() - before).unwrap_or(usize::MAX);
    let began = clock::now().mono;
    let all = async {
        for start in (0..events).step_by(BATCH) {
            publish(&publisher, first + start..first + events.min(start + BATCH)).await;
            while start + BATCH > arrived() + on_their_way {
                tokio::task::yield_now().await;
            }
        }
        while arrived() < events {
            tokio::task::yield_now().await;
        }
    };
    if timeout(PATIENCE, all).await.is_err() {
        panic!("{} of {events} trades became frames; {:?}", arrived(), running.report().await);
    }
    let rate = rate(events, began);
    let report = running.report().await.expect("a report");
    assert_eq!(report.events.map(|events| events.dropped), Some(0), "nothing is lost");
    assert_eq!(publisher.stats().dropped_frames, 0, "nothing is lost before it is sent");
    rate
}

/// Waits until the frames of what was published so far are there.
async fn settled(running: &Running) -> u64 {
    loop {
        let before = running.trades();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if running.trades() == before {
            return before;
        }
    }
}

/// The same stream, only taken from the socket.
async fn events_read(events: usize) -> f64 {
    let publisher = publisher(events).await;
    let mut connection = connection(&publisher.endpoints()[0], Kind::Sub).await;
    connection.subscribe(b"OnAllTrade").await.expect("subscribed");
    while !publisher.stats().anyone_subscribed {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let reading = tokio::spawn(async move {
        while counter.load(Ordering::Relaxed) < events as u64 {
            connection.receive().await.expect("an event");
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let began = clock::now().mono;
    publish(&publisher, 0..events).await;
    timeout(PATIENCE, reading).await.expect("in time").expect("no panic");
    rate(events, began)
}
