//! The account's rows: orders, executions, positions and the wallet, as the private stream and REST tell them
//! (`https://bybit-exchange.github.io/docs/v5/websocket/private/order` and its neighbours). Common fields have tickbus's
//! names; what else the venue says comes under names of its own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::instruments::Reply;
use super::rest::percent_encoded;
use crate::model::AccountKind;
use crate::venue::kit::account::{Page, Reader, Wanted};
use crate::venue::kit::fields::{Members, Object, Text};
use crate::venue::kit::images::Call;
use crate::venue::kit::rows::{As, Fields, LIQUIDITY, Row, SIDES, Version, Words, is_some, member, time, word};
use crate::venue::{FieldValue, is_order_over};

const DAY: Duration = Duration::from_secs(86_400);
/// How the account's images are read. Executions are kept for two years.
pub(super) const READER: Reader = Reader { calls, read, refuses, reach: DAY.saturating_mul(730), by_symbol: false };
/// What one call for executions may span.
const SPAN: Duration = DAY.saturating_mul(7);

/// Each channel and the topic of its rows, of all categories together.
const TOPICS: [(AccountKind, &str); 4] = [
    (AccountKind::Order, "order"),
    (AccountKind::Fill, "execution"),
    (AccountKind::Position, "position"),
    (AccountKind::Balance, "wallet"),
];

/// The topic of a channel.
pub(super) fn topic(kind: AccountKind) -> &'static str {
    TOPICS.iter().find(|(of, _)| *of == kind).map_or("order", |(_, topic)| topic)
}

/// The channel of a topic.
pub(super) fn kind_of(topic: &str) -> Option<AccountKind> {
    TOPICS.iter().find(|(_, known)| *known == topic).map(|(kind, _)| *kind)
}

const TYPES: Words = &[("Limit", "limit"), ("Market", "market")];
const STATES: Words = &[
    ("New", "open"),
    ("Created", "open"),
    ("Active", "open"),
    ("PartiallyFilled", "partially_filled"),
    ("Untriggered", "untriggered"),
    ("Triggered", "triggered"),
    ("Filled", "filled"),
    ("Cancelled", "cancelled"),
    ("PartiallyFilledCanceled", "cancelled"),
    ("Deactivated", "cancelled"),
    ("Rejected", "rejected"),
];
/// One position of both sides, or one of each.
const POSITIONS: Words = &[("0", "both"), ("1", "long"), ("2", "short")];
/// Executions that are no trades: funding, and the settlement of contracts.
const NO_TRADES: [&str; 3] = ["Funding", "Settle", "Delivery"];
/// `rejectReason` of orders that were not rejected.
const NO_REASON: &str = "EC_NoError";

const ORDER: Fields = &[
    ("id", "orderId", As::Text),
    ("client_id", "orderLinkId", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("order_type", "orderType", As::Word(TYPES)),
    ("price", "price", As::Text),
    ("size", "qty", As::Text),
    ("filled", "cumExecQty", As::Text),
    ("remaining", "leavesQty", As::Text),
    ("average_price", "avgPrice", As::Text),
    ("state", "orderStatus", As::Word(STATES)),
    ("created", "createdTime", As::Time),
    ("updated", "updatedTime", As::Time),
    ("time_in_force", "timeInForce", As::Text),
    ("reduce_only", "reduceOnly", As::Flag),
    ("position_side", "positionIdx", As::Word(POSITIONS)),
    ("trigger_price", "triggerPrice", As::Text),
    ("stop_order_type", "stopOrderType", As::Text),
    ("value", "cumExecValue", As::Text),
    ("fee", "cumExecFee", As::Text),
    ("fee_currency", "feeCurrency", As::Text),
    ("cancel_type", "cancelType", As::Text),
];
const FILL: Fields = &[
    ("id", "execId", As::Text),
    ("order_id", "orderId", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("price", "execPrice", As::Text),
    ("size", "execQty", As::Text),
    ("value", "execValue", As::Text),
    ("fee", "execFee", As::Text),
    ("fee_currency", "feeCurrency", As::Text),
    ("liquidity", "isMaker", As::Word(LIQUIDITY)),
    ("client_id", "orderLinkId", As::Text),
    ("fee_rate", "feeRate", As::Text),
    ("exec_type", "execType", As::Text),
    ("remaining", "leavesQty", As::Text),
];
/// Behind `size` and `entry_price`.
const POSITION: Fields = &[
    ("margin", "positionIM", As::Text),
    ("unrealised_pnl", "unrealisedPnl", As::Text),
    ("leverage", "leverage", As::Text),
    ("liquidation_price", "liqPrice", As::Text),
    ("position_side", "positionIdx", As::Word(POSITIONS)),
    ("mark", "markPrice", As::Text),
    ("value", "positionValue", As::Text),
    ("realised_pnl", "curRealisedPnl", As::Text),
    ("total_realised_pnl", "cumRealisedPnl", As::Text),
    ("take_profit", "takeProfit", As::Text),
    ("stop_loss", "stopLoss", As::Text),
    ("status", "positionStatus", As::Text),
    ("created", "createdTime", As::Time),
    ("updated", "updatedTime", As::Time),
];
const BALANCE: Fields = &[
    ("total", "equity", As::Text),
    ("available", "availableToWithdraw", As::Text),
    ("locked", "locked", As::Text),
    ("unrealised_pnl", "unrealisedPnl", As::Text),
    ("wallet", "walletBalance", As::Text),
    ("value_usd", "usdValue", As::Text),
    ("debt", "borrowAmount", As::Text),
    ("interest", "accruedInterest", As::Text),
    ("order_margin", "totalOrderIM", As::Text),
    ("position_margin", "totalPositionIM", As::Text),
];

/// Reads what one message of a topic, or one page, has as rows of the feed's market: the topics carry all categories.
pub(super) fn rows(
    market: &str,
    kind: AccountKind,
    data: &RawValue,
    tell: &mut dyn FnMut(&Row<'_>),
) -> Result<(), String> {
    let list: Vec<Members<'_>> = serde_json::from_str(data.get()).map_err(|error| error.to_string())?;
    for members in &list {
        if kind == AccountKind::Balance {
            wallet(members, tell)?;
        } else if member(members, "category").is_none_or(|category| category == market) {
            match kind {
                AccountKind::Order => order(members, tell),
                AccountKind::Fill => fill(members, tell),
                _ => position(members, tell),
            }
        }
    }
    Ok(())
}

fn symbol<'a>(members: &Members<'a>) -> &'a str {
    member(members, "symbol").unwrap_or_default()
}

fn order(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) {
    let mut row = Row { keys: &["id"], ..Row::new(AccountKind::Order, symbol(members), members, ORDER) };
    row.is_open = member(members, "orderStatus").is_none_or(|state| !is_order_over(word(STATES, state)));
    row.event = time(members, "updatedTime");
    row.version = row.event.map(|at| Version::of_order(at.0, member(members, "cumExecQty"), row.is_open));
    let reason = member(members, "rejectReason").filter(|reason| *reason != NO_REASON);
    row.fields.extend(reason.map(|reason| ("reason", FieldValue::Text(reason))));
    tell(&row);
}

fn fill(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) {
    if member(members, "execType").is_some_and(|kind| NO_TRADES.contains(&kind)) {
        return;
    }
    let row = Row::new(AccountKind::Fill, symbol(members), members, FILL);
    tell(&Row { keys: &["id"], event: time(members, "execTime"), ..row });
}

/// Its size has a sign here, and a side at the venue. The entry price is called otherwise over REST.
fn position(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) {
    let size = member(members, "size");
    let short = matches!(member(members, "side"), Some("Sell")) && is_some(size);
    let signed = size.map(|size| if short { format!("-{size}") } else { size.to_owned() });
    let entry = member(members, "entryPrice").or_else(|| member(members, "avgPrice"));
    let mut row = Row::new(AccountKind::Position, symbol(members), members, POSITION);
    let first = signed.as_deref().map(|size| ("size", FieldValue::Text(size)));
    let second = entry.map(|price| ("entry_price", FieldValue::Text(price)));
    row.fields.splice(0..0, first.into_iter().chain(second));
    row.event = time(members, "updatedTime");
    let seq = member(members, "seq").and_then(|seq| seq.parse().ok()).unwrap_or(0);
    let version = row.event.map(|at| Version { at: at.0, step: seq, closed: false });
    tell(&Row { keys: &["position_side"], version, is_open: is_some(size), ..row });
}

/// Neither the stream nor REST says when a balance last changed.
fn wallet(members: &Members<'_>, tell: &mut dyn FnMut(&Row<'_>)) -> Result<(), String> {
    let coins = members.0.iter().find(|(key, _)| key == "coin").map(|(_, value)| value);
    let Some(coins) = coins else { return Ok(()) };
    let list: Vec<Members<'_>> = serde_json::from_str(coins.get()).map_err(|error| error.to_string())?;
    for coin in &list {
        let currency = member(coin, "coin").unwrap_or_default();
        let mut row = Row { keys: &["kind"], ..Row::new(AccountKind::Balance, currency, coin, BALANCE) };
        row.fields.extend(member(members, "accountType").map(|kind| ("kind", FieldValue::Text(kind))));
        tell(&row);
    }
    Ok(())
}

/// The calls of an image. Linear contracts are asked for by the coin they are settled in; their executions need not be.
fn calls(wanted: &Wanted<'_>) -> Vec<Call> {
    let market = wanted.market;
    let (path, limit) = match wanted.kind {
        AccountKind::Order => ("/v5/order/realtime", 50),
        AccountKind::Position if market != "spot" => ("/v5/position/list", 200),
        AccountKind::Position => return Vec::new(),
        AccountKind::Balance => {
            return vec![Call { path: "/v5/account/wallet-balance?accountType=UNIFIED".to_owned(), weight: 1 }];
        }
        AccountKind::Fill => return executions(wanted),
    };
    let coins: &[&str] = if market == "linear" { &["&settleCoin=USDT", "&settleCoin=USDC"] } else { &[""] };
    let call = |coin| Call { path: format!("{path}?category={market}{coin}&limit={limit}"), weight: 1 };
    coins.iter().map(call).collect()
}

/// "Get Trade History".
fn executions(wanted: &Wanted<'_>) -> Vec<Call> {
    let call = |(from, to): (u64, Option<u64>)| {
        let end = to.map(|to| format!("&endTime={to}")).unwrap_or_default();
        let path = format!("/v5/execution/list?category={}&startTime={from}{end}&limit=100", wanted.market);
        Call { path, weight: 1 }
    };
    wanted.parts(SPAN).into_iter().map(call).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    #[serde(borrow)]
    list: &'a RawValue,
    #[serde(borrow, default)]
    next_page_cursor: Option<Text<'a>>,
}

/// Whether a refusal is about the key: it, its signature, its permissions or its addresses ("Error Codes", "UTA").
fn refuses(words: &str) -> bool {
    ["retCode 10003:", "retCode 10004:", "retCode 10005:", "retCode 10010:"].iter().any(|code| words.starts_with(code))
}

/// Reads an answer of REST. Refusals come with status 200.
fn read(page: &Page<'_>, each: &mut dyn FnMut(&Row<'_>)) -> Result<Option<Call>, String> {
    let Object(reply) = serde_json::from_slice::<Object<Reply<'_>>>(page.body)
        .map_err(|error| format!("HTTP {}: {error}", page.status))?;
    let listing: Listing<'_> = reply.into_result()?;
    rows(page.market, page.kind, listing.list, each)?;
    let cursor = listing.next_page_cursor.filter(|cursor| !cursor.0.is_empty());
    let base = page.path.split("&cursor=").next().unwrap_or_default();
    Ok(cursor.map(|cursor| Call { path: format!("{base}&cursor={}", percent_encoded(&cursor.0)), weight: 1 }))
}
