//! The account's rows: orders and the fills in them, positions, balances (OKX API v5, "Order channel", "Positions channel",
//! "Account channel"). Common fields have tickbus's names; everything else the venue says comes under its own.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::session::OkxSession;
use super::wire::Envelope;
use crate::model::{AccountKind, Channel, Clocks, Decimal, UnixNanos};
use crate::venue::kit::fields::{Members, Number, bare, number, time_of_ms};
use crate::venue::{AccountUpdate, FieldValue, Output, Update};

/// How a member is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Text,
    /// Milliseconds to nanoseconds.
    Time,
    /// An order's state, in tickbus's words.
    State,
}

/// A field and the member it is.
type Fields = &'static [(&'static str, &'static str, As)];

const ORDER: Fields = &[
    ("id", "ordId", As::Text),
    ("client_id", "clOrdId", As::Text),
    ("side", "side", As::Text),
    ("order_type", "ordType", As::Text),
    ("price", "px", As::Text),
    ("size", "sz", As::Text),
    ("filled", "accFillSz", As::Text),
    ("average_price", "avgPx", As::Text),
    ("state", "state", As::State),
    ("reason", "msg", As::Text),
    ("created", "cTime", As::Time),
    ("updated", "uTime", As::Time),
    ("position_side", "posSide", As::Text),
    ("margin_mode", "tdMode", As::Text),
    ("leverage", "lever", As::Text),
    ("fee", "fee", As::Text),
    ("fee_currency", "feeCcy", As::Text),
    ("pnl", "pnl", As::Text),
    ("reduce_only", "reduceOnly", As::Text),
    ("code", "code", As::Text),
    ("amend_result", "amendResult", As::Text),
    ("cancel_source", "cancelSource", As::Text),
    ("tag", "tag", As::Text),
];
const FILL: Fields = &[
    ("id", "tradeId", As::Text),
    ("order_id", "ordId", As::Text),
    ("side", "side", As::Text),
    ("price", "fillPx", As::Text),
    ("size", "fillSz", As::Text),
    ("fee", "fillFee", As::Text),
    ("fee_currency", "fillFeeCcy", As::Text),
    ("client_id", "clOrdId", As::Text),
    ("position_side", "posSide", As::Text),
    ("pnl", "fillPnl", As::Text),
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
        &self,
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
        for row in &envelope.rows::<&RawValue>()? {
            let members: Members<'_> = serde_json::from_str(row.get()).map_err(|error| error.to_string())?;
            match channel {
                "orders" => {
                    if wanted(AccountKind::Order) {
                        let remaining = remaining(&members);
                        let mut row = Row::new(&members, ORDER, "uTime");
                        row.fields.extend(remaining.as_deref().map(|size| ("remaining", FieldValue::Text(size))));
                        self.tell(AccountKind::Order, &row, clocks, out);
                    }
                    if wanted(AccountKind::Fill) && is_fill(&members) {
                        self.tell(AccountKind::Fill, &Row::new(&members, FILL, "fillTime"), clocks, out);
                    }
                }
                "positions" => self.tell(AccountKind::Position, &Row::new(&members, POSITION, "uTime"), clocks, out),
                _ => {
                    let balances: BalanceRow<'_> =
                        serde_json::from_str(row.get()).map_err(|error| error.to_string())?;
                    for balance in &balances.details {
                        self.tell(AccountKind::Balance, &Row::new(balance, BALANCE, "uTime"), clocks, out);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether an order's row tells a trade: it has one's id and a size.
fn is_fill(order: &Members<'_>) -> bool {
    let size = member(order, "fillSz").filter(|size| size.bytes().any(|byte| (b'1'..=b'9').contains(&byte)));
    size.is_some() && member(order, "tradeId").is_some()
}

/// What of an order is open, where it has a price: the size of others may be in the quote currency.
fn remaining(order: &Members<'_>) -> Option<String> {
    member(order, "px")?;
    let size = number(member(order, "sz")?).ok()?;
    let filled = number(member(order, "accFillSz")?).ok()?;
    let scale = size.scale.max(filled.scale);
    let open = size.rescaled(scale)?.checked_sub(filled.rescaled(scale)?)?;
    Some(Decimal::new(open, scale).trimmed().to_string())
}

/// A member's text, unless it is empty.
fn member<'a>(row: &Members<'a>, name: &str) -> Option<&'a str> {
    let (_, value) = row.0.iter().find(|(key, _)| key == name)?;
    let text = bare(value);
    let said = !text.is_empty() && !text.starts_with(['{', '[']) && value.get() != "null";
    said.then_some(text)
}

fn time(row: &Members<'_>, name: &str) -> Option<UnixNanos> {
    time_of_ms(member(row, name).map(Number))
}

/// A row under our names.
struct Row<'a> {
    symbol: &'a str,
    market: Option<&'static str>,
    fields: Vec<(&'static str, FieldValue<'a>)>,
    at: Option<UnixNanos>,
}

impl<'a> Row<'a> {
    fn new(members: &Members<'a>, fields: Fields, at: &str) -> Self {
        let read = |(ours, theirs, kind): &(&'static str, &str, As)| {
            let value = match kind {
                As::Text => FieldValue::Text(member(members, theirs)?),
                As::Time => FieldValue::Integer(time(members, theirs)?.0),
                As::State => FieldValue::Text(match member(members, theirs)? {
                    "live" => "open",
                    "canceled" | "mmp_canceled" => "cancelled",
                    other => other,
                }),
            };
            Some((*ours, value))
        };
        let mut fields: Vec<_> = fields.iter().filter_map(read).collect();
        let liquidity = member(members, "execType").and_then(|kind| match kind {
            "T" => Some("taker"),
            "M" => Some("maker"),
            _ => None,
        });
        fields.extend(liquidity.map(|word| ("liquidity", FieldValue::Text(word))));
        let symbol = member(members, "instId").or_else(|| member(members, "ccy")).unwrap_or_default();
        let market = member(members, "instType").and_then(|kind| match kind {
            // Margin orders and positions are of spot's pairs.
            "SPOT" | "MARGIN" => Some("spot"),
            "SWAP" => Some("swap"),
            "FUTURES" => Some("futures"),
            "OPTION" => Some("option"),
            _ => None,
        });
        Self { symbol, market, fields, at: time(members, at) }
    }
}

impl OkxSession {
    fn tell(&self, kind: AccountKind, row: &Row<'_>, clocks: Clocks, out: &mut dyn Output) {
        out.update(Update::Account(AccountUpdate {
            kind,
            account: &self.account,
            market: row.market,
            symbol: row.symbol,
            fields: &row.fields,
            clocks: Clocks { event: row.at, ..clocks },
        }));
    }
}
