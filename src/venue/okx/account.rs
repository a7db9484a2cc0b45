//! The account's rows: orders and the fills in them, positions, balances (OKX API v5, "Order channel", "Positions channel",
//! "Account channel"), and their images by REST. Common fields have tickbus's names; everything else the venue says comes
//! under its own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::instruments::Reply;
use super::session::OkxSession;
use super::wire::Envelope;
use crate::model::{AccountKind, Channel, Clocks};
use crate::venue::kit::account::{Page, Reader, Wanted};
use crate::venue::kit::fields::{Members, Object};
use crate::venue::kit::images::Call;
use crate::venue::kit::rows::{self, As, Fields, Row, Version, Words, member};
use crate::venue::{FieldValue, Output, is_order_over};

/// How the account's images are read. Positions and balances come over the stream too, once it is subscribed to. Fills of the
/// last three days are told ("Get transaction details (last 3 days)"), of all instruments together.
pub(super) const READER: Reader =
    Reader { calls, read, refuses, reach: Duration::from_secs(3 * 86_400), by_symbol: false };

/// Most rows of a page of open orders, and of fills.
const PAGE: usize = 100;
const ORDERS: &str = "/api/v5/trade/orders-pending";
const FILLS: &str = "/api/v5/trade/fills";

const STATES: Words = &[("live", "open"), ("canceled", "cancelled"), ("mmp_canceled", "cancelled")];
const EXECUTIONS: Words = &[("T", "taker"), ("M", "maker")];

const ORDER: Fields = &[
    ("id", "ordId", As::Text),
    ("client_id", "clOrdId", As::Text),
    ("side", "side", As::Text),
    ("order_type", "ordType", As::Text),
    ("price", "px", As::Text),
    ("size", "sz", As::Text),
    ("filled", "accFillSz", As::Text),
    ("average_price", "avgPx", As::Text),
    ("state", "state", As::Word(STATES)),
    ("reason", "msg", As::Text),
    ("created", "cTime", As::Time),
    ("updated", "uTime", As::Time),
    ("position_side", "posSide", As::Text),
    ("margin_mode", "tdMode", As::Text),
    ("leverage", "lever", As::Text),
    ("fee_currency", "feeCcy", As::Text),
    ("pnl", "pnl", As::Text),
    ("reduce_only", "reduceOnly", As::Text),
    ("code", "code", As::Text),
    ("amend_result", "amendResult", As::Text),
    ("cancel_source", "cancelSource", As::Text),
    ("tag", "tag", As::Text),
    ("liquidity", "execType", As::Word(EXECUTIONS)),
];
/// What a fill cost, and in which currency, as the stream and REST call it.
const STREAM_FEE: [&str; 2] = ["fillFee", "fillFeeCcy"];
const REST_FEE: [&str; 2] = ["fee", "feeCcy"];
const FILL: Fields = &[
    ("id", "tradeId", As::Text),
    ("order_id", "ordId", As::Text),
    ("side", "side", As::Text),
    ("price", "fillPx", As::Text),
    ("size", "fillSz", As::Text),
    ("client_id", "clOrdId", As::Text),
    ("position_side", "posSide", As::Text),
    ("pnl", "fillPnl", As::Text),
    ("liquidity", "execType", As::Word(EXECUTIONS)),
];
const POSITION: Fields = &[
    ("size", "pos", As::Text),
    ("entry_price", "avgPx", As::Text),
    ("margin", "margin", As::Text),
    ("unrealised_pnl", "upl", As::Text),
    ("leverage", "lever", As::Text),
    ("liquidation_price", "liqPx", As::Text),
    ("kind", "mgnMode", As::Text),
    ("id", "posId", As::Text),
    ("position_side", "posSide", As::Text),
    ("position_currency", "posCcy", As::Text),
    ("currency", "ccy", As::Text),
    ("mark", "markPx", As::Text),
    ("initial_margin", "imr", As::Text),
    ("maintenance_margin", "mmr", As::Text),
    ("margin_ratio", "mgnRatio", As::Text),
    ("realised_pnl", "realizedPnl", As::Text),
    ("created", "cTime", As::Time),
];
const BALANCE: Fields = &[
    ("total", "eq", As::Text),
    ("available", "availBal", As::Text),
    ("locked", "frozenBal", As::Text),
    ("unrealised_pnl", "upl", As::Text),
    ("cash", "cashBal", As::Text),
    ("available_equity", "availEq", As::Text),
    ("locked_in_orders", "ordFrozen", As::Text),
    ("debt", "liab", As::Text),
    ("interest", "interest", As::Text),
    ("value_usd", "eqUsd", As::Text),
];

#[derive(Deserialize)]
struct BalanceRow<'a> {
    #[serde(borrow, default)]
    details: Vec<Members<'a>>,
}

impl OkxSession {
    pub(super) fn account_data(
        &mut self,
        place: usize,
        channel: &str,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let wanted = |kind| {
            let streams = self.subscriptions.streams(place);
            streams.iter().any(|stream| self.channel(*stream) == Some(Channel::Account(kind)))
        };
        let (orders, fills) = (wanted(AccountKind::Order), wanted(AccountKind::Fill));
        for row in &envelope.rows::<&RawValue>()? {
            let account = &mut self.account;
            let mut tell = |row: &Row<'_>| account.streamed(row, clocks, out);
            match channel {
                "orders" => {
                    let members: Members<'_> = parse(row)?;
                    if orders {
                        order(&members, &mut tell);
                    }
                    if fills && is_fill(&members) {
                        fill(&members, STREAM_FEE, &mut tell);
                    }
                }
                "positions" => position(&parse(row)?, &mut tell),
                _ => balances(row, &mut tell)?,
            }
        }
        Ok(())
    }
}

fn parse<'a>(row: &'a RawValue) -> Result<Members<'a>, String> {
    serde_json::from_str(row.get()).map_err(|error| error.to_string())
}

fn calls(wanted: &Wanted<'_>) -> Vec<Call> {
    let path = match wanted.kind {
        AccountKind::Order => format!("{ORDERS}?limit={PAGE}"),
        AccountKind::Position => "/api/v5/account/positions".to_owned(),
        AccountKind::Balance => "/api/v5/account/balance".to_owned(),
        AccountKind::Fill => format!("{FILLS}?begin={}&limit={PAGE}", wanted.since.as_ms()),
    };
    vec![Call { path, weight: 1 }]
}

/// Whether a refusal is about the key or its signature ("Error Code", "API Class").
fn refuses(words: &str) -> bool {
    let code = words.strip_prefix("code ").and_then(|words| words.split(':').next()?.parse::<u32>().ok());
    code.is_some_and(|code| (50_103..=50_113).contains(&code))
}

/// Reads an answer of REST. Open orders and fills come newest first, a full page is followed by those that are older than its
/// last.
fn read(page: &Page<'_>, each: &mut dyn FnMut(&Row<'_>)) -> Result<Option<Call>, String> {
    let Object(reply) = serde_json::from_slice::<Object<Reply<'_>>>(page.body)
        .map_err(|error| format!("HTTP {}: {error}", page.status))?;
    let rows = reply.into_rows()?;
    let mut last = None;
    for row in &rows {
        match page.kind {
            AccountKind::Order => {
                let members: Members<'_> = parse(row)?;
                order(&members, each);
                last = member(&members, "ordId").map(str::to_owned);
            }
            AccountKind::Fill => {
                let members: Members<'_> = parse(row)?;
                fill(&members, REST_FEE, each);
                last = member(&members, "billId").map(str::to_owned);
            }
            AccountKind::Position => position(&parse(row)?, each),
            AccountKind::Balance => balances(row, each)?,
        }
    }
    let base = page.path.split("&after=").next().unwrap_or_default();
    let more = |id| Call { path: format!("{base}&after={id}"), weight: 1 };
    Ok(last.filter(|_| rows.len() >= PAGE).map(more))
}

/// What it cost is negative at OKX, and a rebate positive ("Order channel", `fee` and `fillFee`): it is turned.
fn order(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) {
    // What is open of an order is known where it has a price: the size of others may be in the quote currency.
    let sizes = member(members, "px").and_then(|_| Some((member(members, "sz")?, member(members, "accFillSz")?)));
    let remaining = sizes.and_then(|(size, filled)| rows::less(size, filled));
    let mut row = row(AccountKind::Order, members, ORDER, &["id"]);
    row.event = rows::time(members, "uTime");
    row.is_open = member(members, "state").is_none_or(|state| !is_order_over(rows::word(STATES, state)));
    let filled = member(members, "accFillSz");
    row.version = row.event.map(|at| Version::of_order(at.0, filled, row.is_open));
    row.fields.extend(remaining.as_deref().map(|size| ("remaining", FieldValue::Text(size))));
    let fee = member(members, "fee").map(rows::negated);
    row.fields.extend(fee.as_deref().map(|fee| ("fee", FieldValue::Text(fee))));
    tell(&row);
}

/// Whether an order's row tells a trade: it has one's id and a size.
fn is_fill(order: &Members<'_>) -> bool {
    rows::is_some(member(order, "fillSz")) && member(order, "tradeId").is_some()
}

fn fill(members: &Members<'_>, [fee, currency]: [&str; 2], tell: &mut dyn FnMut(&Row<'_>)) {
    let mut row = Row { event: rows::time(members, "fillTime"), ..row(AccountKind::Fill, members, FILL, &["id"]) };
    let fee = member(members, fee).map(rows::negated);
    row.fields.extend(fee.as_deref().map(|fee| ("fee", FieldValue::Text(fee))));
    row.fields.extend(member(members, currency).map(|currency| ("fee_currency", FieldValue::Text(currency))));
    tell(&row);
}

fn position(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) {
    let row = row(AccountKind::Position, members, POSITION, &["kind", "position_side"]);
    let is_open = rows::is_some(member(members, "pos"));
    let event = rows::time(members, "uTime");
    let version = event.map(|at| Version { at: at.0, ..Version::default() });
    tell(&Row { is_open, event, version, ..row });
}

fn balances(row: &RawValue, tell: &mut dyn FnMut(&Row<'_>)) -> Result<(), String> {
    let balances: BalanceRow<'_> = serde_json::from_str(row.get()).map_err(|error| error.to_string())?;
    for members in &balances.details {
        let event = rows::time(members, "uTime");
        let version = event.map(|at| Version { at: at.0, ..Version::default() });
        tell(&Row { event, version, ..self::row(AccountKind::Balance, members, BALANCE, &[]) });
    }
    Ok(())
}

fn row<'a>(kind: AccountKind, members: &Members<'a>, fields: Fields, keys: &'static [&'static str]) -> Row<'a> {
    let symbol = member(members, "instId").or_else(|| member(members, "ccy")).unwrap_or_default();
    let market = member(members, "instType").and_then(|kind| match kind {
        // Margin orders and positions are of spot's pairs.
        "SPOT" | "MARGIN" => Some("spot"),
        "SWAP" => Some("swap"),
        "FUTURES" => Some("futures"),
        "OPTION" => Some("option"),
        _ => None,
    });
    Row { market, keys, ..Row::new(kind, symbol, members, fields) }
}
