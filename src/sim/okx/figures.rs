//! What the simulated OKX says about an instrument besides books, trades and candles: the rows of tickers, prices, funding
//! and open interest, for sockets and REST alike.

use crate::model::{Decimal, Stamp};
use crate::sim::market::{Level, Side};

use super::catalog::{InstType, Spec, coins};
use super::interval::{INTERVALS, find};
use super::listed::Listed;

/// A row: names and texts, without its time.
pub(super) type Row = Vec<(&'static str, String)>;

const FUNDING_MS: u64 = 8 * 3_600_000;

fn price(spec: &Spec, ticks: i64) -> String {
    spec.price(ticks).to_string()
}

/// First price, highest and lowest of the last 24 hours, and the volumes of that time.
fn day(listed: &Listed) -> ([String; 3], [String; 3]) {
    let (spec, last) = (&listed.spec, listed.market.last().ticks);
    let day = listed.minutes.recent(1_440);
    let (open, high, low) = day.map_or((last, last, last), |day| (day.open, day.high, day.low));
    let volumes = day.map_or_else(|| spec.volumes(0, 0), |day| spec.volumes(day.lots, day.turnover));
    ([open, high, low].map(|ticks| price(spec, ticks)), volumes)
}

/// The first price since midnight in UTC and in Hong Kong.
fn since_midnight(listed: &Listed, now: Stamp) -> [String; 2] {
    ["1Dutc", "1D"].map(|name| {
        let start = find(name).map_or(0, |at| INTERVALS[usize::from(at)].start(now.wall.as_ms()));
        let open = listed.minutes.candle(start, u64::MAX).map_or(listed.market.last().ticks, |day| day.open);
        price(&listed.spec, open)
    })
}

/// A level's price and size; empty texts for a side without orders.
fn best(spec: &Spec, level: Level) -> [String; 2] {
    if level.lots == 0 {
        return [String::new(), String::new()];
    }
    [price(spec, level.ticks), spec.size(level.lots).to_string()]
}

/// `tickers`
pub(super) fn ticker(listed: &Listed, now: Stamp) -> Row {
    let (spec, last) = (&listed.spec, listed.market.last());
    let ([open, high, low], [volume, volume_ccy, _]) = day(listed);
    let [utc0, utc8] = since_midnight(listed, now);
    let [ask, ask_size] = best(spec, listed.market.best(Side::Ask));
    let [bid, bid_size] = best(spec, listed.market.best(Side::Bid));
    vec![
        ("instType", spec.kind.as_str().to_owned()),
        ("instId", spec.symbol.clone()),
        ("last", price(spec, last.ticks)),
        ("lastSz", spec.size(last.lots).to_string()),
        ("askPx", ask),
        ("askSz", ask_size),
        ("bidPx", bid),
        ("bidSz", bid_size),
        ("open24h", open),
        ("high24h", high),
        ("low24h", low),
        ("volCcy24h", volume_ccy),
        ("vol24h", volume),
        ("sodUtc0", utc0),
        ("sodUtc8", utc8),
    ]
}

/// `mark-price`; that of a spot pair is for margin.
pub(super) fn mark(listed: &Listed) -> Row {
    let kind = if is_derivative(listed.spec.kind) { listed.spec.kind.as_str() } else { "MARGIN" };
    vec![
        ("instType", kind.to_owned()),
        ("instId", listed.spec.symbol.clone()),
        ("markPx", price(&listed.spec, listed.market.best(Side::Bid).ticks)),
    ]
}

/// `index-tickers`: close to the last price, without its noise.
pub(super) fn index(listed: &Listed, now: Stamp) -> Row {
    let recent = listed.minutes.recent(5);
    let ticks = recent.map_or(listed.market.last().ticks, |candle| i64::midpoint(candle.high, candle.low));
    let ([open, high, low], _) = day(listed);
    let [utc0, utc8] = since_midnight(listed, now);
    vec![
        ("instId", listed.spec.index()),
        ("idxPx", price(&listed.spec, ticks)),
        ("high24h", high),
        ("low24h", low),
        ("open24h", open),
        ("sodUtc0", utc0),
        ("sodUtc8", utc8),
    ]
}

/// `funding-rate`: an invented rate that moves slowly.
pub(super) fn funding(listed: &Listed, now: Stamp) -> Row {
    let next = now.wall.as_ms() - now.wall.as_ms() % FUNDING_MS + FUNDING_MS;
    let drift = i64::try_from(listed.market.seq() / 1_024 % 10_000).unwrap_or(0);
    let rate = Decimal::new(10_000 + drift, 8).trimmed().to_string();
    [
        ("instType", "SWAP".to_owned()),
        ("instId", listed.spec.symbol.clone()),
        ("method", "current_period".to_owned()),
        ("formulaType", "noRate".to_owned()),
        ("fundingRate", rate),
        ("nextFundingRate", String::new()),
        ("fundingTime", next.to_string()),
        ("nextFundingTime", (next + FUNDING_MS).to_string()),
        ("minFundingRate", "-0.00375".to_owned()),
        ("maxFundingRate", "0.00375".to_owned()),
        ("interestRate", "0.0001".to_owned()),
        ("impactValue", "20000".to_owned()),
        ("settState", "settled".to_owned()),
        ("settFundingRate", "0.0001".to_owned()),
        ("premium", "0.0002".to_owned()),
    ]
    .into()
}

/// `open-interest`: an invented number that moves slowly.
pub(super) fn open_interest(listed: &Listed) -> Row {
    let spec = &listed.spec;
    let drift = i64::try_from(listed.market.seq() / 64 % 1_000).unwrap_or(0);
    let lots = spec.shape.max_lots.saturating_mul(500).saturating_add(drift);
    let (amount, turnover) = (spec.amount(lots), spec.turnover(listed.market.last().ticks, lots));
    let (base, quote) = if spec.inverse() { (turnover, amount) } else { (amount, turnover) };
    vec![
        ("instType", spec.kind.as_str().to_owned()),
        ("instId", spec.symbol.clone()),
        ("oi", spec.size(lots).to_string()),
        ("oiCcy", coins(base)),
        ("oiUsd", coins(quote)),
    ]
}

/// `price-limit`: five per cent from the last price.
pub(super) fn price_limit(listed: &Listed) -> Row {
    let last = listed.market.last().ticks;
    vec![
        ("instType", listed.spec.kind.as_str().to_owned()),
        ("instId", listed.spec.symbol.clone()),
        ("buyLmt", price(&listed.spec, last + last / 20)),
        ("sellLmt", price(&listed.spec, last - last / 20)),
        ("enabled", "true".to_owned()),
    ]
}

/// Whether instruments of this type have mark prices, funding and the like.
pub(super) fn is_derivative(kind: InstType) -> bool {
    kind != InstType::Spot
}
