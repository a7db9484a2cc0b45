//! Random holes: whatever breaks and however late REST knows, each trade and each ended candle is published once, what was
//! fetched in order.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use proptest::prelude::*;
use serde_json::json;

use super::Backfill;
use crate::feed::{Event, Feed, FeedOutput, FeedSpec, Outcome, Symbol};
use crate::model::{Channel, Interval, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{HttpRequest, Input, LinkId, RpcRequest, VenueDef, binance, bybit};

const SECOND: u64 = 1_000_000_000;
/// A minute begins here, in milliseconds.
const START_MS: u64 = 1_700_000_040_000;

/// What the feed said and wants.
#[derive(Default)]
struct Said {
    sends: Vec<String>,
    requests: Vec<HttpRequest>,
    trades: Vec<(u64, bool)>,
    closed: Vec<(u64, bool)>,
    notices: Vec<String>,
}

impl FeedOutput for Said {
    fn send(&mut self, _: LinkId, text: String) {
        self.sends.push(text);
    }
    fn http(&mut self, _: LinkId, request: HttpRequest) {
        self.requests.push(request);
    }
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn reconnect(&mut self, _: LinkId, reason: String) {
        panic!("{reason}");
    }
    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}
    fn event(&mut self, _: &Symbol, event: Event<'_>) {
        match event {
            Event::Trade(trade) => {
                let number = trade.id.trim_start_matches(|c: char| !c.is_ascii_digit());
                self.trades.push((number.parse().expect("a number"), trade.backfill));
            }
            Event::Candle(candle) if candle.closed => {
                self.closed.push((candle.open_time / SECOND / 60, candle.backfill));
            }
            Event::Candle(candle) => assert!(!candle.backfill),
            Event::Notice { status, .. } => self.notices.extend(status.detail.clone()),
            _ => {}
        }
    }
}

/// A venue with one symbol, and a feed of its trades and candles.
struct World {
    rng: Rng,
    venue: &'static VenueDef,
    now: u64,
    feed: Feed,
    said: Said,
    connected: bool,
    /// Trades so far: their times in milliseconds.
    trades: Vec<u64>,
    /// The minute whose candle was told last over this connection.
    minute: u64,
    /// Answers on their way.
    answers: BTreeMap<u64, (u64, HttpRequest)>,
    /// What REST does not know yet, in milliseconds; and how many in a hundred calls fail.
    lag_ms: u64,
    failures: u32,
    /// Whether the last call failed, of trades and of candles.
    failed: [bool; 2],
    weight: u32,
}

impl World {
    fn new(venue: &'static VenueDef, market: &str, seed: u64, backfill: Backfill) -> Self {
        let variant = if market == "spot" && venue.id == "binance" { "agg" } else { "" };
        let minute = Channel::Candle(Interval { count: 1, unit: 'm' });
        let streams =
            vec![Stream { variant, ..Stream::new("BTCUSDT", Channel::Trade) }, Stream::new("BTCUSDT", minute)];
        let silence = Duration::from_secs(3_600);
        let spec = FeedSpec { market: market.to_owned(), streams, silence, backfill, ..FeedSpec::default() };
        Self {
            rng: Rng::with_seed(seed),
            venue,
            now: SECOND,
            feed: Feed::new(venue, spec),
            said: Said::default(),
            connected: false,
            trades: Vec::new(),
            minute: 0,
            answers: BTreeMap::new(),
            lag_ms: 0,
            failures: 0,
            failed: [false; 2],
            weight: 0,
        }
    }

    fn ms(&self) -> u64 {
        START_MS + self.now / 1_000_000
    }

    fn step(&mut self, input: Input<'_>) {
        let now = Stamp { mono: Mono(self.now), wall: UnixNanos::from_ms(self.ms()) };
        self.feed.handle(input, now, &mut self.said);
        for text in std::mem::take(&mut self.said.sends) {
            let asked: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let answer = match self.venue.id {
                "bybit" if asked["op"] == "ping" => json!({"success": true, "ret_msg": "pong", "op": "ping"}),
                "bybit" => json!({"success": true, "ret_msg": "", "op": "subscribe", "req_id": asked["req_id"]}),
                _ if asked["method"] == "LIST_SUBSCRIPTIONS" => json!({"result": [], "id": asked["id"]}),
                _ => json!({"result": null, "id": asked["id"]}),
            };
            self.step(Input::Text(answer.to_string().as_bytes()));
        }
        for request in std::mem::take(&mut self.said.requests) {
            let at = self.now + self.rng.u64(20..400) * 1_000_000;
            let of_past = ["aggTrades", "recent-trade", "/kline"].iter().any(|name| request.path.contains(name));
            assert_eq!(request.patient, of_past, "{}", request.path);
            self.weight += request.weight;
            self.answers.insert(self.weight as u64 * 1_000 + request.id % 1_000, (at, request));
        }
        assert!(self.answers.values().filter(|(_, request)| request.patient).count() <= super::CALLS);
    }

    fn trade(&mut self) {
        let (id, ms) = (self.trades.len() as u64, self.ms());
        self.trades.push(ms);
        if self.connected {
            let text = match self.venue.id {
                "bybit" => json!({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": ms, "data": [
                    {"T": ms, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "2", "i": format!("x-{id}"), "seq": id},
                ]}),
                _ => json!({"stream": "btcusdt@aggTrade", "data":
                    {"e": "aggTrade", "E": ms, "s": "BTCUSDT", "a": id, "p": "2", "q": "1", "T": ms, "m": false}}),
            };
            self.step(Input::Text(text.to_string().as_bytes()));
        }
    }

    fn candle(&mut self, minute: u64, over: bool) {
        let (start, end) = (minute * 60_000, minute * 60_000 + 59_999);
        let text = match self.venue.id {
            "bybit" => {
                json!({"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": self.ms(), "data": [{"start": start,
                "end": end, "interval": "1", "open": "1", "close": "1", "high": "1", "low": "1", "volume": "1",
                "turnover": "1", "confirm": over, "timestamp": self.ms()}]})
            }
            _ => json!({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": self.ms(), "s": "BTCUSDT", "k":
                {"t": start, "T": end, "i": "1m", "o": "1", "c": "1", "h": "1", "l": "1", "v": "1", "q": "1", "x": over}}}),
        };
        self.step(Input::Text(text.to_string().as_bytes()));
    }

    /// Tells the candle of now, and before it that the last one is over.
    fn candles(&mut self) {
        let minute = self.ms() / 60_000;
        if self.connected {
            if self.minute != 0 && self.minute < minute {
                self.candle(self.minute, true);
            }
            self.minute = minute;
            self.candle(minute, false);
        }
    }

    fn connect(&mut self, connected: bool) {
        if connected != self.connected {
            self.connected = connected;
            self.minute = 0;
            self.step(if connected { Input::Connected } else { Input::Disconnected });
        }
    }

    /// What REST says now.
    fn rest(&self, path: &str) -> String {
        let of = |name: &str| -> Option<u64> {
            let (_, query) = path.split_once('?')?;
            query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))?.parse().ok())
        };
        let known = self.ms() - self.lag_ms;
        let limit = of("limit").unwrap_or(500) as usize;
        let trades = (0_u64..).zip(&self.trades).filter(|(_, ms)| **ms <= known);
        if path.contains("aggTrades") {
            let row = |(id, ms): (u64, &u64)| json!({"a": id, "p": "2", "q": "1", "T": ms, "m": false});
            let from = of("fromId").expect("an id");
            return json!(trades.skip_while(|(id, _)| *id < from).take(limit).map(row).collect::<Vec<_>>()).to_string();
        }
        if path.contains("recent-trade") {
            let mut all: Vec<_> = trades.collect();
            all.reverse();
            all.truncate(limit);
            let row = |(id, ms): (u64, &u64)| {
                json!({"execId": format!("x-{id}"), "symbol": "BTCUSDT", "price": "2", "size": "1", "side": "Buy",
                    "time": ms.to_string(), "seq": id.to_string()})
            };
            let list: Vec<_> = all.into_iter().map(row).collect();
            return json!({"retCode": 0, "retMsg": "OK", "result": {"list": list}}).to_string();
        }
        if path.contains("/kline") {
            let (from, to) = (of("startTime").or(of("start")).unwrap(), of("endTime").or(of("end")).unwrap());
            let now = self.ms() / 60_000;
            let minutes = (from.div_ceil(60_000)..=to / 60_000)
                .filter(|minute| *minute == now || minute * 60_000 + 60_000 <= known);
            let mut rows: Vec<_> = minutes.take(limit).collect();
            if self.venue.id == "bybit" {
                rows.reverse();
                let row = |minute: &u64| json!([(minute * 60_000).to_string(), "1", "1", "1", "1", "1", "1"]);
                let list: Vec<_> = rows.iter().map(row).collect();
                return json!({"retCode": 0, "retMsg": "OK", "result": {"list": list}}).to_string();
            }
            let row = |minute: u64| json!([minute * 60_000, "1", "1", "1", "1", "1", minute * 60_000 + 59_999, "1"]);
            return json!(rows.into_iter().map(row).collect::<Vec<_>>()).to_string();
        }
        match self.venue.id {
            "bybit" => json!({"retCode": 0, "retMsg": "OK", "result": {"list": []}}).to_string(),
            _ => json!({"symbols": [{"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"}]}).to_string(),
        }
    }

    fn answers(&mut self) {
        let due: Vec<u64> = self.answers.iter().filter(|(_, (at, _))| *at <= self.now).map(|(key, _)| *key).collect();
        for key in due {
            let (_, request) = self.answers.remove(&key).expect("there is one");
            // A part is given up after four answers that were of no use, and one may be that for coming too early.
            let failed = &mut self.failed[usize::from(request.path.contains("kline"))];
            let may_fail = request.patient && (self.failures == 100 || !*failed);
            let fails = may_fail && self.rng.u32(0..100) < self.failures;
            *failed = fails;
            let body = if fails { "busy".to_owned() } else { self.rest(&request.path) };
            let status = Some(if fails { 503 } else { 200 });
            self.step(Input::Http { id: request.id, status, body: body.as_bytes(), url: None });
        }
    }

    /// So many tenths of a second.
    fn run(&mut self, tenths: u64, trades: bool) {
        for _ in 0..tenths {
            self.now += SECOND / 10;
            if trades && self.rng.u8(0..10) == 0 {
                self.trade();
            }
            if self.now.is_multiple_of(SECOND) {
                self.candles();
            }
            self.answers();
            self.step(Input::Timeout);
        }
    }
}

/// What the flow says is checked against what there was.
fn check(world: &World, first_trade: usize, candles_from: u64) {
    let said = &world.said;
    let mut ids: Vec<u64> = said.trades.iter().map(|(id, _)| *id).collect();
    let filled: Vec<u64> = said.trades.iter().filter(|(_, backfill)| *backfill).map(|(id, _)| *id).collect();
    assert!(filled.is_sorted(), "in order: {filled:?}");
    ids.sort_unstable();
    let all: Vec<u64> = (first_trade as u64..world.trades.len() as u64).collect();
    assert_eq!(ids, all, "each trade once; notices {:?}", said.notices);
    let mut minutes: Vec<u64> = said.closed.iter().map(|(minute, _)| *minute).collect();
    let filled: Vec<u64> = said.closed.iter().filter(|(_, backfill)| *backfill).map(|(minute, _)| *minute).collect();
    assert!(filled.is_sorted(), "in order: {filled:?}");
    minutes.sort_unstable();
    let all: Vec<u64> = (candles_from..world.ms() / 60_000).collect();
    assert_eq!(minutes, all, "each candle ends once; notices {:?}", said.notices);
    assert_eq!(said.notices, [""; 0]);
}

fn holes(venue: &'static VenueDef, market: &str, seed: u64, breaks: &[(u64, u64)], failures: u32) {
    let mut world = World::new(venue, market, seed, Backfill { candles: 20, trades: 900 });
    (world.failures, world.lag_ms) = (failures, world.rng.u64(0..if failures == 0 { 5_000 } else { 1_000 }));
    world.run(300, true);
    let first_trade = world.trades.len();
    world.connect(true);
    let candles_from = world.ms().div_ceil(1_000) / 60 - 20;
    world.run(50, false);
    for (down, up) in breaks {
        // A trade shows where the last ones were.
        world.trade();
        world.connect(false);
        world.run(*down, true);
        world.connect(true);
        world.run(*up, true);
    }
    // The last hole is seen when something comes after it.
    world.trade();
    world.run(1_200, false);
    world.candles();
    check(&world, first_trade, candles_from);
    assert_eq!(world.feed.report().backfilling, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn trades_and_candles_are_published_once_whatever_breaks(
        seed in any::<u64>(),
        breaks in prop::collection::vec((1_u64..3_000, 20_u64..900), 0..6),
        failures in prop_oneof![Just(0_u32), 0_u32..25],
        at in 0_usize..3,
    ) {
        let (venue, market) = [(&binance::VENUE, "spot"), (&binance::VENUE, "usdm"), (&bybit::VENUE, "linear")][at];
        // Bybit does not give more than the last trades, in one answer: breaks are not longer than that.
        holes(venue, market, seed, &breaks, failures);
    }
}

#[test]
fn what_cannot_be_had_is_told() {
    let mut world = World::new(&binance::VENUE, "spot", 1, Backfill { candles: 5, trades: 100 });
    world.failures = 100;
    world.connect(true);
    world.trade();
    world.run(100, false);
    world.connect(false);
    (0..10).for_each(|_| world.trade());
    world.connect(true);
    world.trade();
    world.run(1_500, false);
    let report = world.feed.report();
    assert_eq!((report.counters.backfill_lost, report.counters.backfill_failures, report.backfilling), (2, 8, 0));
    let notices = &world.said.notices;
    assert!(notices.iter().any(|text| text == "trades 1 to 10: cannot be fetched: HTTP 503: busy"), "{notices:?}");
    assert_eq!(report.counters.backfilled, 0);
}

#[test]
fn more_than_is_wished_is_not_fetched_and_told() {
    let mut world = World::new(&binance::VENUE, "spot", 1, Backfill { candles: 5, trades: 100 });
    world.connect(true);
    world.trade();
    world.run(20, false);
    world.connect(false);
    (0..5_000).for_each(|_| world.trade());
    world.run(6_000, false);
    world.connect(true);
    world.trade();
    world.run(200, false);
    let filled: Vec<u64> = world.said.trades.iter().filter(|(_, backfill)| *backfill).map(|(id, _)| *id).collect();
    assert_eq!(filled, (4_901..5_001).collect::<Vec<_>>());
    let candles = world.said.closed.iter().filter(|(_, backfill)| *backfill).count();
    assert_eq!(candles, 5 + 5, "at the start, and after ten minutes");
    assert_eq!(world.said.notices.len(), 2, "{:?}", world.said.notices);
    assert!(world.said.notices.iter().all(|text| text.ends_with("older ones are missing and not fetched")));
}
