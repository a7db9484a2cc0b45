//! The account's rows: orders, fills, balances and positions, as user data streams and REST tell them
//! (`https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream` and
//! `https://developers.binance.com/docs/derivatives`, "User Data Streams"). Common fields have tickbus's names; what else the
//! venue says comes under names of its own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::listen_key;
use super::market::Segment;
use super::rest::percent_encoded;
use super::wire::Envelope;
use crate::model::AccountKind;
use crate::venue::kit::account::{Page, Reader, Wanted};
use crate::venue::kit::fields::{Members, Object};
use crate::venue::kit::images::Call;
use crate::venue::kit::rows::{self, As, Fields, LIQUIDITY, Row, SIDES, Version, Words, is_some, member, time};
use crate::venue::{FieldValue, is_order_over};

const DAY: Duration = Duration::from_secs(86_400);
/// How the account's images are read. Futures keep trades for six months.
pub(super) const READER: Reader =
    Reader { calls, read, refuses: listen_key::refuses, reach: DAY.saturating_mul(180), by_symbol: true };
/// Most trades of a page.
const PAGE: usize = 1_000;

const TYPES: Words = &[("LIMIT", "limit"), ("MARKET", "market")];
const STATES: Words = &[
    ("NEW", "open"),
    ("PENDING_NEW", "open"),
    ("PARTIALLY_FILLED", "partially_filled"),
    ("FILLED", "filled"),
    ("CANCELED", "cancelled"),
    ("EXPIRED", "cancelled"),
    ("EXPIRED_IN_MATCH", "cancelled"),
    ("REJECTED", "rejected"),
];
const KINDS: Words = &[("crossed", "cross")];
/// Executions that are trades; a liquidation is calculated.
const TRADES: [&str; 2] = ["TRADE", "CALCULATED"];

/// Of `executionReport`, and of `ORDER_TRADE_UPDATE`, which has some members more and some less.
const ORDER_EVENT: Fields = &[
    ("id", "i", As::Text),
    ("side", "S", As::Word(SIDES)),
    ("order_type", "o", As::Word(TYPES)),
    ("price", "p", As::Text),
    ("size", "q", As::Text),
    ("filled", "z", As::Text),
    ("average_price", "ap", As::Text),
    ("state", "X", As::Word(STATES)),
    ("created", "O", As::Time),
    ("updated", "T", As::Time),
    ("status", "X", As::Text),
    ("execution", "x", As::Text),
    ("time_in_force", "f", As::Text),
    ("stop_price", "P", As::Text),
    ("stop_price", "sp", As::Text),
    ("value", "Z", As::Text),
    ("position_side", "ps", As::Text),
];
const ORDER_IMAGE: Fields = &[
    ("id", "orderId", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("order_type", "type", As::Word(TYPES)),
    ("price", "price", As::Text),
    ("size", "origQty", As::Text),
    ("filled", "executedQty", As::Text),
    ("average_price", "avgPrice", As::Text),
    ("state", "status", As::Word(STATES)),
    ("created", "time", As::Time),
    ("updated", "updateTime", As::Time),
    ("status", "status", As::Text),
    ("time_in_force", "timeInForce", As::Text),
    ("stop_price", "stopPrice", As::Text),
    ("value", "cummulativeQuoteQty", As::Text),
    ("position_side", "positionSide", As::Text),
];
const FILL: Fields = &[
    ("id", "t", As::Text),
    ("order_id", "i", As::Text),
    ("side", "S", As::Word(SIDES)),
    ("price", "L", As::Text),
    ("size", "l", As::Text),
    ("value", "Y", As::Text),
    ("fee", "n", As::Text),
    ("fee_currency", "N", As::Text),
    ("liquidity", "m", As::Word(LIQUIDITY)),
    ("pnl", "rp", As::Text),
    ("position_side", "ps", As::Text),
];
const BUYER: Words = &[("true", "buy"), ("false", "sell")];
/// `myTrades` of spot and `userTrades` of futures, whose members are called alike but for these: whether it was bought, and
/// whether the order was the maker.
const FILL_IMAGE: Fields = &[
    ("id", "id", As::Text),
    ("order_id", "orderId", As::Text),
    ("side", "isBuyer", As::Word(BUYER)),
    ("side", "side", As::Word(SIDES)),
    ("price", "price", As::Text),
    ("size", "qty", As::Text),
    ("value", "quoteQty", As::Text),
    ("fee", "commission", As::Text),
    ("fee_currency", "commissionAsset", As::Text),
    ("liquidity", "isMaker", As::Word(LIQUIDITY)),
    ("liquidity", "maker", As::Word(LIQUIDITY)),
    ("pnl", "realizedPnl", As::Text),
    ("position_side", "positionSide", As::Text),
];
const POSITION_EVENT: Fields = &[
    ("size", "pa", As::Text),
    ("entry_price", "ep", As::Text),
    ("unrealised_pnl", "up", As::Text),
    ("margin_type", "mt", As::Word(KINDS)),
    ("position_side", "ps", As::Text),
    ("break_even_price", "bep", As::Text),
    ("realised_pnl", "cr", As::Text),
    ("isolated_wallet", "iw", As::Text),
];
const POSITION_IMAGE: Fields = &[
    ("size", "positionAmt", As::Text),
    ("entry_price", "entryPrice", As::Text),
    ("margin", "initialMargin", As::Text),
    ("unrealised_pnl", "unRealizedProfit", As::Text),
    ("leverage", "leverage", As::Text),
    ("liquidation_price", "liquidationPrice", As::Text),
    ("margin_type", "marginType", As::Word(KINDS)),
    ("position_side", "positionSide", As::Text),
    ("break_even_price", "breakEvenPrice", As::Text),
    ("isolated_wallet", "isolatedWallet", As::Text),
    ("mark", "markPrice", As::Text),
];
const BALANCE_EVENT: Fields =
    &[("total", "wb", As::Text), ("cross_wallet", "cw", As::Text), ("change", "bc", As::Text)];
const BALANCE_IMAGE: Fields = &[
    ("total", "balance", As::Text),
    ("available", "availableBalance", As::Text),
    ("unrealised_pnl", "crossUnPnl", As::Text),
    ("cross_wallet", "crossWalletBalance", As::Text),
];

/// What a user data event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Rows were read from it.
    Rows,
    /// One that carries no rows of ours.
    Other,
    /// The listen key, or the subscription, is over.
    Over,
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow, default)]
    e: &'a str,
    #[serde(borrow, default)]
    o: Option<&'a RawValue>,
    #[serde(borrow, default)]
    a: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "B")]
    balances: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Changes<'a> {
    #[serde(borrow, default, rename = "B")]
    balances: Vec<Members<'a>>,
    #[serde(borrow, default, rename = "P")]
    positions: Vec<Members<'a>>,
}

/// Reads a user data event; `wanted` says which kinds of rows.
pub(super) fn event(
    text: &str,
    wanted: &dyn Fn(AccountKind) -> bool,
    tell: &mut dyn FnMut(&Row<'_>),
) -> Result<Event, String> {
    let words = |error: serde_json::Error| error.to_string();
    let Object(update) = serde_json::from_str::<Object<Update<'_>>>(text).map_err(words)?;
    let members: Members<'_> = serde_json::from_str(text).map_err(words)?;
    match update.e {
        "executionReport" => order_event(&members, wanted, tell),
        "ORDER_TRADE_UPDATE" => {
            let order = update.o.ok_or("no order in it")?;
            order_event(&serde_json::from_str(order.get()).map_err(words)?, wanted, tell);
        }
        "outboundAccountPosition" => {
            let list: Vec<Members<'_>> =
                serde_json::from_str(update.balances.ok_or("no balances in it")?.get()).map_err(words)?;
            let at = time(&members, "u").map(|at| at.0);
            list.iter()
                .filter(|_| wanted(AccountKind::Balance))
                .for_each(|row| spot_balance(row, "a", "f", "l", at, tell));
        }
        "ACCOUNT_UPDATE" => {
            let Object(changes) =
                serde_json::from_str::<Object<Changes<'_>>>(update.a.ok_or("no changes in it")?.get())
                    .map_err(words)?;
            let at = time(&members, "T").map(|at| at.0);
            for row in changes.balances.iter().filter(|_| wanted(AccountKind::Balance)) {
                futures_balance(row, "a", BALANCE_EVENT, at, tell);
            }
            for row in changes.positions.iter().filter(|_| wanted(AccountKind::Position)) {
                position(row, ["s", "pa"], POSITION_EVENT, at, tell);
            }
        }
        "listenKeyExpired" | "eventStreamTerminated" => return Ok(Event::Over),
        _ => return Ok(Event::Other),
    }
    Ok(Event::Rows)
}

fn order_event(order: &Members<'_>, wanted: &dyn Fn(AccountKind) -> bool, tell: &mut dyn FnMut(&Row<'_>)) {
    // Of a cancelled order, `c` is the cancellation's own id.
    let client = member(order, "C").or_else(|| member(order, "c"));
    let symbol = member(order, "s").unwrap_or_default();
    let at = time(order, "T");
    if wanted(AccountKind::Order) {
        let reason = member(order, "r").filter(|reason| *reason != "NONE");
        let row = Row::new(AccountKind::Order, symbol, order, ORDER_EVENT);
        complete(row, at.map(|at| at.0), client, reason, tell);
    }
    let is_trade = member(order, "x").is_some_and(|kind| TRADES.contains(&kind)) && is_some(member(order, "l"));
    if is_trade && wanted(AccountKind::Fill) {
        let mut row = Row { keys: &["id"], event: at, ..Row::new(AccountKind::Fill, symbol, order, FILL) };
        row.fields.extend(client.map(|id| ("client_id", FieldValue::Text(id))));
        tell(&row);
    }
}

/// An order with what its other fields say.
fn complete(
    mut row: Row<'_>,
    at: Option<u64>,
    client: Option<&str>,
    reason: Option<&str>,
    tell: &mut dyn FnMut(&Row<'_>),
) {
    let field = |name: &str| {
        let (_, value) = row.fields.iter().find(|(known, _)| *known == name)?;
        if let FieldValue::Text(text) = value { Some(*text) } else { None }
    };
    let is_open = field("state").is_some_and(|state| !is_order_over(state));
    let version = at.map(|at| Version::of_order(at, field("filled"), is_open));
    let remaining = field("size").zip(field("filled")).and_then(|(size, filled)| rows::less(size, filled));
    let mut fields = std::mem::take(&mut row.fields);
    fields.extend(remaining.as_deref().map(|size| ("remaining", FieldValue::Text(size))));
    fields.extend(client.map(|id| ("client_id", FieldValue::Text(id))));
    fields.extend(reason.map(|text| ("reason", FieldValue::Text(text))));
    let event = at.map(crate::model::UnixNanos);
    tell(&Row { keys: &["id"], is_open, version, fields, event, ..row });
}

fn version(at: Option<u64>) -> Option<Version> {
    at.map(|at| Version { at, ..Version::default() })
}

fn spot_balance(
    row: &Members<'_>,
    asset: &str,
    free: &str,
    locked: &str,
    at: Option<u64>,
    tell: &mut dyn FnMut(&Row<'_>),
) {
    let (free, locked) = (member(row, free), member(row, locked));
    let total = free.zip(locked).and_then(|(free, locked)| rows::sum(free, locked));
    let symbol = member(row, asset).unwrap_or_default();
    let fields = [("total", total.as_deref()), ("available", free), ("locked", locked)];
    let fields = fields.into_iter().filter_map(|(name, text)| Some((name, FieldValue::Text(text?)))).collect();
    let is_open = is_some(free) || is_some(locked);
    let empty = Row::new(AccountKind::Balance, symbol, row, &[]);
    tell(&Row { fields, is_open, version: version(at), event: at.map(crate::model::UnixNanos), ..empty });
}

fn futures_balance(row: &Members<'_>, asset: &str, fields: Fields, at: Option<u64>, tell: &mut dyn FnMut(&Row<'_>)) {
    let symbol = member(row, asset).unwrap_or_default();
    let is_open = is_some(member(row, "wb").or_else(|| member(row, "balance")));
    let event = at.map(crate::model::UnixNanos);
    tell(&Row { is_open, version: version(at), event, ..Row::new(AccountKind::Balance, symbol, row, fields) });
}

fn position(
    row: &Members<'_>,
    [symbol, size]: [&str; 2],
    fields: Fields,
    at: Option<u64>,
    tell: &mut dyn FnMut(&Row<'_>),
) {
    let symbol = member(row, symbol).unwrap_or_default();
    let (is_open, event) = (is_some(member(row, size)), at.map(crate::model::UnixNanos));
    let row = Row::new(AccountKind::Position, symbol, row, fields);
    tell(&Row { keys: &["position_side"], is_open, version: version(at), event, ..row });
}

/// The calls of an image, with the weights of the documentation.
fn calls(wanted: &Wanted<'_>) -> Vec<Call> {
    let (path, weight) = match (Segment::of(wanted.market), wanted.kind) {
        (Segment::Spot, AccountKind::Order) => ("/api/v3/openOrders", 80),
        (Segment::Spot, AccountKind::Balance) => ("/api/v3/account?omitZeroBalances=true", 20),
        (Segment::Usdm, AccountKind::Order) => ("/fapi/v1/openOrders", 40),
        (Segment::Usdm, AccountKind::Position) => ("/fapi/v3/positionRisk", 5),
        (Segment::Usdm, AccountKind::Balance) => ("/fapi/v3/balance", 5),
        (Segment::Coinm, AccountKind::Order) => ("/dapi/v1/openOrders", 40),
        (Segment::Coinm, AccountKind::Position) => ("/dapi/v1/positionRisk", 1),
        (Segment::Coinm, AccountKind::Balance) => ("/dapi/v1/balance", 1),
        (Segment::Spot, AccountKind::Position) => return Vec::new(),
        (segment, AccountKind::Fill) => return trades(segment, wanted),
    };
    vec![Call { path: path.to_owned(), weight }]
}

/// Path and weight of the calls for trades, and what one of them may span.
const fn trades_of(segment: Segment) -> (&'static str, u32, Duration) {
    match segment {
        Segment::Spot => ("/api/v3/myTrades", 20, DAY),
        Segment::Usdm => ("/fapi/v1/userTrades", 5, DAY.saturating_mul(7)),
        Segment::Coinm => ("/dapi/v1/userTrades", 20, DAY),
    }
}

/// "Account trade list": of each symbol, oldest first.
fn trades(segment: Segment, wanted: &Wanted<'_>) -> Vec<Call> {
    let (path, weight, span) = trades_of(segment);
    let mut calls = Vec::new();
    for symbol in wanted.symbols {
        for (from, to) in wanted.parts(span) {
            let end = to.map(|to| format!("&endTime={to}")).unwrap_or_default();
            let path = format!("{path}?symbol={}&startTime={from}{end}&limit={PAGE}", percent_encoded(symbol));
            calls.push(Call { path, weight });
        }
    }
    calls
}

/// A full page of trades is followed by those with higher ids, to the newest: an id goes with no time.
fn trades_page(page: &Page<'_>, rows: &[Members<'_>]) -> Option<Call> {
    let (path, weight, _) = trades_of(Segment::of(page.market));
    let symbol = page.path.split_once("symbol=")?.1.split('&').next()?;
    let last: u64 = rows.iter().filter_map(|row| member(row, "id")?.parse().ok()).max()?;
    let path = format!("{path}?symbol={symbol}&fromId={}&limit={PAGE}", last + 1);
    (rows.len() >= PAGE).then_some(Call { path, weight })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpotAccount<'a> {
    #[serde(borrow)]
    balances: Vec<Members<'a>>,
}

/// Whether trades were asked for of a symbol that is not listed: a feed may name one.
fn is_unlisted(page: &Page<'_>) -> bool {
    let code = |members: &Members<'_>| member(members, "code") == Some("-1121");
    page.kind == AccountKind::Fill && page.status == 400 && serde_json::from_slice(page.body).is_ok_and(|m| code(&m))
}

/// Reads an answer of REST, which is one page but for trades.
fn read(page: &Page<'_>, each: &mut dyn FnMut(&Row<'_>)) -> Result<Option<Call>, String> {
    if is_unlisted(page) {
        return Ok(None);
    }
    refusal(page.status, page.body)?;
    let words = |error: serde_json::Error| error.to_string();
    if page.kind == AccountKind::Balance && Segment::of(page.market).is_spot() {
        let Object(account) = serde_json::from_slice::<Object<SpotAccount<'_>>>(page.body).map_err(words)?;
        let members: Members<'_> = serde_json::from_slice(page.body).map_err(words)?;
        let at = time(&members, "updateTime").map(|at| at.0);
        account.balances.iter().for_each(|row| spot_balance(row, "asset", "free", "locked", at, each));
        return Ok(None);
    }
    let list: Vec<Members<'_>> = serde_json::from_slice(page.body).map_err(words)?;
    for row in &list {
        let at = time(row, "updateTime").map(|at| at.0);
        match page.kind {
            AccountKind::Order => {
                let symbol = member(row, "symbol").unwrap_or_default();
                let client = member(row, "clientOrderId");
                complete(Row::new(AccountKind::Order, symbol, row, ORDER_IMAGE), at, client, None, each);
            }
            AccountKind::Position => position(row, ["symbol", "positionAmt"], POSITION_IMAGE, at, each),
            AccountKind::Balance => futures_balance(row, "asset", BALANCE_IMAGE, at, each),
            AccountKind::Fill => {
                let symbol = member(row, "symbol").unwrap_or_default();
                let fill = Row::new(AccountKind::Fill, symbol, row, FILL_IMAGE);
                each(&Row { keys: &["id"], event: time(row, "time"), ..fill });
            }
        }
    }
    Ok(trades_page(page, &list).filter(|_| page.kind == AccountKind::Fill))
}

/// The venue's words for an answer that is a refusal.
pub(super) fn refusal(status: u16, body: &[u8]) -> Result<(), String> {
    if status == 200 {
        return Ok(());
    }
    let said = Envelope::parse(body).ok().and_then(|envelope| envelope.refusal());
    Err(said.map_or_else(|| format!("HTTP {status}"), |said| format!("HTTP {status}: {said}")))
}
