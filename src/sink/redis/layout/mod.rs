//! From frames to commands for Redis, by layout. Pure: no socket, no clock.

pub mod batch;
mod fields;
mod kind;
pub mod okws;
mod tickbus;

use std::collections::HashSet;

use bytes::Bytes;

use self::batch::Batch;
use crate::client::DecodeError;
use crate::frame::Frame;
use crate::model::Stamp;

pub use self::okws::{OkwsLayout, Told};
pub use self::tickbus::TickbusLayout;

/// What every layout is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// What every key begins with, in the layout `tickbus`.
    pub prefix: String,
    /// Whether every frame is published, in the layout `tickbus`.
    pub publish: bool,
    /// Entries a stream keeps, about; 0 for no streams. In the layout `tickbus`.
    pub stream_length: u32,
    /// Levels a side of a book.
    pub book_depth: usize,
    /// Candles kept of one interval of a symbol.
    pub candles: u32,
    /// Trades, and liquidations, kept of a symbol.
    pub trades: u32,
    /// Orders, and fills, kept of an account's symbol.
    pub orders: u32,
    /// Seconds that a key lives after it was last written; 0 for ever.
    pub ttl: u64,
}

/// How frames become keys.
pub trait Layout: Send {
    /// What one frame asks for.
    ///
    /// # Errors
    /// The payload cannot be read; nothing was added then.
    fn frame(&mut self, frame: &Frame, now: Stamp, out: &mut Batch) -> Result<(), DecodeError>;

    /// Takes away what is no longer vouched for: latest values whose topics are not among those kept on the bus.
    fn forget_missing(&mut self, kept: &HashSet<Bytes>, out: &mut Batch);

    /// A connection was opened: Redis may have lost anything.
    fn connected(&mut self, out: &mut Batch);

    /// The gateway ends.
    fn ended(&mut self, out: &mut Batch);

    /// The door for commands has something to say; only [`OkwsLayout`] has such a door.
    fn tell(&mut self, told: Told, out: &mut Batch) {
        if let Told::Commands(commands) = told {
            out.append(&commands);
        }
    }
}
