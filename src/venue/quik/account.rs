//! Events of accounts as orders, fills, positions and balances. The tables below say which member becomes which field;
//! numbers lose needless zeros, empty texts are left out, and the whole event is told besides, as it is.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::reply::{Fields, Integer};
use super::time;
use crate::model::{Clocks, Stamp};
use crate::venue::{AccountKind, AccountUpdate, FieldValue, Output, Update};

/// How a member is read.
#[derive(Clone, Copy, Debug)]
enum As {
    /// A text; a number as it was written.
    Text,
    /// A decimal.
    Number,
    /// An id: an integer of up to 19 digits, as text.
    Id,
    /// A small whole number.
    Count,
    /// A date and time: nanoseconds since 1970.
    Time,
}

/// What an event becomes.
struct Shape {
    event: &'static str,
    kind: AccountKind,
    /// Members that may name the account: the first that is there does.
    account: &'static [&'static str],
    /// The member that is the symbol: a security, or a currency.
    symbol: &'static str,
    /// The member that is the row's own time.
    time: &'static str,
    /// Our field, the terminal's member.
    fields: &'static [(&'static str, &'static str, As)],
}

const SHAPES: &[Shape] = &[
    Shape {
        event: "OnOrder",
        kind: AccountKind::Order,
        account: &["account", "client_code", "firmid"],
        symbol: "sec_code",
        time: "datetime",
        fields: &[
            ("id", "order_num", As::Id),
            ("price", "price", As::Number),
            ("size", "qty", As::Number),
            ("remaining", "balance", As::Number),
            ("average_price", "awg_price", As::Number),
            ("value", "value", As::Number),
            ("filled_value", "filled_value", As::Number),
            ("min_size", "min_qty", As::Number),
            ("visible", "visible", As::Number),
            ("transaction_id", "trans_id", As::Id),
            ("revision", "revision_number", As::Count),
            ("client_code", "client_code", As::Text),
            ("firm", "firmid", As::Text),
            ("comment", "brokerref", As::Text),
            ("reason", "reject_reason", As::Text),
            ("withdrawn_at", "withdraw_datetime", As::Time),
        ],
    },
    Shape {
        event: "OnStopOrder",
        kind: AccountKind::Order,
        account: &["account", "client_code", "firmid"],
        symbol: "sec_code",
        time: "order_date_time",
        fields: &[
            ("id", "order_num", As::Id),
            ("stop_price", "condition_price", As::Number),
            ("stop_limit_price", "condition_price2", As::Number),
            ("stop_kind", "stop_order_type", As::Count),
            ("condition", "condition", As::Count),
            ("price", "price", As::Number),
            ("size", "qty", As::Number),
            ("filled", "filled_qty", As::Number),
            ("remaining", "balance", As::Number),
            ("offset", "offset", As::Number),
            ("spread", "spread", As::Number),
            ("linked_order_id", "linkedorder", As::Id),
            ("transaction_id", "trans_id", As::Id),
            ("client_code", "client_code", As::Text),
            ("firm", "firmid", As::Text),
            ("comment", "brokerref", As::Text),
            ("withdrawn_at", "withdraw_datetime", As::Time),
        ],
    },
    Shape {
        event: "OnTrade",
        kind: AccountKind::Fill,
        account: &["account", "client_code", "firmid"],
        symbol: "sec_code",
        time: "datetime",
        fields: &[
            ("id", "trade_num", As::Id),
            ("order_id", "order_num", As::Id),
            ("price", "price", As::Number),
            ("size", "qty", As::Number),
            ("value", "value", As::Number),
            ("exchange_fee", "exchange_comission", As::Number),
            ("clearing_fee", "clearing_comission", As::Number),
            ("technical_fee", "tech_center_comission", As::Number),
            ("broker_fee", "broker_comission", As::Number),
            ("accrued_interest", "accruedint", As::Number),
            ("settle_code", "settlecode", As::Text),
            ("transaction_id", "trans_id", As::Id),
            ("client_code", "client_code", As::Text),
            ("firm", "firmid", As::Text),
            ("comment", "brokerref", As::Text),
        ],
    },
    Shape {
        event: "OnFuturesClientHolding",
        kind: AccountKind::Position,
        account: &["trdaccid", "firmid"],
        symbol: "sec_code",
        time: "",
        fields: &[
            ("size", "totalnet", As::Number),
            ("entry_price", "avrposnprice", As::Number),
            ("value", "positionvalue", As::Number),
            ("variation_margin", "varmargin", As::Number),
            ("real_variation_margin", "real_varmargin", As::Number),
            ("total_variation_margin", "total_varmargin", As::Number),
            ("margin", "cbplused", As::Number),
            ("margin_planned", "cbplplanned", As::Number),
            ("open_buys", "openbuys", As::Number),
            ("open_sells", "opensells", As::Number),
            ("bought_before", "startbuy", As::Number),
            ("sold_before", "startsell", As::Number),
            ("bought_today", "todaybuy", As::Number),
            ("sold_today", "todaysell", As::Number),
            ("limit_kind", "type", As::Count),
            ("firm", "firmid", As::Text),
        ],
    },
    Shape {
        event: "OnDepoLimit",
        kind: AccountKind::Position,
        account: &["trdaccid", "client_code", "firmid"],
        symbol: "sec_code",
        time: "",
        fields: &[
            ("size", "currentbal", As::Number),
            ("size_before", "openbal", As::Number),
            ("limit", "currentlimit", As::Number),
            ("limit_before", "openlimit", As::Number),
            ("locked_buy", "locked_buy", As::Number),
            ("locked_sell", "locked_sell", As::Number),
            ("locked_buy_value", "locked_buy_value", As::Number),
            ("locked_sell_value", "locked_sell_value", As::Number),
            ("entry_price", "wa_position_price", As::Number),
            ("limit_kind", "limit_kind", As::Count),
            ("client_code", "client_code", As::Text),
            ("firm", "firmid", As::Text),
        ],
    },
    Shape {
        event: "OnAccountBalance",
        kind: AccountKind::Position,
        account: &["trdaccid", "firmid"],
        symbol: "sec_code",
        time: "",
        fields: &[
            ("size", "currentpos", As::Number),
            ("size_before", "openbal", As::Number),
            ("planned", "planbal", As::Number),
            ("planned_buy", "plannedposbuy", As::Number),
            ("planned_sell", "plannedpossell", As::Number),
            ("bought_today", "usqtyb", As::Number),
            ("sold_today", "usqtys", As::Number),
            ("settled", "settlebal", As::Number),
            ("depo_account", "depaccid", As::Text),
            ("firm", "firmid", As::Text),
        ],
    },
    Shape {
        event: "OnAccountPosition",
        kind: AccountKind::Balance,
        account: &["firmid"],
        symbol: "currcode",
        time: "",
        fields: &[
            ("total", "currentpos", As::Number),
            ("total_before", "openbal", As::Number),
            ("planned", "plannedbal", As::Number),
            ("planned_position", "plannedpos", As::Number),
            ("limit", "limit1", As::Number),
            ("own_limit", "limit2", As::Number),
            ("order_buy", "orderbuy", As::Number),
            ("order_sell", "ordersell", As::Number),
            ("net", "netto", As::Number),
            ("debit", "debit", As::Number),
            ("credit", "credit", As::Number),
            ("margin_call", "margincall", As::Number),
            ("settled", "settlebal", As::Number),
            ("tag", "tag", As::Text),
            ("description", "description", As::Text),
        ],
    },
    Shape {
        event: "OnFuturesLimitChange",
        kind: AccountKind::Balance,
        account: &["trdaccid", "firmid"],
        symbol: "currcode",
        time: "",
        fields: &[
            ("limit", "cbplimit", As::Number),
            ("limit_before", "cbp_prev_limit", As::Number),
            ("used", "cbplused", As::Number),
            ("used_for_orders", "cbplused_for_orders", As::Number),
            ("used_for_positions", "cbplused_for_positions", As::Number),
            ("planned", "cbplplanned", As::Number),
            ("variation_margin", "varmargin", As::Number),
            ("real_variation_margin", "real_varmargin", As::Number),
            ("accrued", "accruedint", As::Number),
            ("options_premium", "options_premium", As::Number),
            ("exchange_fee", "ts_comission", As::Number),
            ("liquidity_coefficient", "liquidity_coef", As::Number),
            ("margin_coefficient", "kgo", As::Number),
            ("limit_kind", "limit_type", As::Count),
            ("firm", "firmid", As::Text),
        ],
    },
    Shape {
        event: "OnFuturesLimitDelete",
        kind: AccountKind::Balance,
        account: &["trdaccid", "firmid"],
        symbol: "currcode",
        time: "",
        fields: &[("limit_kind", "limit_type", As::Count), ("firm", "firmid", As::Text)],
    },
    Shape {
        event: "OnMoneyLimit",
        kind: AccountKind::Balance,
        account: &["client_code", "firmid"],
        symbol: "currcode",
        time: "",
        fields: &[
            ("total", "currentbal", As::Number),
            ("total_before", "openbal", As::Number),
            ("limit", "currentlimit", As::Number),
            ("limit_before", "openlimit", As::Number),
            ("locked", "locked", As::Number),
            ("locked_value", "locked_value_coef", As::Number),
            ("locked_margin", "locked_margin_value", As::Number),
            ("leverage", "leverage", As::Number),
            ("avg_price", "wa_position_price", As::Number),
            ("orders_collateral", "orders_collateral", As::Number),
            ("positions_collateral", "positions_collateral", As::Number),
            ("limit_kind", "limit_kind", As::Count),
            ("tag", "tag", As::Text),
            ("firm", "firmid", As::Text),
        ],
    },
    Shape {
        event: "OnMoneyLimitDelete",
        kind: AccountKind::Balance,
        account: &["client_code", "firmid"],
        symbol: "currcode",
        time: "",
        fields: &[("limit_kind", "limit_kind", As::Count), ("tag", "tag", As::Text), ("firm", "firmid", As::Text)],
    },
];

/// Bits of an order's `flags`.
const ACTIVE: i64 = 0x1;
const WITHDRAWN: i64 = 0x2;
/// Of orders, stop orders and own trades.
const SELL: i64 = 0x4;
const LIMIT: i64 = 0x8;

/// A field's value that is not borrowed from the event.
enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(u64),
    Boolean(bool),
}

impl Value<'_> {
    fn as_field(&self) -> FieldValue<'_> {
        match self {
            Self::Text(text) => FieldValue::Text(text),
            Self::Integer(value) => FieldValue::Integer(*value),
            Self::Boolean(value) => FieldValue::Boolean(*value),
        }
    }
}

type Row<'a> = Vec<(&'static str, Value<'a>)>;

/// Tells an event as a row of an account, if it is one and names an account.
pub(super) fn tell(event: &str, payload: &str, now: Stamp, out: &mut dyn Output) {
    let Some(shape) = SHAPES.iter().find(|shape| shape.event == event) else { return };
    let Ok(raw) = serde_json::from_str::<&RawValue>(payload) else { return };
    let Some(event) = Fields::read(raw) else { return };
    let named = |name: &&str| event.text(name).filter(|text| !text.is_empty());
    let Some(account) = shape.account.iter().find_map(named) else { return };
    let mut row: Row<'_> = Vec::with_capacity(shape.fields.len() + 4);
    for (ours, theirs, kind) in shape.fields {
        read(&event, ours, theirs, *kind, &mut row);
    }
    derive(shape.event, &event, &mut row);
    let fields: Vec<_> = row.iter().map(|(name, value)| (*name, value.as_field())).collect();
    let market = event.text("class_code").filter(|class| !class.is_empty());
    out.update(Update::Account(AccountUpdate {
        kind: shape.kind,
        account: &account,
        market: market.as_deref(),
        symbol: &event.text(shape.symbol).unwrap_or_default(),
        fields: &fields,
        clocks: Clocks { event: event.get(shape.time).and_then(time::datetime), venue: None, recv: Some(now.wall) },
    }));
}

fn read<'a>(event: &Fields<'a>, ours: &'static str, theirs: &str, kind: As, row: &mut Row<'a>) {
    let Some(raw) = event.get(theirs) else { return };
    match kind {
        As::Time => {
            row.extend(time::datetime(raw).map(|at| (ours, Value::Integer(at.0))));
        }
        As::Number => row.extend(event.decimal(theirs).map(|value| (ours, Value::Text(value.to_string().into())))),
        As::Count => {
            let value = event.integer(theirs).and_then(Integer::exact).and_then(|value| u64::try_from(value).ok());
            row.extend(value.map(|value| (ours, Value::Integer(value))));
        }
        As::Text => {
            let text = event.text(theirs).filter(|text| !text.is_empty());
            row.extend(text.map(|text| (ours, Value::Text(text))));
        }
        As::Id => match event.integer(theirs) {
            Some(Integer::Exact(id)) => row.push((ours, Value::Text(id.to_string().into()))),
            // Its last digits are lost: it still tells rows apart, but is not the exchange's.
            Some(Integer::Inexact(text)) => {
                row.push((ours, Value::Text(Cow::Borrowed(text))));
                row.push(("inexact_id", Value::Boolean(true)));
            }
            None => {}
        },
    }
}

/// What several members say together, or bits of one.
fn derive(name: &str, event: &Fields<'_>, row: &mut Row<'_>) {
    if name.ends_with("Delete") {
        return row.push(("removed", Value::Boolean(true)));
    }
    if !matches!(name, "OnOrder" | "OnStopOrder" | "OnTrade") {
        return;
    }
    let Some(flags) = event.integer("flags").and_then(Integer::exact) else { return };
    let mut word = |name, word: &'static str| row.push((name, Value::Text(Cow::Borrowed(word))));
    word("side", if flags & SELL != 0 { "sell" } else { "buy" });
    if name == "OnTrade" {
        return;
    }
    let is_stop = name == "OnStopOrder";
    word(
        "state",
        match (flags & ACTIVE != 0, flags & WITHDRAWN != 0, is_stop) {
            (true, ..) => "open",
            (_, true, _) => "cancelled",
            (.., true) => "executed",
            (.., false) => "filled",
        },
    );
    if is_stop {
        return row.push(("stop", Value::Boolean(true)));
    }
    word("order_type", if flags & LIMIT != 0 { "limit" } else { "market" });
    let parts = event.decimal("qty").zip(event.decimal("balance"));
    let filled = parts.and_then(|(size, left)| {
        let scale = size.scale.max(left.scale);
        let filled = size.rescaled(scale)?.checked_sub(left.rescaled(scale)?)?;
        Some(crate::model::Decimal::new(filled, scale).trimmed())
    });
    row.extend(filled.map(|filled| ("filled", Value::Text(filled.to_string().into()))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixNanos;
    use crate::venue::quik::tests::Said;

    fn told(event: &str, payload: &str) -> Vec<String> {
        let mut said = Said::default();
        tell(event, payload, Stamp { wall: UnixNanos(5), ..Stamp::default() }, &mut said);
        said.told()
    }

    #[test]
    fn an_order_has_its_state_side_and_what_is_filled() {
        let order = r#"{"order_num":1925043082672401077,"flags":29,"price":"112480.0","qty":10,"balance":"7.0",
            "account":"SPBFUT00","client_code":"","sec_code":"RIZ6","class_code":"SPBFUT","awg_price":"0.0",
            "datetime":{"year":2026,"month":11,"day":21,"hour":11,"min":57,"sec":56,"ms":1,"mcs":1500}}"#;
        assert_eq!(
            told("OnOrder", order),
            [
                "order SPBFUT00 SPBFUT/RIZ6 id=1925043082672401077 price=112480 size=10 remaining=7 average_price=0 side=sell \
             state=open order_type=limit filled=3 @1795251476001500000"
            ]
        );
        let state = |flags| {
            let order = format!(r#"{{"order_num":1,"flags":{flags},"qty":"1.0","balance":"0.0","account":"A"}}"#);
            told("OnOrder", &order)[0].clone()
        };
        assert!(state(2).contains("side=buy state=cancelled order_type=market"));
        assert!(state(8).contains("side=buy state=filled order_type=limit filled=1"));
        assert!(
            told("OnStopOrder", r#"{"order_num":1,"flags":4,"account":"A"}"#)[0].contains("state=executed stop=true")
        );
    }

    #[test]
    fn a_damaged_number_is_marked() {
        let fill = r#"{"trade_num":1.2345678901234e+14,"order_num":7,"price":"1e-07","qty":1,"flags":0,"account":"A"}"#;
        assert_eq!(
            told("OnTrade", fill),
            ["fill A -/ id=1.2345678901234e+14 inexact_id=true order_id=7 price=0.0000001 size=1 side=buy"]
        );
    }

    #[test]
    fn positions_limits_and_balances() {
        let holding =
            r#"{"firmid":"F","trdaccid":"T","sec_code":"RIZ6","type":0,"totalnet":"-2.0","avrposnprice":"1.5"}"#;
        assert_eq!(
            told("OnFuturesClientHolding", holding),
            ["position T -/RIZ6 size=-2 entry_price=1.5 limit_kind=0 firm=F"]
        );
        let money =
            r#"{"currcode":"SUR","client_code":"C","firmid":"F","limit_kind":2,"currentbal":"10.50","tag":"EQTV"}"#;
        assert_eq!(told("OnMoneyLimit", money), ["balance C -/SUR total=10.5 limit_kind=2 tag=EQTV firm=F"]);
        let gone = r#"{"firmid":"F","limit_type":0}"#;
        assert_eq!(told("OnFuturesLimitDelete", gone), ["balance F -/ limit_kind=0 firm=F removed=true"]);
    }

    #[test]
    fn what_is_no_row_is_left_to_the_raw_event() {
        for (event, payload) in [
            ("OnOrder", "{}"),
            ("OnOrder", "[]"),
            ("OnOrder", "7"),
            ("OnTransReply", r#"{"account":"A"}"#),
            ("OnOrder", "{"),
        ] {
            assert!(told(event, payload).is_empty(), "{event} {payload}");
        }
    }
}
