//! Data messages: books, trades, tickers.

use serde_json::value::RawValue;

use super::channels::{self, Kind};
use super::session::FlyerSession;
use super::wire::{self, Board, Envelope, Execution};
use crate::book::SyncRule;
use crate::model::{Channel, Clocks, Stamp, UnixNanos, decimal_text};
use crate::venue::kit::fields::{Members, Object, bare, number};
use crate::venue::{BookUpdate, Ignored, Output, TickerField, TickerUpdate, TradeUpdate, Update};

/// Members of a ticker that become fields. `volume` of the CFD has that of its futures too, and is told under its own name.
const FIELDS: [(&str, TickerField); 6] = [
    ("ltp", TickerField::Last),
    ("best_bid", TickerField::BidPrice),
    ("best_bid_size", TickerField::BidSize),
    ("best_ask", TickerField::AskPrice),
    ("best_ask_size", TickerField::AskSize),
    ("volume_by_product", TickerField::Volume24h),
];

impl FlyerSession {
    /// Any message; the error says what was wrong.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Object(envelope): Object<Envelope<'_>> = serde_json::from_slice(message).map_err(|e| e.to_string())?;
        let Some(method) = &envelope.method else {
            match envelope.result.is_some() || envelope.error.is_some() {
                true => self.answered(&envelope, now, out),
                false => out.update(Update::Ignored(Ignored::UnknownKind)),
            }
            return Ok(());
        };
        let Some(Object(params)) = envelope.params.as_ref().filter(|_| method.0 == "channelMessage") else {
            out.update(Update::Ignored(Ignored::UnknownKind));
            return Ok(());
        };
        let name = params.channel.0.as_ref();
        let found = channels::read(name);
        let place = found.and_then(|(kind, product)| self.place(name, kind, product, out));
        let (Some((kind, product)), Some(place)) = (found, place) else {
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        };
        if self.subscriptions.streams(place).is_empty() {
            // What was left may still say something.
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        }
        self.subscriptions.data(place);
        match kind {
            Kind::Whole => {
                self.expect_whole(product, now.mono);
                self.board(place, product, true, params.message, recv, out)
            }
            Kind::Changes => self.board(place, product, false, params.message, recv, out),
            Kind::Trades => self.trades(place, params.message, recv, out),
            Kind::Ticker => self.ticker(place, product, params.message, recv, out),
            Kind::ChildOrders | Kind::ParentOrders => {
                let clocks = Clocks { recv, ..Clocks::default() };
                self.account_events(place, kind, params.message, clocks, now, out)
            }
        }
    }

    fn board(
        &mut self,
        place: usize,
        product: &str,
        snapshot: bool,
        message: &RawValue,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Object(board): Object<Board<'_>> = read(message)?;
        let waiting =
            [wire::read_levels(&board.bids, &mut self.bids)?, wire::read_levels(&board.asks, &mut self.asks)?];
        let is_auction = waiting.contains(&true) || self.products.get(product).is_some_and(|known| !known.is_open());
        let middle = board.mid_price.filter(|_| !is_auction).map(|middle| number(middle.0)).transpose()?;
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Book(BookUpdate {
                stream: *stream,
                rule: SyncRule::Unsequenced,
                snapshot,
                seq: 0,
                first: 0,
                previous: 0,
                cross_seq: 0,
                checksum: None,
                middle,
                bids: &self.bids,
                asks: &self.asks,
                clocks: Clocks { event: None, venue: None, recv },
            }));
        }
        Ok(())
    }

    fn trades(
        &self,
        place: usize,
        message: &RawValue,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let rows: Vec<Object<Execution<'_>>> = read(message)?;
        for Object(row) in &rows {
            let (price, size) = row.numbers()?;
            let event = row.exec_date.as_ref().and_then(|at| wire::time(&at.0));
            for stream in self.subscriptions.streams(place) {
                out.update(Update::Trade(TradeUpdate {
                    stream: *stream,
                    id: row.id.0,
                    price,
                    size,
                    side: row.side(),
                    block: None,
                    venue_seq: None,
                    backfill: false,
                    clocks: Clocks { event, venue: None, recv },
                }));
            }
        }
        Ok(())
    }

    /// Each ticker is whole. Books are told by it what their market is at.
    fn ticker(
        &mut self,
        place: usize,
        product: &str,
        message: &RawValue,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let members: Members<'_> = read(message)?;
        let text = |name: &str| members.0.iter().find(|(key, _)| key == name).map(|(_, value)| bare(value));
        self.ticker.clear();
        for (key, value) in &members.0 {
            let raw = value.get();
            match FIELDS.iter().find(|(name, _)| name == key) {
                Some((_, field)) => self.ticker.set(*field, decimal_text(bare(value)).unwrap_or("")),
                None if matches!(key.as_ref(), "product_code" | "timestamp" | "tick_id") => {}
                None if raw == "null" || raw.starts_with(['{', '[']) => {}
                None => self.ticker.set_param(key, bare(value)),
            }
        }
        let venue = text("timestamp").and_then(wire::time);
        let venue_seq = text("tick_id").and_then(|id| id.parse().ok());
        for stream in self.subscriptions.streams(place) {
            if self.channel(*stream) == Some(Channel::Ticker) {
                out.update(Update::Ticker(TickerUpdate {
                    stream: *stream,
                    venue_seq,
                    fields: self.ticker.fields(),
                    params: self.ticker.params(),
                    clocks: Clocks { event: None, venue, recv },
                }));
            }
        }
        self.market_is_at(place, product, text("state").unwrap_or_default(), out);
        Ok(())
    }

    /// Tells books when their market opens or closes.
    fn market_is_at(&mut self, place: usize, product: &str, state: &str, out: &mut dyn Output) {
        let known = self.products.entry(product.to_owned()).or_default();
        if known.state == state {
            return;
        }
        let was_open = known.is_open();
        state.clone_into(&mut known.state);
        if was_open && known.is_open() {
            return;
        }
        let detail = if known.is_open() { String::new() } else { format!("the market is at {state}") };
        for stream in self.subscriptions.streams(place) {
            if self.channel(*stream) != Some(Channel::Ticker) {
                out.update(Update::Notice { stream: Some(*stream), detail: &detail });
            }
        }
    }
}

fn read<'a, T: serde::Deserialize<'a>>(message: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(message.get()).map_err(|error| error.to_string())
}
