//! A Binance image has so many levels of what may be more. When the market moves towards its edge another one is fetched while
//! the book stays live; when the market gets there first, the book is not live any more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::feed::FeedSpec;
use tickbus::frame::{EncoderSpec, Encoding, LastSeq, Outgoing};
use tickbus::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::venue::{Input, binance};

const MS: u64 = 1_000_000;

/// A market with an ask at every whole price from `best` on and a bid at every one below it, without end.
struct Market {
    best: u64,
    id: u64,
    now: u64,
    pipeline: Pipeline,
    status: Vec<String>,
    images: Vec<u64>,
    book: Value,
}

impl Market {
    /// A live book of 100 levels.
    fn live() -> Self {
        let streams = vec![Stream::new("AUSDT", Channel::Book(BookDepth::Levels(100)))];
        let silence = Duration::from_secs(600);
        let feed = FeedSpec { market: "spot".to_owned(), streams, silence, ..FeedSpec::default() };
        let encoder = EncoderSpec {
            feed: "f".to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            account: None,
            epoch: 1,
            encoding: Encoding::Json,
            book_depth: 25,
            depth_of: Default::default(),
            book_interval: Duration::ZERO,
            last_seq: LastSeq::default(),
            feed_seq: Default::default(),
            clock: UnixNanos::default,
        };
        let pipeline = Pipeline::new(&binance::VENUE, feed, encoder);
        let (status, images) = (Vec::new(), Vec::new());
        let mut market = Self { best: 1_000, id: 10, now: 1_000 * MS, pipeline, status, images, book: Value::Null };
        market.step(Input::Connected);
        market.step(Input::Text(br#"{"result":null,"id":1}"#));
        let list = br#"{"symbols":[{"symbol":"AUSDT","baseAsset":"A","quoteAsset":"USDT"}]}"#;
        market.step(Input::Http { id: 1, status: Some(200), body: list, url: None });
        market.answer();
        market.rise();
        assert_eq!(market.status.last().map(String::as_str), Some("live"));
        market.status.clear();
        market
    }

    fn step(&mut self, input: Input<'_>) {
        let now = Stamp { mono: Mono(self.now), wall: UnixNanos(self.now) };
        self.pipeline.step(input, now);
        let outbox = self.pipeline.outbox();
        let images = outbox.requests.drain(..).filter(|(_, request)| request.path.contains("/depth?"));
        self.images.extend(images.map(|(_, request)| request.id));
        outbox.sends.clear();
        for frame in outbox.frames.drain(..) {
            let Outgoing::Frame(frame) = frame else { continue };
            let payload: Value = serde_json::from_slice(&frame.payload).unwrap();
            match payload["type"].as_str().unwrap() {
                "status" if payload["symbol"] == "AUSDT" => {
                    self.status.push(payload["state"].as_str().unwrap().to_owned());
                }
                "book" => self.book = payload,
                _ => {}
            }
        }
    }

    /// The best ask is taken and a bid stands there.
    fn rise(&mut self) {
        self.id += 1;
        let price = self.best.to_string();
        self.best += 1;
        let data = json!({
            "e": "depthUpdate", "E": 1, "s": "AUSDT", "U": self.id, "u": self.id,
            "b": [[price, "1"]], "a": [[price, "0"]],
        });
        let text = json!({"stream": "ausdt@depth@100ms", "data": data}).to_string();
        self.step(Input::Text(text.as_bytes()));
    }

    /// Answers the image that was asked for last.
    fn answer(&mut self) {
        let id = self.images.pop().expect("an image was asked for");
        let level = |price: u64| json!([price.to_string(), "1"]);
        let bids: Vec<Value> = (1..=100).map(|n| level(self.best - n)).collect();
        let asks: Vec<Value> = (0..100).map(|n| level(self.best + n)).collect();
        let body = json!({"lastUpdateId": self.id, "bids": bids, "asks": asks}).to_string();
        self.step(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None });
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms * MS;
        self.step(Input::Timeout);
    }

    /// The best 25 asks are the market's.
    fn check(&self) {
        let asks: Vec<Value> = (0..25).map(|n| json!([(self.best + n).to_string(), "1"])).collect();
        assert_eq!(self.book["asks"], json!(asks));
        assert_eq!(self.book["venue_seq"], self.id);
    }
}

#[test]
fn a_new_image_is_fetched_before_the_market_leaves_the_old_one() {
    let mut market = Market::live();
    (0..45).for_each(|_| market.rise());
    market.pass(300);
    assert_eq!(market.images.len(), 0, "more than half of it is left");
    (0..15).for_each(|_| market.rise());
    market.pass(300);
    assert_eq!(market.images.len(), 1);
    // While it is on its way the market goes on.
    (0..5).for_each(|_| market.rise());
    market.answer();
    market.rise();
    market.check();
    (0..30).for_each(|_| market.rise());
    market.pass(300);
    market.check();
    assert_eq!((market.status.len(), market.images.len()), (0, 0), "live all along: {:?}", market.status);
}

#[test]
fn an_image_that_is_too_old_leaves_the_live_book_alone() {
    let mut market = Market::live();
    (0..60).for_each(|_| market.rise());
    market.pass(300);
    let id = market.images.pop().expect("an image was asked for");
    market.rise();
    market.rise();
    let old = json!({"lastUpdateId": market.id - 50, "bids": [["1", "1"]], "asks": [["9999", "1"]]}).to_string();
    market.step(Input::Http { id, status: Some(200), body: old.as_bytes(), url: None });
    market.check();
    market.pass(300);
    assert_eq!(market.images.len(), 0, "not at once again");
    market.pass(10_000);
    assert_eq!(market.images.len(), 1);
    market.answer();
    market.rise();
    market.check();
    assert_eq!(market.status.len(), 0, "{:?}", market.status);
}

#[test]
fn a_market_that_is_beyond_the_image_has_no_live_book() {
    let mut market = Market::live();
    (0..80).for_each(|_| market.rise());
    market.pass(300);
    assert_eq!(market.status, ["stale", "syncing"]);
    market.answer();
    market.rise();
    assert_eq!(market.status.last().map(String::as_str), Some("live"));
    market.check();
}
