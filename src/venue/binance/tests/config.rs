//! Channels, symbols, addresses, and which market a recording is of.

use super::*;
use crate::venue::Route;

/// What an entry of a feed's channels subscribes to: our words, then the venue's streams for the symbol `AbC`.
fn entry(market: &str, text: &str) -> String {
    match (VENUE.parse_channel)(market, text) {
        Err(why) => format!("error: {why}"),
        Ok(spec) => {
            let symbol = spec.symbols.first().map_or("ABC", String::as_str);
            let stream = Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) };
            let segment = super::super::market::Segment::of(market);
            let topics = super::super::channels::topics(segment, &stream);
            let names: Vec<String> = topics.into_iter().map(|(name, _)| name).collect();
            format!("{} = {}", stream.to_string().split_once(' ').expect("a channel").1, names.join(" "))
        }
    }
}

#[test]
fn channels_lead_to_the_venues_streams() {
    let expected = [
        ("spot", "book", "book:1000 = abc@depth@100ms"),
        ("spot", "book:5000", "book:5000 = abc@depth@100ms"),
        ("spot", "book:1000:1000ms", "book:1000:1000ms = abc@depth"),
        ("spot", "book:20", "book:20 = abc@depth20@100ms"),
        ("spot", "book:5:1000ms", "book:5:1000ms = abc@depth5"),
        ("usdm", "book:1000:fast", "book:1000:fast = abc@depth@0ms"),
        ("usdm", "book:500:250ms", "book:500:250ms = abc@depth"),
        ("coinm", "book:10:500ms", "book:10:500ms = abc@depth10@500ms"),
        ("spot", "bbo", "bbo = abc@bookTicker"),
        ("spot", "trade", "trade = abc@trade"),
        ("spot", "trade:each", "trade = abc@trade"),
        ("spot", "trade:agg", "trade:agg = abc@aggTrade"),
        ("usdm", "trade", "trade = abc@aggTrade"),
        ("usdm", "trade:agg", "trade = abc@aggTrade"),
        ("usdm", "trade:each", "trade:each = abc@trade"),
        ("spot", "ticker", "ticker = abc@ticker"),
        ("usdm", "ticker", "ticker = abc@ticker abc@markPrice@1s"),
        ("coinm", "ticker:mini", "ticker:mini = abc@miniTicker"),
        ("coinm", "ticker:mark", "ticker:mark = abc@markPrice@1s"),
        ("spot", "candle:1s", "candle:1s = abc@kline_1s"),
        ("spot", "candle:1d:utc8", "candle:1d:utc8 = abc@kline_1d@+08:00"),
        ("spot", "kline_1d@+08:00", "candle:1d:utc8 = abc@kline_1d@+08:00"),
        ("usdm", "candle:1M", "candle:1M = abc@kline_1M"),
        ("usdm", "liquidation", "liquidation = abc@forceOrder"),
    ];
    for (market, text, wanted) in expected {
        assert_eq!(entry(market, text), wanted, "{market} {text}");
    }
}

#[test]
fn the_venues_own_names_are_understood_with_and_without_their_symbols() {
    let expected = [
        ("spot", "btcusdt@depth@100ms", "book:1000 = btcusdt@depth@100ms"),
        ("spot", "depth@100ms", "book:1000 = abc@depth@100ms"),
        ("usdm", "btcusdt@depth", "book:1000:250ms = btcusdt@depth"),
        ("spot", "btcusdt@depth20@100ms", "book:20 = btcusdt@depth20@100ms"),
        ("spot", "kline_1m", "candle:1m = abc@kline_1m"),
        ("usdm", "btcusdt@trade", "trade:each = btcusdt@trade"),
        ("usdm", "markPrice@1s", "ticker:mark = abc@markPrice@1s"),
        ("usdm", "btcusdt@markPrice", "ticker:mark3s = btcusdt@markPrice"),
        ("coinm", "btcusd_perp@forceOrder", "liquidation = btcusd_perp@forceOrder"),
    ];
    for (market, text, wanted) in expected {
        assert_eq!(entry(market, text), wanted, "{market} {text}");
    }
    assert_eq!((VENUE.parse_channel)("spot", "btcusdt@aggTrade").expect("known").symbols, ["BTCUSDT"]);
}

#[test]
fn what_a_market_does_not_have_is_refused_with_a_reason() {
    let expected = [
        (
            "spot",
            "book:full",
            "error: book:full is not available: no image has all levels; book:1000 is the usual depth",
        ),
        ("spot", "book:1000:fast", "error: book:1000:fast is not available: no such speed here"),
        ("usdm", "book:5000", "error: book:5000 is not available: no such depth here"),
        (
            "usdm",
            "candle:1s",
            "error: candle:1s is not available: no such interval; allowed: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M",
        ),
        (
            "spot",
            "candle:7m",
            "error: candle:7m is not available: no such interval; allowed: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M 1s",
        ),
        (
            "usdm",
            "candle:1d:utc8",
            "error: candle:1d:utc8 is not available: only spot has other days, of UTC+8: candle:1d:utc8",
        ),
        ("spot", "liquidation", "error: liquidation is not available: only futures have liquidations"),
        ("spot", "ticker:mark", "error: ticker:mark is not available: no such ticker"),
        ("spot", "!ticker@arr", "error: unknown channel \"!ticker@arr\""),
        ("spot", "", "error: unknown channel \"\""),
        ("spot", "btcusdt@depth7", "error: unknown channel \"btcusdt@depth7\""),
    ];
    for (market, text, wanted) in expected {
        assert_eq!(entry(market, text), wanted, "{market} {text}");
    }
}

#[test]
fn every_listed_channel_is_one() {
    for market in VENUE.markets {
        for text in (VENUE.channels)(market.id) {
            assert!((VENUE.parse_channel)(market.id, &text).is_ok(), "{} {text}", market.id);
        }
    }
}

#[test]
fn usdm_books_have_a_route_of_their_own() {
    let route = |market: &str, channel: &str| (VENUE.route_of)(market, &stream(market, &format!("{channel} A")));
    assert_eq!(["book", "book:20", "bbo"].map(|channel| route("usdm", channel)), [Route(0); 3]);
    assert_eq!(["trade", "ticker", "candle:1m", "liquidation"].map(|channel| route("usdm", channel)), [Route(1); 4]);
    assert_eq!(["trade", "book"].map(|channel| route("coinm", channel)), [Route(0); 2]);
}

#[test]
fn symbols_are_upper_case() {
    for good in ["BTCUSDT", "BTCUSD_PERP", "1000SHIBUSDT", "币安人生USDT", "BTCUSDT_260925"] {
        assert_eq!((VENUE.check_symbol)("usdm", good), Ok(()), "{good}");
    }
    let refused = |symbol: &str| (VENUE.check_symbol)("coinm", symbol).expect_err("refused");
    assert!(refused("btcusd_perp").ends_with("did you mean \"BTCUSD_PERP\"?"), "{}", refused("btcusd_perp"));
    assert!(refused("BTC/USD").ends_with("for example \"BTCUSD_PERP\""));
    assert!(refused("").contains("no Binance symbol"));
}

#[test]
fn addresses_are_completed_by_route() {
    let urls = |market: &str, url: Option<&str>| {
        let mut found = (VENUE.endpoints)(market, url, None);
        // The last one is the account's.
        found.urls.pop();
        (found.urls.join(" "), found.rest_url, found.note.is_some())
    };
    let of = |urls: &str, rest: &str, note| (urls.to_owned(), rest.to_owned(), note);
    assert_eq!(urls("spot", None), of("wss://stream.binance.com:9443/stream", "https://api.binance.com", false));
    let usdm = "wss://fstream.binance.com/public/stream wss://fstream.binance.com/market/stream";
    assert_eq!(urls("usdm", None), of(usdm, "https://fapi.binance.com", false));
    assert_eq!(urls("usdm", Some("wss://fstream.binance.com/ws")), of(usdm, "https://fapi.binance.com", true));
    assert_eq!(urls("usdm", Some("wss://fstream.binance.com/public/ws")), of(usdm, "https://fapi.binance.com", false));
    let sim = "ws://127.0.0.1:9001/public/stream ws://127.0.0.1:9001/market/stream";
    assert_eq!(urls("usdm", Some("ws://127.0.0.1:9001")), of(sim, "http://127.0.0.1:9001", false));
    assert_eq!(
        urls("coinm", Some("ws://127.0.0.1:9001/")),
        of("ws://127.0.0.1:9001/stream", "http://127.0.0.1:9001", false)
    );
    assert_eq!(
        urls("spot", Some("wss://data-stream.binance.vision")),
        of("wss://data-stream.binance.vision/stream", "https://data-api.binance.vision", false)
    );
    assert_eq!(
        urls("spot", Some("wss://proxy.example/binance/ws")),
        of("wss://proxy.example/binance/stream", "https://proxy.example/binance", false)
    );
    let given = (VENUE.endpoints)("spot", None, Some("http://127.0.0.1:9002/"));
    assert_eq!(given.rest_url, "http://127.0.0.1:9002");
}

#[test]
fn raw_texts_go_where_the_address_says() {
    let raw = |market: &str, url: &str| (VENUE.endpoints)(market, Some(url), None).url(Route::RAW).to_owned();
    for (market, url) in [
        ("usdm", "wss://fstream.binance.com/market/stream"),
        ("usdm", "wss://fstream.binance.com/market/ws"),
        ("spot", "wss://proxy.example/binance/ws"),
    ] {
        assert_eq!(raw(market, url), url);
    }
    assert_eq!(raw("usdm", "wss://fstream.binance.com"), "wss://fstream.binance.com/public/stream");
    assert_eq!(raw("usdm", "wss://fstream.binance.com/ws"), "wss://fstream.binance.com/public/stream", "half dead");
    assert_eq!(raw("spot", "ws://127.0.0.1:9001/x"), "ws://127.0.0.1:9001/x/stream");
}

#[test]
fn the_account_has_an_address_of_its_own() {
    let private = |market: &str, url: Option<&str>| {
        let route = (VENUE.route_of)(market, &stream(market, "order "));
        (VENUE.endpoints)(market, url, None).urls[usize::from(route.0)].clone()
    };
    assert_eq!(private("spot", None), "wss://ws-api.binance.com:443/ws-api/v3");
    assert_eq!(private("usdm", None), "wss://fstream.binance.com/private/ws?listenKey={key}");
    assert_eq!(private("coinm", None), "wss://dstream.binance.com/ws/{key}");
    let testnet = Some("wss://stream.testnet.binance.vision/ws");
    assert_eq!(private("spot", testnet), "wss://ws-api.testnet.binance.vision/ws-api/v3");
    assert_eq!(private("spot", Some("ws://127.0.0.1:9001")), "ws://127.0.0.1:9001/ws-api/v3");
    assert_eq!(private("coinm", Some("ws://127.0.0.1:9001/x/stream")), "ws://127.0.0.1:9001/x/ws/{key}");
    let refused = (VENUE.parse_channel)("spot", "position").expect_err("refused");
    assert_eq!(refused, "position is not available: spot has no positions");
}

#[test]
fn recordings_tell_their_market() {
    let of_url = |url: &str| (VENUE.market_of)(Some(url), b"");
    assert_eq!(of_url("wss://stream.binance.com:9443/stream?streams=a@trade"), Some("spot"));
    assert_eq!(of_url("wss://fstream.binance.com/stream"), Some("usdm"));
    assert_eq!(of_url("ws://127.0.0.1:9001/market/stream"), Some("usdm"));
    assert_eq!(of_url("wss://dstream.binance.com/ws"), Some("coinm"));
    assert_eq!(of_url("https://dapi.binance.com/dapi/v1/depth?symbol=A"), Some("coinm"));
    assert_eq!(of_url("https://www.binance.com/api/v1/depth?symbol=A"), Some("spot"));
    assert_eq!(of_url("ws://127.0.0.1:9001/stream"), None);
    let of = |message: &str| (VENUE.market_of)(None, message.as_bytes());
    let spot = r#"{"stream":"a@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"A","U":1,"u":2,"b":[],"a":[]}}"#;
    assert_eq!(of(spot), Some("spot"));
    assert_eq!(of(&spot.replace(r#""u":2"#, r#""u":2,"pu":0"#)), Some("usdm"));
    assert_eq!(of(&spot.replace(r#""u":2"#, r#""u":2,"pu":0"#).replace("\"A\"", "\"BTCUSD_PERP\"")), Some("coinm"));
    assert_eq!(of(&spot.replace(r#""u":2"#, r#""u":2,"pu":0,"st":2"#)), Some("coinm"), "said by the venue");
    assert_eq!(of(r#"{"u":4,"s":"BNBUSDT","b":"25.3","B":"31","a":"25.4","A":"40"}"#), Some("spot"), "raw");
    assert_eq!(of(r#"{"result":null,"id":1}"#), None);
    assert_eq!(of("nonsense"), None);
}
