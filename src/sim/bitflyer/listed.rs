//! One listed product: its true market, and everything published about it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::market::{Fill, Market, Side};
use crate::sim::venue::{self, Published};

use super::Settings;
use super::board::Board;
use super::catalog::Spec;
use super::channel::Kind;
use super::message::{self, number};

/// Trades remembered for REST.
const RECENT: usize = 1_000;
/// A ticker goes out so often at most.
const TICKER_PACE: Duration = Duration::from_millis(500);

/// A trade of the product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trade {
    /// Its number, which all products share.
    pub(super) id: u64,
    pub(super) fill: Fill,
    pub(super) at: UnixNanos,
    /// Made by an auction: it has no taker.
    by_auction: bool,
}

/// One product.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) spec: Spec,
    pub(super) market: Market,
    pub(super) board: Board,
    /// The venue's word for what it is at.
    pub(super) state: &'static str,
    recent: VecDeque<Trade>,
    watched: BTreeMap<Kind, usize>,
    /// When the whole book goes out next.
    whole_at: Mono,
    ticks: u64,
    ticker: (Mono, u64),
    volume_lots: i64,
}

impl Listed {
    pub(super) fn new(seed: u64, spec: Spec, now: Stamp) -> Self {
        let market = Market::new(seed, spec.shape);
        let board = Board::new(&spec, &market);
        Self {
            spec,
            market,
            board,
            state: "RUNNING",
            recent: VecDeque::new(),
            watched: BTreeMap::new(),
            whole_at: now.mono,
            ticks: 1_000_000 + seed % 1_000_000,
            ticker: (now.mono, 0),
            volume_lots: 0,
        }
    }

    /// Counts a subscriber in. The whole book comes a while later, to all of its subscribers alike.
    pub(super) fn watch(&mut self, kind: Kind, settings: &Settings, rng: &mut Rng, now: Mono) {
        let (least, most) = settings.first_whole;
        let spread = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(0);
        let first = now.after(least + Duration::from_millis(rng.u64(0..=spread)));
        let count = self.watched.entry(kind).or_insert(0);
        *count += 1;
        if kind == Kind::Whole {
            self.whole_at = if *count == 1 { first } else { self.whole_at.min(first) };
        }
    }

    /// Counts a subscriber out.
    pub(super) fn unwatch(&mut self, kind: Kind) {
        if let Some(count) = self.watched.get_mut(&kind) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(&kind);
            }
        }
    }

    /// Whether anything here has a subscriber.
    pub(super) fn any_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    fn publish(&self, kind: Kind, text: &str, out: &mut Vec<Published>) {
        if !self.watched.contains_key(&kind) {
            return;
        }
        let topic = kind.of(&self.spec.code);
        let carries = match kind {
            Kind::Whole => venue::Kind::Book { snapshot: true },
            Kind::Changes => venue::Kind::Book { snapshot: false },
            Kind::Executions => venue::Kind::Trades,
            Kind::Ticker => venue::Kind::Other,
        };
        out.push(Published::new("", &topic, carries, message::frame(&topic, text)));
    }

    /// One move of the market: trades, or changes of the book.
    pub(super) fn step(&mut self, rng: &mut Rng, ids: &mut u64, now: Stamp, out: &mut Vec<Published>) {
        if rng.u8(0..5) == 0 {
            let trades: Vec<Trade> = (0..rng.usize(1..=3)).map(|_| self.trade(ids, false, now)).collect();
            self.publish_trades(&trades, out);
        } else {
            self.market.change(rng.usize(2..=16));
        }
        self.publish_changes(rng, out);
    }

    fn publish_changes(&mut self, rng: &mut Rng, out: &mut Vec<Published>) {
        if let Some(text) = self.board.change(&self.spec, &self.market, rng) {
            self.ticks += 1;
            self.publish(Kind::Changes, &text, out);
        }
    }

    fn trade(&mut self, ids: &mut u64, by_auction: bool, now: Stamp) -> Trade {
        *ids += 1;
        let trade = Trade { id: *ids, fill: self.market.trade(), at: now.wall, by_auction };
        self.volume_lots = self.volume_lots.saturating_add(trade.fill.lots);
        self.recent.push_back(trade);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        trade
    }

    fn publish_trades(&self, trades: &[Trade], out: &mut Vec<Published>) {
        let rows: Vec<String> = trades.iter().map(|trade| self.execution(trade, true)).collect();
        self.publish(Kind::Executions, &format!("[{}]", rows.join(",")), out);
    }

    /// A trade as the venue writes it.
    pub(super) fn execution(&self, trade: &Trade, z: bool) -> String {
        let Trade { id, fill, at, .. } = *trade;
        let side = match fill.buy {
            _ if trade.by_auction => "",
            true => "BUY",
            false => "SELL",
        };
        let (price, size) = (number(self.spec.price(fill.ticks)), number(self.spec.size(fill.lots)));
        let date = message::time(at, z);
        let order = |n: u64| format!("JRF20261121-{:06}-{:06}", id / 1_000_000 % 1_000_000, (id + n) % 1_000_000);
        format!(
            r#"{{"id":{id},"side":"{side}","price":{price},"size":{size},"exec_date":"{date}","buy_child_order_acceptance_id":"{}","sell_child_order_acceptance_id":"{}"}}"#,
            order(1),
            order(2)
        )
    }

    /// The last trades, newest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Trade> {
        self.recent.iter().rev()
    }

    /// The ticker as the venue writes it.
    pub(super) fn ticker(&self, now: UnixNanos, z: bool) -> String {
        let (spec, [bid, ask]) = (&self.spec, [Side::Bid, Side::Ask].map(|side| self.market.best(side)));
        let depth = |side| self.market.top(side, usize::MAX).iter().map(|level| level.lots).sum::<i64>();
        let price = |ticks| number(spec.price(ticks));
        let size = |lots| number(spec.size(lots));
        let waiting = if self.state == "RUNNING" { 0 } else { spec.shape.max_lots };
        let volume = size(self.volume_lots);
        format!(
            r#"{{"product_code":"{}","state":"{}","timestamp":"{}","tick_id":{},"best_bid":{},"best_ask":{},"best_bid_size":{},"best_ask_size":{},"total_bid_depth":{},"total_ask_depth":{},"market_bid_size":{},"market_ask_size":{},"ltp":{},"volume":{volume},"volume_by_product":{volume},"preopen_end":null,"circuit_break_end":null}}"#,
            spec.code,
            self.state,
            message::time(now, z),
            self.ticks,
            price(bid.ticks),
            price(ask.ticks),
            size(bid.lots),
            size(ask.lots),
            size(depth(Side::Bid)),
            size(depth(Side::Ask)),
            size(waiting),
            size(waiting),
            price(self.market.last().ticks),
        )
    }

    /// The whole book as a message for one who did not wait for it.
    pub(super) fn whole(&self, rng: &mut Rng) -> Published {
        let topic = Kind::Whole.of(&self.spec.code);
        let text = message::frame(&topic, &self.board.whole(&self.spec, &self.market, rng));
        Published::new("", &topic, venue::Kind::Book { snapshot: true }, text)
    }

    /// What goes out by the clock: the ticker where it changed, and the whole book, which has what the next change will tell.
    pub(super) fn housekeep(&mut self, settings: &Settings, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        let (sent, ticks) = self.ticker;
        if ticks != self.ticks && now.mono.since(sent) >= TICKER_PACE {
            self.ticker = (now.mono, self.ticks);
            let text = self.ticker(now.wall, true);
            self.publish(Kind::Ticker, &text, out);
        }
        if self.watched.contains_key(&Kind::Whole) && self.whole_at <= now.mono {
            self.whole_at = now.mono.after(settings.whole_every);
            self.market.change(rng.usize(0..=4));
            let text = self.board.whole(&self.spec, &self.market, rng);
            self.publish(Kind::Whole, &text, out);
            self.publish_changes(rng, out);
        }
    }

    /// The market closes for an auction and opens again.
    pub(super) fn auction(&mut self, rng: &mut Rng, ids: &mut u64, now: Stamp, out: &mut Vec<Published>) {
        self.state = "PREOPEN";
        self.ticks += 1;
        let text = self.ticker(now.wall, true);
        self.publish(Kind::Ticker, &text, out);
        self.publish(Kind::Changes, &Board::auction(&self.spec, &self.market), out);
        let trade = self.trade(ids, true, now);
        self.publish_trades(&[trade], out);
        self.state = "RUNNING";
        self.ticks += 1;
        let text = self.ticker(now.wall, true);
        self.publish(Kind::Ticker, &text, out);
        self.publish_changes(rng, out);
        let text = self.board.whole(&self.spec, &self.market, rng);
        self.publish(Kind::Whole, &text, out);
    }

    /// A level that crosses the book: a bid well above the best ask, as the venue spells it.
    pub(super) fn crossing_bid(&self) -> String {
        let price = number(self.spec.price(self.market.best(Side::Ask).ticks + 50));
        format!(r#"{{"price":{price},"size":{}}}"#, number(self.spec.size(self.spec.shape.max_lots)))
    }
}
