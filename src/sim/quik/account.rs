//! The one trading account behind the simulated terminal: its orders, trades, positions and limits, and the events
//! that each deal causes.

use std::collections::BTreeMap;

use jiff::civil::DateTime;

use super::moscow;
use super::security::Security;
use super::value::{Value, number_text};
use crate::model::Decimal;

/// Account on the derivatives market.
pub(super) const FUTURES_ACCOUNT: &str = "SPBFUT00A1B";
/// Account for securities and currency.
pub(super) const DEPO_ACCOUNT: &str = "L01-00000F00";
/// The client.
pub(super) const CLIENT: &str = "10A1B";
/// Orders and trades kept at most; then the lists begin anew, as on a new day.
const MOST_ROWS: usize = 10_000;

/// An event of the account: name and payload.
pub(super) type Event = (&'static str, Value);

/// What is to be dealt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deal {
    /// Whether the account buys.
    pub(super) buy: bool,
    /// Price.
    pub(super) ticks: i64,
    /// Lots.
    pub(super) lots: i64,
    /// The transaction that asked for it, or 0.
    pub(super) trans_id: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    bought: i64,
    sold: i64,
    ticks: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Orders of the day, as QLua describes them.
    pub(super) orders: Vec<Value>,
    /// Own trades of the day.
    pub(super) trades: Vec<Value>,
    positions: BTreeMap<usize, Position>,
    number: i64,
    /// What has been spent, in kopecks.
    spent: i64,
}

impl Account {
    /// An account without positions. `number` is the order number to count from.
    pub(super) fn new(number: i64) -> Self {
        Self { orders: Vec::new(), trades: Vec::new(), positions: BTreeMap::new(), number, spent: 0 }
    }

    /// Begins a new day: positions stay.
    pub(super) fn new_day(&mut self) {
        self.orders.clear();
        self.trades.clear();
    }

    /// Deals at once at the given price, and tells what a terminal would: the transaction's answer if there was one,
    /// the order, the trade, the order again, the position, the limits.
    pub(super) fn deal(&mut self, place: usize, security: &Security, deal: Deal, now: DateTime) -> Vec<Event> {
        if self.orders.len() >= MOST_ROWS {
            self.new_day();
        }
        self.number += 2;
        let (order_num, trade_num) = (self.number, self.number + 1);
        let mut events = Vec::with_capacity(6);
        if deal.trans_id != 0 {
            events.push(("OnTransReply", trans_reply(security, deal, order_num, now)));
        }
        events.push(("OnOrder", order(security, deal, order_num, deal.lots, now)));
        let trade = own_trade(security, deal, order_num, trade_num, now);
        let filled = order(security, deal, order_num, 0, now);
        self.trades.push(trade.clone());
        self.orders.push(filled.clone());
        events.push(("OnTrade", trade));
        events.push(("OnOrder", filled));
        let position = self.positions.entry(place).or_default();
        if deal.buy {
            position.bought += deal.lots
        } else {
            position.sold += deal.lots
        }
        position.ticks = deal.ticks;
        let value = security.value(deal.ticks.saturating_mul(deal.lots)).rescaled(2).unwrap_or(0);
        self.spent = self.spent.saturating_add(if deal.buy { value } else { -value });
        if security.spec.class.derivatives {
            events.push(("OnFuturesClientHolding", self.holding(place, security)));
            events.push(("OnFuturesLimitChange", self.futures_limit()));
        } else {
            events.push(("OnDepoLimit", self.depo_limit(place, security)));
            events.push(("OnMoneyLimit", self.money_limit()));
        }
        events
    }

    /// Places of the securities of which there was a position.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.positions.keys().copied()
    }

    /// A position on the derivatives market.
    pub(super) fn holding(&self, place: usize, security: &Security) -> Value {
        let position = self.positions.get(&place).copied().unwrap_or_default();
        let price = security.spec.price(position.ticks);
        row()
            .with("firmid", security.spec.class.firm)
            .with("trdaccid", FUTURES_ACCOUNT)
            .with("sec_code", security.spec.code.as_str())
            .with("type", 0)
            .with("startbuy", "0.0")
            .with("startsell", "0.0")
            .with("todaybuy", lots(position.bought))
            .with("todaysell", lots(position.sold))
            .with("totalnet", lots(position.bought - position.sold))
            .with("openbuys", 0)
            .with("opensells", 0)
            .with("cbplused", "0.0")
            .with("cbplplanned", "0.0")
            .with("varmargin", "0.0")
            .with("avrposnprice", number_text(price))
            .with("positionvalue", number_text(security.value(position.ticks * (position.bought - position.sold))))
            .with("real_varmargin", "0.0")
            .with("total_varmargin", "0.0")
            .with("session_status", 1)
    }

    /// The limit on the derivatives market.
    pub(super) fn futures_limit(&self) -> Value {
        row()
            .with("limit_type", 0)
            .with("firmid", "SPBFUT589000")
            .with("trdaccid", FUTURES_ACCOUNT)
            .with("liquidity_coef", "1.0")
            .with("cbp_prev_limit", "0.0")
            .with("cbplimit", "1000000.0")
            .with("cbplused", number_text(Decimal::new(self.spent.saturating_abs() / 8, 2)))
            .with("cbplplanned", number_text(Decimal::new(100_000_000 - self.spent.saturating_abs() / 8, 2)))
            .with("varmargin", "0.0")
            .with("accruedint", "0.0")
            .with("cbplused_for_orders", "0.0")
            .with("cbplused_for_positions", "0.0")
            .with("options_premium", "0.0")
            .with("ts_comission", "0.0")
            .with("kgo", "1.0")
            .with("currcode", "SUR")
            .with("real_varmargin", "0.0")
    }

    /// Money for securities.
    pub(super) fn money_limit(&self) -> Value {
        let now = Decimal::new(100_000_000 - self.spent, 2);
        row()
            .with("limit_kind", 2)
            .with("currcode", "SUR")
            .with("tag", "EQTV")
            .with("firmid", "MC0139600000")
            .with("client_code", CLIENT)
            .with("openbal", "1000000.0")
            .with("openlimit", "0.0")
            .with("currentbal", number_text(now))
            .with("currentlimit", "0.0")
            .with("locked", "0.0")
            .with("locked_value_coef", "0.0")
            .with("locked_margin_value", "0.0")
            .with("leverage", "1.0")
            .with("wa_position_price", "0.0")
            .with("orders_collateral", "0.0")
            .with("positions_collateral", "0.0")
    }

    /// A position in a security.
    pub(super) fn depo_limit(&self, place: usize, security: &Security) -> Value {
        let position = self.positions.get(&place).copied().unwrap_or_default();
        row()
            .with("sec_code", security.spec.code.as_str())
            .with("trdaccid", DEPO_ACCOUNT)
            .with("firmid", security.spec.class.firm)
            .with("client_code", CLIENT)
            .with("openbal", 0)
            .with("openlimit", 0)
            .with("currentbal", (position.bought - position.sold).saturating_mul(security.spec.lot))
            .with("currentlimit", 0)
            .with("locked_sell", 0)
            .with("locked_buy", 0)
            .with("limit_kind", 2)
            .with("locked_buy_value", "0.0")
            .with("locked_sell_value", "0.0")
            .with("wa_position_price", number_text(security.spec.price(position.ticks)))
    }
}

fn row() -> Value {
    Value::Table(Vec::with_capacity(32))
}

fn lots(lots: i64) -> String {
    number_text(Decimal::new(lots, 0))
}

fn account(security: &Security) -> &'static str {
    if security.spec.class.derivatives { FUTURES_ACCOUNT } else { DEPO_ACCOUNT }
}

/// Fields that a table has only to say nothing with them.
fn zeros(table: Value, names: &[&'static str]) -> Value {
    names.iter().fold(table, |table, name| table.with(name, 0))
}

/// An order. Flags: bit 0 active, bit 2 sells, bit 3 limit.
fn order(security: &Security, deal: Deal, order_num: i64, balance: i64, now: DateTime) -> Value {
    let flags = i64::from(balance > 0) | if deal.buy { 0 } else { 4 } | 8;
    let table = row()
        .with("order_num", order_num)
        .with("flags", flags)
        .with("brokerref", CLIENT)
        .with("firmid", security.spec.class.firm)
        .with("account", account(security))
        .with("client_code", CLIENT)
        .with("class_code", security.spec.class.code)
        .with("sec_code", security.spec.code.as_str())
        .with("price", number_text(security.spec.price(deal.ticks)))
        .with("qty", deal.lots)
        .with("balance", lots(balance))
        .with("value", number_text(security.value(deal.ticks.saturating_mul(deal.lots))))
        .with("trans_id", deal.trans_id.to_string())
        .with("uid", "104")
        .with("exchange_code", "")
        .with("accruedint", "0.0")
        .with("yield", "0.0")
        .with("filled_value", lots(0))
        .with("settle_currency", "SUR")
        .with("datetime", moscow::datetime(now));
    let kinds = [
        "value_entry_type",
        "min_qty",
        "exec_type",
        "side_qualifier",
        "acnt_type",
        "capacity",
        "passive_only_order",
        "visible",
        "ext_order_status",
        "client_qualifier",
        "investment_decision_maker_qualifier",
        "executing_trader_qualifier",
    ];
    zeros(table, &kinds)
}

fn own_trade(security: &Security, deal: Deal, order_num: i64, trade_num: i64, now: DateTime) -> Value {
    let table = row()
        .with("trade_num", trade_num)
        .with("order_num", order_num)
        .with("price", number_text(security.spec.price(deal.ticks)))
        .with("qty", deal.lots)
        .with("value", number_text(security.value(deal.ticks.saturating_mul(deal.lots))))
        .with("flags", if deal.buy { 64 } else { 68 })
        .with("datetime", moscow::datetime(now))
        .with("period", 1)
        .with("kind", 1)
        .with("brokerref", CLIENT)
        .with("firmid", security.spec.class.firm)
        .with("account", account(security))
        .with("client_code", CLIENT)
        .with("class_code", security.spec.class.code)
        .with("sec_code", security.spec.code.as_str())
        .with("trans_id", deal.trans_id.to_string())
        .with("exchange_comission", "0.55")
        .with("clearing_comission", "0.0")
        .with("broker_comission", "0.0")
        .with("settle_currency", "SUR")
        .with("trade_currency", "SUR")
        .with("exchange_code", "")
        .with("uid", 104);
    let kinds = [
        "liquidity_indicator",
        "client_qualifier",
        "investment_decision_maker_qualifier",
        "executing_trader_qualifier",
        "waiver_flag",
        "side_qualifier",
        "otc_post_trade_indicator",
        "capacity",
    ];
    zeros(table, &kinds)
}

fn trans_reply(security: &Security, deal: Deal, order_num: i64, now: DateTime) -> Value {
    row()
        .with("trans_id", deal.trans_id)
        .with("status", 3)
        .with("flags", 0)
        .with("error_code", 0)
        .with("error_source", 0)
        .with("date_time", moscow::datetime(now))
        .with("gate_reply_time", moscow::datetime(now))
        .with("uid", "104")
        .with("result_msg", format!("Заявка {order_num} успешно зарегистрирована."))
        .with("server_trans_id", "1")
        .with("order_num", order_num.to_string())
        .with("price", number_text(security.spec.price(deal.ticks)))
        .with("quantity", lots(deal.lots))
        .with("balance", lots(deal.lots))
        .with("firm_id", security.spec.class.firm)
        .with("account", account(security))
        .with("client_code", CLIENT)
        .with("brokerref", CLIENT)
        .with("class_code", security.spec.class.code)
        .with("sec_code", security.spec.code.as_str())
}
