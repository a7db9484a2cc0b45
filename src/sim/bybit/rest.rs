//! REST answers: the `/v5/market` routes a feed or a backfill needs, and those of the account for who signs. A pure function
//! of the request and the venue.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::Stamp;
use crate::sim::candles::Candle;
use crate::sim::fills::Fill;
use crate::sim::market::Side;
use crate::sim::venue::{Asked, Depth};

use super::account;
use super::catalog::{Category, Spec};
use super::listed::Listed;
use super::login;
use super::message;
use super::ticker;
use super::topic::{INTERVALS, interval, interval_start};
use super::venue::Venue;

/// What a route answers: its result, or the venue's code and message.
type Answer = Result<Value, (u32, String)>;

/// Rows of an instrument page when the request does not say.
const PAGE: usize = 500;
/// What one request for executions may span.
const WEEK_MS: u64 = 7 * 86_400_000;
/// When every simulated contract was listed, ms.
const LAUNCH: &str = "1584230400000";

/// Answers a `GET` with an HTTP status and a JSON body. Errors keep status 200, as on the venue.
pub fn answer(venue: &mut Venue, asked: &Asked<'_>, now: Stamp) -> (u16, String) {
    let params: Params = Params(url::form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect());
    let path = asked.path;
    let signs = |venue: &Venue| login::check_request(&venue.settings, asked, now.wall.as_ms());
    let answer = match path {
        "/v5/order/realtime" => signs(venue).and_then(|()| orders(venue, &params)),
        "/v5/position/list" => signs(venue).and_then(|()| positions(venue, &params)),
        "/v5/execution/list" => signs(venue).and_then(|()| executions(venue, &params)),
        "/v5/account/wallet-balance" => signs(venue).and_then(|()| wallet(venue, &params)),
        "/v5/market/time" => Ok(json!({
            "timeSecond": (now.wall.as_ms() / 1_000).to_string(),
            "timeNano": now.wall.0.to_string(),
        })),
        "/v5/market/instruments-info" => instruments_info(venue, &params),
        "/v5/market/orderbook" => orderbook(venue, &params, now),
        "/v5/market/full_orderbook" => full_orderbook(venue, &params, now),
        "/v5/market/tickers" => tickers(venue, &params, now),
        "/v5/market/recent-trade" => recent_trade(venue, &params),
        "/v5/market/kline" => kline(venue, &params, now),
        _ => Err((10_017, format!("Route not found: {path}"))),
    };
    let (code, text, result) = match answer {
        Ok(result) => (0, "OK".to_owned(), result),
        Err((code, text)) => (code, text, json!({})),
    };
    let envelope =
        json!({"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": now.wall.as_ms()});
    (200, envelope.to_string())
}

struct Params(BTreeMap<String, String>);

impl Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn category(&self) -> Result<Category, (u32, String)> {
        let text = self.get("category").unwrap_or("linear");
        Category::parse(text).ok_or_else(|| (10_001, "params error: Category is invalid".to_owned()))
    }

    /// A number within bounds; the venue refuses what is outside.
    fn limit(&self, default: usize, most: usize) -> Result<usize, (u32, String)> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        text.parse()
            .ok()
            .filter(|n| (1..=most).contains(n))
            .ok_or_else(|| (10_001, format!("params error: limit must be 1..{most}")))
    }

    fn millis(&self, name: &str) -> Result<Option<u64>, (u32, String)> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| (10_001, format!("params error: {name} must be milliseconds")))
    }

    fn listed<'v>(&self, venue: &'v mut Venue) -> Result<&'v mut Listed, (u32, String)> {
        let symbol = self.get("symbol").unwrap_or("");
        venue.find(self.category()?, symbol).ok_or_else(|| no_symbol(symbol))
    }
}

fn no_symbol(symbol: &str) -> (u32, String) {
    (10_001, format!("params error: symbol invalid {symbol}"))
}

/// Whether a symbol is asked for; linear ones not all at once.
fn wanted<'a>(params: &'a Params, keys: &[&str]) -> Result<impl Fn(&Spec) -> bool + use<'a>, (u32, String)> {
    let category = params.category()?;
    if category == Category::Linear && keys.iter().all(|key| params.get(key).is_none()) {
        let words = format!("Missing some parameters that must be filled in, {}", keys.join(" or "));
        return Err((10_001, words));
    }
    Ok(move |spec: &Spec| {
        spec.category == category
            && params.get("symbol").is_none_or(|symbol| symbol == spec.symbol)
            && params.get("baseCoin").is_none_or(|coin| coin == spec.base)
            && params.get("settleCoin").is_none_or(|coin| coin == account::settle(spec))
    })
}

fn orders(venue: &Venue, params: &Params) -> Answer {
    let wanted = wanted(params, &["symbol", "settleCoin", "baseCoin"])?;
    page(venue.account.open_orders(&venue.symbols, wanted), params, params.limit(20, 50)?)
}

fn positions(venue: &Venue, params: &Params) -> Answer {
    if params.category()? == Category::Spot {
        return Err((10_001, "params error: Category is invalid".to_owned()));
    }
    let wanted = wanted(params, &["symbol", "settleCoin"])?;
    page(venue.account.positions(&venue.symbols, wanted), params, params.limit(20, 200)?)
}

/// Newest first, of a time of seven days at most: the last ones, unless the request says where it begins or ends.
fn executions(venue: &Venue, params: &Params) -> Answer {
    let (category, limit) = (params.category()?, params.limit(50, 100)?);
    let (from, to) = match (params.millis("startTime")?, params.millis("endTime")?) {
        (Some(from), Some(to)) if to.saturating_sub(from) > WEEK_MS => {
            return Err((10_001, "The time range between startTime and endTime cannot exceed 7 days".to_owned()));
        }
        (Some(from), to) => (from, to.unwrap_or(from + WEEK_MS)),
        (None, Some(to)) => (to.saturating_sub(WEEK_MS), to),
        (None, None) => (0, u64::MAX),
    };
    let of = |fill: &&Fill| {
        fill.market == category.as_str() && params.get("symbol").is_none_or(|symbol| symbol == fill.symbol)
    };
    let found = venue.account.fills.within(from, to).rev().filter(of);
    let rows = found.map(|fill| (fill.id.clone(), serde_json::from_str(&fill.row).unwrap_or_default()));
    page(rows.collect(), params, limit)
}

/// A page of rows with their ids, and the cursor that leads on: behind which id.
fn page(rows: Vec<(String, Value)>, params: &Params, limit: usize) -> Answer {
    let last = params.get("cursor").and_then(|cursor| cursor.rsplit(['=', 'D']).next()).unwrap_or_default();
    let from = rows.iter().position(|(id, _)| id == last).map_or(0, |at| at + 1);
    let next = match rows.get(from + limit - 1) {
        Some((id, _)) if rows.len() > from + limit => format!("last%3D{id}"),
        _ => String::new(),
    };
    let list: Vec<Value> = rows.into_iter().skip(from).take(limit).map(|(_, row)| row).collect();
    Ok(json!({"category": params.category()?.as_str(), "list": list, "nextPageCursor": next}))
}

fn wallet(venue: &Venue, params: &Params) -> Answer {
    match params.get("accountType") {
        Some("UNIFIED") => Ok(json!({"list": [venue.account.wallet_row()]})),
        _ => Err((10_001, "accountType only support UNIFIED.".to_owned())),
    }
}

fn instruments_info(venue: &Venue, params: &Params) -> Answer {
    let category = params.category()?;
    let base = params.get("baseCoin");
    let symbol = params.get("symbol");
    let known =
        |spec: &&Spec| base.is_none_or(|base| spec.base == base) && symbol.is_none_or(|symbol| spec.symbol == symbol);
    let status = params.get("status").is_none_or(|status| status == "Trading");
    let all: Vec<&Spec> = venue.listed(category).map(|l| &l.spec).filter(known).filter(|_| status).collect();
    if let (Some(symbol), true) = (symbol, all.is_empty()) {
        return Err(no_symbol(symbol));
    }
    if category == Category::Spot {
        return Ok(json!({"category": "spot", "list": all.into_iter().map(instrument).collect::<Vec<_>>()}));
    }
    let limit = params.limit(PAGE, 1_000)?;
    let from = params.get("cursor").map_or(Ok(0), |cursor| page_start(&all, cursor))?;
    let page = &all[from..all.len().min(from + limit)];
    let next = match (page.last(), from + page.len() < all.len()) {
        // Already percent-encoded, as the venue gives it: a client sends it back as it is.
        (Some(last), true) => format!("first%3D{}%26last%3D{}", page[0].symbol, last.symbol),
        _ => String::new(),
    };
    let list: Vec<Value> = page.iter().copied().map(instrument).collect();
    Ok(json!({"category": category.as_str(), "list": list, "nextPageCursor": next}))
}

/// The place behind the symbol that a cursor calls the last one; encoded once or twice.
fn page_start(all: &[&Spec], cursor: &str) -> Result<usize, (u32, String)> {
    let plain = cursor.replace("%3D", "=").replace("%26", "&");
    let last = plain.split('&').find_map(|part| part.strip_prefix("last="));
    let at = last.and_then(|last| all.iter().position(|spec| spec.symbol == last));
    at.map(|at| at + 1).ok_or_else(|| (10_001, "params error: cursor invalid".to_owned()))
}

fn instrument(spec: &Spec) -> Value {
    let (tick, lot) = (spec.tick.to_string(), spec.lot.to_string());
    let max = spec.size(spec.shape.max_lots.saturating_mul(100)).to_string();
    let mut out = json!({
        "symbol": spec.symbol, "status": "Trading", "baseCoin": spec.base, "quoteCoin": spec.quote,
        "symbolType": "",
    });
    let more = if spec.category == Category::Spot {
        json!({
            "innovation": "0", "marginTrading": "utaOnly", "stTag": "0", "priceFilter": {"tickSize": tick},
            "lotSizeFilter": {
                "basePrecision": lot, "quotePrecision": "0.0000001", "minOrderQty": lot, "maxOrderQty": max,
                "minOrderAmt": "5", "maxOrderAmt": "8000000", "maxLimitOrderQty": max, "maxMarketOrderQty": max,
            },
        })
    } else {
        let settle = if spec.category == Category::Inverse { &spec.base } else { &spec.quote };
        json!({
            "settleCoin": settle, "launchTime": LAUNCH, "deliveryTime": spec.delivery_ms.to_string(),
            "deliveryFeeRate": "", "priceScale": spec.tick.scale.to_string(),
            "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
            "lotSizeFilter": {
                "minOrderQty": lot, "maxOrderQty": max, "qtyStep": lot, "maxMktOrderQty": max,
                "minNotionalValue": "5",
            },
            "isPreListing": false,
        })
    };
    merge(&mut out, more);
    match spec.category {
        Category::Linear | Category::Inverse => {
            let product = if spec.category == Category::Linear { "Linear" } else { "Inverse" };
            let kind = if spec.delivery_ms == 0 { "Perpetual" } else { "Futures" };
            let interval = if spec.delivery_ms == 0 { 480 } else { 0 };
            merge(&mut out, json!({"contractType": format!("{product}{kind}"), "fundingInterval": interval}));
        }
        Category::Option => {
            let call = spec.symbol.contains("-C");
            merge(&mut out, json!({"optionsType": if call { "Call" } else { "Put" }}));
        }
        Category::Spot => {}
    }
    out
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

fn orderbook(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let category = params.category()?;
    let (default, most) = match category {
        Category::Spot => (1, 1_000),
        Category::Option => (1, 25),
        Category::Linear | Category::Inverse => (25, 1_000),
    };
    let limit = params.limit(default, most)?;
    // Its ids are those of the deepest stream with snapshots.
    let depth = if category == Category::Option { Depth::Levels(100) } else { Depth::Levels(1_000) };
    Ok(book(params.listed(venue)?, depth, limit, now))
}

fn full_orderbook(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    if params.category()? == Category::Option {
        return Err((10_001, "params error: Category is invalid".to_owned()));
    }
    Ok(book(params.listed(venue)?, Depth::Full, 10_000, now))
}

fn book(listed: &mut Listed, depth: Depth, limit: usize, now: Stamp) -> Value {
    let spec = listed.spec.clone();
    let stream = listed.book(depth, now);
    let side = |side| -> Vec<[String; 2]> {
        let spell = |l: crate::sim::market::Level| [spec.price(l.ticks).to_string(), spec.size(l.lots).to_string()];
        stream.best_first(side, limit).into_iter().map(spell).collect()
    };
    json!({
        "s": spec.symbol, "b": side(Side::Bid), "a": side(Side::Ask), "ts": now.wall.as_ms(),
        "u": stream.u, "seq": stream.seq, "cts": stream.cts,
    })
}

fn tickers(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let category = params.category()?;
    let row = |listed: &Listed| {
        let mut row = json!({"symbol": listed.spec.symbol});
        for (name, text) in ticker::rest_fields(listed, now.wall.as_ms()) {
            row[name] = Value::from(text);
        }
        row
    };
    let list: Vec<Value> = match (params.get("symbol"), params.get("baseCoin")) {
        (Some(_), _) => vec![row(params.listed(venue)?)],
        (None, base) => venue.listed(category).filter(|l| base.is_none_or(|b| l.spec.base == b)).map(row).collect(),
    };
    Ok(json!({"category": category.as_str(), "list": list}))
}

fn recent_trade(venue: &mut Venue, params: &Params) -> Answer {
    let category = params.category()?;
    let (default, most) = if category == Category::Spot { (60, 60) } else { (500, 1_000) };
    let limit = params.limit(default, most)?;
    let listed = params.listed(venue)?;
    let spec = listed.spec.clone();
    let row = |trade: &message::Trade| {
        json!({
            "execId": trade.id, "symbol": spec.symbol, "price": spec.price(trade.fill.ticks).to_string(),
            "size": spec.size(trade.fill.lots).to_string(), "side": message::side(trade.fill),
            "time": trade.time_ms.to_string(), "isBlockTrade": false, "isRPITrade": false,
            "seq": trade.seq.to_string(),
        })
    };
    let list: Vec<Value> = listed.recent(limit).map(row).collect();
    Ok(json!({"category": category.as_str(), "list": list}))
}

fn kline(venue: &mut Venue, params: &Params, now: Stamp) -> Answer {
    let category = params.category()?;
    let name = params.get("interval").unwrap_or("");
    let at = interval(name).ok_or_else(|| (10_001, format!("params error: interval invalid {name}")))?;
    let (start, end) = (params.millis("start")?.unwrap_or(0), params.millis("end")?.unwrap_or(u64::MAX));
    let limit = params.limit(200, 1_000)?;
    let listed = params.listed(venue)?;
    listed.candles.roll(listed.market.last().ticks, now.wall.as_ms());
    let spec = &listed.spec;
    let price = |ticks: i64| spec.price(ticks).trimmed().to_string();
    let row = |candle: Candle| {
        json!([
            candle.start_ms.to_string(),
            price(candle.open),
            price(candle.high),
            price(candle.low),
            price(candle.close),
            spec.size(candle.lots).trimmed().to_string(),
            super::catalog::turnover_text(candle.turnover),
        ])
    };
    let candles = listed.candles.list(|ms| interval_start(INTERVALS[usize::from(at)], ms), start, end, limit);
    let list: Vec<Value> = candles.into_iter().map(row).collect();
    Ok(json!({"category": category.as_str(), "symbol": spec.symbol, "list": list}))
}
