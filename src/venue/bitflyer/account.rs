//! The account's rows: orders and the fills in them as the private channels tell them ("Child order events", "Parent order
//! events"), open orders, positions and balances as REST does. Common fields have tickbus's names; what else the venue says
//! comes under its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;

use super::channels::Kind;
use super::session::FlyerSession;
use super::wire;
use crate::model::{AccountKind, Channel, Clocks, Decimal, Stamp, UnixNanos};
use crate::venue::kit::account::{Page, Reader, Wanted};
use crate::venue::kit::fields::{Members, number};
use crate::venue::kit::images::Call;
use crate::venue::kit::rows::{As, Fields, Row, SIDES, Words, is_some, less, member};
use crate::venue::{FieldValue, Output};

/// How the account's images are read. Executions are told for 31 days.
pub(super) const READER: Reader =
    Reader { calls, read, refuses, reach: Duration::from_secs(31 * 86_400), by_symbol: true };

/// The products whose open orders and executions are read, each by a call of its own ("Markets list", as of 2026-11). Orders
/// of others are published as the stream tells them.
const PRODUCTS: [&str; 9] =
    ["BTC_JPY", "ETH_JPY", "XRP_JPY", "XLM_JPY", "MONA_JPY", "ELF_JPY", "ETH_BTC", "BCH_BTC", CFD];
/// The only product that has positions.
const CFD: &str = "FX_BTC_JPY";
/// Most rows of a page.
const PAGE: usize = 500;

const ORDERS: &str = "/v1/me/getchildorders";
const EXECUTIONS: &str = "/v1/me/getexecutions";
const POSITIONS: &str = "/v1/me/getpositions";
const BALANCE_PATH: &str = "/v1/me/getbalance";
const COLLATERAL: &str = "/v1/me/getcollateral";

const TYPES: Words = &[("LIMIT", "limit"), ("MARKET", "market")];
const STATES: Words = &[
    ("ORDER", "open"),
    ("ORDER_FAILED", "rejected"),
    ("CANCEL", "cancelled"),
    ("EXPIRE", "expired"),
    ("TRIGGER", "triggered"),
    ("COMPLETE", "completed"),
    ("ACTIVE", "open"),
];

/// What every event of an order has.
const EVENT: Fields = &[
    ("id", "child_order_acceptance_id", As::Text),
    ("state", "event_type", As::Word(STATES)),
    ("reason", "reason", As::Text),
    ("child_order_id", "child_order_id", As::Text),
];
/// A new order; the price of a market order is zero.
const ORDER: Fields = &[
    ("id", "child_order_acceptance_id", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("order_type", "child_order_type", As::Word(TYPES)),
    ("price", "price", As::Text),
    ("size", "size", As::Text),
    ("state", "event_type", As::Word(STATES)),
    ("child_order_id", "child_order_id", As::Text),
    ("expire_date", "expire_date", As::Text),
];
const FILL: Fields = &[
    ("id", "exec_id", As::Text),
    ("order_id", "child_order_acceptance_id", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("price", "price", As::Text),
    ("size", "size", As::Text),
    ("fee", "commission", As::Text),
    ("sfd", "sfd", As::Text),
    ("child_order_id", "child_order_id", As::Text),
];
const PARENT: Fields = &[
    ("id", "parent_order_acceptance_id", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("order_type", "parent_order_type", As::Text),
    ("price", "price", As::Text),
    ("size", "size", As::Text),
    ("state", "event_type", As::Word(STATES)),
    ("reason", "reason", As::Text),
    ("parent_order_id", "parent_order_id", As::Text),
    ("child_order_type", "child_order_type", As::Word(TYPES)),
    ("child_order_acceptance_id", "child_order_acceptance_id", As::Text),
    ("parameter_index", "parameter_index", As::Text),
    ("expire_date", "expire_date", As::Text),
];
const OPEN_ORDER: Fields = &[
    ("id", "child_order_acceptance_id", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("order_type", "child_order_type", As::Word(TYPES)),
    ("price", "price", As::Text),
    ("size", "size", As::Text),
    ("filled", "executed_size", As::Text),
    ("remaining", "outstanding_size", As::Text),
    ("average_price", "average_price", As::Text),
    ("state", "child_order_state", As::Word(STATES)),
    ("child_order_id", "child_order_id", As::Text),
    ("expire_date", "expire_date", As::Text),
    ("fee", "total_commission", As::Text),
];
const EXECUTION: Fields = &[
    ("id", "id", As::Text),
    ("order_id", "child_order_acceptance_id", As::Text),
    ("side", "side", As::Word(SIDES)),
    ("price", "price", As::Text),
    ("size", "size", As::Text),
    ("fee", "commission", As::Text),
    ("child_order_id", "child_order_id", As::Text),
];
const BALANCE: Fields = &[("total", "amount", As::Text), ("available", "available", As::Text)];
const OF_COLLATERAL: Fields = &[
    ("total", "collateral", As::Text),
    ("unrealised_pnl", "open_position_pnl", As::Text),
    ("required", "require_collateral", As::Text),
    ("keep_rate", "keep_rate", As::Text),
];

impl FlyerSession {
    /// Events of orders.
    pub(super) fn account_events(
        &mut self,
        place: usize,
        kind: Kind,
        message: &RawValue,
        clocks: Clocks,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let events: Vec<Members<'_>> = serde_json::from_str(message.get()).map_err(|error| error.to_string())?;
        let wants = |wanted| {
            let streams = self.subscriptions.streams(place);
            streams.iter().any(|stream| self.channel(*stream) == Some(Channel::Account(wanted)))
        };
        let (orders, fills) = (wants(AccountKind::Order), wants(AccountKind::Fill));
        let mut is_traded = false;
        for event in &events {
            if kind == Kind::ParentOrders {
                // They are in no image: what the stream tells is all there is.
                self.account.publish(&dated(parent(event), event, "event_date"), clocks, out);
                continue;
            }
            let is_fill = member(event, "event_type") == Some("EXECUTION");
            is_traded |= is_fill;
            if orders {
                let remaining = member(event, "outstanding_size");
                let row = dated(order(event, remaining), event, "event_date");
                let is_imaged = PRODUCTS.contains(&row.symbol) && member(event, "event_type") != Some("CANCEL_FAILED");
                match is_imaged {
                    true => self.account.streamed(&row, clocks, out),
                    false => self.account.publish(&row, clocks, out),
                }
            }
            if fills && is_fill {
                self.account.streamed(&dated(row(AccountKind::Fill, event, FILL), event, "event_date"), clocks, out);
            }
        }
        if is_traded {
            self.traded(now.mono);
        }
        Ok(())
    }
}

fn row<'a>(kind: AccountKind, members: &Members<'a>, fields: Fields) -> Row<'a> {
    let symbol = member(members, "product_code").unwrap_or_default();
    let market = super::market_of_product(symbol);
    Row { market, keys: &["id"], ..Row::new(kind, symbol, members, fields) }
}

/// The same with its time.
fn dated<'a>(row: Row<'a>, members: &Members<'a>, name: &str) -> Row<'a> {
    Row { event: member(members, name).and_then(wire::time), ..row }
}

/// An event of an order. Price and size of an execution are those of the fill.
fn order<'a>(event: &Members<'a>, remaining: Option<&'a str>) -> Row<'a> {
    let kind = member(event, "event_type").unwrap_or_default();
    let mut row = row(AccountKind::Order, event, if kind == "ORDER" { ORDER } else { EVENT });
    without_zero_price(&mut row, event);
    let state = match kind {
        "EXECUTION" if is_some(remaining) => Some("partially_filled"),
        "EXECUTION" => Some("filled"),
        _ => None,
    };
    if let Some(state) = state {
        row.fields.retain(|(name, _)| *name != "state");
        row.fields.push(("state", FieldValue::Text(state)));
        row.fields.extend(remaining.map(|size| ("remaining", FieldValue::Text(size))));
    }
    if kind == "CANCEL_FAILED" {
        // The order is what it was.
        row.fields.retain(|(name, _)| *name != "state");
        row.fields.push(("event_type", FieldValue::Text("CANCEL_FAILED")));
    }
    row.is_open = kind == "ORDER" || kind == "CANCEL_FAILED" || state == Some("partially_filled");
    row
}

/// A market order has the price zero, which is none.
fn without_zero_price(row: &mut Row<'_>, members: &Members<'_>) {
    if !is_some(member(members, "price")) {
        row.fields.retain(|(name, _)| *name != "price");
    }
}

fn parent<'a>(event: &Members<'a>) -> Row<'a> {
    let mut row = row(AccountKind::Order, event, PARENT);
    without_zero_price(&mut row, event);
    row.fields.push(("kind", FieldValue::Text("parent")));
    row
}

fn calls(wanted: &Wanted<'_>) -> Vec<Call> {
    let call = |path| Call { path, weight: 1 };
    let orders =
        |product: &&str| call(format!("{ORDERS}?product_code={product}&child_order_state=ACTIVE&count={PAGE}"));
    match wanted.kind {
        AccountKind::Order => PRODUCTS.iter().map(orders).collect(),
        AccountKind::Position => vec![call(format!("{POSITIONS}?product_code={CFD}"))],
        AccountKind::Balance => vec![call(BALANCE_PATH.to_owned()), call(COLLATERAL.to_owned())],
        AccountKind::Fill => {
            let products: BTreeSet<&str> = PRODUCTS.into_iter().chain(wanted.symbols.iter().map(|s| &**s)).collect();
            let executions = |product| call(format!("{EXECUTIONS}?product_code={product}&count={PAGE}"));
            products.into_iter().map(executions).collect()
        }
    }
}

/// Executions come newest first and cannot be asked for by time: a full page is followed by those with lower ids, until they
/// are older than what is wanted. They do not name their product.
fn executions(page: &Page<'_>, rows: &[Members<'_>], each: &mut dyn FnMut(&Row<'_>)) -> Option<Call> {
    let product = page.path.split_once("product_code=")?.1.split('&').next()?;
    let mut oldest = None;
    for members in rows {
        let fill = Row { symbol: product, ..row(AccountKind::Fill, members, EXECUTION) };
        let fill = dated(Row { market: super::market_of_product(product), ..fill }, members, "exec_date");
        each(&fill);
        oldest = member(members, "id").filter(|_| fill.event.is_none_or(|at| at >= page.since));
    }
    let base = page.path.split("&before=").next().unwrap_or_default();
    let more = |id| Call { path: format!("{base}&before={id}"), weight: 1 };
    oldest.filter(|_| rows.len() >= PAGE).map(more)
}

fn read(page: &Page<'_>, each: &mut dyn FnMut(&Row<'_>)) -> Result<Option<Call>, String> {
    match page.status {
        200 => {}
        // An account may be without the CFD.
        400..500 if page.path.starts_with(COLLATERAL) => return Ok(None),
        // A feed may name a product that is not listed.
        400..500 if page.path.starts_with(EXECUTIONS) && is_invalid_product(page.body) => return Ok(None),
        _ => return Err(refusal(page)),
    }
    let wrong = |error: serde_json::Error| error.to_string();
    if page.path.starts_with(COLLATERAL) {
        let members: Members<'_> = serde_json::from_slice(page.body).map_err(wrong)?;
        let mut row = Row::new(AccountKind::Balance, "JPY", &members, OF_COLLATERAL);
        row.fields.push(("kind", FieldValue::Text("collateral")));
        each(&Row { keys: &["kind"], ..row });
        return Ok(None);
    }
    let rows: Vec<Members<'_>> = serde_json::from_slice(page.body).map_err(wrong)?;
    match page.kind {
        AccountKind::Position => positions(&rows, each)?,
        AccountKind::Balance => {
            for members in &rows {
                let symbol = member(members, "currency_code").unwrap_or_default();
                each(&Row { keys: &["kind"], ..Row::new(AccountKind::Balance, symbol, members, BALANCE) });
            }
        }
        AccountKind::Fill => return Ok(executions(page, &rows, each)),
        AccountKind::Order => {
            for members in &rows {
                let mut row = row(AccountKind::Order, members, OPEN_ORDER);
                without_zero_price(&mut row, members);
                let created = member(members, "child_order_date").and_then(wire::time);
                row.fields.extend(created.map(|at| ("created", FieldValue::Integer(at.0))));
                row.is_open = !matches!(member(members, "child_order_state"), Some(state) if state != "ACTIVE");
                each(&row);
            }
        }
    }
    Ok(None)
}

fn is_invalid_product(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|members: Members<'_>| member(&members, "status") == Some("-100"))
}

/// The venue's words: `{"status":-500,"error_message":"Key not found","data":null}`.
/// Whether a refusal is about the key.
fn refuses(words: &str) -> bool {
    words.starts_with("HTTP 401:")
}

fn refusal(page: &Page<'_>) -> String {
    let members: Option<Members<'_>> = serde_json::from_slice(page.body).ok();
    let words = members.as_ref().and_then(|members| member(members, "error_message")).unwrap_or("no reason given");
    format!("HTTP {}: {words}", page.status)
}

/// One side of a product: its size, what it costs and its lots.
#[derive(Default)]
struct Lots<'a> {
    size: Sum,
    pnl: Sum,
    required: Sum,
    price: Option<&'a str>,
    leverage: Option<&'a str>,
    count: u64,
    opened: Option<UnixNanos>,
}

/// An exact sum; nothing once a part does not fit.
struct Sum(Option<Decimal>);

impl Default for Sum {
    fn default() -> Self {
        Self(Some(Decimal::ZERO))
    }
}

impl Sum {
    fn add(&mut self, text: Option<&str>) {
        let part = text.and_then(|text| number(text).ok());
        self.0 = self.0.zip(part).and_then(|(sum, part)| {
            let scale = sum.scale.max(part.scale);
            Some(Decimal::new(sum.rescaled(scale)?.checked_add(part.rescaled(scale)?)?, scale))
        });
    }

    fn text(&self) -> Option<String> {
        self.0.map(|sum| sum.trimmed().to_string())
    }
}

/// The venue lists lots without names; those of a side are one position. Its entry price is told where all have the same: an
/// average would have to be rounded.
fn positions(rows: &[Members<'_>], each: &mut dyn FnMut(&Row<'_>)) -> Result<(), String> {
    let mut sides: BTreeMap<(&str, &str), Lots<'_>> = BTreeMap::new();
    for members in rows {
        let (product, side) = (member(members, "product_code").unwrap_or(CFD), member(members, "side"));
        let side = side.ok_or("a position has no side")?;
        let lots = sides.entry((product, side)).or_default();
        lots.size.add(member(members, "size"));
        lots.pnl.add(member(members, "pnl"));
        lots.required.add(member(members, "require_collateral"));
        let price = member(members, "price");
        lots.price = if lots.count == 0 { price } else { lots.price.filter(|known| Some(*known) == price) };
        lots.leverage = member(members, "leverage");
        lots.count += 1;
        let opened = member(members, "open_date").and_then(wire::time);
        lots.opened = lots.opened.into_iter().chain(opened).min();
    }
    for ((product, side), lots) in &sides {
        let size = lots.size.text().ok_or("the size of a position has more digits than fit")?;
        let is_short = *side == "SELL";
        let signed = if is_short { less("0", &size).unwrap_or_default() } else { size };
        let (pnl, required) = (lots.pnl.text(), lots.required.text());
        let text = |name, value: Option<&'_ str>| value.map(|value| (name, value.to_owned()));
        let texts = [
            text("size", Some(&signed)),
            text("entry_price", lots.price),
            text("margin", required.as_deref()),
            text("unrealised_pnl", pnl.as_deref()),
            text("leverage", lots.leverage),
            text("side", Some(if is_short { "sell" } else { "buy" })),
        ];
        let mut fields: Vec<(&'static str, FieldValue<'_>)> = Vec::new();
        for (name, value) in texts.iter().flatten() {
            fields.push((*name, FieldValue::Text(value)));
        }
        fields.push(("lots", FieldValue::Integer(lots.count)));
        fields.extend(lots.opened.map(|at| ("opened", FieldValue::Integer(at.0))));
        each(&Row {
            kind: AccountKind::Position,
            market: super::market_of_product(product),
            symbol: product,
            keys: &["side"],
            version: None,
            is_open: true,
            fields,
            event: None,
        });
    }
    Ok(())
}
