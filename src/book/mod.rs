//! Order books: sorted sides, the book, and the state machine that aligns snapshots and deltas. Pure.

mod checksum;
mod image;
mod levels;
mod reach;
mod side;
mod sync;
#[cfg(test)]
mod tests;

pub use checksum::{book_checksum, crc25};
pub use levels::{Book, BookError};
pub use side::{Side, SideOf};
pub use sync::{BookSync, Findings, Loss, SyncRule, SyncStats, SyncUpdate, Verdict};
