//! What config may say of this venue: channels, symbols, addresses; and what a recording says of itself.

use super::super::{VENUE, channels};
use super::endpoints;
use crate::model::{BookDepth, Channel, Interval, Stream};
use crate::venue::ChannelSpec;

const fn minutes(count: u16) -> Channel {
    Channel::Candle(Interval { count, unit: 'm' })
}

const fn book(depth: u16) -> Channel {
    Channel::Book(BookDepth::Levels(depth))
}

fn parse(market: &str, text: &str) -> Result<ChannelSpec, String> {
    (VENUE.parse_channel)(market, text)
}

#[test]
fn channels_in_our_spelling() {
    for (market, text, channel, topic) in [
        ("linear", "book", book(200), "orderbook.200.X"),
        ("option", "book", book(100), "orderbook.100.X"),
        ("spot", "book:1", book(1), "orderbook.1.X"),
        ("inverse", "book:1000", book(1000), "orderbook.1000.X"),
        ("option", "book:25", book(25), "orderbook.25.X"),
        ("spot", "book:full", Channel::Book(BookDepth::Full), "orderbook.full.X"),
        ("linear", "bbo", Channel::Bbo, "orderbook.1.X"),
        ("linear", "trade", Channel::Trade, "publicTrade.X"),
        ("inverse", "ticker", Channel::Ticker, "tickers.X"),
        ("spot", "candle:1m", minutes(1), "kline.1.X"),
        ("spot", "candle:4h", Channel::Candle(Interval { count: 4, unit: 'h' }), "kline.240.X"),
        ("spot", "candle:12h", Channel::Candle(Interval { count: 12, unit: 'h' }), "kline.720.X"),
        ("spot", "candle:1M", Channel::Candle(Interval { count: 1, unit: 'M' }), "kline.M.X"),
        ("linear", "liquidation", Channel::Liquidation, "allLiquidation.X"),
    ] {
        let spec = parse(market, text).expect(text);
        assert_eq!(spec, ChannelSpec::of(channel), "{text}");
        assert_eq!(channels::name(market, &Stream::new("X", channel)), topic);
    }
    let option = Stream::new("BTC-6JAN23-17500-C", Channel::Trade);
    assert_eq!(channels::name("option", &option), "publicTrade.BTC", "options trade by base coin");
}

#[test]
fn every_listed_channel_is_understood_and_has_a_topic_that_is_read_back() {
    for market in VENUE.markets {
        for text in (VENUE.channels)(market.id) {
            let channel = parse(market.id, &text).expect(&text).channel;
            assert_eq!(channel.to_string(), text);
            let topic = channels::name(market.id, &Stream::new(market.example, channel));
            if let Channel::Account(kind) = channel {
                assert_eq!(crate::venue::bybit::account::kind_of(&topic), Some(kind), "{topic}");
                assert_eq!(parse(market.id, &topic).map(|spec| spec.channel), Ok(channel), "{topic}");
                continue;
            }
            let (read, symbol) = channels::parse_topic(&topic).expect(&topic);
            let same = read == channel || (channel == Channel::Bbo && read == book(1));
            assert!(same, "{topic} is {read}, not {channel}");
            assert!(market.example.starts_with(symbol), "{topic}");
        }
    }
}

#[test]
fn channels_in_the_venues_spelling_name_their_symbol() {
    for (text, channel) in [
        ("orderbook.50.BTCUSDT", book(50)),
        ("publicTrade.BTCUSDT", Channel::Trade),
        ("tickers.BTCUSDT", Channel::Ticker),
        ("kline.5.BTCUSDT", minutes(5)),
        ("allLiquidation.BTCUSDT", Channel::Liquidation),
    ] {
        let spec = parse("linear", text).expect(text);
        assert_eq!((spec.channel, spec.symbols, spec.note), (channel, vec!["BTCUSDT".to_owned()], None));
    }
}

#[test]
fn retired_channels_are_translated() {
    let sorted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (text, channel, symbols, depth, v5) in [
        ("orderBookL2_25.BTCUSD", book(50), sorted(&["BTCUSD"]), Some(25), "orderbook.50.BTCUSD"),
        ("orderBook_200.100ms.BTCUSD", book(200), sorted(&["BTCUSD"]), Some(200), "orderbook.200.BTCUSD"),
        ("trade.BTCUSD|XRPUSD", Channel::Trade, sorted(&["BTCUSD", "XRPUSD"]), None, "publicTrade.BTCUSD"),
        ("instrument_info.100ms.BTCUSD", Channel::Ticker, sorted(&["BTCUSD"]), None, "tickers.BTCUSD"),
        ("klineV2.1.*", minutes(1), sorted(&[]), None, "kline.1.SYMBOL"),
        ("candle.5.BTCUSDT", minutes(5), sorted(&["BTCUSDT"]), None, "kline.5.BTCUSDT"),
        ("liquidation.BTCUSD", Channel::Liquidation, sorted(&["BTCUSD"]), None, "allLiquidation.BTCUSD"),
    ] {
        let spec = parse("inverse", text).expect(text);
        assert_eq!((spec.channel, &spec.symbols, spec.book_depth), (channel, &symbols, depth), "{text}");
        let note = spec.note.expect("a note");
        assert!(note.contains(text) && note.contains(v5), "{note}");
    }
}

#[test]
fn what_a_market_does_not_have_is_refused_with_the_reason() {
    for (market, text, why) in [
        ("linear", "book:500", "2025-09-11"),
        ("linear", "orderbook.500.BTCUSDT", "2025-09-11"),
        ("linear", "book:25", "no such depth"),
        ("option", "book:200", "no such depth"),
        ("option", "book:full", "options have no such book"),
        ("option", "bbo", "options have no such book"),
        ("option", "candle:1m", "options have no candles"),
        ("linear", "candle:7m", "no such interval"),
        ("spot", "liquidation", "only contracts"),
        ("option", "liquidation", "only contracts"),
        ("linear", "books", "unknown channel"),
        ("linear", "book:", "unknown channel"),
        ("linear", "book:-1", "unknown channel"),
        ("linear", "book:70000", "unknown channel"),
        ("linear", "candle:0m", "unknown channel"),
        ("linear", "candle:+1m", "unknown channel"),
        ("linear", "kline.7.BTCUSDT", "unknown channel"),
        ("linear", "orderbook.50.", "unknown channel"),
        ("linear", "", "unknown channel"),
    ] {
        let error = parse(market, text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn symbols_are_checked_and_corrected() {
    for symbol in ["BTCUSDT", "BTCPERP", "1000PEPEUSDT", "BTC-6JAN23-17500-C", "BTCUSDZ26"] {
        assert_eq!((VENUE.check_symbol)("linear", symbol), Ok(()));
    }
    for (symbol, hint) in [("btcusdt", "\"BTCUSDT\""), ("BTC/USDT", "for example"), ("", "for example"), ("É", "for")]
    {
        let error = (VENUE.check_symbol)("linear", symbol).expect_err(symbol);
        assert!(error.contains(hint), "{error}");
    }
    let error = (VENUE.check_symbol)("inverse", "BTC USD").expect_err("a space");
    assert!(error.contains("\"BTCUSD\""), "{error}");
}

#[test]
fn addresses_are_completed_and_translated() {
    for (market, url, rest_url, want, want_rest, noted) in [
        ("linear", None, None, "wss://stream.bybit.com/v5/public/linear", "https://api.bybit.com", false),
        ("spot", None, Some("http://h:1/"), "wss://stream.bybit.com/v5/public/spot", "http://h:1", false),
        (
            "spot",
            Some("ws://127.0.0.1:9001"),
            None,
            "ws://127.0.0.1:9001/v5/public/spot",
            "http://127.0.0.1:9001",
            false,
        ),
        (
            "spot",
            Some("ws://127.0.0.1:9001/"),
            None,
            "ws://127.0.0.1:9001/v5/public/spot",
            "http://127.0.0.1:9001",
            false,
        ),
        ("linear", Some("ws://h/x"), Some("http://r"), "ws://h/x", "http://r", false),
        (
            "option",
            Some("wss://stream-testnet.bybit.com"),
            None,
            "wss://stream-testnet.bybit.com/v5/public/option",
            "https://api-testnet.bybit.com",
            false,
        ),
        (
            "linear",
            Some("wss://stream.bybit.tr/v5/public/linear"),
            None,
            "wss://stream.bybit.tr/v5/public/linear",
            "https://api.bybit.tr",
            false,
        ),
        (
            "inverse",
            Some("wss://stream.bybit.com/realtime"),
            None,
            "wss://stream.bybit.com/v5/public/inverse",
            "https://api.bybit.com",
            true,
        ),
        (
            "linear",
            Some("wss://stream.bybit.com/realtime_public"),
            None,
            "wss://stream.bybit.com/v5/public/linear",
            "https://api.bybit.com",
            true,
        ),
        (
            "linear",
            Some("sim.local:9001"),
            None,
            "wss://sim.local:9001/v5/public/linear",
            "https://sim.local:9001",
            false,
        ),
        ("linear", Some("sim.local/x"), None, "wss://sim.local/x", "https://sim.local", false),
    ] {
        let found = endpoints(market, url, rest_url);
        assert_eq!((found.urls[0].as_str(), found.rest_url.as_str()), (want, want_rest), "{url:?}");
        assert_eq!(found.note.is_some(), noted, "{url:?}: {:?}", found.note);
    }
}

#[test]
fn the_account_has_an_address_of_its_own() {
    let private = |url: Option<&str>| endpoints("linear", url, None).urls[1].clone();
    assert_eq!(private(None), "wss://stream.bybit.com/v5/private");
    assert_eq!(private(Some("wss://stream-testnet.bybit.com")), "wss://stream-testnet.bybit.com/v5/private");
    assert_eq!(private(Some("ws://127.0.0.1:9/v5/public/linear")), "ws://127.0.0.1:9/v5/private");
    assert_eq!(private(Some("ws://127.0.0.1:9/proxy/v5/public/linear")), "ws://127.0.0.1:9/proxy/v5/private");
    assert_eq!(private(Some("wss://stream.bybit.com/realtime")), "wss://stream.bybit.com/v5/private");
    let demo = endpoints("spot", Some("wss://stream-demo.bybit.com/v5/private"), None);
    let addresses = ["wss://stream.bybit.com/v5/public/spot", "wss://stream-demo.bybit.com/v5/private"];
    assert_eq!((demo.urls, &*demo.rest_url), (addresses.map(str::to_owned).to_vec(), "https://api-demo.bybit.com"));
    assert!(demo.note.is_some_and(|note| note.contains("private streams only")));
    assert!(parse("spot", "position").is_err_and(|why| why.contains("spot has no positions")));
}

#[test]
fn recordings_tell_their_market() {
    let market = |url: Option<&str>, text: &str| (VENUE.market_of)(url, text.as_bytes());
    for (url, want) in [
        ("wss://stream.bybit.com/v5/public/linear", Some("linear")),
        ("wss://stream.bybit.com/v5/public/spot", Some("spot")),
        ("wss://stream.bybit.com/realtime", Some("inverse")),
        ("wss://stream.bybit.com/realtime_public", Some("linear")),
        ("https://api.bybit.com/v5/market/time", None),
    ] {
        assert_eq!(market(Some(url), ""), want, "{url}");
    }
    for (topic, data, want) in [
        ("orderBookL2_25.BTCUSD", "[]", Some("inverse")),
        ("orderBookL2_25.BTCUSDT", "{}", Some("linear")),
        ("orderbook.50.BTCUSD", "{}", Some("inverse")),
        ("orderbook.50.BTCUSDZ26", "{}", Some("inverse")),
        ("orderbook.50.BTCPERP", "{}", Some("linear")),
        ("orderbook.50.BTC-26DEC25", "{}", Some("linear")),
        ("orderbook.25.BTC-6JAN23-17500-C", "{}", Some("option")),
        ("publicTrade.BTC", r#"[{"mIv":"1"}]"#, Some("option")),
        ("publicTrade.BTCUSDT", r#"[{"L":"PlusTick"}]"#, Some("linear")),
        ("tickers.BTCUSDT", r#"{"usdIndexPrice":"1"}"#, Some("spot")),
        ("tickers.BTCUSDT", r#"{"openInterest":"1"}"#, Some("linear")),
        ("orderbook.50.BTCUSDT", "{}", None),
        ("nothing.known", "{}", None),
    ] {
        assert_eq!(market(None, &format!(r#"{{"topic":"{topic}","data":{data}}}"#)), want, "{topic}");
    }
    for text in ["", "{", "[]", "null", r#"{"op":"ping"}"#] {
        assert_eq!(market(None, text), None, "{text}");
    }
}
