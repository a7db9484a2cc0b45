//! REST answers: the public routes a feed or a backfill needs, and those of the account for who signs, with their limits.
//! A function of the request and the venue.

use std::collections::BTreeMap;

use crate::model::Stamp;
use crate::sim::fills::Fill;
use crate::sim::market::Side;
use crate::sim::venue::Asked;

use super::book::Channel;
use super::catalog::InstType;
use super::channel::Stream;
use super::interval::{INTERVALS, find};
use super::limits::Limit;
use super::listed::{Listed, candle_row, timed};
use super::login;
use super::message::{fields, json_text, orders, write_levels};
use super::venue::Venue;

/// What a route answers: its rows as JSON, or how it refuses.
type Answer = Result<Vec<String>, Refusal>;

/// HTTP status, the venue's code and words.
type Refusal = (u16, u32, String);

type Route = fn(&mut Venue, &Params, Stamp) -> Answer;

/// What the paths of the account begin with.
const SIGNED: [&str; 2] = ["/api/v5/trade/", "/api/v5/account/"];

/// How old fills may be that are listed.
const THREE_DAYS_MS: u64 = 3 * 86_400_000;

/// Every route and its limit for one address.
const ROUTES: [(&str, Limit, Route); 19] = [
    ("/api/v5/public/time", Limit::new(10, 2), time),
    ("/api/v5/public/instruments", Limit::new(20, 2), instruments),
    ("/api/v5/market/books", Limit::new(40, 2), books),
    ("/api/v5/market/books-full", Limit::new(10, 2), books_full),
    ("/api/v5/market/ticker", Limit::new(20, 2), ticker),
    ("/api/v5/market/tickers", Limit::new(20, 2), tickers),
    ("/api/v5/market/candles", Limit::new(40, 2), candles),
    ("/api/v5/market/history-candles", Limit::new(20, 2), candles),
    ("/api/v5/market/trades", Limit::new(100, 2), trades),
    ("/api/v5/public/funding-rate", Limit::new(10, 2), funding_rate),
    ("/api/v5/public/mark-price", Limit::new(10, 2), mark_price),
    ("/api/v5/public/open-interest", Limit::new(20, 2), open_interest),
    ("/api/v5/public/price-limit", Limit::new(20, 2), price_limit),
    ("/api/v5/market/index-tickers", Limit::new(20, 2), index_tickers),
    ("/api/v5/system/status", Limit::new(1, 5), status),
    ("/api/v5/trade/orders-pending", Limit::new(60, 2), orders_pending),
    ("/api/v5/trade/fills", Limit::new(60, 2), fills),
    ("/api/v5/account/positions", Limit::new(10, 2), positions),
    ("/api/v5/account/balance", Limit::new(10, 2), balance),
];

/// What OKX Japan does not have.
const NOT_IN_JAPAN: [&str; 5] = [
    "/api/v5/public/funding-rate",
    "/api/v5/public/mark-price",
    "/api/v5/public/open-interest",
    "/api/v5/public/price-limit",
    "/api/v5/market/index-tickers",
];

/// Answers `GET path?query` with an HTTP status and a JSON body.
pub(super) fn answer(venue: &mut Venue, asked: &Asked<'_>, now: Stamp) -> (u16, String) {
    let route = ROUTES.into_iter().find(|(path, ..)| *path == asked.path);
    let Some((path, limit, route)) = route.filter(|(path, ..)| !venue.japan || !NOT_IN_JAPAN.contains(path)) else {
        // The one place where the code is a number.
        let words = r#""error_message":"Not Found","error_code":"404","detailMsg":"","msg":"Not Found""#;
        return (404, format!("{{\"code\":404,\"data\":{{}},{words}}}"));
    };
    let params = Params(url::form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect());
    // Instruments are counted by type as well.
    let what = format!("{path} {}", params.get("instType").filter(|_| path.ends_with("/instruments")).unwrap_or(""));
    let signs = || match SIGNED.iter().any(|prefix| asked.path.starts_with(prefix)) {
        true => login::check_request(&venue.settings, asked, now.wall.as_ms()),
        false => Ok(()),
    };
    let answer = match signs() {
        Err((code, text)) => Err((401, code, text)),
        Ok(()) if venue.counts.admit(asked.peer, &what, limit, now.mono) => route(venue, &params, now),
        Ok(()) => Err((429, 50_011, "Too Many Requests".to_owned())),
    };
    match answer {
        Ok(rows) => (200, format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","))),
        Err((status, code, text)) => (status, format!(r#"{{"code":"{code}","msg":{},"data":[]}}"#, json_text(&text))),
    }
}

struct Params(BTreeMap<String, String>);

impl Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| (400, 50_014, format!("Parameter {name} can not be empty.")))
    }

    fn inst_type(&self) -> Result<InstType, Refusal> {
        InstType::parse(self.need("instType")?).ok_or_else(|| bad("instType"))
    }

    /// A number within bounds; the venue refuses what is outside.
    fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| bad(name))
    }

    fn millis(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|text| text.parse().map_err(|_| bad(name))).transpose()
    }

    fn listed<'v>(&self, venue: &'v mut Venue) -> Result<&'v mut Listed, Refusal> {
        let symbol = self.need("instId")?;
        venue.find(symbol).ok_or_else(|| no_instrument(symbol))
    }

    /// Whether an instrument is among those asked for.
    fn fits(&self, listed: &Listed) -> bool {
        let spec = &listed.spec;
        self.get("instType").is_none_or(|kind| kind == spec.kind.as_str())
            && self.get("instFamily").is_none_or(|family| family == spec.family)
            && self.get("uly").is_none_or(|index| index == spec.index())
            && self.get("instId").is_none_or(|symbol| symbol == spec.symbol)
    }
}

fn bad(name: &str) -> Refusal {
    (200, 51_000, format!("Parameter {name} error"))
}

fn no_instrument(symbol: &str) -> Refusal {
    (200, 51_001, format!("Instrument ID, Instrument ID code, or Spread ID doesn't exist: {symbol}."))
}

/// `after` is an id: what is older than it.
fn orders_pending(venue: &mut Venue, params: &Params, _: Stamp) -> Answer {
    let limit = params.count("limit", 100, 100)?;
    let after = params.get("after").map(|text| text.parse().map_err(|_| bad("after"))).transpose()?;
    let open = venue.account.open_orders(&venue.listed).into_iter();
    let wanted = open.filter(|(id, _)| after.is_none_or(|after: u64| *id < after)).map(|(_, row)| row);
    Ok(wanted.take(limit).collect())
}

/// Newest first; `after` and `before` are numbers of bills: what is older than it, and newer.
fn fills(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let limit = params.count("limit", 100, 100)?;
    let (after, before) = (params.millis("after")?.unwrap_or(u64::MAX), params.millis("before")?.unwrap_or(0));
    let (begin, end) = (params.millis("begin")?.unwrap_or(0), params.millis("end")?.unwrap_or(u64::MAX));
    let oldest = now.wall.as_ms().saturating_sub(THREE_DAYS_MS);
    let found = venue.account.fills.within(begin.max(oldest), end).rev();
    let symbols: Vec<&str> = venue.listed.iter().filter(|l| params.fits(l)).map(|l| &*l.spec.symbol).collect();
    let fits = |fill: &&Fill| fill.number < after && fill.number > before && symbols.contains(&&*fill.symbol);
    Ok(found.filter(fits).take(limit).map(|fill| fill.row.clone()).collect())
}

fn positions(venue: &mut Venue, _: &Params, now: Stamp) -> Answer {
    Ok(venue.account.positions(&venue.listed, now))
}

fn balance(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    Ok(vec![venue.account.balances(params.get("ccy"), now)])
}

fn time(_: &mut Venue, _: &Params, now: Stamp) -> Answer {
    Ok(vec![fields(&[("ts", now.wall.as_ms().to_string())])])
}

fn instruments(venue: &mut Venue, params: &Params, _: Stamp) -> Answer {
    if params.inst_type()? == InstType::Option {
        params.get("uly").map_or_else(|| params.need("instFamily"), Ok)?;
    }
    let rows: Vec<String> =
        venue.listed.iter().filter(|listed| params.fits(listed)).map(|listed| listed.spec.row("")).collect();
    match params.get("instId") {
        Some(symbol) if rows.is_empty() => Err(no_instrument(symbol)),
        _ => Ok(rows),
    }
}

fn books(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let limit = params.count("sz", 1, 400)?;
    let listed = params.listed(venue)?;
    let spec = listed.spec.clone();
    let book = listed.book(Channel::Books, now);
    let levels = |side| {
        let mut out = Vec::new();
        write_levels(&mut out, &spec, &book.best_first(side, limit));
        String::from_utf8_lossy(&out).into_owned()
    };
    let (asks, bids) = (levels(Side::Ask), levels(Side::Bid));
    Ok(vec![format!(r#"{{"asks":{asks},"bids":{bids},"ts":"{}","seqId":{}}}"#, book.ts_ms, book.seq_id)])
}

/// Everything there is: three texts a level, and no id.
fn books_full(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let limit = params.count("sz", 1, 5_000)?;
    let listed = params.listed(venue)?;
    let levels = |side| {
        let level = |level: &crate::sim::market::Level| {
            let (price, size) = (listed.spec.price(level.ticks), listed.spec.size(level.lots));
            format!("[\"{price}\",\"{size}\",\"{}\"]", orders(*level))
        };
        listed.market.top(side, limit).iter().rev().map(level).collect::<Vec<_>>().join(",")
    };
    let (asks, bids) = (levels(Side::Ask), levels(Side::Bid));
    Ok(vec![format!(r#"{{"asks":[{asks}],"bids":[{bids}],"ts":"{}"}}"#, now.wall.as_ms())])
}

/// The row of one instrument on a channel that has rows; refused for instruments that lack it.
fn row(listed: &Listed, stream: Stream, japan: bool, now: Stamp) -> Option<String> {
    let row = listed.row(stream, now).filter(|_| stream.is_of(listed.spec.kind, japan))?;
    Some(timed(row, now))
}

fn one(venue: &mut Venue, params: &Params, stream: Stream, now: Stamp) -> Answer {
    let japan = venue.japan;
    let listed = params.listed(venue)?;
    Ok(vec![row(listed, stream, japan, now).ok_or_else(|| bad("instId"))?])
}

/// The rows of all instruments that were asked for by type.
fn of_type(venue: &mut Venue, params: &Params, stream: Stream, now: Stamp) -> Answer {
    params.inst_type()?;
    let (japan, fitting) = (venue.japan, venue.listed.iter().filter(|listed| params.fits(listed)));
    let rows: Vec<String> = fitting.filter_map(|listed| row(listed, stream, japan, now)).collect();
    match params.get("instId") {
        Some(symbol) if rows.is_empty() => Err(no_instrument(symbol)),
        _ => Ok(rows),
    }
}

fn ticker(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    one(venue, params, Stream::Ticker, now)
}

fn tickers(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    of_type(venue, params, Stream::Ticker, now)
}

fn funding_rate(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    one(venue, params, Stream::Funding, now)
}

fn price_limit(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    one(venue, params, Stream::PriceLimit, now)
}

fn mark_price(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    of_type(venue, params, Stream::MarkPrice, now)
}

fn open_interest(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    of_type(venue, params, Stream::OpenInterest, now)
}

/// By index, or all with a quote currency.
fn index_tickers(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let tell = |listed: &Listed| listed.row(Stream::Index, now).map(|row| timed(row, now));
    if let Some(index) = params.get("instId") {
        let at = venue.of_index(index).ok_or_else(|| no_instrument(index))?;
        return Ok(tell(&venue.listed[at]).into_iter().collect());
    }
    let quote = params.need("quoteCcy")?;
    let firsts = venue
        .listed
        .iter()
        .enumerate()
        .filter(|(at, listed)| listed.spec.quote == quote && venue.of_index(&listed.spec.index()) == Some(*at));
    Ok(firsts.filter_map(|(_, listed)| tell(listed)).collect())
}

fn trades(venue: &mut Venue, params: &Params, _: Stamp) -> Answer {
    let limit = params.count("limit", 100, 500)?;
    let listed = params.listed(venue)?;
    Ok(listed.recent(limit).map(|trade| trade.row(&listed.spec, false)).collect())
}

/// `after` means older than, `before` newer than.
fn candles(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let at = find(params.get("bar").unwrap_or("1m")).ok_or_else(|| bad("bar"))?;
    let limit = params.count("limit", 100, 300)?;
    let (after, before) = (params.millis("after")?, params.millis("before")?);
    let to = after.map_or(u64::MAX, |after| after.saturating_sub(1));
    let from = before.map_or(0, |before| before.saturating_add(1));
    let listed = params.listed(venue)?;
    let interval = INTERVALS[usize::from(at)];
    let found = listed.history(at, now).list(|ms| interval.start(ms), from, to, limit);
    let current = interval.start(now.wall.as_ms());
    Ok(found.iter().map(|candle| candle_row(&listed.spec, candle, candle.start_ms < current, true)).collect())
}

fn status(venue: &mut Venue, params: &Params, _: Stamp) -> Answer {
    let state = params.get("state").map(|state| format!(r#""state":"{state}""#));
    let fits = |row: &String| state.as_ref().is_none_or(|state| row.contains(state.as_str()));
    Ok(venue.maintenance.iter().filter(|row| fits(row)).cloned().collect())
}
