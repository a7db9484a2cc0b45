//! What a simulated symbol's ticker says: the venue's field names and texts.

use crate::model::Decimal;
use crate::sim::candles::Candle;
use crate::sim::market::Side;

use super::catalog::{Category, Spec, turnover_text};
use super::listed::Listed;

/// A ticker: field and text.
pub(super) type Fields = Vec<(&'static str, String)>;

const FUNDING_MS: u64 = 8 * 3_600_000;

/// The fields of a websocket ticker.
pub(super) fn fields(listed: &Listed, now_ms: u64) -> Fields {
    match listed.spec.category {
        Category::Spot => spot(listed, true),
        Category::Linear | Category::Inverse => contract(listed, now_ms),
        Category::Option => option(listed),
    }
}

/// The fields of a REST ticker: spot has the best prices there.
pub(super) fn rest_fields(listed: &Listed, now_ms: u64) -> Fields {
    if listed.spec.category != Category::Spot {
        return fields(listed, now_ms);
    }
    let mut out = spot(listed, false);
    out.extend(best(listed, ["bid1Price", "bid1Size", "ask1Price", "ask1Size"]));
    out
}

fn day(listed: &Listed) -> Candle {
    let price = listed.market.last().ticks;
    let flat = Candle { open: price, high: price, low: price, close: price, ..Candle::default() };
    listed.candles.recent(1_440).unwrap_or(flat)
}

/// `(now - before) / before` with six decimal places.
fn ratio(now: i64, before: i64) -> String {
    let millionths = i128::from(now - before) * 1_000_000 / i128::from(before.max(1));
    Decimal::new(i64::try_from(millionths).unwrap_or(0), 6).to_string()
}

fn best(listed: &Listed, names: [&'static str; 4]) -> Fields {
    let (bid, ask) = (listed.market.best(Side::Bid), listed.market.best(Side::Ask));
    let spec = &listed.spec;
    let texts = [spec.price(bid.ticks), spec.size(bid.lots), spec.price(ask.ticks), spec.size(ask.lots)];
    names.into_iter().zip(texts.map(|n| n.to_string())).collect()
}

fn spot(listed: &Listed, index: bool) -> Fields {
    let (spec, day) = (&listed.spec, day(listed));
    let last = listed.market.last().ticks;
    let price = |ticks: i64| spec.price(ticks).to_string();
    let mut out = vec![
        ("lastPrice", price(last)),
        ("highPrice24h", price(day.high)),
        ("lowPrice24h", price(day.low)),
        ("prevPrice24h", price(day.open)),
        ("volume24h", spec.size(day.lots).trimmed().to_string()),
        ("turnover24h", turnover_text(day.turnover)),
        ("price24hPcnt", ratio(last, day.open)),
    ];
    if index {
        out.push(("usdIndexPrice", price(listed.index_ticks())));
    }
    out
}

/// Open interest in lots: an invented number that moves slowly.
fn open_interest(spec: &Spec, seq: u64) -> i64 {
    let drift = i64::try_from(seq / 64 % 1_000).unwrap_or(0);
    spec.shape.max_lots.saturating_mul(500).saturating_add(drift)
}

fn contract(listed: &Listed, now_ms: u64) -> Fields {
    let (spec, day) = (&listed.spec, day(listed));
    let last = listed.market.last().ticks;
    let price = |ticks: i64| spec.price(ticks).to_string();
    let mark = listed.market.best(Side::Bid).ticks;
    let open = open_interest(spec, listed.market.seq());
    let perpetual = spec.delivery_ms == 0;
    let mut out = vec![
        ("tickDirection", listed.direction.to_owned()),
        ("price24hPcnt", ratio(last, day.open)),
        ("lastPrice", price(last)),
        ("prevPrice24h", price(day.open)),
        ("highPrice24h", price(day.high)),
        ("lowPrice24h", price(day.low)),
        ("prevPrice1h", price(listed.candles.recent(60).map_or(last, |hour| hour.open))),
        ("markPrice", price(mark)),
        ("indexPrice", price(listed.index_ticks())),
        ("openInterest", spec.size(open).to_string()),
        ("openInterestValue", turnover_text(spec.turnover(mark, open))),
        ("turnover24h", turnover_text(day.turnover)),
        ("volume24h", spec.size(day.lots).to_string()),
        ("fundingIntervalHour", if perpetual { "8" } else { "" }.to_owned()),
        ("fundingCap", if perpetual { "0.005" } else { "" }.to_owned()),
    ];
    if perpetual {
        out.push(("nextFundingTime", (now_ms - now_ms % FUNDING_MS + FUNDING_MS).to_string()));
        out.push(("fundingRate", "0.0001".to_owned()));
    } else {
        out.push(("nextFundingTime", String::new()));
        out.push(("fundingRate", String::new()));
        out.push(("deliveryTime", iso(spec.delivery_ms)));
        out.push(("basisRate", ratio(last, listed.index_ticks())));
        out.push(("deliveryFeeRate", "0".to_owned()));
        out.push(("predictedDeliveryPrice", String::new()));
    }
    out.extend(best(listed, ["bid1Price", "bid1Size", "ask1Price", "ask1Size"]));
    out.extend(["preOpenPrice", "preQty", "curPreListingPhase"].map(|name| (name, String::new())));
    out
}

fn option(listed: &Listed) -> Fields {
    let (spec, day) = (&listed.spec, day(listed));
    let last = listed.market.last().ticks;
    let price = |ticks: i64| spec.price(ticks).to_string();
    let mut out = best(listed, ["bidPrice", "bidSize", "askPrice", "askSize"]);
    out.extend([
        ("bidIv", "0.4711".to_owned()),
        ("askIv", "0.514".to_owned()),
        ("lastPrice", price(last)),
        ("highPrice24h", price(day.high)),
        ("lowPrice24h", price(day.low)),
        ("markPrice", price(listed.market.best(Side::Bid).ticks)),
        ("indexPrice", "60620.5".to_owned()),
        ("markPriceIv", "0.4896".to_owned()),
        ("underlyingPrice", "60615.1".to_owned()),
        ("openInterest", spec.size(open_interest(spec, listed.market.seq())).to_string()),
        ("turnover24h", turnover_text(day.turnover)),
        ("volume24h", spec.size(day.lots).to_string()),
        ("totalVolume", spec.size(day.lots.saturating_mul(3)).to_string()),
        ("totalTurnover", turnover_text(day.turnover.saturating_mul(3))),
        ("delta", "0.047831".to_owned()),
        ("gamma", "0.00021453".to_owned()),
        ("vega", "0.81351067".to_owned()),
        ("theta", "-19.9115368".to_owned()),
        ("predictedDeliveryPrice", "0".to_owned()),
        ("change24h", ratio(last, day.open)),
    ]);
    out
}

fn iso(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(0);
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
