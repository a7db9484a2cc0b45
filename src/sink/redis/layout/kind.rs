//! What a topic is about, by its channel.

use crate::feed::Reason;
use crate::frame::{Frame, Retain};

use super::fields::Fields;

/// Kinds of frames, as far as a layout treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Book,
    Bbo,
    Ticker,
    Trade,
    Candle,
    Liquidation,
    Status,
    Instrument,
    Order,
    Fill,
    Position,
    Balance,
    Heartbeat,
    /// Deltas, notices, a venue's own events: passed on, and not stored.
    Passing,
}

impl Kind {
    pub(super) fn of(channel: &str) -> Self {
        match channel {
            "book" => Self::Book,
            "bbo" => Self::Bbo,
            "ticker" => Self::Ticker,
            "trade" => Self::Trade,
            "liquidation" => Self::Liquidation,
            "status" => Self::Status,
            "instrument" => Self::Instrument,
            "order" => Self::Order,
            "fill" => Self::Fill,
            "position" => Self::Position,
            "balance" => Self::Balance,
            "heartbeat" => Self::Heartbeat,
            candle if candle.starts_with("candle_") => Self::Candle,
            _ => Self::Passing,
        }
    }
}

/// Reasons that take the word of everything a connection brings back.
const OF_CONNECTION: [Reason; 6] =
    [Reason::Starting, Reason::Disconnected, Reason::NoAnswer, Reason::Offline, Reason::ClockStopped, Reason::Shutdown];

/// Whether a status tells of the whole connection.
pub(super) fn is_of_connection(status: &Fields<'_>) -> bool {
    let reason = status.text("reason");
    OF_CONNECTION.iter().any(|known| reason.as_deref() == Some(known.as_str()))
}

/// The channels of its symbol whose latest values a status takes back: those that the bus stops giving to joiners.
pub(super) fn taken_back(frame: &Frame, status: &Fields<'_>) -> &'static [&'static str] {
    if status.text("state").as_deref() == Some("live") || status.text("symbol").as_deref() == Some("") {
        return &[];
    }
    let main = frame.retain == Retain::Latest;
    match status.text("channel").as_deref() {
        _ if main && is_of_connection(status) => &["book", "bbo", "ticker"],
        Some("book") if main => &["book", "bbo"],
        Some("bbo") => &["bbo"],
        Some("ticker") => &["ticker"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_connections_are_those_of_the_feed() {
        assert!(OF_CONNECTION.iter().all(|reason| reason.is_of_connection()));
        let others = [Reason::Gap, Reason::Crossed, Reason::Checksum, Reason::Silence, Reason::Rejected];
        assert!(!others.iter().any(|reason| reason.is_of_connection()));
    }

    #[test]
    fn a_status_takes_back_what_the_bus_does() {
        let taken = |retain, json| {
            let frame = Frame { topic: bytes::Bytes::new(), payload: bytes::Bytes::new(), retain, seq: 1 };
            taken_back(&frame, &Fields::read(json).unwrap())
        };
        let book = r#"{"symbol":"A","channel":"book","state":"stale","reason":"gap"}"#;
        assert_eq!(taken(Retain::Latest, book), ["book", "bbo"]);
        let gone = r#"{"symbol":"A","channel":"book","state":"stale","reason":"disconnected"}"#;
        assert_eq!(taken(Retain::Latest, gone), ["book", "bbo", "ticker"]);
        let ticker = r#"{"symbol":"A","channel":"ticker","state":"rejected","reason":"rejected"}"#;
        assert_eq!(taken(Retain::Stream, ticker), ["ticker"]);
        let whole = r#"{"symbol":"","state":"down","reason":"disconnected"}"#;
        assert_eq!(taken(Retain::Latest, whole), [""; 0]);
        assert_eq!(taken(Retain::Latest, r#"{"symbol":"A","channel":"book","state":"live"}"#), [""; 0]);
    }
}
