//! What the config may say: channels, symbols, addresses; and what a recording tells of its market.

use super::super::{BUSINESS, PRIVATE, PUBLIC, SIGNED, VENUE, VENUE_OKJ, channels, market_of, route_of};
use super::stream;
use crate::venue::{ChannelSpec, Route};

fn parse(market: &str, text: &str) -> Result<ChannelSpec, String> {
    (VENUE.parse_channel)(market, text)
}

/// Channel, symbols and note of what is understood.
fn read(market: &str, text: &str) -> String {
    match parse(market, text) {
        Ok(spec) => {
            let variant = if spec.variant.is_empty() { String::new() } else { format!(":{}", spec.variant) };
            let note = if spec.note.is_some() { " noted" } else { "" };
            format!("{}{variant} {}{note}", spec.channel, spec.symbols.join("|"))
        }
        Err(why) => why,
    }
}

#[test]
fn every_listed_channel_is_understood_and_has_its_arguments() {
    for market in ["spot", "swap", "futures", "option"] {
        for name in (VENUE.channels)(market) {
            let spec = parse(market, &name).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert!(spec.note.is_none(), "{name}");
            let text = if spec.channel.has_symbol() { format!("{name} A-B") } else { name.clone() };
            let topics = channels::topics(market, &stream(market, &text));
            assert!(
                !topics.is_empty() && !topics.iter().any(|topic| topic.contains("\"candle\"")),
                "{name}: {topics:?}"
            );
        }
    }
    assert!(!(VENUE.channels)("spot").contains(&"liquidation".to_owned()));
}

#[test]
fn the_venues_own_names_are_the_same_channels() {
    for (theirs, ours) in [
        ("books", "book:400 "),
        ("books5", "book:5 "),
        ("books-l2-tbt", "book:400:tbt "),
        ("books50-l2-tbt", "book:50:tbt "),
        ("bbo-tbt", "bbo "),
        ("trades", "trade "),
        ("trades-all", "trade:all "),
        ("tickers", "ticker "),
        ("candle1m", "candle:1m "),
        ("candle4H", "candle:4h "),
        ("candle1D", "candle:1d:utc8 "),
        ("candle1Dutc", "candle:1d "),
        ("candle3Mutc", "candle:3M "),
        ("liquidation-orders", "liquidation "),
        ("orders", "order "),
        ("positions", "position "),
        ("account", "balance "),
        ("mark-price", "ticker  noted"),
        ("funding-rate", "ticker  noted"),
        ("index-tickers", "ticker  noted"),
    ] {
        assert_eq!(read("swap", theirs), ours, "{theirs}");
    }
    let of = |text| channels::topics("swap", &stream("swap", text)).join(" ");
    assert_eq!(of("candle:1d X-Y-SWAP"), r#"{"channel":"candle1Dutc","instId":"X-Y-SWAP"}"#);
    assert_eq!(of("candle:1d:utc8 X-Y-SWAP"), r#"{"channel":"candle1D","instId":"X-Y-SWAP"}"#);
    assert!(of("ticker BTC-USD_UM-SWAP").ends_with(r#"{"channel":"index-tickers","instId":"BTC-USD"}"#));
}

#[test]
fn names_of_v3_are_translated() {
    for (market, v3, ours) in [
        ("spot", "spot/ticker:ETH-USDT", "ticker ETH-USDT noted"),
        ("spot", "spot/candle60s:ETH-USDT", "candle:1m ETH-USDT noted"),
        ("spot", "spot/candle14400s", "candle:4h  noted"),
        ("spot", "spot/candle86400s:ETH-USDT", "candle:1d:utc8 ETH-USDT noted"),
        ("spot", "spot/candle604800s:ETH-USDT", "candle:1w:utc8 ETH-USDT noted"),
        ("spot", "spot/depth:ETH-USDT", "book:400 ETH-USDT noted"),
        ("spot", "spot/depth5:ETH-USDT", "book:5 ETH-USDT noted"),
        ("spot", "spot/depth_l2_tbt:ETH-USDT", "book:400:tbt ETH-USDT noted"),
        ("spot", "spot/trade:ETH-USDT", "trade ETH-USDT noted"),
        ("swap", "swap/funding_rate:BTC-USD-SWAP", "ticker BTC-USD-SWAP noted"),
        ("futures", "futures/mark_price:BTC-USD-210430", "ticker BTC-USD-210430 noted"),
        ("spot", "spot/account:ETH", "balance  noted"),
        ("spot", "spot/order:ETH-USDT", "order  noted"),
        ("swap", "swap/position:BTC-USD-SWAP", "position  noted"),
    ] {
        assert_eq!(read(market, v3), ours, "{v3}");
    }
    let other = read("spot", "swap/ticker:BTC-USD-SWAP");
    assert!(other.contains("is of market swap") && other.contains("make a feed for swap"), "{other}");
    assert!(read("spot", "spot/xyz:ETH-USDT").contains("no channel of OKEx v3"));
    assert!(read("spot", "spot/candle61s:ETH-USDT").contains("no channel of OKEx v3"));
    assert!(read("spot", "system/status").contains("cannot be translated"));
}

#[test]
fn what_is_not_to_be_had_is_refused_with_a_reason() {
    for (market, text, why) in [
        ("spot", "book:50", "no such book"),
        ("spot", "book:5:tbt", "no such book"),
        ("spot", "candle:7m", "no such interval"),
        ("spot", "candle:1m:utc8", "no such interval"),
        ("spot", "liquidation", "only contracts"),
        ("spot", "funding-rate", "only contracts"),
        ("spot", "candle1mutc", "unknown channel"),
        ("spot", "boook", "unknown channel"),
        ("spot", "trade:all:x", "unknown channel"),
        ("spot", "order:x", "unknown channel"),
    ] {
        let refused = parse(market, text).expect_err(text);
        assert!(refused.contains(why) && refused.contains(text), "{refused}");
    }
}

#[test]
fn each_stream_has_its_address() {
    let route = |text| route_of("spot", &stream("spot", text));
    assert_eq!(["book A-B", "bbo A-B", "trade A-B", "ticker A-B"].map(route), [PUBLIC; 4]);
    assert_eq!(["candle:1m A-B", "trade:all A-B"].map(route), [BUSINESS; 2]);
    assert_eq!(["order", "fill", "position", "balance"].map(route), [PRIVATE; 4]);
    assert_eq!(["book:400:tbt A-B", "book:50:tbt A-B"].map(route), [SIGNED; 2]);
}

#[test]
fn symbols_tell_their_market() {
    let check = |market, symbol| (VENUE.check_symbol)(market, symbol);
    for (market, symbol) in [
        ("spot", "BTC-USDT"),
        ("swap", "BTC-USDT-SWAP"),
        ("swap", "BTC-USD_UM-SWAP"),
        ("futures", "BTC-USD-270326"),
        ("option", "BTC-USD-270326-60000-C"),
    ] {
        assert_eq!(check(market, symbol), Ok(()), "{symbol}");
    }
    assert!(check("spot", "BTC-USDT-SWAP").expect_err("another").contains("is of market swap, not spot"));
    assert!(check("spot", "btc-usdt").expect_err("lower").contains("did you mean \"BTC-USDT\"?"));
    for bad in ["", "BTC", "BTC-", "-USDT", "BTC-USDT-", "BTC-USDT-SWAP-X", "BTC USDT", "BTC-USD-27032", "A-B\"}"] {
        assert!(check("spot", bad).is_err(), "{bad}");
    }
}

#[test]
fn addresses_lead_where_data_are() {
    let of = |url: Option<&str>| (VENUE.endpoints)("spot", url, None);
    let own = of(None);
    let paths = ["public", "business", "private", "public#signed"];
    assert_eq!(own.urls, paths.map(|path| format!("wss://ws.okx.com/ws/v5/{path}")));
    assert_eq!((own.rest_url.as_str(), own.note), ("https://www.okx.com", None));
    for (given, public, rest, noted) in [
        ("wss://ws.okx.com:8443", "wss://ws.okx.com/ws/v5/public", "https://www.okx.com", true),
        ("wss://ws.okx.com/ws/v5/business/", "wss://ws.okx.com/ws/v5/public", "https://www.okx.com", false),
        (
            "wss://wspap.okx.com?brokerId=9999",
            "wss://wspap.okx.com/ws/v5/public?brokerId=9999",
            "https://www.okx.com",
            false,
        ),
        ("wss://wsus.okx.com", "wss://wsus.okx.com/ws/v5/public", "https://us.okx.com", false),
        ("wss://wseeapap.okx.com", "wss://wseeapap.okx.com/ws/v5/public", "https://eea.okx.com", false),
        ("wss://real.okex.com:8443/ws/v3", "wss://ws.okx.com/ws/v5/public", "https://www.okx.com", true),
        ("ws://127.0.0.1:9001", "ws://127.0.0.1:9001/ws/v5/public", "http://127.0.0.1:9001", false),
        ("ws://127.0.0.1:8443/ws/v5", "ws://127.0.0.1:8443/ws/v5/public", "http://127.0.0.1:8443", false),
        ("wss://proxy.test/okx/public", "wss://proxy.test/okx/public", "https://proxy.test", false),
    ] {
        let found = of(Some(given));
        assert_eq!((found.urls[0].as_str(), found.rest_url.as_str()), (public, rest), "{given}");
        assert_eq!(found.note.is_some(), noted, "{given}: {:?}", found.note);
        assert!(found.urls[1].contains("/business") && found.urls[2].contains("/private"), "{:?}", found.urls);
        assert!(found.urls[3].starts_with(public) && found.urls[3].ends_with("#signed"), "{:?}", found.urls);
        let again = of(Some(&found.urls[3]));
        assert_eq!(again.urls, found.urls, "an address that was recorded leads to itself");
    }
    let raw = |url: &str| of(Some(url)).url(Route::RAW).to_owned();
    assert_eq!(raw("wss://ws.okx.com:8443/ws/v5/private"), "wss://ws.okx.com/ws/v5/private");
    assert_eq!(raw("ws://127.0.0.1:9001/ws/v5/business/"), "ws://127.0.0.1:9001/ws/v5/business");
    assert_eq!(raw("wss://ws.okx.com"), "wss://ws.okx.com/ws/v5/public");
    let note = of(Some("wss://ws.okx.com:8443/ws/v5/private")).note.expect("the port has ended");
    assert!(note.ends_with("using wss://ws.okx.com/ws/v5/private"), "{note}");
    let okj = (VENUE_OKJ.endpoints)("spot", None, None);
    assert_eq!(
        (okj.urls[1].as_str(), okj.rest_url.as_str()),
        ("wss://ws.okj.com/ws/v5/business", "https://api.okj.com")
    );
    assert_eq!((VENUE.endpoints)("spot", None, Some("http://h/")).rest_url, "http://h");
}

#[test]
fn messages_tell_their_market() {
    for (message, market) in [
        (r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}"#, Some("spot")),
        (r#"{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"data":[]}"#, Some("swap")),
        (r#"{"arg":{"channel":"liquidation-orders","instType":"FUTURES"},"data":[]}"#, Some("futures")),
        (r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT"}]}"#, None),
        (r#"{"arg":{"channel":"orders","instType":"ANY"},"data":[{"instId":"BTC-USDT"}]}"#, None),
        (r#"{"table":"option/depth5","data":[{"instrument_id":"BTC-USD-210604-30000-P"}]}"#, Some("option")),
        ("pong", None),
        ("{}", None),
        ("\u{ff}", None),
    ] {
        assert_eq!(market_of(None, message.as_bytes()), market, "{message}");
    }
    assert_eq!(market_of(Some("https://h/api/v5/public/instruments?instType=OPTION&x"), b""), Some("option"));
    assert_eq!(market_of(Some("wss://ws.okx.com/ws/v5/public"), b""), None);
}
