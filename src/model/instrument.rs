//! The canonical identity of a tradable thing.

use std::fmt::Write as _;

use super::UnixNanos;

/// What kind of contract an instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// Spot pair.
    Spot,
    /// Perpetual swap.
    Perpetual,
    /// Dated future.
    Future,
    /// Option.
    Option,
}

impl InstrumentKind {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Perpetual => "perpetual",
            Self::Future => "future",
            Self::Option => "option",
        }
    }
}

/// An instrument's definition, as the venue publishes it. Decimal texts are the venue's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The venue's own spelling.
    pub symbol: String,
    /// Base currency.
    pub base: String,
    /// Quote currency.
    pub quote: String,
    /// Currency it settles in, where it differs in meaning from the quote.
    pub settle: Option<String>,
    /// Contract kind.
    pub kind: InstrumentKind,
    /// Smallest price step.
    pub tick_size: Option<String>,
    /// Smallest size step.
    pub lot_size: Option<String>,
    /// Smallest order size.
    pub min_size: Option<String>,
    /// Expiry of a future or option.
    pub expiry: Option<UnixNanos>,
    /// Strike of an option.
    pub strike: Option<String>,
    /// `C` or `P` for an option.
    pub option_type: Option<char>,
    /// The venue's word for the trading status.
    pub status: Option<String>,
}

impl Instrument {
    /// The canonical name: `BTC-USDT`, `BTC-USDT-PERP`, `BTC-USDT-20261225`, `BTC-USDT-20261225-90000-C`.
    /// An inverse contract is told from a linear one by its quote (`BTC-USD-PERP`).
    pub fn canonical(&self) -> String {
        let mut name = format!("{}-{}", self.base, self.quote);
        match self.kind {
            InstrumentKind::Spot => {}
            InstrumentKind::Perpetual => name.push_str("-PERP"),
            InstrumentKind::Future | InstrumentKind::Option => {
                if let Some(expiry) = self.expiry {
                    let (y, m, d) = civil(expiry);
                    let _ = write!(name, "-{y:04}{m:02}{d:02}");
                }
                if let Some(strike) = &self.strike {
                    let _ = write!(name, "-{strike}");
                }
                if let Some(option_type) = self.option_type {
                    let _ = write!(name, "-{option_type}");
                }
            }
        }
        name
    }
}

/// The UTC calendar date of a stamp.
fn civil(at: UnixNanos) -> (i16, i8, i8) {
    let seconds = i64::try_from(at.0 / 1_000_000_000).unwrap_or(0);
    let stamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let date = stamp.to_zoned(jiff::tz::TimeZone::UTC).date();
    (date.year(), date.month(), date.day())
}
