//! The only file that reads the clock. Everything else receives time as an argument.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Mono, Stamp, UnixNanos};

#[allow(clippy::disallowed_methods)]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The monotonic and the wall clock, read together.
pub fn now() -> Stamp {
    Stamp { mono: mono(), wall: wall() }
}

/// The monotonic clock alone: half the cost, for what is done for each frame.
#[allow(clippy::disallowed_methods)]
pub fn mono() -> Mono {
    let elapsed = START.elapsed().as_nanos();
    // One second is added so that "a moment before the start" can still be expressed.
    Mono(u64::try_from(elapsed).unwrap_or(u64::MAX - 1_000_000_000) + 1_000_000_000)
}

/// The wall clock alone, for stamping frames.
#[allow(clippy::disallowed_methods)]
pub fn wall() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The tokio instant at which the monotonic clock will read `at`.
pub fn instant_of(at: Mono) -> tokio::time::Instant {
    let offset = std::time::Duration::from_nanos(at.0.saturating_sub(1_000_000_000));
    tokio::time::Instant::from_std(*START + offset)
}
