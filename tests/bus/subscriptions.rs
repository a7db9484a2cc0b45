//! What subscriptions cost the one who publishes: nothing that grows with their number.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tickbus::bus::{Outgoing, Publisher, Retain};

use crate::raw::{Peer, numbered, publisher, until};

const TOPICS: usize = 10_000;
const ROUNDS: usize = 15;

fn topic(n: usize) -> String {
    format!("trade.bybit.linear.SYM{n:05}USDT.")
}

/// CPU time of this thread for publishing one frame of each topic, in batches as feeds do it.
fn cost(bus: &Publisher, frames: &[Outgoing]) -> Duration {
    let cpu = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let mut spent = Duration::ZERO;
    for part in frames.chunks(100) {
        let mut batch = part.to_vec();
        let start = cpu();
        bus.publish(&mut batch);
        spent += cpu() - start;
    }
    spent
}

/// Reads and forgets.
fn drain(peer: Peer) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut peer = peer;
        let mut buffer = vec![0; 1 << 16];
        while tokio::io::AsyncReadExt::read(&mut peer.stream, &mut buffer).await.is_ok_and(|count| count > 0) {}
    })
}

/// A bus whose one client is subscribed to all topics (and to as many that nobody publishes, if `many`).
async fn subscribed(many: bool) -> (Publisher, tokio::task::JoinHandle<()>) {
    let bus = publisher(|options| options.queue_frames = 100_000).await;
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    if many {
        for n in 0..TOPICS {
            peer.subscribe(&topic(n)).await;
        }
    } else {
        peer.subscribe("trade.").await;
    }
    peer.settle().await;
    (bus, drain(peer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_subscriptions_cost_publishing_nothing_measurable() {
    let frames: Vec<_> = (0..TOPICS).map(|n| numbered(&topic(n), 1, &"x".repeat(300), Retain::Stream)).collect();
    let (few, _reading_few) = subscribed(false).await;
    let (many, _reading_many) = subscribed(true).await;
    // Both deliver the same; the first round, in which each topic is met for the first time, is not counted.
    let mut costs = [Duration::MAX; 2];
    for round in 0..=ROUNDS {
        for (bus, best) in [&few, &many].into_iter().zip(&mut costs) {
            let spent = tokio::task::block_in_place(|| cost(bus, &frames));
            until("all is sent", || bus.stats().queued_frames == 0).await;
            if round > 0 {
                *best = spent.min(*best);
            }
        }
    }
    let ratio = costs[1].as_secs_f64() / costs[0].as_secs_f64();
    println!(
        "{:?} a frame with one prefix, {:?} with {TOPICS}: ratio {ratio:.3}",
        costs[0] / 10_000,
        costs[1] / 10_000
    );
    assert!(ratio < 1.25, "{ratio}");
    assert_eq!(few.stats().frames_sent, many.stats().frames_sent);
}
