//! A thousand late joiners. Each connects at a random moment under load, joins the delta stream to a snapshot as
//! `docs/WIRE.md` says, and must then have the venue's book. Written from that page with the `zeromq` crate, not with our
//! client, so that the page itself is what is tested.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tickbus::sim::{Depth, Truth};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use zeromq::{ReqSocket, Socket, SocketRecv, SocketSend, SubSocket};

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::watcher::Watcher;

const JOINS: u64 = 1000;
/// Joiners at one time.
const AT_ONCE: usize = 10;
const DEPTH: Depth = Depth::Levels(200);

/// A book of the whole depth, and its place in the delta stream.
struct Book {
    epoch: u64,
    seq: u64,
    venue_seq: u64,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

impl Book {
    /// Starts with the levels of a snapshot, or of a delta that replaces everything.
    fn new(frame: &Value, seq: &str) -> Self {
        let (epoch, seq) = (frame["epoch"].as_u64().unwrap(), frame[seq].as_u64().unwrap());
        let mut book = Self { epoch, seq, venue_seq: 0, bids: BTreeMap::new(), asks: BTreeMap::new() };
        book.put(frame);
        book
    }

    fn put(&mut self, frame: &Value) {
        self.venue_seq = frame["venue_seq"].as_u64().unwrap();
        for (side, levels) in [(&mut self.bids, &frame["bids"]), (&mut self.asks, &frame["asks"])] {
            for level in levels.as_array().unwrap() {
                let number = |at: usize| Decimal::from_str(level[at].as_str().unwrap()).unwrap();
                if number(1).is_zero() {
                    side.remove(&number(0));
                } else {
                    side.insert(number(0), number(1));
                }
            }
        }
    }

    /// Drops, applies, or fails: nothing is lost here, so a jump is a fault of the gateway.
    fn delta(&mut self, frame: &Value) {
        assert_eq!(frame["epoch"], self.epoch);
        let seq = frame["seq"].as_u64().unwrap();
        if seq <= self.seq {
            return;
        }
        assert_eq!(seq, self.seq + 1, "a hole between the snapshot and the deltas");
        self.put(frame);
        self.seq = seq;
    }

    /// CRC32 of the best levels, as the simulated venue makes it of its own.
    fn digest(&self, levels: usize) -> u32 {
        let text = |(price, size): (&Decimal, &Decimal)| format!("{}:{}", price.normalize(), size.normalize());
        let bids: Vec<String> = self.bids.iter().rev().take(levels).map(text).collect();
        let asks: Vec<String> = self.asks.iter().take(levels).map(text).collect();
        crc32fast::hash(format!("{}#{}", bids.join("|"), asks.join("|")).as_bytes())
    }
}

/// Where the gateway is.
#[derive(Clone)]
struct Place {
    bus: String,
    snapshot: String,
}

impl Place {
    async fn subscribed(&self) -> SubSocket {
        let mut sub = SubSocket::new();
        sub.connect(&self.bus).await.unwrap();
        // The status comes last: once it is here, the deltas are subscribed to.
        for prefix in ["heartbeat.", "delta.bybit.linear.BTCUSDT.", "status.bybit.linear.BTCUSDT."] {
            sub.subscribe(prefix).await.unwrap();
        }
        sub
    }

    async fn fetch(&self) -> Value {
        let mut req = ReqSocket::new();
        req.connect(&self.snapshot).await.unwrap();
        let ask = json!({"op": "snapshot", "topic": "book.bybit.linear.BTCUSDT."}).to_string();
        req.send(ask.into()).await.unwrap();
        let answer = req.recv().await.unwrap();
        assert_eq!(answer.len(), 2, "no snapshot: {answer:?}");
        serde_json::from_slice(answer.get(1).unwrap()).unwrap()
    }
}

/// The next delta; the symbol must stay live.
async fn delta(sub: &mut SubSocket) -> Value {
    loop {
        let frame = frame(sub).await;
        if frame["type"] == "delta" {
            return frame;
        }
    }
}

async fn frame(sub: &mut SubSocket) -> Value {
    let message = sub.recv().await.unwrap();
    let frame: Value = serde_json::from_slice(message.get(1).unwrap()).unwrap();
    assert!(frame["type"] != "status" || frame["state"] == "live", "{frame}");
    frame
}

/// Joins as the page says. Returns once the book stands at the snapshot, with the deltas that came meanwhile.
async fn join(place: &Place, sub: &mut SubSocket, rng: &mut fastrand::Rng) -> (Book, Vec<Value>) {
    let mut kept = Vec::new();
    loop {
        let frame = frame(sub).await;
        match frame["type"].as_str().unwrap() {
            "status" => break,
            "delta" => kept.push(frame),
            _ => {}
        }
    }
    for _ in 0..rng.usize(0..4) {
        kept.push(delta(sub).await);
    }
    let mut answer = std::pin::pin!(place.fetch());
    let image = loop {
        tokio::select! {
            image = &mut answer => break image,
            frame = delta(sub) => kept.push(frame),
        }
    };
    (Book::new(&image, "delta_seq"), kept)
}

/// The digests of the whole book at every `seq`, from a subscriber that was there before all others and is compared
/// with the venue at each step.
struct Oracle {
    digests: Mutex<HashMap<u64, u32>>,
    seq: watch::Sender<u64>,
}

impl Oracle {
    async fn follow(self: Arc<Self>, place: Place, truth: Truth) {
        let mut sub = place.subscribed().await;
        let (mut book, kept) = join(&place, &mut sub, &mut fastrand::Rng::with_seed(0)).await;
        self.note(&book, &truth);
        let mut kept = kept.into_iter();
        loop {
            let frame = match kept.next() {
                Some(frame) => frame,
                None => delta(&mut sub).await,
            };
            book.delta(&frame);
            self.note(&book, &truth);
        }
    }

    fn note(&self, book: &Book, truth: &Truth) {
        let expected = truth.digest("linear", "BTCUSDT", DEPTH, book.venue_seq);
        assert_eq!(Some(book.digest(25)), expected, "not the venue's book at {}", book.venue_seq);
        self.digests.lock().unwrap().insert(book.seq, book.digest(usize::MAX));
        self.seq.send_replace(book.seq);
    }

    /// Waits until the book has moved so often.
    async fn moved(&self, times: u64) {
        let until = *self.seq.borrow() + times;
        self.reached(until).await;
    }

    async fn reached(&self, seq: u64) {
        timeout(DEADLINE, self.seq.subscribe().wait_for(|at| *at >= seq)).await.expect("the book moves").unwrap();
    }

    /// Compares a joined book with the truth at its place.
    async fn compare(&self, book: &Book, joiner: u64) {
        self.reached(book.seq).await;
        let expected = self.digests.lock().unwrap().get(&book.seq).copied();
        assert_eq!(Some(book.digest(usize::MAX)), expected, "joiner {joiner} at seq {}", book.seq);
    }
}

/// One joiner's life; returns how many of the deltas it read the snapshot had already, and how many came after it.
async fn joiner(place: Place, oracle: Arc<Oracle>, number: u64) -> (usize, usize) {
    let mut rng = fastrand::Rng::with_seed(number);
    oracle.moved(rng.u64(0..3)).await;
    let mut sub = place.subscribed().await;
    let (mut book, kept) = join(&place, &mut sub, &mut rng).await;
    oracle.compare(&book, number).await;
    let at = book.seq;
    let old = kept.iter().filter(|frame| frame["seq"].as_u64() <= Some(at)).count();
    let more = rng.usize(0..5);
    let newer = kept.len() - old + more;
    kept.iter().for_each(|frame| book.delta(frame));
    for _ in 0..more {
        book.delta(&delta(&mut sub).await);
    }
    oracle.compare(&book, number).await;
    (old, newer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_joiners_at_random_moments_have_the_venues_book() {
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "book."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    drop(watcher);
    let place = Place { bus: gateway.bus.clone(), snapshot: gateway.snapshot.clone() };
    let oracle = Arc::new(Oracle { digests: Mutex::default(), seq: watch::Sender::new(0) });
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&oracle).follow(place.clone(), venue.truth().clone()));
    let truth = venue.truth().clone();
    background.spawn(async move {
        let mut steps = interval(Duration::from_millis(2));
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            steps.tick().await;
            truth.step(1);
        }
    });
    oracle.reached(1).await;
    let (mut old, mut newer, mut done) = (0, 0, 0);
    let mut numbers = 0..JOINS;
    let start = |number| timeout(DEADLINE, joiner(place.clone(), Arc::clone(&oracle), number));
    let mut running: FuturesUnordered<_> = numbers.by_ref().take(AT_ONCE).map(start).collect();
    loop {
        tokio::select! {
            Some(ended) = running.next() => {
                let (before, after) = ended.expect("a joiner that never had its book");
                (old, newer, done) = (old + before, newer + after, done + 1);
                running.extend(numbers.next().map(start));
                if running.is_empty() { break }
            }
            Some(ended) = background.join_next() => panic!("the oracle or the market ended: {ended:?}"),
        }
    }
    println!("{done} joins; their snapshots had {old} of the deltas read, {newer} came after");
    assert_eq!(done, JOINS);
    // Else nothing was joined: the moments were not random enough to prove anything.
    assert!(old > 100 && newer > 100, "{old} deltas were in the snapshots, {newer} came after");
}
