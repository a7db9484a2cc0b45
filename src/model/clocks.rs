//! Two kinds of time that never mix: wall-clock stamps and monotonic deadlines.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since 1970-01-01 UTC. Used for stamps, never for timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub u64);

/// As people read it, by UTC and to the millisecond: `2026-11-01T08:00:00Z`, `2026-11-01T08:00:00.250Z`.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.as_ms()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match ms {
            Some(time) => write!(f, "{time}"),
            // Beyond the year 9999.
            None => write!(f, "{} ns", self.0),
        }
    }
}

impl UnixNanos {
    /// From milliseconds; saturates at the end of time (year 2554).
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// From microseconds; saturates like [`Self::from_ms`].
    pub const fn from_us(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// Whole milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// Nanoseconds on a clock that never steps. Used for timers, never printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// This moment plus `by`, saturating.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Both clocks, read at one moment and passed in as an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// For timers.
    pub mono: Mono,
    /// For stamps.
    pub wall: UnixNanos,
}

/// The venue's clocks of one message, and ours when it was read from the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Matching engine time, if the venue gives it.
    pub event: Option<UnixNanos>,
    /// When the venue made the message, if it says.
    pub venue: Option<UnixNanos>,
    /// When we read it from the socket; absent in recordings without receive times.
    pub recv: Option<UnixNanos>,
}
