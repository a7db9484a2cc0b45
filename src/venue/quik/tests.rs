//! The session against a scripted terminal, on virtual time.

mod books;
mod feed;
mod parts;
mod states;
mod terminal;
mod trades;

use crate::feed::{Event, FeedOutput, Outcome, Symbol};
use crate::model::{Level, Stream, StreamId};
use crate::venue::{FieldValue, HttpRequest, LinkId, Output, RpcRequest, Update};

/// Keeps what a session says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) calls: Vec<RpcRequest>,
    pub(super) sent: Vec<String>,
    pub(super) updates: Vec<String>,
}

impl Said {
    /// The updates since the last time.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.updates)
    }
}

impl Output for Said {
    fn send(&mut self, text: String) {
        self.sent.push(text);
    }
    fn http(&mut self, request: HttpRequest) {
        panic!("a terminal has no REST: {request:?}");
    }
    fn rpc(&mut self, request: RpcRequest) {
        self.calls.push(request);
    }
    fn answer(&mut self, id: u64, text: String) {
        self.updates.push(format!("answer {id} {text}"));
    }
    fn update(&mut self, update: Update<'_>) {
        self.updates.push(line(&update));
    }
    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        self.updates.push(format!("discovered {} {}", stream.channel, stream.symbol));
        Some(StreamId(0))
    }
    fn reconnect(&mut self, reason: String) {
        self.updates.push(format!("reconnect {reason}"));
    }
    fn replace(&mut self, reason: &str) {
        self.updates.push(format!("replace {reason}"));
    }
}

impl FeedOutput for Said {
    fn send(&mut self, _: LinkId, text: String) {
        self.sent.push(text);
    }
    fn http(&mut self, _: LinkId, request: HttpRequest) {
        panic!("a terminal has no REST: {request:?}");
    }
    fn rpc(&mut self, request: RpcRequest) {
        self.calls.push(request);
    }
    fn answer(&mut self, id: u64, text: String) {
        self.updates.push(format!("answer {id} {text}"));
    }
    fn reconnect(&mut self, _: LinkId, reason: String) {
        self.updates.push(format!("reconnect {reason}"));
    }
    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}
    fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
        self.updates.push(match event {
            Event::Status { status, channel, .. } => {
                let channel = channel.map_or("feed".to_owned(), |channel| channel.to_string());
                let reason = status.reason.map_or("", |reason| reason.as_str());
                format!("status {channel} {} {} {reason}", symbol.name, status.state.as_str())
            }
            Event::Book(view) => format!("book {} #{}", symbol.name, view.venue_seq),
            Event::Delta { venue_seq, .. } => format!("delta {} #{venue_seq}", symbol.name),
            Event::Trade(trade) => format!("trade {} {}", symbol.name, trade.id),
            _ => return,
        });
    }
}

/// An update in short.
fn line(update: &Update<'_>) -> String {
    match update {
        Update::Account(row) => {
            let mut line =
                format!("{} {} {}/{}", row.kind.as_str(), row.account, row.market.unwrap_or("-"), row.symbol);
            for (name, value) in row.fields {
                line += &match value {
                    FieldValue::Text(text) => format!(" {name}={text}"),
                    FieldValue::Integer(value) => format!(" {name}={value}"),
                    FieldValue::Boolean(value) => format!(" {name}={value}"),
                };
            }
            line + &row.clocks.event.map(|at| format!(" @{}", at.0)).unwrap_or_default()
        }
        Update::Book(book) => {
            let kind = if book.snapshot { "snapshot" } else { "delta" };
            let side = |levels: &[Level]| {
                levels.iter().map(|level| format!("{}x{}", level.price, level.size)).collect::<Vec<_>>().join(" ")
            };
            format!("{kind} {} #{} {} | {}", book.stream.0, book.seq, side(book.bids), side(book.asks))
        }
        Update::Trade(trade) => {
            let at = trade.clocks.event.map_or(0, |at| at.0);
            let old = if trade.backfill { " backfill" } else { "" };
            format!(
                "trade {} {} {}x{} {} @{at}{old}",
                trade.stream.0,
                trade.id,
                trade.price,
                trade.size,
                trade.side.as_str()
            )
        }
        Update::Subscribed(stream) => format!("subscribed {}", stream.0),
        Update::Rejected { stream, detail } => format!("rejected {} {detail}", stream.0),
        Update::Broken { stream, detail } => format!("broken {:?} {detail}", stream.map(|stream| stream.0)),
        Update::Raw(event) => format!("raw {} {}", event.name, event.payload.unwrap_or("-")),
        Update::Instrument(instrument) => {
            format!(
                "instrument {} tick {:?} lot {:?}",
                instrument.canonical(),
                instrument.tick_size,
                instrument.lot_size
            )
        }
        other => format!("{other:?}"),
    }
}
