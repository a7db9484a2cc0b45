//! REST answers: which route answers what, at which weight and for whom. A function of the request and the venue.

mod history;
mod info;
mod prices;
mod private;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Stamp;
use crate::sim::fault::FaultKind;
use crate::sim::venue::{Answer, Asked};

use super::catalog::Market;
use super::listed::Listed;
use super::path;
use super::sign::{self, Refusal, Shown};
use super::venue::Venue;
use super::weights::{Verdict, pool};

/// A JSON body, or how the request is refused.
type Outcome = Result<String, Refusal>;

/// Whom a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Everybody,
    /// Who shows the key.
    Key,
    /// Who signs.
    Signed,
}

/// One request, read.
struct Call {
    market: Market,
    params: Params,
    now: Stamp,
    /// The image of a book is to be an old one.
    stale: bool,
}

/// One route.
#[derive(Clone, Copy)]
struct Route {
    method: &'static str,
    name: &'static str,
    markets: &'static [Market],
    guard: Guard,
    weight: fn(&Call) -> u32,
    answer: fn(&mut Venue, &Call) -> Outcome,
}

const EVERY: &[Market] = &Market::ALL;
const SPOT: &[Market] = &[Market::Spot];
const FUTURES: &[Market] = &[Market::Usdm, Market::Coinm];

const fn get(
    name: &'static str,
    markets: &'static [Market],
    weight: fn(&Call) -> u32,
    answer: fn(&mut Venue, &Call) -> Outcome,
) -> Route {
    Route { method: "GET", name, markets, guard: Guard::Everybody, weight, answer }
}

const fn guarded(guard: Guard, method: &'static str, route: Route) -> Route {
    Route { guard, method, ..route }
}

/// Every route.
const ROUTES: [Route; 28] = [
    get("ping", EVERY, |_| 1, |_, _| Ok("{}".to_owned())),
    get("time", EVERY, |_| 1, info::time),
    get("exchangeInfo", EVERY, |call| if call.market == Market::Spot { 20 } else { 1 }, info::exchange),
    get("depth", EVERY, history::depth_weight, history::depth),
    get("trades", EVERY, |call| if call.market == Market::Spot { 25 } else { 5 }, history::trades),
    get("historicalTrades", SPOT, |_| 25, history::old_trades),
    guarded(Guard::Key, "GET", get("historicalTrades", FUTURES, |_| 20, history::old_trades)),
    get("aggTrades", EVERY, |call| if call.market == Market::Spot { 4 } else { 20 }, history::aggregates),
    get("klines", EVERY, history::klines_weight, history::klines),
    get("avgPrice", SPOT, |_| 2, prices::average),
    get("ticker/24hr", EVERY, prices::day_weight, prices::day),
    get("ticker/price", EVERY, |call| prices::weight(call, [2, 4], [1, 2]), prices::price),
    get("ticker/bookTicker", EVERY, |call| prices::weight(call, [2, 4], [2, 5]), prices::book),
    get("premiumIndex", FUTURES, prices::premium_weight, prices::premium),
    get("fundingRate", FUTURES, |_| 0, prices::funding),
    get("openInterest", FUTURES, |_| 1, prices::open_interest),
    guarded(
        Guard::Signed,
        "GET",
        get("account", EVERY, |call| if call.market == Market::Spot { 20 } else { 5 }, private::account),
    ),
    guarded(Guard::Signed, "GET", get("openOrders", EVERY, orders_weight, private::open_orders)),
    guarded(Guard::Signed, "GET", get("myTrades", SPOT, |_| 20, private::trades)),
    guarded(
        Guard::Signed,
        "GET",
        get("userTrades", FUTURES, |call| if call.market == Market::Usdm { 5 } else { 20 }, private::trades),
    ),
    guarded(
        Guard::Signed,
        "GET",
        get("positionRisk", FUTURES, |call| if call.market == Market::Usdm { 5 } else { 1 }, private::positions),
    ),
    guarded(
        Guard::Signed,
        "GET",
        get("balance", FUTURES, |call| if call.market == Market::Usdm { 5 } else { 1 }, private::balances),
    ),
    guarded(Guard::Key, "POST", get("listenKey", FUTURES, |_| 1, private::open)),
    guarded(Guard::Key, "PUT", get("listenKey", FUTURES, |_| 1, private::renew)),
    guarded(Guard::Key, "DELETE", get("listenKey", FUTURES, |_| 1, private::close)),
    guarded(Guard::Key, "POST", get("userDataStream", SPOT, |_| 2, private::gone)),
    guarded(Guard::Key, "PUT", get("userDataStream", SPOT, |_| 2, private::gone)),
    guarded(Guard::Key, "DELETE", get("userDataStream", SPOT, |_| 2, private::gone)),
];

/// Of one symbol, or of all.
fn orders_weight(call: &Call) -> u32 {
    match (call.market, call.params.get("symbol")) {
        (Market::Spot, Some(_)) => 6,
        (Market::Spot, None) => 80,
        (_, Some(_)) => 1,
        (_, None) => 40,
    }
}

/// Answers a request.
pub(super) fn answer(venue: &mut Venue, asked: &Asked<'_>, now: Stamp) -> Answer {
    let (prefix, rest) = path::prefix(asked.path);
    let Some((market, version, name)) = place(rest).filter(|(market, ..)| prefix.is_none_or(|of| of == *market)) else {
        return Answer::from((404, "<html><body><h2>404 Not found</h2></body></html>".to_owned()));
    };
    let stale = asked.fault == Some(&FaultKind::RestStale);
    let call = Call { market, params: Params::read(asked), now, stale };
    let of_name = |route: &&Route| route.name == name && route.markets.contains(&market);
    let known = fits(market, version, name) && ROUTES.iter().any(|route| of_name(&route));
    let route = ROUTES.iter().filter(of_name).find(|route| route.method == asked.method);
    let Some(route) = route.filter(|_| known) else {
        let (status, code, words) = if known {
            (405, -1_000, format!("Request method '{}' is not supported", asked.method))
        } else {
            (404, -5_000, format!("Path {}, Method {} is invalid", asked.path, asked.method))
        };
        return refused(&(status, code, words)).into();
    };
    let weights = &mut venue.weights[pool(market)];
    let verdict = match asked.fault {
        Some(FaultKind::RestBan(seconds)) => weights.ban(asked.peer, Some(Duration::from_secs(*seconds)), now),
        _ => weights.spend(asked.peer, (route.weight)(&call), now),
    };
    let used = match verdict {
        Verdict::Served(used) => used,
        other => return limited(other, asked, weights.limit),
    };
    let outcome = admitted(venue, route.guard, asked, now).and_then(|()| (route.answer)(venue, &call));
    let (status, body) = outcome.map_or_else(|refusal| refused(&refusal), |body| (200, body));
    let headers = vec![("X-MBX-USED-WEIGHT", used.to_string()), ("X-MBX-USED-WEIGHT-1M", used.to_string())];
    Answer { status, headers, body }
}

/// Market, version and name of a route.
fn place(path: &str) -> Option<(Market, &str, &str)> {
    let (market, rest) = [("/api/", Market::Spot), ("/fapi/", Market::Usdm), ("/dapi/", Market::Coinm)]
        .into_iter()
        .find_map(|(prefix, market)| Some((market, path.strip_prefix(prefix)?)))?;
    let (version, name) = rest.split_once('/')?;
    Some((market, version, name))
}

/// Whether a route exists in this version.
fn fits(market: Market, version: &str, name: &str) -> bool {
    let versions: &[&str] = match (market, name) {
        (Market::Spot, _) => &["v3"],
        (Market::Usdm, "account" | "positionRisk" | "balance") => &["v2", "v3"],
        (Market::Usdm, "ticker/price") => &["v1", "v2"],
        _ => &["v1"],
    };
    versions.contains(&version)
}

fn refused((status, code, words): &Refusal) -> (u16, String) {
    let words = super::message::json_text(words);
    (*status, format!(r#"{{"code":{code},"msg":{words}}}"#))
}

/// How somebody is told that there is no weight left.
fn limited(verdict: Verdict, asked: &Asked<'_>, limit: u32) -> Answer {
    let ip = asked.peer;
    let (status, used, wait_s, words) = match verdict {
        Verdict::Banned { until_ms, wait_s } => {
            let words = format!(
                "Way too many requests; IP({ip}) banned until {until_ms}. Please use the websocket for live updates to \
                 avoid bans."
            );
            (418, None, wait_s, words)
        }
        Verdict::TooMuch { used, wait_s } => {
            let words = format!(
                "Too many requests; current limit of IP({ip}) is {limit} request weight per minute. Please use the \
                 websocket for live updates to avoid polling the API."
            );
            (429, Some(used), wait_s, words)
        }
        Verdict::Served(used) => (200, Some(used), 0, String::new()),
    };
    let (status, body) = refused(&(status, -1_003, words));
    let mut headers = vec![("Retry-After", wait_s.to_string())];
    headers.extend(used.map(|used| ("X-MBX-USED-WEIGHT-1M", used.to_string())));
    Answer { status, headers, body }
}

fn admitted(venue: &Venue, guard: Guard, asked: &Asked<'_>, now: Stamp) -> Result<(), Refusal> {
    if guard != Guard::Everybody {
        sign::check_key(&venue.settings, asked.header("X-MBX-APIKEY"))?;
    }
    if guard != Guard::Signed {
        return Ok(());
    }
    let params = Params::read(asked);
    // What is signed is the exact text, without the signature itself.
    let unsigned = |text: &str| {
        let parts: Vec<&str> = text.split('&').filter(|part| !part.starts_with("signature=")).collect();
        parts.join("&")
    };
    let text = unsigned(asked.query) + &unsigned(asked.body);
    let shown = Shown {
        text: &text,
        signature: params.get("signature"),
        timestamp: params.get("timestamp"),
        recv_window: params.get("recvWindow"),
    };
    sign::check(&venue.settings, &shown, now.wall.as_ms())
}

/// What was asked, by name: query and body.
struct Params(BTreeMap<String, String>);

impl Params {
    fn read(asked: &Asked<'_>) -> Self {
        let of = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        Self(of(asked.query).into_iter().chain(of(asked.body)).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            (400, -1_102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
        })
    }

    /// How many rows: more than the most is the most.
    fn limit(&self, usual: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(usual) };
        let limit: usize = text.parse().map_err(|_| illegal("limit"))?;
        if limit == 0 { Err(bad("limit")) } else { Ok(limit.min(most)) }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|text| text.parse().map_err(|_| illegal(name))).transpose()
    }
}

fn illegal(name: &str) -> Refusal {
    let words = format!("Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.");
    (400, -1_100, words)
}

fn bad(name: &str) -> Refusal {
    (400, -1_130, format!("Data sent for parameter '{name}' is not valid."))
}

fn combination() -> Refusal {
    (400, -1_128, "Combination of optional parameters invalid.".to_owned())
}

fn no_symbol() -> Refusal {
    (400, -1_121, "Invalid symbol.".to_owned())
}

impl Call {
    /// The symbol that is asked for. COIN-M's market routes know those of USD-M too.
    fn listed<'v>(&self, venue: &'v mut Venue) -> Result<&'v mut Listed, Refusal> {
        let symbol = self.params.need("symbol")?;
        let at = venue.place(self.market, symbol);
        let other = || if self.market == Market::Coinm { venue.place(Market::Usdm, symbol) } else { None };
        let at = at.or_else(other).ok_or_else(no_symbol)?;
        venue.listed.get_mut(at).ok_or_else(no_symbol)
    }

    const fn now_ms(&self) -> u64 {
        self.now.wall.as_ms()
    }
}
