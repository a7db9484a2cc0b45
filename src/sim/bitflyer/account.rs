//! The simulated account: orders that live for a moment and what is told of them, balances, and lots of the CFD.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{Decimal, Mono, Stamp, UnixNanos};
use crate::sim::fills::{Fill, Fills};
use crate::sim::market::Side;
use crate::sim::venue::{Kind, Published};

use super::channel::{CHILD_ORDERS, PARENT_ORDERS};
use super::listed::Listed;
use super::message::{self, number};

/// How long an order stands before something happens to it.
const ORDER_LIFE: Duration = Duration::from_millis(200);
/// Lots of an order, in thousandths of the largest ordinary size.
const PART: i64 = 100;

#[derive(Clone, Debug)]
struct Order {
    number: u64,
    place: usize,
    buy: bool,
    ticks: i64,
    lots: i64,
    filled: i64,
    due: Mono,
}

/// A part of a position.
#[derive(Clone, Copy, Debug)]
struct Lot {
    place: usize,
    buy: bool,
    ticks: i64,
    lots: i64,
    opened: UnixNanos,
}

/// The account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    every: Duration,
    next: Mono,
    orders: u64,
    order: Option<Order>,
    /// In 10⁻⁸.
    balances: BTreeMap<String, i128>,
    /// Of the CFD, oldest first.
    lots: VecDeque<Lot>,
    pub(super) fills: Fills,
    watched: BTreeMap<String, usize>,
    /// Whether anybody ever watched its orders.
    has_begun: bool,
}

impl Account {
    /// An account that trades so often once somebody has watched it; zero for never.
    pub(super) fn new(every: Duration, listed: &[Listed], now: Mono) -> Self {
        let pairs = listed.iter().filter(|listed| !listed.spec.is_fx).map(|listed| &listed.spec);
        let currencies = pairs.flat_map(|spec| [spec.base.clone(), spec.quote.clone()]);
        let balances = currencies.map(|currency| (currency, 1_000_000_000_000_000)).collect();
        let (lots, fills, watched, has_begun) = (VecDeque::new(), Fills::default(), BTreeMap::new(), false);
        Self { every, next: now.after(every), orders: 0, order: None, balances, lots, fills, watched, has_begun }
    }

    /// Whether nobody watches it.
    #[cfg(test)]
    pub(super) fn is_alone(&self) -> bool {
        self.watched.is_empty()
    }

    pub(super) fn watch(&mut self, name: &str, _now: Mono) {
        *self.watched.entry(name.to_owned()).or_insert(0) += 1;
        self.has_begun |= [CHILD_ORDERS, PARENT_ORDERS].contains(&name);
    }

    pub(super) fn unwatch(&mut self, name: &str) {
        if let Some(count) = self.watched.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(name);
            }
        }
    }

    fn publish(&self, name: &str, rows: &[String], out: &mut Vec<Published>) {
        if self.watched.contains_key(name) {
            let text = message::frame(name, &format!("[{}]", rows.join(",")));
            out.push(Published::new("", name, Kind::Other, text));
        }
    }

    /// Trades if it is time to, also when nobody watches any more.
    pub(super) fn tick(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        if !self.has_begun || listed.is_empty() {
            return;
        }
        if self.order.as_ref().is_some_and(|order| order.due <= now.mono) {
            self.go_on(listed, now, out);
        } else if self.order.is_none() && !self.every.is_zero() && self.next <= now.mono {
            self.next = now.mono.after(self.every);
            self.place(listed, now, out);
        }
    }

    /// A new order at the other side's best price; every seventh is refused, every fourth is one of two that a parent made.
    fn place(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        self.orders += 1;
        let number = self.orders;
        let at = usize::try_from(number).unwrap_or(0) % listed.len().min(2);
        let buy = (number / 2).is_multiple_of(2);
        let best = listed[at].market.best(if buy { Side::Ask } else { Side::Bid });
        let lots = (listed[at].spec.shape.max_lots / PART).max(2);
        let order =
            Order { number, place: at, buy, ticks: best.ticks, lots, filled: 0, due: now.mono.after(ORDER_LIFE) };
        if number.is_multiple_of(7) {
            let row = event(&order, listed, now, "ORDER_FAILED", r#","reason":"Insufficient funds""#);
            return self.publish(CHILD_ORDERS, &[row], out);
        }
        if number.is_multiple_of(4) {
            self.publish(PARENT_ORDERS, &[parent(&order, listed, now, "ORDER", "")], out);
            let child = format!(
                r#","child_order_type":"LIMIT","parameter_index":1,"child_order_acceptance_id":"{}",{},"expire_date":"{}""#,
                acceptance(number),
                amounts(&order, order.lots, listed),
                message::time(now.wall, false)
            );
            self.publish(PARENT_ORDERS, &[parent(&order, listed, now, "TRIGGER", &child)], out);
        }
        let more = format!(
            r#","child_order_type":"LIMIT",{},"expire_date":"{}""#,
            amounts(&order, order.lots, listed),
            message::time(now.wall, false)
        );
        self.publish(CHILD_ORDERS, &[event(&order, listed, now, "ORDER", &more)], out);
        self.order = Some(order);
    }

    /// The order is cancelled (every fifth one), expires (every eleventh), is filled in part (every third one), or filled.
    fn go_on(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let Some(mut order) = self.order.take() else { return };
        let number = order.number;
        if number.is_multiple_of(5) || number.is_multiple_of(11) {
            let kind = if number.is_multiple_of(5) { "CANCEL" } else { "EXPIRE" };
            return self.publish(CHILD_ORDERS, &[event(&order, listed, now, kind, "")], out);
        }
        let lots =
            if number.is_multiple_of(3) && order.filled == 0 { order.lots / 2 } else { order.lots - order.filled };
        order.filled += lots;
        self.book_fill(&order, lots, listed, now.wall);
        let spec = &listed[order.place].spec;
        let id = 900_000_000 + number * 10 + u64::from(order.filled == order.lots);
        self.fills.add(fill(&order, lots, id, listed, now));
        let more = format!(
            r#","exec_id":{id},{},"commission":{},"sfd":0.0,"outstanding_size":{}"#,
            amounts(&order, lots, listed),
            self::number(spec.size(lots / 1_000)),
            self::number(spec.size(order.lots - order.filled)),
        );
        self.publish(CHILD_ORDERS, &[event(&order, listed, now, "EXECUTION", &more)], out);
        if order.filled < order.lots {
            order.due = now.mono.after(ORDER_LIFE);
            self.order = Some(order);
        } else if number.is_multiple_of(4) {
            let done = format!(r#","parameter_index":1,"child_order_acceptance_id":"{}","#, acceptance(number));
            let done = done.trim_end_matches(',');
            self.publish(PARENT_ORDERS, &[parent(&order, listed, now, "COMPLETE", done)], out);
        }
    }
}

/// What REST answers about it.
impl Account {
    /// The open orders of a product.
    pub(super) fn open_orders(&self, code: &str, listed: &[Listed]) -> String {
        let order = self.order.as_ref().filter(|order| listed[order.place].spec.code == code);
        let row = |order: &Order| {
            let size = |lots| number(listed[order.place].spec.size(lots));
            format!(
                r#"{{"id":0,"child_order_id":"JOR20261121-000000-{:06}","product_code":"{code}",{},"child_order_type":"LIMIT","average_price":0,"child_order_state":"ACTIVE","expire_date":"2026-12-21T00:00:00","child_order_date":"2026-11-21T00:00:00","child_order_acceptance_id":"{}","outstanding_size":{},"cancel_size":0,"executed_size":{},"total_commission":0,"time_in_force":"GTC"}}"#,
                order.number,
                amounts(order, order.lots, listed),
                acceptance(order.number),
                size(order.lots - order.filled),
                size(order.filled),
            )
        };
        format!("[{}]", order.map(row).unwrap_or_default())
    }

    /// The lots of a product.
    pub(super) fn positions(&self, code: &str, listed: &[Listed]) -> String {
        let row = |lot: &Lot| {
            let spec = &listed[lot.place].spec;
            let side = if lot.buy { "BUY" } else { "SELL" };
            format!(
                r#"{{"product_code":"{code}","side":"{side}","price":{},"size":{},"commission":0,"swap_point_accumulate":0,"require_collateral":{},"open_date":"{}","leverage":2,"pnl":0,"sfd":0}}"#,
                number(spec.price(lot.ticks)),
                number(spec.size(lot.lots)),
                coins(spec.turnover(lot.ticks, lot.lots) / 2),
                message::time(lot.opened, false),
            )
        };
        let of_product = self.lots.iter().filter(|lot| listed[lot.place].spec.code == code);
        format!("[{}]", of_product.map(row).collect::<Vec<_>>().join(","))
    }

    pub(super) fn balances(&self) -> String {
        let row = |(currency, amount): (&String, &i128)| {
            let amount = coins(*amount);
            format!(r#"{{"currency_code":"{currency}","amount":{amount},"available":{amount}}}"#)
        };
        format!("[{}]", self.balances.iter().map(row).collect::<Vec<_>>().join(","))
    }

    pub(super) fn collateral(&self, listed: &[Listed]) -> String {
        let required: i128 = self.lots.iter().map(|lot| listed[lot.place].spec.turnover(lot.ticks, lot.lots) / 2).sum();
        let required = coins(required);
        format!(r#"{{"collateral":100000.0,"open_position_pnl":0.0,"require_collateral":{required},"keep_rate":2.5}}"#)
    }

    /// What a fill does to balances, or to the lots of the CFD, of which the oldest of the other side are closed first.
    fn book_fill(&mut self, order: &Order, lots: i64, listed: &[Listed], now: UnixNanos) {
        let spec = &listed[order.place].spec;
        if !spec.is_fx {
            let mut add = |currency: &str, by: i128| *self.balances.entry(currency.to_owned()).or_insert(0) += by;
            let (amount, cost) = (spec.amount(lots), spec.turnover(order.ticks, lots));
            let fee = spec.amount(lots / 1_000);
            let sign = if order.buy { 1 } else { -1 };
            add(&spec.base, sign * amount - fee);
            return add(&spec.quote, -sign * cost);
        }
        let mut left = lots;
        while let Some(oldest) = self.lots.front_mut().filter(|lot| lot.buy != order.buy && left > 0) {
            let closed = oldest.lots.min(left);
            (oldest.lots, left) = (oldest.lots - closed, left - closed);
            if oldest.lots == 0 {
                self.lots.pop_front();
            }
        }
        if left > 0 {
            let Order { place, buy, ticks, .. } = *order;
            self.lots.push_back(Lot { place, buy, ticks, lots: left, opened: now });
        }
    }
}

/// An amount of 10⁻⁸ units as the venue writes it.
fn coins(amount: i128) -> String {
    number(Decimal::new(i64::try_from(amount).unwrap_or(i64::MAX), 8))
}

fn acceptance(number: u64) -> String {
    format!("JRF20261121-000000-{number:06}")
}

fn amounts(order: &Order, lots: i64, listed: &[Listed]) -> String {
    let spec = &listed[order.place].spec;
    let side = if order.buy { "BUY" } else { "SELL" };
    let (price, size) = (number(spec.price(order.ticks)), number(spec.size(lots)));
    format!(r#""side":"{side}","price":{price},"size":{size}"#)
}

/// A fill as `GET /v1/me/getexecutions` tells it.
fn fill(order: &Order, lots: i64, id: u64, listed: &[Listed], now: Stamp) -> Fill {
    let (spec, order_id) = (&listed[order.place].spec, acceptance(order.number));
    let row = format!(
        r#"{{"id":{id},{},"commission":{},"child_order_id":"JOR20261121-000000-{:06}","exec_date":"{}","child_order_acceptance_id":"{order_id}"}}"#,
        amounts(order, lots, listed),
        number(spec.size(lots / 1_000)),
        order.number,
        message::time(now.wall, false),
    );
    let (symbol, time_ms) = (spec.code.clone(), now.wall.as_ms());
    Fill { number: id, market: "", symbol, id: id.to_string(), order: order_id, time_ms, row }
}

fn event(order: &Order, listed: &[Listed], now: Stamp, kind: &str, more: &str) -> String {
    format!(
        r#"{{"product_code":"{}","child_order_id":"JOR20261121-000000-{:06}","child_order_acceptance_id":"{}","event_date":"{}","event_type":"{kind}"{more}}}"#,
        listed[order.place].spec.code,
        order.number,
        acceptance(order.number),
        message::time(now.wall, true),
    )
}

fn parent(order: &Order, listed: &[Listed], now: Stamp, kind: &str, more: &str) -> String {
    let of_order = if kind == "ORDER" {
        format!(r#","parent_order_type":"STOP","expire_date":"{}""#, message::time(now.wall, false))
    } else {
        String::new()
    };
    format!(
        r#"{{"product_code":"{}","parent_order_id":"JCO20261121-000000-{:06}","parent_order_acceptance_id":"JRF20261121-111111-{:06}","event_date":"{}","event_type":"{kind}"{of_order}{more}}}"#,
        listed[order.place].spec.code,
        order.number,
        order.number,
        message::time(now.wall, true),
    )
}
