//! The simulated account behind the private topics: a wallet, positions, orders that wait for ever, and one now and then
//! that is filled.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Mono, Stamp};
use crate::sim::fills::{Fill, Fills};
use crate::sim::market::Side;
use crate::sim::venue::{Kind, Published};

use super::catalog::{Category, Spec};
use super::listed::Listed;

/// Whose messages are those of the account, among all that is published.
pub(super) const PRODUCT: &str = "private";
/// What can be subscribed to; the first three by category too: `order.linear`.
pub(super) const TOPICS: [&str; 4] = ["order", "execution", "position", "wallet"];
/// How long an order lives before something happens to it.
const ORDER_LIFE: Duration = Duration::from_millis(500);
/// What every balance begins with, in 10⁻⁴ coin.
const BEGINNING: i128 = 100_000_000;
/// What a trade costs: one part in so many.
const FEE: i128 = 1_000;

#[derive(Clone, Debug)]
struct Order {
    id: String,
    place: usize,
    buy: bool,
    ticks: i64,
    lots: i64,
    filled: i64,
    created_ms: u64,
    updated_ms: u64,
    due: Mono,
    state: &'static str,
}

/// `lots` is negative when short.
#[derive(Clone, Copy, Debug)]
struct Position {
    lots: i64,
    ticks: i64,
    seq: u64,
    created_ms: u64,
    updated_ms: u64,
}

/// The account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    every: Duration,
    next: Mono,
    orders: u64,
    order: Option<Order>,
    resting: Vec<Order>,
    /// In 10⁻⁴ coin.
    wallet: BTreeMap<String, i128>,
    positions: BTreeMap<usize, Position>,
    pub(super) fills: Fills,
    /// Connections by topic.
    watched: BTreeMap<String, usize>,
    /// Whether there ever was one.
    has_begun: bool,
    seq: u64,
}

impl Order {
    /// A new order of ten lots.
    fn new(id: u64, place: usize, buy: bool, ticks: i64, now: Stamp) -> Self {
        let (now_ms, due) = (now.wall.as_ms(), now.mono.after(ORDER_LIFE));
        let id = format!("{id:08x}-0000-4000-8000-000000000000");
        Self { id, place, buy, ticks, lots: 10, filled: 0, created_ms: now_ms, updated_ms: now_ms, due, state: "New" }
    }
}

impl Account {
    /// An account that trades so often once somebody has watched it; zero for never.
    pub(super) fn new(every: Duration, listed: &[Listed], now: Stamp) -> Self {
        let now_ms = now.wall.as_ms();
        let (mut wallet, mut positions, mut resting) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (number, place) in (0..).zip(tradable(listed)) {
            let Listed { spec, market, .. } = &listed[place];
            let ticks = market.best(Side::Bid).ticks;
            for coin in [&spec.base, &spec.quote] {
                wallet.insert(coin.clone(), BEGINNING);
            }
            if spec.category.is_contract() {
                positions.insert(place, Position { lots: 10, ticks, seq: 1, created_ms: now_ms, updated_ms: now_ms });
            }
            resting.push(Order::new(number, place, true, ticks / 2, now));
        }
        let (next, watched, fills) = (now.mono.after(every), BTreeMap::new(), Fills::default());
        let (order, has_begun) = (None, false);
        Self { every, next, orders: 0, order, resting, wallet, positions, fills, watched, has_begun, seq: 1 }
    }

    pub(super) fn watch(&mut self, topic: &str) {
        *self.watched.entry(topic.to_owned()).or_insert(0) += 1;
        self.has_begun = true;
    }

    pub(super) fn unwatch(&mut self, topic: &str) {
        if let Some(count) = self.watched.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(topic);
            }
        }
    }

    /// Trades if it is time to, and goes on with that when nobody watches any more.
    pub(super) fn tick(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        if self.order.as_ref().is_some_and(|order| order.due <= now.mono) {
            self.go_on(listed, now, out);
        }
        let rests = !self.has_begun || self.every.is_zero() || self.order.is_some();
        if rests || now.mono < self.next {
            return;
        }
        self.next = now.mono.after(self.every);
        let places = tradable(listed);
        let turn = usize::try_from(self.orders).unwrap_or(0);
        let Some(place) = places.get(turn % places.len().max(1)).copied() else { return };
        let buy = (turn / places.len().max(1)).is_multiple_of(2);
        let best = listed[place].market.best(if buy { Side::Ask } else { Side::Bid });
        self.orders += 1;
        let order = Order::new(0x1000 + self.orders, place, buy, best.ticks, now);
        let spec = &listed[place].spec;
        self.tell("order", spec.category, &[order_row(&order, spec)], now, out);
        self.order = Some(order);
    }

    /// The order is cancelled (every fifth one), filled in part (every third one), or filled.
    fn go_on(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let Some(mut order) = self.order.take() else { return };
        let (number, fresh) = (self.orders, order.filled == 0);
        let lots = match () {
            () if number.is_multiple_of(5) => 0,
            () if number.is_multiple_of(3) && fresh => order.lots / 2,
            () => order.lots - order.filled,
        };
        order.filled += lots;
        order.updated_ms = now.wall.as_ms();
        order.state = match lots {
            0 => "Cancelled",
            _ if order.filled < order.lots => "PartiallyFilled",
            _ => "Filled",
        };
        let spec = &listed[order.place].spec;
        self.tell("order", spec.category, &[order_row(&order, spec)], now, out);
        if lots > 0 {
            self.book(&order, lots, spec, now, out);
        }
        if order.state == "PartiallyFilled" {
            order.due = now.mono.after(ORDER_LIFE);
            self.order = Some(order);
        }
    }

    /// What a fill does to positions and wallet.
    fn book(&mut self, order: &Order, lots: i64, spec: &Spec, now: Stamp, out: &mut Vec<Published>) {
        self.seq += 1;
        let turnover = spec.turnover(order.ticks, lots);
        let mut row = execution_row(order, lots, self.seq, spec);
        self.tell("execution", spec.category, std::slice::from_ref(&row), now, out);
        // REST says it once for all rows.
        row.as_object_mut().map(|row| row.remove("category"));
        self.fills.add(Fill {
            number: self.seq,
            market: spec.category.as_str(),
            symbol: spec.symbol.clone(),
            id: execution_id(order, self.seq),
            order: order.id.clone(),
            time_ms: order.updated_ms,
            row: row.to_string(),
        });
        let signed = if order.buy { lots } else { -lots };
        let mut add = |coin: &str, amount: i128| *self.wallet.entry(coin.to_owned()).or_insert(0) += amount;
        if spec.category.is_contract() {
            add(settle(spec), -turnover / FEE);
            let now_ms = now.wall.as_ms();
            let new = Position { lots: 0, ticks: order.ticks, seq: 0, created_ms: now_ms, updated_ms: now_ms };
            let position = self.positions.entry(order.place).or_insert(new);
            position.lots += signed;
            (position.seq, position.updated_ms) = (self.seq, now_ms);
            let row = position_row(position, spec);
            self.tell("position", spec.category, &[row], now, out);
        } else {
            let size = spec.size(lots).rescaled(4).map_or(0, i128::from);
            add(&spec.base, if order.buy { size } else { -size });
            add(&spec.quote, if order.buy { -turnover } else { turnover } - turnover / FEE);
        }
        let wallet = self.wallet_row();
        self.publish("wallet", &[wallet], now, out);
    }

    /// Under the topic of all categories and that of its own.
    fn tell(&self, topic: &str, category: Category, rows: &[Value], now: Stamp, out: &mut Vec<Published>) {
        self.publish(topic, rows, now, out);
        self.publish(&format!("{topic}.{category}"), rows, now, out);
    }

    fn publish(&self, topic: &str, rows: &[Value], now: Stamp, out: &mut Vec<Published>) {
        if self.watched.contains_key(topic) {
            let id = format!("sim-{}-{topic}", self.seq);
            let text = json!({"id": id, "topic": topic, "creationTime": now.wall.as_ms(), "data": rows});
            out.push(Published::new(PRODUCT, topic, Kind::Other, text.to_string().into_bytes()));
        }
    }

    /// `GET /v5/order/realtime`: what is open, newest first, by id.
    pub(super) fn open_orders(&self, listed: &[Listed], wanted: impl Fn(&Spec) -> bool) -> Vec<(String, Value)> {
        let open = self.order.iter().chain(&self.resting).filter(|order| wanted(&listed[order.place].spec));
        open.map(|order| (order.id.clone(), order_row(order, &listed[order.place].spec))).collect()
    }

    /// `GET /v5/position/list`: what is not flat, by symbol.
    pub(super) fn positions(&self, listed: &[Listed], wanted: impl Fn(&Spec) -> bool) -> Vec<(String, Value)> {
        let held = self.positions.iter().filter(|(_, position)| position.lots != 0);
        let wanted = held.filter(|(place, _)| wanted(&listed[**place].spec));
        wanted
            .map(|(place, position)| {
                let spec = &listed[*place].spec;
                let mut row = position_row(position, spec);
                // REST has another name for it.
                let entry = row.as_object_mut().and_then(|row| row.remove("entryPrice"));
                row["avgPrice"] = entry.unwrap_or_default();
                (spec.symbol.clone(), row)
            })
            .collect()
    }

    /// `GET /v5/account/wallet-balance`
    pub(super) fn wallet_row(&self) -> Value {
        let coin = |(coin, amount): (&String, &i128)| {
            let amount = super::catalog::turnover_text(*amount);
            json!({
                "coin": coin, "equity": amount, "walletBalance": amount, "locked": "0", "usdValue": "",
                "unrealisedPnl": "0", "borrowAmount": "0", "availableToWithdraw": "", "accruedInterest": "0",
                "totalOrderIM": "0", "totalPositionIM": "0", "cumRealisedPnl": "0",
            })
        };
        let coins: Vec<Value> = self.wallet.iter().map(coin).collect();
        json!({"accountType": "UNIFIED", "totalEquity": "", "totalWalletBalance": "", "coin": coins})
    }
}

/// What the account trades in: the first symbol of spot, linear and inverse.
fn tradable(listed: &[Listed]) -> Vec<usize> {
    let first = |category| listed.iter().position(|listed| listed.spec.category == category);
    [Category::Spot, Category::Linear, Category::Inverse].into_iter().filter_map(first).collect()
}

/// The coin a contract is settled in.
pub(super) fn settle(spec: &Spec) -> &str {
    if spec.category == Category::Inverse { &spec.base } else { &spec.quote }
}

const fn side(buy: bool) -> &'static str {
    if buy { "Buy" } else { "Sell" }
}

fn order_row(order: &Order, spec: &Spec) -> Value {
    let text = |lots: i64| spec.size(lots).to_string();
    let price = spec.price(order.ticks).to_string();
    let value = super::catalog::turnover_text(spec.turnover(order.ticks, order.filled));
    let open = order.state == "New" || order.state == "PartiallyFilled";
    json!({
        "category": spec.category.as_str(), "symbol": spec.symbol, "orderId": order.id, "orderLinkId": "",
        "side": side(order.buy), "orderType": "Limit", "price": price, "qty": text(order.lots),
        "timeInForce": "GTC", "orderStatus": order.state,
        "leavesQty": if open { text(order.lots - order.filled) } else { text(0) },
        "cumExecQty": text(order.filled), "cumExecValue": value,
        "cumExecFee": super::catalog::turnover_text(spec.turnover(order.ticks, order.filled) / FEE),
        "avgPrice": if order.filled > 0 { price.clone() } else { String::new() },
        "reduceOnly": false, "positionIdx": 0, "triggerPrice": "", "stopOrderType": "",
        "cancelType": if order.state == "Cancelled" { "CancelByUser" } else { "UNKNOWN" },
        "rejectReason": if order.state == "Cancelled" { "EC_PerCancelRequest" } else { "EC_NoError" },
        "createdTime": order.created_ms.to_string(), "updatedTime": order.updated_ms.to_string(),
    })
}

fn execution_id(order: &Order, seq: u64) -> String {
    format!("{}-{seq}", order.id)
}

fn execution_row(order: &Order, lots: i64, seq: u64, spec: &Spec) -> Value {
    let turnover = spec.turnover(order.ticks, lots);
    json!({
        "category": spec.category.as_str(), "symbol": spec.symbol, "execId": execution_id(order, seq),
        "orderId": order.id, "orderLinkId": "", "side": side(order.buy),
        "execPrice": spec.price(order.ticks).to_string(), "execQty": spec.size(lots).to_string(),
        "execValue": super::catalog::turnover_text(turnover),
        "execFee": super::catalog::turnover_text(turnover / FEE), "feeCurrency": settle(spec), "feeRate": "0.001",
        "isMaker": false, "execType": "Trade", "leavesQty": spec.size(order.lots - order.filled).to_string(),
        "execTime": order.updated_ms.to_string(), "seq": seq,
    })
}

fn position_row(position: &Position, spec: &Spec) -> Value {
    let flat = position.lots == 0;
    json!({
        "category": spec.category.as_str(), "symbol": spec.symbol, "positionIdx": 0,
        "side": if flat { "" } else { side(position.lots > 0) }, "size": spec.size(position.lots.abs()).to_string(),
        "entryPrice": if flat { "0".to_owned() } else { spec.price(position.ticks).to_string() },
        "leverage": "10", "liqPrice": "", "unrealisedPnl": "0", "curRealisedPnl": "0", "positionStatus": "Normal",
        "seq": position.seq, "createdTime": position.created_ms.to_string(),
        "updatedTime": position.updated_ms.to_string(),
    })
}
