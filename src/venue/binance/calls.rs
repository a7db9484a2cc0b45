//! The named REST endpoints of the three markets: paths, parameters, weights and limits of the documentation. An endpoint is
//! called what its path ends with.

use super::answers::{
    self, aggregates, book_tickers, candles, day_tickers, depth, open_interest, premium, prices, trades,
};
use super::channels;
use super::market::Segment;
use super::rest::image_weight;
use crate::model::{Channel, Stream};
use crate::venue::{Endpoint, Page, Params, Past, Reader};

type Weight = fn(params: &[(String, String)]) -> u32;

/// The endpoints of a market.
pub(super) fn of(market: &str) -> &'static [Endpoint] {
    match Segment::of(market) {
        Segment::Spot => SPOT,
        Segment::Usdm => USDM,
        Segment::Coinm => COINM,
    }
}

const CANDLES: &[&str] = &["symbol", "interval"];
const SPAN: &[&str] = &["startTime", "endTime", "limit"];
const IDS: &[&str] = &["fromId", "startTime", "endTime", "limit"];
const ONE: &[&str] = &["symbol"];
const NONE: &[&str] = &[];
const LIMIT: &[&str] = &["limit"];
const PAIR: &[&str] = &["symbol", "pair"];
const SYMBOLS: &[&str] = &["symbol", "symbols"];

const SPOT: &[Endpoint] = &[
    Endpoint::open("ping", "/api/v3/ping", "nothing, if the venue is there"),
    Endpoint::open("time", "/api/v3/time", "the venue's clock"),
    Endpoint::open("exchangeInfo", "/api/v3/exchangeInfo", "symbols, their rules, limits")
        .takes(NONE, &["symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"])
        .costs(|_| 20),
    Endpoint::open("ticker/price", "/api/v3/ticker/price", "last prices")
        .takes(NONE, SYMBOLS)
        .costs(few::<2, 4>)
        .says(prices),
    Endpoint::open("ticker/24hr", "/api/v3/ticker/24hr", "24 hours of a symbol, or of all")
        .takes(NONE, &["symbol", "symbols", "type"])
        .costs(days)
        .says(day_tickers),
    Endpoint::open("ticker/bookTicker", "/api/v3/ticker/bookTicker", "best bids and asks")
        .takes(NONE, SYMBOLS)
        .costs(few::<2, 4>)
        .says(book_tickers),
    Endpoint::open("avgPrice", "/api/v3/avgPrice", "the average price of some minutes").takes(ONE, NONE).costs(|_| 2),
    Endpoint::open("depth", "/api/v3/depth", "a book").takes(ONE, LIMIT).costs(depth_of_spot).says(depth),
    Endpoint::open("trades", "/api/v3/trades", "the last trades").takes(ONE, LIMIT).costs(|_| 25).says(trades),
    past(history("historicalTrades", "/api/v3/historicalTrades", |_| 25, trades), &["fromId", "limit"], 1_000, each),
    past(history("aggTrades", "/api/v3/aggTrades", |_| 4, aggregates), IDS, 1_000, aggregated_of_spot),
    bars("/api/v3/klines", &["startTime", "endTime", "timeZone", "limit"], 1_000, |_| 2, bars_of_spot),
    account("/api/v3/account", |_| 20),
];

const USDM: &[Endpoint] = &[
    Endpoint::open("ping", "/fapi/v1/ping", "nothing, if the venue is there"),
    Endpoint::open("time", "/fapi/v1/time", "the venue's clock"),
    Endpoint::open("exchangeInfo", "/fapi/v1/exchangeInfo", "symbols, their rules, limits"),
    Endpoint::open("ticker/price", "/fapi/v1/ticker/price", "last prices")
        .takes(NONE, ONE)
        .costs(few::<1, 2>)
        .says(prices),
    Endpoint::open("ticker/24hr", "/fapi/v1/ticker/24hr", "24 hours of a symbol, or of all")
        .takes(NONE, ONE)
        .costs(few::<1, 40>)
        .says(day_tickers),
    Endpoint::open("ticker/bookTicker", "/fapi/v1/ticker/bookTicker", "best bids and asks")
        .takes(NONE, ONE)
        .costs(few::<2, 5>)
        .says(book_tickers),
    Endpoint::open("depth", "/fapi/v1/depth", "a book").takes(ONE, LIMIT).costs(depth_of_futures).says(depth),
    Endpoint::open("trades", "/fapi/v1/trades", "the last trades").takes(ONE, LIMIT).costs(|_| 5).says(trades),
    past(history("aggTrades", "/fapi/v1/aggTrades", |_| 20, aggregates), IDS, 1_000, aggregated),
    bars("/fapi/v1/klines", SPAN, 1_500, bars_weight, bars_of_futures),
    Endpoint::open("premiumIndex", "/fapi/v1/premiumIndex", "mark and index price, funding rate")
        .takes(NONE, ONE)
        .costs(few::<1, 10>)
        .says(premium),
    Endpoint::open("fundingRate", "/fapi/v1/fundingRate", "past funding rates").takes(ONE, SPAN),
    Endpoint::open("openInterest", "/fapi/v1/openInterest", "open interest").takes(ONE, NONE).says(open_interest),
    account("/fapi/v3/account", |_| 5),
];

const COINM: &[Endpoint] = &[
    Endpoint::open("ping", "/dapi/v1/ping", "nothing, if the venue is there"),
    Endpoint::open("time", "/dapi/v1/time", "the venue's clock"),
    Endpoint::open("exchangeInfo", "/dapi/v1/exchangeInfo", "symbols, their rules, limits"),
    Endpoint::open("ticker/price", "/dapi/v1/ticker/price", "last prices")
        .takes(NONE, PAIR)
        .costs(few::<1, 2>)
        .says(prices),
    Endpoint::open("ticker/24hr", "/dapi/v1/ticker/24hr", "24 hours of a symbol, or of all")
        .takes(NONE, PAIR)
        .costs(few::<1, 40>)
        .says(day_tickers),
    Endpoint::open("ticker/bookTicker", "/dapi/v1/ticker/bookTicker", "best bids and asks")
        .takes(NONE, PAIR)
        .costs(few::<2, 5>)
        .says(book_tickers),
    Endpoint::open("depth", "/dapi/v1/depth", "a book").takes(ONE, LIMIT).costs(depth_of_futures).says(depth),
    Endpoint::open("trades", "/dapi/v1/trades", "the last trades").takes(ONE, LIMIT).costs(|_| 5).says(trades),
    past(history("aggTrades", "/dapi/v1/aggTrades", |_| 20, aggregates), IDS, 1_000, aggregated),
    bars("/dapi/v1/klines", SPAN, 1_500, bars_weight, bars_of_futures),
    Endpoint::open("premiumIndex", "/dapi/v1/premiumIndex", "mark and index price, funding rate")
        .takes(NONE, PAIR)
        .costs(|_| 10)
        .says(premium),
    Endpoint::open("fundingRate", "/dapi/v1/fundingRate", "past funding rates").takes(ONE, SPAN),
    Endpoint::open("openInterest", "/dapi/v1/openInterest", "open interest").takes(ONE, NONE).says(open_interest),
    account("/dapi/v1/account", |_| 5),
];

const fn history(name: &'static str, path: &'static str, weight: Weight, read: Reader) -> Endpoint {
    Endpoint::open(name, path, "trades from an id on, or the last ones").costs(weight).says(read)
}

type PastParams = fn(stream: &Stream, page: Page, rows: u32) -> Option<Params>;

const fn past(endpoint: Endpoint, optional: &'static [&'static str], rows: u32, params: PastParams) -> Endpoint {
    Endpoint { past: Some(Past { rows, reach: None, params }), ..endpoint.takes(ONE, optional) }
}

const fn bars(
    path: &'static str,
    optional: &'static [&'static str],
    rows: u32,
    weight: Weight,
    params: PastParams,
) -> Endpoint {
    let endpoint = Endpoint::open("klines", path, "candles").costs(weight).says(candles);
    Endpoint { past: Some(Past { rows, reach: None, params }), ..endpoint.takes(CANDLES, optional) }
}

const fn account(path: &'static str, weight: Weight) -> Endpoint {
    let endpoint = Endpoint::open("account", path, "balances and positions").takes(NONE, &["recvWindow"]).costs(weight);
    Endpoint { signed: true, ..endpoint }
}

// Weights.

fn given<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn limit(params: &[(String, String)], usual: u16) -> u16 {
    given(params, "limit").map_or(usual, |text| text.parse().unwrap_or(u16::MAX))
}

/// For one symbol, and for more.
fn few<const SYMBOL: u32, const MORE: u32>(params: &[(String, String)]) -> u32 {
    if given(params, "symbol").is_some() { SYMBOL } else { MORE }
}

fn days(params: &[(String, String)]) -> u32 {
    let symbols = given(params, "symbols").map(|list| list.split(',').count());
    match (given(params, "symbol"), symbols) {
        (Some(_), _) | (None, Some(..=20)) => 2,
        (None, Some(..=100)) => 40,
        _ => 80,
    }
}

fn depth_of_spot(params: &[(String, String)]) -> u32 {
    image_weight(Segment::Spot, limit(params, 100))
}

fn depth_of_futures(params: &[(String, String)]) -> u32 {
    image_weight(Segment::Usdm, limit(params, 500))
}

fn bars_weight(params: &[(String, String)]) -> u32 {
    match limit(params, 500) {
        ..100 => 1,
        ..500 => 2,
        ..=1_000 => 5,
        _ => 10,
    }
}

// The past of streams.

fn call<const N: usize>(symbol: &str, more: [(&str, String); N], rows: u32) -> Params {
    let head = [("symbol", symbol.to_owned())].into_iter();
    let all = head.chain(more).chain([("limit", rows.to_string())]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn bars_of_futures(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let (Channel::Candle(interval), Page::Span { from, to }) = (stream.channel, page) else { return None };
    let span = [("interval", interval.to_string()), ("startTime", from.to_string()), ("endTime", to.to_string())];
    Some(call(&stream.symbol, span, rows))
}

fn bars_of_spot(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let mut params = bars_of_futures(stream, page, rows)?;
    if stream.variant == channels::UTC8 {
        params.push(("timeZone".to_owned(), answers::UTC8.to_owned()));
    }
    Some(params)
}

/// Aggregated trades, which futures have without a word and spot has as `trade:agg`.
fn aggregated(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let more = match page {
        _ if stream.channel != Channel::Trade || !stream.variant.is_empty() => return None,
        Page::From(id) => [("fromId", id.to_string())],
        Page::Since(at) => [("startTime", at.to_string())],
        Page::Last => return Some(call(&stream.symbol, [], rows)),
        Page::Span { .. } => return None,
    };
    Some(call(&stream.symbol, more, rows))
}

fn aggregated_of_spot(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let is_aggregated = stream.variant == "agg";
    let usual = Stream { variant: "", ..stream.clone() };
    if is_aggregated { aggregated(&usual, page, rows) } else { None }
}

/// Single trades of spot: by id only.
fn each(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    match page {
        Page::From(_) | Page::Last => aggregated(stream, page, rows),
        Page::Since(_) | Page::Span { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(market: &str, name: &str, params: &[(&str, &str)]) -> u32 {
        let endpoint = of(market).iter().find(|endpoint| endpoint.name == name).unwrap();
        let params: Params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(endpoint.check(&params), Ok(()), "{market} {name}");
        (endpoint.weight)(&params)
    }

    #[test]
    fn weights_are_those_of_the_documentation() {
        let symbol = ("symbol", "X");
        let bars = |limit| [symbol, ("interval", "1m"), ("limit", limit)];
        for (limit, expected) in [("99", 1), ("100", 2), ("499", 2), ("500", 5), ("1000", 5), ("1001", 10)] {
            assert_eq!(weight("coinm", "klines", &bars(limit)), expected, "{limit}");
        }
        assert_eq!(weight("coinm", "klines", &bars("100")[..2]), 5, "500 rows if none are said");
        assert_eq!(weight("spot", "klines", &bars("1000")), 2);
        for (limit, spot, futures) in [("50", 5, 2), ("100", 5, 5), ("500", 25, 10), ("1000", 50, 20)] {
            assert_eq!(weight("spot", "depth", &[symbol, ("limit", limit)]), spot, "{limit}");
            assert_eq!(weight("usdm", "depth", &[symbol, ("limit", limit)]), futures, "{limit}");
        }
        assert_eq!((weight("spot", "depth", &[symbol]), weight("coinm", "depth", &[symbol])), (5, 10));
        assert_eq!(
            (weight("spot", "depth", &[symbol, ("limit", "5000")]), weight("spot", "ticker/24hr", &[])),
            (250, 80)
        );
        assert_eq!((weight("usdm", "ticker/24hr", &[symbol]), weight("usdm", "ticker/24hr", &[])), (1, 40));
        assert_eq!((weight("spot", "ticker/price", &[symbol]), weight("spot", "ticker/price", &[])), (2, 4));
        let thirty = format!("[{}]", vec!["\"X\""; 30].join(","));
        assert_eq!(weight("spot", "ticker/24hr", &[("symbols", &thirty)]), 40);
        assert_eq!((weight("coinm", "premiumIndex", &[]), weight("usdm", "premiumIndex", &[symbol])), (10, 1));
    }

    #[test]
    fn each_market_has_the_endpoints_and_the_past_of_its_streams() {
        let names =
            ["ping", "time", "exchangeInfo", "ticker/price", "ticker/24hr", "ticker/bookTicker", "depth", "trades"];
        let more = ["aggTrades", "klines", "account"];
        for market in ["spot", "usdm", "coinm"] {
            for name in names.iter().chain(&more) {
                let endpoint = of(market).iter().find(|endpoint| endpoint.name == *name);
                assert!(endpoint.is_some_and(|endpoint| endpoint.path.ends_with(name)), "{market} {name}");
            }
            assert!(of(market).iter().all(|endpoint| endpoint.signed == (endpoint.name == "account")));
        }
        let past = |market: &str, channel: &str, page| {
            let spec = (super::super::VENUE.parse_channel)(market, channel).unwrap();
            let stream = Stream { variant: spec.variant, ..Stream::new("X", spec.channel) };
            let (endpoint, params) = super::super::VENUE.past(market, &stream, page, 7, 0)?;
            endpoint.check(&params).unwrap();
            Some(endpoint.target(&params))
        };
        let (span, from) = (Page::Span { from: 60_000, to: 119_999 }, Page::From(5));
        let told = |market, channel, page| past(market, channel, page).unwrap();
        assert_eq!(
            told("spot", "candle:1m", span),
            "/api/v3/klines?symbol=X&interval=1m&startTime=60000&endTime=119999&limit=7"
        );
        assert!(told("spot", "candle:1d:utc8", span).ends_with("&limit=7&timeZone=8"));
        assert_eq!(told("spot", "trade", from), "/api/v3/historicalTrades?symbol=X&fromId=5&limit=7");
        assert_eq!(told("spot", "trade:agg", from), "/api/v3/aggTrades?symbol=X&fromId=5&limit=7");
        assert_eq!(told("coinm", "trade", Page::Since(9)), "/dapi/v1/aggTrades?symbol=X&startTime=9&limit=7");
        assert_eq!(told("usdm", "trade", Page::Last), "/fapi/v1/aggTrades?symbol=X&limit=7");
        assert_eq!((past("usdm", "trade:each", from), past("spot", "trade", Page::Since(9))), (None, None));
        assert_eq!((past("spot", "ticker", Page::Last), past("spot", "candle:1m", from)), (None, None));
    }
}
