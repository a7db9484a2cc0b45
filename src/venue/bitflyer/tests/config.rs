//! What the config may say: channels, symbols, addresses; and what a recording tells of its market.

use super::super::{VENUE, channels, market_of};
use super::stream;

/// Channel and symbols of what is understood.
fn read(text: &str) -> String {
    match (VENUE.parse_channel)("spot", text) {
        Ok(spec) => format!("{} {}", spec.channel, spec.symbols.join("|")),
        Err(why) => why,
    }
}

#[test]
fn channels_in_our_words_and_in_the_venues() {
    for (text, expected) in [
        ("book", "book:300 "),
        ("book:300", "book:300 "),
        ("bbo", "bbo "),
        ("trade", "trade "),
        ("ticker", "ticker "),
        ("lightning_board", "book:300 "),
        ("lightning_board_snapshot", "book:300 "),
        ("lightning_executions", "trade "),
        ("lightning_ticker", "ticker "),
        ("lightning_board_BTC_JPY", "book:300 BTC_JPY"),
        ("lightning_board_snapshot_FX_BTC_JPY", "book:300 FX_BTC_JPY"),
        ("lightning_executions_ETH_BTC", "trade ETH_BTC"),
        ("lightning_ticker_BTC_JPY", "ticker BTC_JPY"),
        ("order", "order "),
        ("balance", "balance "),
        ("child_order_events", "order "),
        ("parent_order_events", "order "),
        ("book:50", "book:50 is not available: bitFlyer has one book, of 300 levels: book"),
        (
            "lightning_board_",
            "unknown channel \"lightning_board_\"; allowed: book:300, bbo, trade, ticker, order, fill, position, balance",
        ),
        (
            "candle:1m",
            "unknown channel \"candle:1m\"; allowed: book:300, bbo, trade, ticker, order, fill, position, balance",
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for name in (VENUE.channels)("fx") {
        assert!(!channels::topics(&stream("fx", &format!("{name} FX_BTC_JPY"))).is_empty(), "{name}");
    }
}

#[test]
fn symbols_are_of_the_market_their_shape_tells() {
    let check = |market, symbol| (VENUE.check_symbol)(market, symbol);
    for (market, symbol) in [
        ("spot", "BTC_JPY"),
        ("spot", "BCH_BTC"),
        ("fx", "FX_BTC_JPY"),
        ("futures", "BTCJPY25JUN2021"),
        ("futures", "BTCJPY30JUL2021"),
    ] {
        assert_eq!(check(market, symbol), Ok(()), "{symbol}");
    }
    for (market, symbol, why) in [
        ("spot", "FX_BTC_JPY", "is of market fx, not spot"),
        ("fx", "BTC_JPY", "is of market spot, not fx; here symbols are such as \"FX_BTC_JPY\""),
        ("spot", "btc_jpy", "did you mean \"BTC_JPY\"?"),
        ("spot", "BTCJPY", "product codes are such as \"BTC_JPY\""),
        ("futures", "BTCJPY5JUN2021", "product codes are such as"),
        ("spot", "", "is no symbol"),
        ("spot", "é_JPY", "is no symbol"),
    ] {
        let said = check(market, symbol).expect_err(symbol);
        assert!(said.contains(why), "{symbol}: {said}");
    }
}

#[test]
fn addresses_lead_where_json_rpc_is_spoken() {
    let of = |url: Option<&str>, rest: Option<&str>| (VENUE.endpoints)("spot", url, rest);
    let own = of(None, None);
    assert_eq!(own.urls[0], "wss://ws.lightstream.bitflyer.com/json-rpc");
    assert_eq!((own.rest_url.as_str(), own.note), ("https://api.bitflyer.com", None));
    let simulated = of(Some("ws://127.0.0.1:9001"), None);
    assert_eq!(simulated.urls[0], "ws://127.0.0.1:9001/json-rpc");
    assert_eq!(simulated.rest_url, "http://127.0.0.1:9001");
    let of_path = of(Some("ws://127.0.0.1:9001/some/path"), Some("https://api.bitflyer.jp/"));
    assert_eq!(of_path.urls[0], "ws://127.0.0.1:9001/some/path");
    assert_eq!(of_path.rest_url, "https://api.bitflyer.com");
    let socket_io = of(Some("https://io.lightstream.bitflyer.com/socket.io"), None);
    assert!(socket_io.urls[0].ends_with("ws.lightstream.bitflyer.com/json-rpc"), "{:?}", socket_io.urls);
    assert!(socket_io.note.is_some());
}

#[test]
fn a_message_tells_its_market() {
    let of = |channel: &str| market_of(None, super::frame(channel, "{}").as_bytes());
    assert_eq!(of("lightning_board_snapshot_BTC_JPY"), Some("spot"));
    assert_eq!(of("lightning_board_FX_BTC_JPY"), Some("fx"));
    assert_eq!(of("lightning_ticker_BTCJPY25JUN2021"), Some("futures"));
    assert_eq!(of("child_order_events"), None);
    assert_eq!(market_of(Some("https://api.bitflyer.com/v1/getboard?product_code=FX_BTC_JPY"), b"{}"), Some("fx"));
    assert_eq!(market_of(Some("wss://ws.lightstream.bitflyer.com/json-rpc"), b""), None);
}
