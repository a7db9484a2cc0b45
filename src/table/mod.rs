//! Tables: the gateway's state as keyed rows that are made of frames, and a log of what changes in them. Pure.

mod ask;
mod filter;
mod kind;
mod log;
mod read;
mod row;
mod rows;
#[cfg(test)]
mod tests;

pub use ask::{Ambiguous, Found, Sorted};
pub use filter::{Matcher, Where};
pub use kind::{Shape, TableKind};
pub use log::{Change, LogLimits, MustReread};
pub use row::Row;
pub use rows::{FeedId, Table, TableLimits, TableStats};
