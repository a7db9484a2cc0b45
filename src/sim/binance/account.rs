//! The simulated account: balances, positions, listen keys, and an order now and then once somebody has watched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use crate::model::{Mono, Stamp};
use crate::sim::fills::{Fill, Fills};
use crate::sim::market::Side;
use crate::sim::venue::{Kind, Published};

use super::catalog::{Market, Spec, coins};
use super::listed::Listed;
use super::message::{Object, array};

/// Whose messages are those of the account, among all that is published.
pub(super) const PRODUCT: &str = "account";
/// How long an order lives before it is filled.
const ORDER_LIFE: Duration = Duration::from_millis(500);
/// What every balance begins with, in 10⁻⁸.
const BEGINNING: i128 = 1_000_000_000_000;
/// What a trade costs: one part in so many.
const FEE: i128 = 1_000;

#[derive(Clone, Debug)]
struct Order {
    id: u64,
    place: usize,
    buy: bool,
    ticks: i64,
    lots: i64,
    filled: bool,
    /// Of its only trade.
    trade: u64,
    created_ms: u64,
    updated_ms: u64,
    due: Mono,
}

/// Lots held, negative when short, and when that last changed.
#[derive(Clone, Copy, Debug)]
struct Position {
    lots: i64,
    updated_ms: u64,
}

#[derive(Clone, Debug)]
struct Key {
    market: Market,
    expires: Mono,
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
    /// In 10⁻⁸.
    balances: BTreeMap<(Market, String), i128>,
    /// When the balances of a market last changed.
    changed: BTreeMap<Market, u64>,
    positions: BTreeMap<usize, Position>,
    pub(super) fills: Fills,
    /// The last trade's id.
    trade: u64,
    key_life: Duration,
    keys: BTreeMap<String, Key>,
    /// Listeners by topic.
    watched: BTreeMap<(Market, String), usize>,
    /// The markets that somebody watched once.
    begun: BTreeSet<Market>,
}

impl Account {
    /// An account that trades so often once somebody has watched it (zero for never), and whose listen keys live so long.
    pub(super) fn new(every: Duration, key_life: Duration, listed: &[Listed], now: Stamp) -> Self {
        let (mut balances, mut positions, mut resting) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let updated_ms = now.wall.as_ms();
        for (id, market) in (8_389_000_000_000..).zip(Market::ALL) {
            let Some(place) = tradable(market, listed) else { continue };
            let Listed { spec, market: ladder, .. } = &listed[place];
            if market.is_futures() {
                positions.insert(place, Position { lots: 10, updated_ms });
                balances.insert((market, spec.margin().to_owned()), BEGINNING);
            } else {
                for asset in [&spec.base, &spec.quote] {
                    balances.insert((market, asset.clone()), BEGINNING);
                }
            }
            resting.push(Order::new(id, place, true, ladder.best(Side::Bid).ticks / 2, now));
        }
        let (keys, watched, next) = (BTreeMap::new(), BTreeMap::new(), now.mono.after(every));
        let changed = Market::ALL.into_iter().map(|market| (market, updated_ms)).collect();
        Self {
            every,
            next,
            orders: 0,
            order: None,
            resting,
            balances,
            changed,
            positions,
            fills: Fills::default(),
            trade: 0,
            key_life,
            keys,
            watched,
            begun: BTreeSet::new(),
        }
    }

    /// The market's listen key, made if there is none; its life begins anew.
    pub(super) fn open_key(&mut self, market: Market, rng: &mut Rng, now: Mono) -> String {
        let known = self.keys.iter().find(|(_, key)| key.market == market).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| (0..64).map(|_| rng.alphanumeric()).collect());
        self.keys.insert(name.clone(), Key { market, expires: now.after(self.key_life) });
        name
    }

    /// Renews the market's listen key; `None` when there is none.
    pub(super) fn renew_key(&mut self, market: Market, now: Mono) -> Option<String> {
        let life = self.key_life;
        let (name, key) = self.keys.iter_mut().find(|(_, key)| key.market == market)?;
        key.expires = now.after(life);
        Some(name.clone())
    }

    /// Closes the market's listen key.
    pub(super) fn close_key(&mut self, market: Market) {
        self.keys.retain(|_, key| key.market != market);
    }

    /// The market whose listen key this is.
    pub(super) fn market_of(&self, key: &str) -> Option<Market> {
        self.keys.get(key).map(|key| key.market)
    }

    pub(super) fn watch(&mut self, market: Market, topic: &str) {
        *self.watched.entry((market, topic.to_owned())).or_insert(0) += 1;
        self.begun.insert(market);
    }

    pub(super) fn unwatch(&mut self, market: Market, topic: &str) {
        let key = (market, topic.to_owned());
        if let Some(count) = self.watched.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(&key);
            }
        }
    }

    /// Ends keys that nobody renewed, and trades if it is time to.
    pub(super) fn tick(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let expired = self.keys.iter().filter(|(_, key)| key.expires <= now.mono).map(|(name, _)| name.clone());
        for name in expired.collect::<Vec<_>>() {
            self.keys.remove(&name);
            let event = Object::event("listenKeyExpired", now.wall.as_ms()).text("listenKey", &name).done();
            out.push(Published::new(PRODUCT, &name, Kind::Other, event.into_bytes()));
        }
        if self.order.as_ref().is_some_and(|order| order.due <= now.mono) {
            self.fill(listed, now, out);
        }
        if self.order.is_none() && !self.every.is_zero() && self.next <= now.mono {
            self.next = now.mono.after(self.every);
            self.place(listed, now, out);
        }
    }

    fn tell(&self, market: Market, text: &str, out: &mut Vec<Published>) {
        for (_, topic) in self.watched.keys().filter(|(of, _)| *of == market) {
            out.push(Published::new(PRODUCT, topic, Kind::Other, text.as_bytes().to_vec()));
        }
    }

    /// A new order at the other side's best price, in the next market that was watched.
    fn place(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let markets: Vec<Market> = self.begun.iter().copied().collect();
        let turn = usize::try_from(self.orders).unwrap_or(0);
        let Some(market) = markets.get(turn % markets.len().max(1)) else { return };
        let Some(place) = tradable(*market, listed) else { return };
        let buy = (turn / markets.len()).is_multiple_of(2);
        let best = listed[place].market.best(if buy { Side::Ask } else { Side::Bid });
        self.orders += 1;
        let order = Order::new(8_389_765_000_000 + self.orders, place, buy, best.ticks, now);
        self.tell(*market, &order_text(&order, &listed[place], now.wall.as_ms()), out);
        self.order = Some(order);
    }

    /// The order is filled.
    fn fill(&mut self, listed: &[Listed], now: Stamp, out: &mut Vec<Published>) {
        let Some(mut order) = self.order.take() else { return };
        let of = &listed[order.place];
        let (spec, now_ms) = (&of.spec, now.wall.as_ms());
        (order.filled, order.updated_ms) = (true, now_ms.saturating_sub(1));
        // The tape's last trade, unless that was ours before.
        self.trade = of.tape.last_id().max(self.trade + 1);
        order.trade = self.trade;
        self.fills.add(fill(&order, spec));
        self.tell(spec.market, &order_text(&order, of, now_ms), out);
        let turnover = spec.turnover(order.ticks, order.lots);
        let lots = if order.buy { order.lots } else { -order.lots };
        let sign = i128::from(lots.signum());
        let mut add = |asset: &str, amount: i128| {
            *self.balances.entry((spec.market, asset.to_owned())).or_insert(0) += amount;
        };
        if spec.market.is_futures() {
            add(spec.margin(), -turnover / FEE);
            let position = self.positions.entry(order.place).or_insert(Position { lots: 0, updated_ms: 0 });
            *position = Position { lots: position.lots + lots, updated_ms: order.updated_ms };
        } else {
            let size = spec.size(order.lots).rescaled(8).map_or(0, i128::from);
            add(&spec.base, sign * size);
            add(&spec.quote, -sign * turnover - turnover / FEE);
        }
        self.changed.insert(spec.market, order.updated_ms);
        let text = match spec.market {
            Market::Spot => self.balances_text(now_ms),
            market => self.update_text(market, order.place, order.ticks, listed, now_ms),
        };
        self.tell(spec.market, &text, out);
    }

    /// Assets and their balances on a market.
    fn of_market(&self, market: Market) -> impl Iterator<Item = (&str, String)> {
        let of = self.balances.iter().filter(move |((of, _), _)| *of == market);
        of.map(|((_, asset), amount)| (asset.as_str(), coins(*amount)))
    }

    /// `outboundAccountPosition`
    fn balances_text(&self, now_ms: u64) -> String {
        let row = |(asset, amount): (&str, String)| {
            Object::new().text("a", asset).text("f", amount).text("l", "0.00000000").done()
        };
        let rows: Vec<String> = self.of_market(Market::Spot).map(row).collect();
        let changed = self.changed_ms(Market::Spot);
        Object::event("outboundAccountPosition", now_ms).raw("u", changed).raw("B", array(&rows)).done()
    }

    /// `ACCOUNT_UPDATE`
    fn update_text(&self, market: Market, place: usize, ticks: i64, listed: &[Listed], now_ms: u64) -> String {
        let balance = |(asset, amount): (&str, String)| {
            Object::new().text("a", asset).text("wb", &amount).text("cw", &amount).text("bc", "0").done()
        };
        let balances: Vec<String> = self.of_market(market).map(balance).collect();
        let spec = &listed[place].spec;
        let held = self.positions.get(&place).map_or(0, |position| position.lots);
        let position = Object::new().text("s", &spec.symbol).text("pa", spec.size(held));
        let position = position.text("ep", spec.price(ticks)).text("cr", "0").text("up", "0").text("mt", "cross");
        let position = position.text("iw", "0").text("ps", "BOTH").done();
        let account = Object::new().text("m", "ORDER").raw("B", array(&balances)).raw("P", array(&[position])).done();
        Object::event("ACCOUNT_UPDATE", now_ms).raw("T", self.changed_ms(market)).raw("a", account).done()
    }

    fn changed_ms(&self, market: Market) -> u64 {
        self.changed.get(&market).copied().unwrap_or_default()
    }

    /// `GET …/openOrders`
    pub(super) fn open_orders(&self, market: Market, symbol: Option<&str>, listed: &[Listed]) -> String {
        let open = self.order.iter().chain(&self.resting).filter(|order| {
            let spec = &listed[order.place].spec;
            spec.market == market && symbol.is_none_or(|symbol| symbol == spec.symbol)
        });
        array(&open.map(|order| order_row(order, &listed[order.place])).collect::<Vec<_>>())
    }

    /// `GET …/positionRisk`
    pub(super) fn positions(&self, market: Market, symbol: Option<&str>, listed: &[Listed]) -> String {
        let of = self.positions.iter().filter(|(place, _)| {
            let spec = &listed[**place].spec;
            spec.market == market && symbol.is_none_or(|symbol| symbol == spec.symbol)
        });
        let row = |(place, position): (&usize, &Position)| {
            let Listed { spec, market: ladder, .. } = &listed[*place];
            let price = spec.price(ladder.best(Side::Bid).ticks);
            let row = Object::new().text("symbol", &spec.symbol).text("positionSide", "BOTH");
            let row = row.text("positionAmt", spec.size(position.lots)).text("entryPrice", price);
            let row = row.text("breakEvenPrice", price).text("markPrice", price).text("unRealizedProfit", "0");
            let row = row.text("liquidationPrice", "0").text("leverage", "10").text("marginType", "cross");
            row.text("isolatedWallet", "0").raw("updateTime", position.updated_ms).done()
        };
        array(&of.map(row).collect::<Vec<_>>())
    }

    /// `GET …/balance`
    pub(super) fn balances(&self, market: Market) -> String {
        let row = |(asset, amount): (&str, String)| {
            let row = Object::new().text("accountAlias", "SgsR").text("asset", asset).text("balance", &amount);
            let row = row.text("crossWalletBalance", &amount).text("crossUnPnl", "0.00000000");
            row.text("availableBalance", amount).raw("updateTime", self.changed_ms(market)).done()
        };
        array(&self.of_market(market).map(row).collect::<Vec<_>>())
    }

    /// `GET …/account`
    pub(super) fn row(&self, market: Market, listed: &[Listed]) -> String {
        if market == Market::Spot {
            let row = |(asset, amount): (&str, String)| {
                Object::new().text("asset", asset).text("free", amount).text("locked", "0.00000000").done()
            };
            let rows: Vec<String> = self.of_market(market).map(row).collect();
            let out = Object::new().raw("makerCommission", 10).raw("takerCommission", 10).raw("canTrade", true);
            let out = out.raw("canWithdraw", true).raw("canDeposit", true);
            let out = out.raw("updateTime", self.changed_ms(market));
            let out = out.text("accountType", "SPOT").raw("balances", array(&rows));
            return out.raw("permissions", r#"["SPOT"]"#).raw("uid", 354_937_868).done();
        }
        let asset = |(asset, amount): (&str, String)| {
            let row = Object::new().text("asset", asset).text("walletBalance", &amount);
            let row = row.text("unrealizedProfit", "0.00000000").text("marginBalance", &amount);
            row.text("availableBalance", amount).raw("updateTime", self.changed_ms(market)).done()
        };
        let position = |(place, held): (&usize, &Position)| {
            let spec = &listed[*place].spec;
            (spec.market == market).then(|| {
                let row = Object::new().text("symbol", &spec.symbol).text("positionSide", "BOTH");
                let row = row.text("positionAmt", spec.size(held.lots)).text("unrealizedProfit", "0.00000000");
                row.raw("updateTime", held.updated_ms).done()
            })
        };
        let assets: Vec<String> = self.of_market(market).map(asset).collect();
        let positions: Vec<String> = self.positions.iter().filter_map(position).collect();
        let out = Object::new().raw("canTrade", true).raw("canDeposit", true).raw("canWithdraw", true);
        out.raw("updateTime", 0).raw("assets", array(&assets)).raw("positions", array(&positions)).done()
    }
}

impl Order {
    /// A new order of ten lots.
    fn new(id: u64, place: usize, buy: bool, ticks: i64, now: Stamp) -> Self {
        let (created_ms, due) = (now.wall.as_ms(), now.mono.after(ORDER_LIFE));
        let updated_ms = created_ms.saturating_sub(1);
        Self { id, place, buy, ticks, lots: 10, filled: false, trade: 0, created_ms, updated_ms, due }
    }
}

/// A row of `GET …/openOrders`.
fn order_row(order: &Order, of: &Listed) -> String {
    let spec = &of.spec;
    let out = Object::new().text("symbol", &spec.symbol).raw("orderId", order.id);
    let out = out.text("clientOrderId", format!("sim{}", order.id)).text("price", spec.price(order.ticks));
    let out = out.text("origQty", spec.size(order.lots)).text("executedQty", spec.size(0)).text("status", "NEW");
    let out = out.text("timeInForce", "GTC").text("type", "LIMIT").text("side", if order.buy { "BUY" } else { "SELL" });
    let out = if spec.market == Market::Spot {
        out.text("cummulativeQuoteQty", coins(0)).text("stopPrice", "0").raw("isWorking", true)
    } else {
        out.text("avgPrice", "0").text("stopPrice", "0").raw("reduceOnly", false).text("positionSide", "BOTH")
    };
    out.raw("time", order.created_ms).raw("updateTime", order.updated_ms).done()
}

/// A trade as `GET …/myTrades` tells it on spot, and `GET …/userTrades` on futures.
fn fill(order: &Order, spec: &Spec) -> Fill {
    let (price, size) = (spec.price(order.ticks), spec.size(order.lots));
    let turnover = spec.turnover(order.ticks, order.lots);
    let row = Object::new().text("symbol", &spec.symbol).raw("id", order.trade).raw("orderId", order.id);
    let row = row.text("price", price).text("qty", size).text("commission", coins(turnover / FEE));
    let row = row.raw("time", order.updated_ms);
    let row = if spec.market == Market::Spot {
        let row = row.raw("orderListId", -1).text("quoteQty", coins(turnover)).text("commissionAsset", &spec.quote);
        row.raw("isBuyer", order.buy).raw("isMaker", false).raw("isBestMatch", true)
    } else {
        let row = row.text("commissionAsset", spec.margin()).text("side", if order.buy { "BUY" } else { "SELL" });
        row.text("realizedPnl", "0").text("positionSide", "BOTH").raw("buyer", order.buy).raw("maker", false)
    };
    Fill {
        number: order.trade,
        market: spec.market.as_str(),
        symbol: spec.symbol.clone(),
        id: order.trade.to_string(),
        order: order.id.to_string(),
        time_ms: order.updated_ms,
        row: row.done(),
    }
}

/// The symbol the account trades on a market: the first.
fn tradable(market: Market, listed: &[Listed]) -> Option<usize> {
    listed.iter().position(|listed| listed.spec.market == market)
}

/// `executionReport` on spot, `ORDER_TRADE_UPDATE` on futures.
fn order_text(order: &Order, of: &Listed, now_ms: u64) -> String {
    let (spec, filled) = (&of.spec, order.filled);
    let (side, kind) = (if order.buy { "BUY" } else { "SELL" }, if filled { "TRADE" } else { "NEW" });
    let (size, price) = (spec.size(order.lots), spec.price(order.ticks));
    let done = if filled { size } else { spec.size(0) };
    let last = if filled { price } else { spec.price(0) };
    let trade_id = if filled { i64::try_from(order.trade).unwrap_or(-1) } else { -1 };
    let fee = if filled { coins(spec.turnover(order.ticks, order.lots) / FEE) } else { "0".to_owned() };
    let state = if filled { "FILLED" } else { "NEW" };
    let client = format!("sim{}", order.id);
    if spec.market == Market::Spot {
        let paid = if filled { coins(spec.turnover(order.ticks, order.lots)) } else { coins(0) };
        let out = Object::event("executionReport", now_ms).text("s", &spec.symbol).text("c", client);
        let out = out.text("S", side).text("o", "LIMIT").text("f", "GTC").text("q", size).text("p", price);
        let out = out.text("P", spec.price(0)).text("F", spec.size(0)).raw("g", -1).text("C", "").text("x", kind);
        let out = out.text("X", state).text("r", "NONE").raw("i", order.id).text("l", done).text("z", done);
        let out = out.text("L", last).text("n", fee);
        let out = if filled { out.text("N", &spec.quote) } else { out.raw("N", "null") };
        let out = out.raw("T", order.updated_ms).raw("t", trade_id).raw("I", order.id * 2);
        let out = out.raw("w", !filled).raw("m", false).raw("M", false).raw("O", order.created_ms);
        let out = out.text("Z", &paid).text("Y", paid).text("Q", coins(0)).raw("W", order.created_ms);
        return out.text("V", "NONE").done();
    }
    let of = Object::new().text("s", &spec.symbol).text("c", client).text("S", side).text("o", "LIMIT");
    let of = of.text("f", "GTC").text("q", size).text("p", price).text("ap", last).text("sp", "0").text("x", kind);
    let of = of.text("X", state).raw("i", order.id).text("l", done).text("z", done).text("L", last);
    let of = if filled { of.text("n", fee).text("N", spec.margin()) } else { of };
    let of = of.raw("T", order.updated_ms).raw("t", trade_id.max(0)).text("b", "0").text("a", "0");
    let of = of.raw("m", false).raw("R", false).text("wt", "CONTRACT_PRICE").text("ot", "LIMIT").text("ps", "BOTH");
    let of = of.raw("cp", false).text("rp", "0").done();
    Object::event("ORDER_TRADE_UPDATE", now_ms).raw("T", order.updated_ms).raw("o", of).done()
}
