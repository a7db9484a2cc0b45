//! Redis hangs, or dies and comes back empty, while frames pour in: publishing never waits, what may wait is bounded, every
//! loss is counted, and afterwards every latest value is right.

use std::time::Duration;

use serde_json::json;
use tickbus::bus::{Outgoing, Retain};
use tokio::time::{Instant, interval};

use crate::bus::Bench;
use crate::server::{Redis, Server, until};

/// Symbols, each with a book, a ticker, trades and candles.
const SYMBOLS: u64 = 40;
/// Frames that may wait.
const QUEUE: u64 = 2_000;
/// Frames published a second.
const RATE: u64 = 10_000;
/// How long Redis is away: long enough for its deadline to pass.
const AWAY: Duration = Duration::from_secs(3);

struct Load {
    bench: Bench,
    seq: u64,
    slowest: Duration,
}

impl Load {
    async fn start(server: &Server) -> Self {
        let more = json!({"queue_frames": QUEUE, "candles": 5, "trades": 5});
        Self { bench: Bench::start(server, more).await, seq: 0, slowest: Duration::ZERO }
    }

    /// Publishes at the rate for this long.
    async fn run(&mut self, time: Duration) {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        let mut sent = 0;
        while start.elapsed() < time {
            ticks.tick().await;
            let due = RATE * u64::try_from(start.elapsed().as_millis()).unwrap() / 1000;
            while sent < due {
                self.publish_some();
                sent += 5;
            }
        }
    }

    fn publish_some(&mut self) {
        self.seq += 1;
        let seq = self.seq;
        let symbol = seq % SYMBOLS;
        let topic = |channel: &str| format!("{channel}.bybit.spot.S{symbol}.");
        let head = format!(r#""seq":{seq},"epoch":1,"venue":"bybit","market":"spot","symbol":"S{symbol}","feed":"f""#);
        let start = Instant::now();
        let book = format!(r#"{{{head},"state":"live","bids":[["{seq}","1"]],"asks":[["{}","2"]]}}"#, seq + 1);
        self.bench.publish(&topic("book"), &book, Retain::Conflate);
        let last = if seq.is_multiple_of(3) { "" } else { r#","mark":"7""# };
        self.bench.publish(&topic("ticker"), &format!(r#"{{{head},"last":"{seq}"{last}}}"#), Retain::Latest);
        self.bench.publish(&topic("trade"), &format!(r#"{{{head},"id":"{seq}"}}"#), Retain::Stream);
        let open_time = seq / 1000 * 60_000_000_000;
        let candle = format!(r#"{{{head},"open_time":{open_time},"close":"{seq}"}}"#);
        self.bench.publish(&topic("candle_1m"), &candle, Retain::Stream);
        // Books come and go: their keys have to follow.
        let (state, reason) = if seq % 7 == symbol % 7 { ("stale", r#","reason":"gap""#) } else { ("live", "") };
        let status = format!(r#"{{{head},"channel":"book","state":"{state}"{reason}}}"#);
        self.bench.publish(&topic("status"), &status, Retain::Latest);
        if state == "stale" {
            for channel in ["book", "bbo"] {
                self.bench.bus.publish(&mut vec![Outgoing::Forget(topic(channel).into())]);
            }
        }
        self.slowest = self.slowest.max(start.elapsed());
    }

    async fn settle(&self, redis: &mut Redis) {
        until("the sink is connected", || self.bench.report().connected).await;
        self.bench.same_as_bus(redis).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_hangs_under_load_and_goes_on() {
    let Some(server) = Server::start(&[]).await else { return };
    let mut load = Load::start(&server).await;
    load.run(Duration::from_secs(1)).await;
    let mut redis = server.connect().await;
    load.settle(&mut redis).await;
    let before = load.bench.report();
    server.signal("STOP");
    load.run(AWAY).await;
    let during = load.bench.report();
    assert!(during.queued_frames <= QUEUE, "{during:?}");
    assert!(during.dropped_frames + during.conflated_frames > 10 * QUEUE, "{during:?}");
    assert!(during.failures > before.failures, "a deadline has passed: {during:?}");
    server.signal("CONT");
    load.run(Duration::from_secs(1)).await;
    load.settle(&mut redis).await;
    assert!(load.slowest < Duration::from_millis(500), "publishing took {:?}", load.slowest);
    let after = load.bench.report();
    assert!(after.connects > before.connects && after.frames > during.frames, "{after:?}");
    let told = redis.ask::<usize>(&["LLEN", "tickbus:trade:bybit:spot:S1"]).await;
    assert_eq!(told, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_under_load_and_comes_back_empty() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let mut load = Load::start(&server).await;
    load.run(Duration::from_secs(1)).await;
    load.settle(&mut server.connect().await).await;
    server.kill();
    load.run(AWAY).await;
    let during = load.bench.report();
    assert!(!during.connected && during.queued_frames <= QUEUE && during.dropped_frames > 0, "{during:?}");
    assert!(during.last_failure.as_ref().is_some_and(|failure| failure.contains("cannot connect")), "{during:?}");
    server.run().await;
    // Nothing more is published: what is current has to come by itself.
    let mut redis = server.connect().await;
    load.settle(&mut redis).await;
    assert!(load.slowest < Duration::from_millis(500), "publishing took {:?}", load.slowest);
}

#[tokio::test]
async fn a_gateway_without_redis_runs_and_finds_it_later() {
    let Some(mut server) = Server::start(&[]).await else { return };
    server.kill();
    let bench = Bench::start(&server, json!({})).await;
    bench.publish("ticker.bybit.spot.A.", r#"{"seq":1,"last":"1"}"#, Retain::Latest);
    until("it fails", || bench.report().failures > 1).await;
    server.run().await;
    let mut redis = server.connect().await;
    bench.same_as_bus(&mut redis).await;
    assert_eq!(bench.report().connects, 1);
    // Nothing is published, and nothing lost, while it is away: what it forgot is written anew all the same.
    server.kill();
    server.run().await;
    let mut redis = server.connect().await;
    bench.same_as_bus(&mut redis).await;
    assert_eq!(bench.report().dropped_frames, 0);
}

/// A sink that hangs on its first burst, with an empty queue of 16 frames.
async fn hanging(server: &Server) -> Bench {
    let bench = Bench::start(server, json!({"queue_frames": 16, "deadline_ms": 30_000})).await;
    for (channel, retain) in [("ticker", Retain::Latest), ("book", Retain::Conflate)] {
        bench.publish(&format!("{channel}.bybit.spot.A."), r#"{"seq":1,"bids":[],"asks":[]}"#, retain);
    }
    bench.same_as_bus(&mut server.connect().await).await;
    server.signal("STOP");
    bench.publish("trade.bybit.spot.A.", r#"{"seq":1}"#, Retain::Stream);
    until("the sink has taken it", || bench.report().queued_frames == 0).await;
    bench
}

fn trades(bench: &Bench, count: u64) {
    (0..count).for_each(|_| bench.publish("trade.bybit.spot.A.", r#"{"seq":2}"#, Retain::Stream));
}

fn status(bench: &Bench, channel: &str, state: &str, retain: Retain) {
    let head = r#""seq":2,"venue":"bybit","market":"spot","symbol":"A","feed":"f""#;
    let json = format!(r#"{{{head},"channel":"{channel}","state":"{state}","reason":"gap"}}"#);
    bench.publish("status.bybit.spot.A.", &json, retain);
}

#[tokio::test]
async fn a_value_whose_end_was_lost_is_taken_away_all_the_same() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = hanging(&server).await;
    // The only word about the ticker's end is dropped.
    status(&bench, "ticker", "stale", Retain::Stream);
    bench.bus.publish(&mut vec![Outgoing::Forget("ticker.bybit.spot.A.".into())]);
    trades(&bench, 30);
    assert!(bench.report().dropped_frames > 10);
    server.signal("CONT");
    bench.same_as_bus(&mut server.connect().await).await;
    assert_eq!(bench.report().connects, 1, "it was only slow");
}

#[tokio::test]
async fn a_book_that_overtook_a_status_in_a_full_queue_comes_again() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = hanging(&server).await;
    trades(&bench, 10);
    bench.publish("book.bybit.spot.A.", r#"{"seq":2,"bids":[],"asks":[]}"#, Retain::Conflate);
    trades(&bench, 5);
    status(&bench, "book", "stale", Retain::Latest);
    bench.bus.publish(&mut vec![Outgoing::Forget("book.bybit.spot.A.".into())]);
    status(&bench, "book", "live", Retain::Latest);
    // Takes the place of the older one, before the status that took that one's word back.
    bench.publish("book.bybit.spot.A.", r#"{"seq":3,"bids":[],"asks":[]}"#, Retain::Conflate);
    assert_eq!(bench.report().conflated_frames, 1);
    server.signal("CONT");
    bench.same_as_bus(&mut server.connect().await).await;
}
