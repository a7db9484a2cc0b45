//! What streams carry: their fields, their pace, and books that can be put together from them.

use std::collections::BTreeMap;

use super::*;
use crate::sim::venue::Depth;

/// A book kept the way the venue's documentation says.
#[derive(Default)]
struct Book {
    id: u64,
    joined: bool,
    bids: BTreeMap<u64, String>,
    asks: BTreeMap<u64, String>,
}

/// A price as an integer, and the pair without trailing zeros.
fn level(level: &Value) -> (u64, String, bool) {
    let [price, size] = [0, 1].map(|at| level[at].as_str().unwrap());
    let plain = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let key = (price.parse::<f64>().unwrap() * 1e8).round() as u64;
    (key, format!("{}:{}", plain(price), plain(size)), size.bytes().all(|byte| matches!(byte, b'0' | b'.')))
}

impl Book {
    fn image(value: &Value) -> Self {
        let side =
            |name: &str| value[name].as_array().unwrap().iter().map(|entry| (level(entry).0, level(entry).1)).collect();
        Self { id: number(&value["lastUpdateId"]), joined: false, bids: side("bids"), asks: side("asks") }
    }

    /// Applies an event; false on a gap.
    fn apply(&mut self, event: &Value, futures: bool) -> bool {
        let (first, last) = (number(&event["U"]), number(&event["u"]));
        let fits = match (futures, self.joined) {
            (false, _) if last <= self.id => return true,
            (false, _) => first <= self.id + 1,
            (true, false) if last < self.id => return true,
            (true, false) => first <= self.id,
            (true, true) => number(&event["pu"]) == self.id,
        };
        if !fits {
            return false;
        }
        (self.id, self.joined) = (last, true);
        for (side, name) in [(&mut self.bids, "b"), (&mut self.asks, "a")] {
            for (key, text, gone) in event[name].as_array().unwrap().iter().map(level) {
                if gone {
                    side.remove(&key)
                } else {
                    side.insert(key, text)
                };
            }
        }
        true
    }

    fn digest(&self) -> u32 {
        let bids: Vec<&str> = self.bids.values().rev().take(25).map(String::as_str).collect();
        let asks: Vec<&str> = self.asks.values().take(25).map(String::as_str).collect();
        crc32fast::hash(format!("{}#{}", bids.join("|"), asks.join("|")).as_bytes())
    }
}

const MARKETS: [(&str, &str, &str, &str); 3] = [
    ("spot", "/ws", "BTCUSDT", "/api/v3/depth?limit=1000&symbol=BTCUSDT"),
    ("usdm", "/public/ws", "BTCUSDT", "/fapi/v1/depth?limit=1000&symbol=BTCUSDT"),
    ("coinm", "/ws", "BTCUSD_PERP", "/dapi/v1/depth?limit=1000&symbol=BTCUSD_PERP"),
];

#[test]
fn an_image_and_the_stream_make_the_true_book() {
    for (market, path, symbol, depth) in MARKETS {
        for speed in ["", "@100ms", "@500ms", "@0ms"] {
            let futures = market != "spot";
            if !futures && ["@500ms", "@0ms"].contains(&speed) {
                continue;
            }
            let mut scene = Scene::new(path);
            scene.subscribe(&[&format!("{}@depth{speed}", symbol.to_lowercase())]);
            let before = scene.live(1_500);
            scene.step(2);
            let mut book = Book::image(&scene.body(depth));
            let mut applied = 0;
            let after = scene.live(5_000);
            // What 0 ms has already told of the two moves is not among what is seen later: the image holds it.
            for event in before.iter().chain(&after) {
                let first = !book.joined;
                assert!(book.apply(event, futures) || (futures && first), "{market}{speed}: gap at {event}");
                if !book.joined {
                    continue;
                }
                applied += 1;
                let truth = scene.venue.digest(market, symbol, Depth::Full, book.id);
                assert_eq!(truth, Some(book.digest()), "{market}{speed} at {}", book.id);
            }
            if speed != "@0ms" {
                assert!(applied > 3, "{market}{speed}: {applied}");
            }
        }
    }
}

#[test]
fn ids_follow_each_other_on_spot_and_jump_on_futures() {
    for (market, path, symbol, _) in MARKETS {
        let mut scene = Scene::new(path);
        scene.subscribe(&[&format!("{}@depth@100ms", symbol.to_lowercase())]);
        let events = scene.live(3_000);
        let mut jumps = 0;
        for pair in events.windows(2) {
            let (before, first) = (number(&pair[0]["u"]), number(&pair[1]["U"]));
            jumps += usize::from(first > before + 1);
            if market != "spot" {
                assert_eq!(pair[1]["pu"], before);
            }
        }
        assert_eq!(jumps > 0, market != "spot", "{market}");
    }
}

#[test]
fn depth_keeps_its_pace_unless_every_move_goes_out() {
    let count = |every_move: bool, stream: &str| {
        let binance = super::super::Settings { every_move, ..super::super::Settings::default() };
        let mut scene =
            Scene::with("/public/ws", Options { binance, symbols: vec!["BTCUSDT".into()], ..Options::default() });
        scene.subscribe(&[stream]);
        // From one turn of the clock on.
        scene.run(100);
        scene.live(3_000).len()
    };
    assert_eq!(count(false, "btcusdt@depth@100ms"), 30);
    assert_eq!(count(false, "btcusdt@depth@500ms"), 6);
    assert!((11..=13).contains(&count(false, "btcusdt@depth")));
    let at_once = count(false, "btcusdt@depth@0ms");
    assert!(at_once > 80, "{at_once}");
    assert_eq!(count(true, "btcusdt@depth@500ms"), at_once);
}

#[test]
fn fields_are_the_documented_ones() {
    let depth = "e E T s U u pu b a ps st";
    let agg = "e E s a p q f l T m";
    let ticker = "e E s p P w x c Q b B a A o h l v q O C F L n";
    let futures_ticker = "e E s p P w c Q o h l v q O C F L n";
    let cases = [
        ("/ws", "btcusdt@depth@100ms", "e E s U u b a".to_owned()),
        ("/ws", "btcusdt@depth5@100ms", "lastUpdateId bids asks".to_owned()),
        ("/ws", "btcusdt@bookTicker", "u s b B a A".to_owned()),
        ("/ws", "btcusdt@trade", "e E s t p q T m M".to_owned()),
        ("/ws", "btcusdt@aggTrade", format!("{agg} M")),
        ("/ws", "btcusdt@kline_1m", "e E s k".to_owned()),
        ("/ws", "btcusdt@ticker", ticker.to_owned()),
        ("/ws", "btcusdt@miniTicker", "e E s c o h l v q".to_owned()),
        ("/ws", "btcusdt@avgPrice", "e E s i w T".to_owned()),
        ("/public/ws", "btcusdt@depth@100ms", depth.to_owned()),
        ("/public/ws", "btcusdt@depth20@100ms", depth.to_owned()),
        ("/public/ws", "btcusdt@bookTicker", "e u E T s b B a A st".to_owned()),
        ("/public/ws", "!bookTicker", "e u E T s b B a A st".to_owned()),
        ("/market/ws", "btcusdt@aggTrade", "e E s a p q nq f l T m st".to_owned()),
        ("/market/ws", "btcusdt@trade", "e E T s t p q X m st".to_owned()),
        ("/market/ws", "btcusdt@kline_1m", "e E s k st".to_owned()),
        ("/market/ws", "btcusdt@ticker", format!("{futures_ticker} st")),
        ("/market/ws", "btcusdt@miniTicker", "e E s c o h l v q st".to_owned()),
        ("/market/ws", "btcusdt@markPrice", "e E s p ap P i r T st".to_owned()),
        ("/market/ws", "btcusdt@forceOrder", "e E o st".to_owned()),
        ("/ws", "btcusd_perp@depth@100ms", depth.to_owned()),
        ("/ws", "btcusd_perp@aggTrade", format!("{agg} ps st")),
        ("/ws", "btcusd_perp@ticker", format!("{futures_ticker} ps st")),
    ];
    for (path, stream, fields) in cases {
        let mut scene = Scene::new(path);
        scene.subscribe(&[stream]);
        let mut texts = Vec::new();
        for _ in 0..160 {
            let mut published = Vec::new();
            scene.venue.step(3, scene.now(), &mut published);
            scene.ms += 50;
            scene.venue.tick(scene.now(), &mut published);
            texts.extend(
                published.into_iter().filter(|message| scene.session.wants(message)).map(|message| message.text),
            );
        }
        let text = texts.first().unwrap_or_else(|| panic!("{stream}: nothing"));
        let text = std::str::from_utf8(text).unwrap();
        assert_eq!(names(text).join(" "), fields, "{stream}: {text}");
    }
}

#[test]
fn combined_messages_name_their_stream_and_a_property_changes_the_frame() {
    let mut scene = Scene::new("/stream?streams=btcusdt@bookTicker");
    let combined = scene.step(2_000);
    assert!(
        !combined.is_empty()
            && combined.iter().all(|m| m["stream"] == "btcusdt@bookTicker" && m["data"]["s"] == "BTCUSDT")
    );
    scene.ask(r#"{"method":"SET_PROPERTY","params":["combined",false],"id":5}"#);
    assert!(scene.step(200).iter().all(|message| message["s"] == "BTCUSDT"));
}

#[test]
fn a_candle_is_closed_exactly_once() {
    for (path, name, length) in [("/ws", "btcusdt@kline_1s", 1_000), ("/market/ws", "btcusdt@kline_1m", 60_000)] {
        let mut scene = Scene::new(path);
        scene.subscribe(&[name]);
        let candles: Vec<Value> = scene.live(length * 5 / 2 + 60_000).into_iter().map(|m| m["k"].clone()).collect();
        let mut closed = Vec::new();
        for candle in &candles {
            assert_eq!(number(&candle["T"]) - number(&candle["t"]) + 1, length);
            if candle["x"] == true {
                closed.push(number(&candle["t"]));
            } else {
                assert!(closed.last().is_none_or(|last| number(&candle["t"]) > *last), "open again: {candle}");
            }
        }
        assert!(closed.len() >= 2 && closed.windows(2).all(|pair| pair[1] == pair[0] + length), "{name}: {closed:?}");
        let ids: Vec<_> = candles.iter().filter(|c| c["x"] == true && c["n"] != 0).collect();
        for pair in ids.windows(2) {
            assert_eq!(number(&pair[1]["f"]), number(&pair[0]["L"]) + 1, "trade ids have a hole");
        }
    }
}

#[test]
fn streams_of_all_symbols_mix_both_kinds_of_futures() {
    let kinds = |path: &str, name: &str| {
        let mut scene = Scene::new(path);
        scene.subscribe(&[name]);
        // Liquidations are rare.
        let messages = scene.live(if name.starts_with("!force") { 60_000 } else { 6_000 });
        let rows =
            messages.iter().flat_map(|message| message.as_array().cloned().unwrap_or_else(|| vec![message.clone()]));
        let mut kinds: Vec<i64> = rows.map(|row| row["st"].as_i64().unwrap_or(0)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    for name in ["!ticker@arr", "!miniTicker@arr", "!markPrice@arr", "!forceOrder@arr"] {
        assert_eq!(kinds("/market/ws", name), [1, 2], "{name}");
        assert_eq!(kinds("/coinm/ws", name), [1, 2], "{name}");
    }
    assert_eq!(kinds("/public/ws", "!bookTicker"), [1, 2]);
    assert_eq!(kinds("/ws", "!miniTicker@arr"), [0]);
}

#[test]
fn the_best_prices_carry_the_ids_of_the_book() {
    let mut scene = Scene::with("/public/ws", Options { symbols: vec!["BTCUSDT".into()], ..Options::default() });
    scene.subscribe(&["btcusdt@bookTicker", "btcusdt@depth@0ms"]);
    let mut book = Book::image(&scene.body("/fapi/v1/depth?limit=1000&symbol=BTCUSDT"));
    let mut compared = 0;
    let mut best: Option<Value> = None;
    for message in scene.step(500) {
        if message["e"] == "bookTicker" {
            best = Some(message);
            continue;
        }
        book.joined = true;
        book.id = number(&message["pu"]);
        assert!(book.apply(&message, true));
        if let Some(best) = best.take().filter(|best| best["u"] == message["u"]) {
            compared += 1;
            let bid = format!("{}:", best["b"].as_str().unwrap().trim_end_matches('0').trim_end_matches('.'));
            assert!(book.bids.last_key_value().unwrap().1.starts_with(&bid), "{best}");
        }
    }
    assert!(compared > 50, "{compared}");
}
