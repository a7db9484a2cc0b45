//! What the simulated Binance says about a symbol besides books, trades and candles: figures of the last 24 hours, mark
//! and index prices, funding and open interest, for streams and REST alike.

use crate::model::Decimal;
use crate::sim::candles::Candle;
use crate::sim::market::Side;

use super::catalog::{Market, Spec, coins};
use super::interval::DAY;
use super::listed::Listed;
use super::message::Object;

/// How often funding is paid, ms.
pub(super) const FUNDING_MS: u64 = 8 * 3_600_000;
/// Minutes of a day.
const MINUTES: usize = 1_440;

/// The last 24 hours.
struct Day {
    candle: Candle,
    last: i64,
}

impl Day {
    fn of(listed: &mut Listed, now_ms: u64) -> Self {
        let last = listed.market.last().ticks;
        let empty = Candle { open: last, high: last, low: last, close: last, ..Candle::default() };
        Self { candle: listed.minutes(now_ms).recent(MINUTES).unwrap_or(empty), last }
    }

    fn change(&self, spec: &Spec) -> String {
        spec.price(self.last - self.candle.open).to_string()
    }

    fn percent(&self) -> String {
        let change = i128::from(self.last - self.candle.open) * 100_000 / i128::from(self.candle.open.max(1));
        Decimal::new(i64::try_from(change).unwrap_or(0), 3).to_string()
    }

    /// The average price weighted by volume.
    fn average(&self, spec: &Spec) -> String {
        let Candle { lots, turnover, .. } = self.candle;
        // At this price: so much for one of the last price, times the last price in 10⁻⁸.
        let unit = spec.turnover(self.last, lots);
        let last = spec.price(self.last).rescaled(8).map_or(0, i128::from);
        let average = match spec.market {
            _ if unit == 0 || turnover == 0 => last,
            Market::Coinm => last * unit / turnover,
            _ => last * turnover / unit,
        };
        coins(average)
    }

    fn volume(&self, spec: &Spec) -> String {
        spec.size(self.candle.lots).to_string()
    }

    fn turnover(&self) -> String {
        coins(self.candle.turnover)
    }
}

/// A message of `@ticker`.
pub(super) fn ticker(listed: &mut Listed, now_ms: u64) -> String {
    let day = Day::of(listed, now_ms);
    let (spec, last) = (&listed.spec, listed.market.last());
    let price = |ticks: i64| spec.price(ticks).to_string();
    let mut event = Object::event("24hrTicker", now_ms).text("s", &spec.symbol).text("p", day.change(spec));
    event = event.text("P", day.percent()).text("w", day.average(spec));
    if spec.market == Market::Spot {
        event = event.text("x", price(day.candle.open));
    }
    event = event.text("c", price(last.ticks)).text("Q", spec.size(last.lots));
    if spec.market == Market::Spot {
        let [bid, ask] = [Side::Bid, Side::Ask].map(|side| listed.market.best(side));
        event = event.text("b", price(bid.ticks)).text("B", spec.size(bid.lots));
        event = event.text("a", price(ask.ticks)).text("A", spec.size(ask.lots));
    }
    event = event.text("o", price(day.candle.open)).text("h", price(day.candle.high)).text("l", price(day.candle.low));
    event = event.text("v", day.volume(spec)).text("q", day.turnover());
    let last_id = listed.tape.last_id();
    event = event.raw("O", now_ms.saturating_sub(DAY)).raw("C", now_ms).raw("F", last_id + 1 - day.candle.fills);
    event.raw("L", last_id).raw("n", day.candle.fills).tail(spec).done()
}

/// A message of `@miniTicker`.
pub(super) fn mini_ticker(listed: &mut Listed, now_ms: u64) -> String {
    let day = Day::of(listed, now_ms);
    let spec = &listed.spec;
    let price = |ticks: i64| spec.price(ticks).to_string();
    let event = Object::event("24hrMiniTicker", now_ms).text("s", &spec.symbol).text("c", price(day.last));
    let event = event.text("o", price(day.candle.open)).text("h", price(day.candle.high));
    let event = event.text("l", price(day.candle.low)).text("v", day.volume(spec)).text("q", day.turnover());
    event.tail(spec).done()
}

/// A row of `GET …/ticker/24hr`.
pub(super) fn row_24h(listed: &mut Listed, now_ms: u64) -> String {
    let day = Day::of(listed, now_ms);
    let (spec, last) = (&listed.spec, listed.market.last());
    let price = |ticks: i64| spec.price(ticks).to_string();
    let mut row = Object::new().text("symbol", &spec.symbol);
    if spec.market == Market::Coinm {
        row = row.text("pair", spec.pair());
    }
    row = row.text("priceChange", day.change(spec)).text("priceChangePercent", day.percent());
    row = row.text("weightedAvgPrice", day.average(spec));
    if spec.market == Market::Spot {
        row = row.text("prevClosePrice", price(day.candle.open));
    }
    row = row.text("lastPrice", price(last.ticks)).text("lastQty", spec.size(last.lots));
    if spec.market == Market::Spot {
        let [bid, ask] = [Side::Bid, Side::Ask].map(|side| listed.market.best(side));
        row = row.text("bidPrice", price(bid.ticks)).text("bidQty", spec.size(bid.lots));
        row = row.text("askPrice", price(ask.ticks)).text("askQty", spec.size(ask.lots));
    }
    row = row.text("openPrice", price(day.candle.open)).text("highPrice", price(day.candle.high));
    row = row.text("lowPrice", price(day.candle.low)).text("volume", day.volume(spec));
    row = row.text(if spec.market == Market::Coinm { "baseVolume" } else { "quoteVolume" }, day.turnover());
    let last_id = listed.tape.last_id();
    row = row.raw("openTime", now_ms.saturating_sub(DAY)).raw("closeTime", now_ms);
    row.raw("firstId", last_id + 1 - day.candle.fills).raw("lastId", last_id).raw("count", day.candle.fills).done()
}

/// A message of `@avgPrice`; REST says the same with other names.
pub(super) fn average(listed: &mut Listed, now_ms: u64) -> String {
    let (price, close_ms) = (five_minutes(listed, now_ms), listed.last_trade_ms());
    let event = Object::event("avgPrice", now_ms).text("s", &listed.spec.symbol).text("i", "5m");
    event.text("w", price).raw("T", close_ms).done()
}

/// `GET /api/v3/avgPrice`.
pub(super) fn row_average(listed: &mut Listed, now_ms: u64) -> String {
    let (price, close_ms) = (five_minutes(listed, now_ms), listed.last_trade_ms());
    Object::new().raw("mins", 5).text("price", price).raw("closeTime", close_ms).done()
}

fn five_minutes(listed: &mut Listed, now_ms: u64) -> String {
    let recent = listed.minutes(now_ms).recent(5);
    let last = listed.market.last().ticks;
    let candle = recent.unwrap_or(Candle { close: last, ..Candle::default() });
    Day { candle, last }.average(&listed.spec)
}

/// Mark, index and estimated settlement price, funding rate and the next funding; texts.
struct Mark {
    mark: String,
    index: String,
    settle: String,
    rate: String,
    next_ms: u64,
}

impl Mark {
    fn of(listed: &mut Listed, now_ms: u64) -> Self {
        let recent = listed.minutes(now_ms).recent(5);
        let spec = &listed.spec;
        let mark = listed.market.best(Side::Bid).ticks;
        // Close to the last price, without its noise.
        let index = recent.map_or(mark, |candle| i64::midpoint(candle.high, candle.low));
        let padded = |ticks: i64| spec.price(ticks).rescaled(8).map_or_else(String::new, |n| coins(n.into()));
        let perpetual = spec.is_perpetual();
        Self {
            mark: padded(mark),
            index: padded(index),
            settle: padded(i64::midpoint(mark, index)),
            rate: if perpetual { funding_rate(listed.market.seq()) } else { String::new() },
            next_ms: if perpetual { now_ms - now_ms % FUNDING_MS + FUNDING_MS } else { 0 },
        }
    }
}

/// An invented rate that moves slowly.
pub(super) fn funding_rate(seq: u64) -> String {
    Decimal::new(10_000 + i64::try_from(seq / 1_024 % 5_000).unwrap_or(0), 8).to_string()
}

/// A message of `@markPrice`.
pub(super) fn mark_price(listed: &mut Listed, now_ms: u64) -> String {
    let mark = Mark::of(listed, now_ms);
    let event = Object::event("markPriceUpdate", now_ms).text("s", &listed.spec.symbol);
    let event = event.text("p", &mark.mark).text("ap", &mark.mark).text("P", &mark.settle).text("i", &mark.index);
    event.text("r", &mark.rate).raw("T", mark.next_ms).tail(&listed.spec).done()
}

/// A row of `GET …/premiumIndex`.
pub(super) fn row_premium(listed: &mut Listed, now_ms: u64) -> String {
    let mark = Mark::of(listed, now_ms);
    let spec = &listed.spec;
    let mut row = Object::new().text("symbol", &spec.symbol);
    if spec.market == Market::Coinm {
        row = row.text("pair", spec.pair());
    }
    let row = row.text("markPrice", &mark.mark).text("indexPrice", &mark.index);
    let row = row.text("estimatedSettlePrice", &mark.settle).text("lastFundingRate", &mark.rate);
    let interest = if spec.is_perpetual() { "0.00010000" } else { "" };
    row.text("interestRate", interest).raw("nextFundingTime", mark.next_ms).raw("time", now_ms).done()
}

/// `GET …/openInterest`: an invented number that moves slowly.
pub(super) fn row_open_interest(listed: &Listed, now_ms: u64) -> String {
    let spec = &listed.spec;
    let drift = i64::try_from(listed.market.seq() / 64 % 1_000).unwrap_or(0);
    let open = spec.size(spec.shape.max_lots.saturating_mul(500).saturating_add(drift));
    let row = Object::new().text("symbol", &spec.symbol);
    if spec.market == Market::Usdm {
        return row.text("openInterest", open).raw("time", now_ms).done();
    }
    let kind = if spec.is_perpetual() { "PERPETUAL" } else { "CURRENT_QUARTER" };
    row.text("pair", spec.pair()).text("openInterest", open).text("contractType", kind).raw("time", now_ms).done()
}
