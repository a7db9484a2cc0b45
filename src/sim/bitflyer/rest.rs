//! REST answers: the public routes a feed or a backfill needs, and those of the account for who signs. A function of the
//! request and the venue.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::Stamp;
use crate::sim::market::Side;
use crate::sim::venue::{Answer, Asked};

use super::listed::Listed;
use super::message;
use super::sign;
use super::venue::Venue;

/// What of a book is sent.
const BOARD_LEVELS: usize = 1_100;
/// Trades of a page, when the request does not say, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 500;

/// HTTP status, the venue's code and words.
type Refusal = (u16, i64, &'static str);

struct Params(BTreeMap<String, String>);

impl Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// Answers `GET path?query`.
pub(super) fn answer(venue: &Venue, asked: &Asked<'_>, now: Stamp) -> Answer {
    let params = Params(url::form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect());
    let Some(name) = asked.path.strip_prefix("/v1/") else { return lost() };
    if let Some(name) = name.strip_prefix("me/") {
        return of_account(venue, name, asked, &params);
    }
    let body = match name.strip_prefix("get").unwrap_or(name) {
        "markets" => Ok(markets(venue)),
        // The other exchanges list nothing here.
        "markets/usa" | "markets/eu" => Ok("[]".to_owned()),
        "board" => of_product(venue, &params).map(board),
        "ticker" => of_product(venue, &params).map(|listed| listed.ticker(now.wall, false)),
        "executions" => of_product(venue, &params).map(|listed| executions(listed, &params)),
        "boardstate" => {
            of_product(venue, &params).map(|listed| format!(r#"{{"health":"NORMAL","state":"{}"}}"#, listed.state))
        }
        "health" => of_product(venue, &params).map(|_| r#"{"status":"NORMAL"}"#.to_owned()),
        _ => return lost(),
    };
    answered(body)
}

fn answered(body: Result<String, Refusal>) -> Answer {
    match body {
        Ok(body) => (200, body).into(),
        Err((status, code, words)) => {
            (status, format!(r#"{{"status":{code},"error_message":"{words}","data":null}}"#)).into()
        }
    }
}

fn of_account(venue: &Venue, name: &str, asked: &Asked<'_>, params: &Params) -> Answer {
    if !sign::admits(&venue.settings, asked) {
        return answered(Err((401, -500, "Key not found")));
    }
    let account = &venue.account;
    answered(match name {
        "getchildorders" => of_product(venue, params).map(|l| account.open_orders(&l.spec.code, &venue.listed)),
        "getpositions" => of_product(venue, params).map(|l| account.positions(&l.spec.code, &venue.listed)),
        "getexecutions" => of_product(venue, params).map(|l| own_executions(venue, &l.spec.code, params)),
        "getbalance" => Ok(account.balances()),
        "getcollateral" => Ok(account.collateral(&venue.listed)),
        _ => return lost(),
    })
}

/// A path that does not exist is answered with a page.
fn lost() -> Answer {
    (404, "<!DOCTYPE html><html><head><title>404</title></head><body>Not Found</body></html>".to_owned()).into()
}

/// Codes are read in any case here, and there is one for those who name none.
fn of_product<'v>(venue: &'v Venue, params: &Params) -> Result<&'v Listed, Refusal> {
    let code = params.get("product_code").unwrap_or("BTC_JPY").to_ascii_uppercase();
    venue.find(&code).ok_or((400, -100, "Invalid product"))
}

fn markets(venue: &Venue) -> String {
    let row = |listed: &Listed| {
        format!(r#"{{"product_code":"{}","market_type":"{}"}}"#, listed.spec.code, listed.spec.market_type())
    };
    format!("[{}]", venue.listed.iter().map(row).collect::<Vec<_>>().join(","))
}

fn board(listed: &Listed) -> String {
    let [bids, asks] = [Side::Bid, Side::Ask].map(|side| listed.board.best_first(side, BOARD_LEVELS));
    let best = |levels: &[crate::sim::market::Level]| levels.first().map_or(0, |level| level.ticks);
    let middle = (best(&bids) + best(&asks)).div_euclid(2);
    message::board(&listed.spec, middle, &bids, &asks)
}

/// The ids of a page, and how many rows it has at most.
fn page(params: &Params) -> (Range<u64>, usize) {
    let count = params.number("count").and_then(|count| usize::try_from(count).ok()).unwrap_or(PAGE).min(PAGE_MAX);
    let (before, after) = (params.number("before").unwrap_or(u64::MAX), params.number("after").unwrap_or(0));
    (after + 1..before, count)
}

fn own_executions(venue: &Venue, code: &str, params: &Params) -> String {
    let (ids, count) = page(params);
    let found = venue.account.fills.within(0, u64::MAX).rev();
    let within = found.filter(|fill| fill.symbol == code && ids.contains(&fill.number)).take(count);
    format!("[{}]", within.map(|fill| &*fill.row).collect::<Vec<_>>().join(","))
}

fn executions(listed: &Listed, params: &Params) -> String {
    let (ids, count) = page(params);
    let within = listed.recent().filter(|trade| ids.contains(&trade.id)).take(count);
    format!("[{}]", within.map(|trade| listed.execution(trade, false)).collect::<Vec<_>>().join(","))
}
