//! The simulated account behind the private channels: a few balances, a position, and an order now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Mono, Stamp};
use crate::sim::fills::{Fill, Fills};
use crate::sim::market::Side;
use crate::sim::venue::{Kind, Published};

use super::catalog::{InstType, Spec, coins};
use super::channel::{Private, PrivateChannel};
use super::listed::Listed;
use super::message::{fields, side};

/// The account's number, which its messages name.
const UID: &str = "44713527842586624";
/// Numbers of bills begin behind this one.
const BILLS: u64 = 1_900_000_000_000_000_000;
/// How long an order lives before something happens to it.
const ORDER_LIFE: Duration = Duration::from_millis(500);
/// How often balances and positions are sent though nothing happened.
const REGULAR: Duration = Duration::from_secs(5);
/// Connections on one private channel at most.
const MOST_CONNECTIONS: usize = 30;

/// What is left of one order.
#[derive(Clone, Debug)]
struct Order {
    id: u64,
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

/// A position; `lots` is negative when short.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    lots: i64,
    average_ticks: i64,
    created_ms: u64,
    updated_ms: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    /// In 10⁻⁸.
    amount: i128,
    updated_ms: u64,
}

#[derive(Clone, Debug)]
struct Watched {
    wish: Private,
    count: usize,
    pushed: Mono,
}

/// The account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    every: Duration,
    next: Mono,
    orders: u64,
    order: Option<Order>,
    /// Orders far from the market, which wait for ever.
    resting: Vec<Order>,
    balances: BTreeMap<String, Balance>,
    positions: BTreeMap<usize, Position>,
    pub(super) fills: Fills,
    bills: u64,
    watched: BTreeMap<String, Watched>,
    /// Whether anybody ever watched.
    has_begun: bool,
    connections: BTreeMap<PrivateChannel, usize>,
}

impl Account {
    /// An account that trades so often once somebody has watched it; zero for never.
    pub(super) fn new(every: Duration, listed: &[Listed], now: Stamp) -> Self {
        let mut balances = BTreeMap::new();
        let mut positions = BTreeMap::new();
        let mut resting = Vec::new();
        let now_ms = now.wall.as_ms();
        for place in tradable(listed) {
            let Listed { spec, market, .. } = &listed[place];
            let ticks = market.best(Side::Bid).ticks;
            for currency in [&spec.base, &spec.quote] {
                balances.insert(currency.clone(), Balance { amount: 1_000_000_000_000, updated_ms: now_ms });
            }
            if spec.kind != InstType::Spot {
                let position = Position { lots: 10, average_ticks: ticks, created_ms: now_ms, updated_ms: now_ms };
                positions.insert(place, position);
            }
            let id = 1_700_000_000_000_000_000 + place as u64;
            resting.push(Order { ticks: ticks / 2, ..Order::new(id, place, true, ticks, now) });
        }
        let (watched, connections, next) = (BTreeMap::new(), BTreeMap::new(), now.mono.after(every));
        Self {
            every,
            next,
            orders: 0,
            order: None,
            resting,
            balances,
            positions,
            fills: Fills::default(),
            bills: 0,
            watched,
            has_begun: false,
            connections,
        }
    }

    /// Counts a connection in on a channel and says how many there are; an error if there are too many.
    pub(super) fn join(&mut self, channel: PrivateChannel) -> Result<usize, usize> {
        let count = self.connections.entry(channel).or_insert(0);
        if *count >= MOST_CONNECTIONS {
            return Err(*count);
        }
        *count += 1;
        Ok(*count)
    }

    /// Counts a connection out.
    pub(super) fn leave(&mut self, channel: PrivateChannel) {
        if let Some(count) = self.connections.get_mut(&channel) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether nobody watches it, and no connection is counted in.
    #[cfg(test)]
    pub(super) fn is_alone(&self) -> bool {
        self.watched.is_empty() && self.connections.values().all(|count| *count == 0)
    }

    pub(super) fn watch(&mut self, wish: &Private, now: Mono) {
        let new = || Watched { wish: wish.clone(), count: 0, pushed: now };
        self.watched.entry(wish.topic()).or_insert_with(new).count += 1;
        self.has_begun = true;
    }

    pub(super) fn unwatch(&mut self, wish: &Private) {
        let topic = wish.topic();
        if let Some(watched) = self.watched.get_mut(&topic) {
            watched.count -= 1;
            if watched.count == 0 {
                self.watched.remove(&topic);
            }
        }
    }

    /// What a new subscriber gets first: balances and positions, but no orders.
    pub(super) fn snapshot(&self, wish: &Private, listed: &[Listed], now: Stamp) -> Option<Published> {
        let (kind, paging) = ("snapshot", ",\"curPage\":1,\"lastPage\":true");
        self.state(wish, kind, paging, listed, now)
    }

    /// Trades if it is time to, also when nobody watches any more, and sends what goes out by the clock.
    pub(super) fn tick(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        if self.order.as_ref().is_some_and(|order| order.due <= now.mono) {
            self.go_on(listed, now, out);
        }
        if self.has_begun && self.order.is_none() && !self.every.is_zero() && self.next <= now.mono {
            self.next = now.mono.after(self.every);
            self.place(listed, now, out);
        }
        let due = |watched: &Watched| !watched.wish.events_only && now.mono.since(watched.pushed) >= REGULAR;
        let wishes: Vec<Private> =
            self.watched.values().filter(|watched| due(watched)).map(|watched| watched.wish.clone()).collect();
        for wish in wishes {
            let paging = ",\"curPage\":1,\"lastPage\":true";
            out.extend(self.state(&wish, "interval_update", paging, listed, now));
            if let Some(watched) = self.watched.get_mut(&wish.topic()) {
                watched.pushed = now.mono;
            }
        }
    }

    /// A new order at the other side's best price.
    fn place(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let places = tradable(listed);
        let turn = usize::try_from(self.orders).unwrap_or(0);
        let Some(place) = places.get(turn % places.len().max(1)).copied() else { return };
        let buy = (turn / places.len().max(1)).is_multiple_of(2);
        let best = listed[place].market.best(if buy { Side::Ask } else { Side::Bid });
        self.orders += 1;
        let order = Order::new(1_800_000_000_000_000_000 + self.orders, place, buy, best.ticks, now);
        self.tell_order(&order, 0, listed, out);
        self.order = Some(order);
    }

    /// The order is canceled (every fifth one), filled in part (every third one), or filled.
    fn go_on(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let Some(mut order) = self.order.take() else { return };
        let number = self.orders;
        let fresh = order.filled == 0;
        let lots = match () {
            () if number.is_multiple_of(5) => 0,
            () if number.is_multiple_of(3) && fresh => order.lots / 2,
            () => order.lots - order.filled,
        };
        order.filled += lots;
        order.state = match lots {
            0 => "canceled",
            _ if order.filled < order.lots => "partially_filled",
            _ => "filled",
        };
        order.updated_ms = now.wall.as_ms();
        self.tell_order(&order, lots, listed, out);
        if lots > 0 {
            self.bills += 1;
            self.fills.add(fill(&order, lots, self.bills, &listed[order.place].spec));
            self.book_fill(&order, lots, listed, now.wall.as_ms());
            for channel in [PrivateChannel::Account, PrivateChannel::Positions] {
                let wishes: Vec<Private> = self.wishes(channel).cloned().collect();
                out.extend(wishes.iter().filter_map(|wish| self.state(wish, "event_update", "", listed, now)));
            }
        }
        if order.state == "partially_filled" {
            order.due = now.mono.after(ORDER_LIFE);
            self.order = Some(order);
        }
    }

    /// `GET /api/v5/trade/orders-pending`: what is open, newest first.
    pub(super) fn open_orders(&self, listed: &[Listed]) -> Vec<(u64, String)> {
        let mut open: Vec<&Order> = self.order.iter().chain(&self.resting).collect();
        open.sort_by_key(|order| std::cmp::Reverse(order.id));
        open.into_iter().map(|order| (order.id, order_row(order, 0, &listed[order.place].spec))).collect()
    }

    /// `GET /api/v5/account/positions`: those that are not flat.
    pub(super) fn positions(&self, listed: &[Listed], now: Stamp) -> Vec<String> {
        let held = self.positions.iter().filter(|(_, position)| position.lots != 0);
        held.map(|(place, position)| position_row(position, *place, &listed[*place], now)).collect()
    }

    /// `GET /api/v5/account/balance`
    pub(super) fn balances(&self, currency: Option<&str>, now: Stamp) -> String {
        self.balance_row(currency, now)
    }

    fn wishes(&self, channel: PrivateChannel) -> impl Iterator<Item = &Private> {
        self.watched.values().map(|watched| &watched.wish).filter(move |wish| wish.channel == channel)
    }

    /// What a fill does to balances and positions. Fees are a thousandth on spot and half of that elsewhere.
    fn book_fill(&mut self, order: &Order, lots: i64, listed: &[Listed], now_ms: u64) {
        let spec = &listed[order.place].spec;
        let (amount, turnover) = (spec.amount(lots), spec.turnover(order.ticks, lots));
        let mut add = |currency: &str, amount: i128| {
            let balance = self.balances.entry(currency.to_owned()).or_default();
            *balance = Balance { amount: balance.amount + amount, updated_ms: now_ms };
        };
        if spec.kind != InstType::Spot {
            add(spec.settle(), -turnover / 2_000);
            let position = self.positions.entry(order.place).or_default();
            let lots = if order.buy { lots } else { -lots };
            if position.lots.signum() != (position.lots + lots).signum() || position.lots == 0 {
                position.average_ticks = order.ticks;
            } else if lots.signum() == position.lots.signum() {
                let cost = position.average_ticks * position.lots.abs() + order.ticks * lots.abs();
                position.average_ticks = cost / (position.lots + lots).abs();
            }
            position.lots += lots;
            position.updated_ms = now_ms;
        } else if order.buy {
            add(&spec.base, amount - amount / 1_000);
            add(&spec.quote, -turnover);
        } else {
            add(&spec.base, -amount);
            add(&spec.quote, turnover - turnover / 1_000);
        }
    }

    fn tell_order(&self, order: &Order, fill: i64, listed: &[Listed], out: &mut Vec<Published>) {
        let spec = &listed[order.place].spec;
        for wish in self.wishes(PrivateChannel::Orders).filter(|wish| concerns(wish, spec)) {
            let row = order_row(order, fill, spec);
            let text = format!("{{\"arg\":{},\"data\":[{row}]}}", wish.arg(UID));
            out.push(Published::new("", &wish.topic(), Kind::Other, text.into_bytes()));
        }
    }

    /// Balances or positions as a message; nothing for orders.
    fn state(&self, wish: &Private, event: &str, paging: &str, listed: &[Listed], now: Stamp) -> Option<Published> {
        let rows = match wish.channel {
            PrivateChannel::Orders => return None,
            PrivateChannel::Account => self.balance_row(wish.currency.as_deref(), now),
            PrivateChannel::Positions => self.position_rows(wish, listed, now),
        };
        let arg = wish.arg(UID);
        let text = format!("{{\"arg\":{arg},\"eventType\":\"{event}\"{paging},\"data\":[{rows}]}}");
        Some(Published::new("", &wish.topic(), Kind::Other, text.into_bytes()))
    }

    fn balance_row(&self, only: Option<&str>, now: Stamp) -> String {
        let ts = now.wall.as_ms().to_string();
        let wanted = |currency: &String| only.is_none_or(|only| only == currency);
        let detail = |(currency, balance): (&String, &Balance)| {
            let amount = coins(balance.amount);
            fields(&[
                ("ccy", currency.clone()),
                ("eq", amount.clone()),
                ("cashBal", amount.clone()),
                ("availBal", amount.clone()),
                ("availEq", amount),
                ("frozenBal", "0".to_owned()),
                ("ordFrozen", "0".to_owned()),
                ("upl", "0".to_owned()),
                ("uTime", balance.updated_ms.to_string()),
            ])
        };
        let details: Vec<String> = self.balances.iter().filter(|(currency, _)| wanted(currency)).map(detail).collect();
        format!("{{\"uTime\":\"{ts}\",\"totalEq\":\"\",\"details\":[{}]}}", details.join(","))
    }

    fn position_rows(&self, wish: &Private, listed: &[Listed], now: Stamp) -> String {
        let wanted = self.positions.iter().filter(|(place, _)| concerns(wish, &listed[**place].spec));
        let rows = wanted.map(|(place, position)| position_row(position, *place, &listed[*place], now));
        rows.collect::<Vec<_>>().join(",")
    }
}

impl Order {
    /// A new order of ten lots.
    fn new(id: u64, place: usize, buy: bool, ticks: i64, now: Stamp) -> Self {
        let (now_ms, due) = (now.wall.as_ms(), now.mono.after(ORDER_LIFE));
        Self { id, place, buy, ticks, lots: 10, filled: 0, created_ms: now_ms, updated_ms: now_ms, due, state: "live" }
    }
}

fn position_row(position: &Position, place: usize, listed: &Listed, now: Stamp) -> String {
    let spec = &listed.spec;
    let mark = listed.market.best(Side::Bid).ticks;
    let average = if position.lots == 0 { String::new() } else { spec.price(position.average_ticks).to_string() };
    fields(&[
        ("instType", spec.kind.as_str().to_owned()),
        ("mgnMode", "cross".to_owned()),
        ("posId", (307_173_036_051_017_730 + place).to_string()),
        ("posSide", "net".to_owned()),
        ("pos", spec.size(position.lots).to_string()),
        ("avgPx", average),
        ("upl", "0".to_owned()),
        ("instId", spec.symbol.clone()),
        ("lever", "10".to_owned()),
        ("liqPx", String::new()),
        ("markPx", spec.price(mark).to_string()),
        ("margin", String::new()),
        ("ccy", spec.settle().to_owned()),
        ("cTime", position.created_ms.to_string()),
        ("uTime", position.updated_ms.to_string()),
        ("pTime", now.wall.as_ms().to_string()),
    ])
}

/// The instruments the account trades in: the first pair and the first swap; whatever is first if there is neither.
fn tradable(listed: &[Listed]) -> Vec<usize> {
    let first = |kind| listed.iter().position(|listed| listed.spec.kind == kind);
    let found: Vec<usize> = [first(InstType::Spot), first(InstType::Swap)].into_iter().flatten().collect();
    if found.is_empty() && !listed.is_empty() { vec![0] } else { found }
}

fn concerns(wish: &Private, spec: &Spec) -> bool {
    wish.kind.is_none_or(|kind| kind == spec.kind)
        && wish.family.as_ref().is_none_or(|family| *family == spec.family)
        && wish.symbol.as_ref().is_none_or(|symbol| *symbol == spec.symbol)
}

/// The id of a trade, each of which ends an order or leaves a part of it.
fn trade_id(order: &Order) -> String {
    (order.id % 1_000_000 * 10 + u64::from(order.state == "filled")).to_string()
}

/// What a fill costs, and in which currency: the base's where spot is bought.
fn fee<'a>(order: &Order, lots: i64, spec: &'a Spec) -> (String, &'a str) {
    let parts = if spec.kind == InstType::Spot { 1_000 } else { 2_000 };
    if spec.kind == InstType::Spot && order.buy {
        (coins(-spec.amount(lots) / parts), &spec.base)
    } else {
        (coins(-spec.turnover(order.ticks, lots) / parts), spec.settle())
    }
}

/// A fill as `GET /api/v5/trade/fills` tells it.
fn fill(order: &Order, lots: i64, bill: u64, spec: &Spec) -> Fill {
    let (number, time, (fee, currency)) = (BILLS + bill, order.updated_ms.to_string(), fee(order, lots, spec));
    let row = fields(&[
        ("instType", spec.kind.as_str().to_owned()),
        ("instId", spec.symbol.clone()),
        ("tradeId", trade_id(order)),
        ("ordId", order.id.to_string()),
        ("clOrdId", String::new()),
        ("billId", number.to_string()),
        ("tag", String::new()),
        ("fillPx", spec.price(order.ticks).to_string()),
        ("fillSz", spec.size(lots).to_string()),
        ("fillPnl", "0".to_owned()),
        ("side", side(order.buy).to_owned()),
        ("posSide", "net".to_owned()),
        ("execType", "T".to_owned()),
        ("feeCcy", currency.to_owned()),
        ("fee", fee),
        ("fillTime", time.clone()),
        ("ts", time),
    ]);
    Fill {
        number,
        market: "",
        symbol: spec.symbol.clone(),
        id: trade_id(order),
        order: order.id.to_string(),
        time_ms: order.updated_ms,
        row,
    }
}

fn order_row(order: &Order, fill: i64, spec: &Spec) -> String {
    let ts = order.updated_ms.to_string();
    let price = spec.price(order.ticks).to_string();
    let of_fill = |text: String| if fill > 0 { text } else { String::new() };
    let (paid, currency) = (|lots| fee(order, lots, spec).0, fee(order, fill, spec).1);
    fields(&[
        ("instType", spec.kind.as_str().to_owned()),
        ("instId", spec.symbol.clone()),
        ("ccy", String::new()),
        ("ordId", order.id.to_string()),
        ("clOrdId", String::new()),
        ("tag", String::new()),
        ("px", price.clone()),
        ("sz", spec.size(order.lots).to_string()),
        ("ordType", "limit".to_owned()),
        ("side", side(order.buy).to_owned()),
        ("posSide", if spec.kind == InstType::Spot { "" } else { "net" }.to_owned()),
        ("tdMode", if spec.kind == InstType::Spot { "cash" } else { "cross" }.to_owned()),
        ("fillPx", of_fill(price.clone())),
        ("fillSz", if fill > 0 { spec.size(fill).to_string() } else { "0".to_owned() }),
        ("tradeId", of_fill(trade_id(order))),
        ("accFillSz", spec.size(order.filled).to_string()),
        ("fillFee", if fill > 0 { paid(fill) } else { "0".to_owned() }),
        ("fillFeeCcy", of_fill(currency.to_owned())),
        ("execType", of_fill("T".to_owned())),
        ("fillTime", of_fill(ts.clone())),
        ("state", order.state.to_owned()),
        ("avgPx", if order.filled > 0 { price } else { "0".to_owned() }),
        ("lever", if spec.kind == InstType::Spot { "0" } else { "10" }.to_owned()),
        ("feeCcy", currency.to_owned()),
        ("fee", if order.filled > 0 { paid(order.filled) } else { "0".to_owned() }),
        ("pnl", "0".to_owned()),
        ("reduceOnly", "false".to_owned()),
        ("cancelSource", if order.state == "canceled" { "1" } else { "" }.to_owned()),
        ("amendResult", String::new()),
        ("uTime", ts),
        ("cTime", order.created_ms.to_string()),
        ("code", "0".to_owned()),
        ("msg", String::new()),
    ])
}
