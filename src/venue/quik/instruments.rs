//! Definitions of securities, as `getSecurityInfo` gives them.

use super::reply::{Fields, Integer};
use crate::model::{Decimal, Instrument, InstrumentKind, UnixNanos};

/// Months of futures codes, as everywhere.
const MONTHS: &str = "FGHJKMNQUVXZ";

/// Reads a `security_info`. The base of a future is its code without the month (`RI` of `RIZ6`), of anything else the
/// code; the quote is the face value's currency, or roubles where there is none. The lot size is how many pieces
/// are in a lot: sizes of books and trades are in lots.
pub(super) fn read(market: &str, symbol: &str, info: &Fields<'_>) -> Instrument {
    let kind = kind(market);
    let base = match kind {
        InstrumentKind::Future => stem(symbol).unwrap_or(symbol),
        _ => symbol,
    };
    let currency = info.text("face_unit").filter(|unit| !unit.is_empty());
    let quote = match currency.as_deref() {
        None | Some("SUR" | "RUR") => "RUB".to_owned(),
        Some(other) => other.to_owned(),
    };
    let positive =
        |name| info.decimal(name).filter(|value: &Decimal| value.mantissa > 0).map(|value| value.to_string());
    let expires = matches!(kind, InstrumentKind::Future | InstrumentKind::Option);
    Instrument {
        symbol: symbol.to_owned(),
        base: base.to_owned(),
        quote,
        settle: None,
        kind,
        tick_size: positive("min_price_step"),
        lot_size: positive("lot_size"),
        min_size: None,
        expiry: info.integer("mat_date").filter(|_| expires).and_then(date),
        strike: None,
        option_type: None,
        status: None,
    }
}

/// The kind of a class's securities. Shares, bonds, funds and currencies are all held and not expired.
fn kind(market: &str) -> InstrumentKind {
    match market {
        "SPBFUT" => InstrumentKind::Future,
        "SPBOPT" | "OPTW" | "OPTSPOT" => InstrumentKind::Option,
        _ => InstrumentKind::Spot,
    }
}

/// `RI` of `RIZ6`: two characters, a month, a year's last digit.
fn stem(symbol: &str) -> Option<&str> {
    let [_, _, month, year] = symbol.as_bytes() else { return None };
    (MONTHS.contains(char::from(*month)) && year.is_ascii_digit()).then(|| symbol.get(..2)).flatten()
}

/// The start of the day that `YYYYMMDD` is.
fn date(value: Integer<'_>) -> Option<UnixNanos> {
    let value = value.exact()?;
    let [month, day] = [value / 100 % 100, value % 100].map(|part| i8::try_from(part).unwrap_or(0));
    let date = jiff::civil::Date::new(i16::try_from(value / 10_000).ok()?, month, day).ok()?;
    let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond();
    u64::try_from(start).ok().map(UnixNanos)
}
