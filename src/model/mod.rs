//! Words of the trade: numbers, times, instruments, channels. Pure.

mod channel;
mod clocks;
mod decimal;
mod instrument;

pub use channel::{AccountKind, BookDepth, Channel, Interval, Stream, StreamId};
pub use clocks::{Clocks, Mono, Stamp, UnixNanos};
pub use decimal::{Decimal, DecimalError, decimal_text};
pub(crate) use decimal::{TEXT_ROOM, pow10};
pub use instrument::{Instrument, InstrumentKind};

/// A price level: `size` is absolute; zero removes the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price in quote currency (USD for inverse contracts).
    pub price: Decimal,
    /// Size in the venue's unit for the market (base coin, or contracts).
    pub size: Decimal,
}

/// The taker's side of a trade, or the side of a liquidated position's closing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
    /// The venue did not say.
    Unknown,
}

impl Side {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Unknown => "unknown",
        }
    }
}
