//! Exact decimals: an integer and a number of decimal places. No floats.

use std::fmt;

use thiserror::Error;

/// Most decimal places a [`Decimal`] may have.
pub(super) const MAX_SCALE: u8 = 18;

/// Room for the text of a [`Decimal`]: sign, point and 19 digits are the longest.
pub(crate) const TEXT_ROOM: usize = 21;

/// A decimal number exactly as the venue wrote it: `mantissa × 10^-scale`. Trailing zeros are kept (`0.10`
/// has scale 2), so a number prints as it was written and venue checksums can be recomputed.
/// Equality is of the value and the spelling; order numbers with [`Decimal::rescaled`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    /// The digits, without the point.
    pub mantissa: i64,
    /// How many of them are behind the point, 0..=18.
    pub scale: u8,
}

/// Why a text is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Not a number in plain or exponent notation.
    #[error("not a decimal number")]
    Syntax,
    /// More digits than 64 bits or 18 decimal places hold. The value is refused, never rounded.
    #[error("more digits than 64 bits or 18 decimal places hold")]
    Range,
}

impl Decimal {
    /// Zero without decimal places.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// A decimal from its parts; `scale` is at most 18.
    pub const fn new(mantissa: i64, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// Whether the value is zero, however it is written (`0`, `0.000`).
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Reads plain (`-12.50`) or exponent (`9.64e4`) notation exactly.
    ///
    /// # Errors
    /// [`DecimalError`], when the text is no number or does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let mut mantissa: i64 = 0;
        let mut scale: u8 = 0;
        let mut seen_digit = false;
        let mut seen_point = false;
        for (at, &byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|m| m.checked_add(i64::from(byte - b'0')))
                        .ok_or(DecimalError::Range)?;
                    scale += u8::from(seen_point);
                    if scale > MAX_SCALE {
                        return Err(DecimalError::Range);
                    }
                }
                b'.' if seen_digit && !seen_point && digits.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                    seen_point = true;
                }
                b'e' | b'E' if seen_digit => {
                    let value = Self::new(if negative { -mantissa } else { mantissa }, scale);
                    return value.with_exponent(&digits[at + 1..]);
                }
                _ => return Err(DecimalError::Syntax),
            }
        }
        if !seen_digit {
            return Err(DecimalError::Syntax);
        }
        Ok(Self::new(if negative { -mantissa } else { mantissa }, scale))
    }

    /// Applies the text behind an `e`.
    fn with_exponent(self, text: &[u8]) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(DecimalError::Syntax);
        }
        if self.is_zero() {
            return Ok(self);
        }
        let size = digits.iter().fold(0_i32, |n, b| n.saturating_mul(10).saturating_add(i32::from(b - b'0')));
        let scale = i32::from(self.scale).saturating_add(if negative { size } else { size.saturating_neg() });
        if scale >= 0 {
            let scale = u8::try_from(scale).ok().filter(|s| *s <= MAX_SCALE).ok_or(DecimalError::Range)?;
            return Ok(Self::new(self.mantissa, scale));
        }
        let power = u8::try_from(-scale).map_err(|_| DecimalError::Range)?;
        let mantissa = pow10(power).and_then(|p| self.mantissa.checked_mul(p)).ok_or(DecimalError::Range)?;
        Ok(Self::new(mantissa, 0))
    }

    /// The mantissa this value has with `scale` decimal places; `None` if it would overflow or lose a digit.
    #[inline]
    pub fn rescaled(self, scale: u8) -> Option<i64> {
        if scale == self.scale {
            return Some(self.mantissa);
        }
        if scale > self.scale {
            return self.mantissa.checked_mul(pow10(scale - self.scale)?);
        }
        let divisor = pow10(self.scale - scale)?;
        (self.mantissa % divisor == 0).then_some(self.mantissa / divisor)
    }

    /// The largest number with `scale` decimal places that is not above the value, as its mantissa; `None` if it would
    /// overflow.
    pub fn floored(self, scale: u8) -> Option<i64> {
        if scale >= self.scale {
            return self.rescaled(scale);
        }
        Some(self.mantissa.div_euclid(pow10(self.scale - scale)?))
    }

    /// The value divided by 10 to the power of `places`; `None` if it would have more than 18 decimal places.
    pub fn shifted(self, places: u8) -> Option<Self> {
        let scale = self.scale.checked_add(places).filter(|scale| *scale <= MAX_SCALE)?;
        Some(Self::new(self.mantissa, scale))
    }

    /// The same value with no trailing zeros behind the point.
    pub const fn trimmed(self) -> Self {
        let mut out = self;
        while out.scale > 0 && out.mantissa % 10 == 0 {
            out.mantissa /= 10;
            out.scale -= 1;
        }
        out
    }

    /// Appends the number to `out`, all decimal places included.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        let mut text = [0; TEXT_ROOM];
        let end = self.write_at(&mut text, 0);
        out.extend_from_slice(&text[..end]);
    }

    /// Writes the number into `text` from `at` on and returns where it ends. There must be [`TEXT_ROOM`] for it, all of
    /// which may be written over.
    #[inline]
    pub(crate) fn write_at(self, text: &mut [u8], mut at: usize) -> usize {
        if self.mantissa < 0 {
            text[at] = b'-';
            at += 1;
        }
        let magnitude = self.mantissa.unsigned_abs();
        match u32::try_from(magnitude) {
            Ok(digits) if digits < 100_000_000 && self.scale < 8 => write_short(digits, self.scale, text, at),
            _ => write_long(magnitude, self.scale, text, at),
        }
    }
}

/// Writes up to eight digits: all of them in one go, then over the last ones the point and the decimal places.
#[inline]
fn write_short(value: u32, scale: u8, text: &mut [u8], at: usize) -> usize {
    let digits = eight_digits(value);
    let characters = digits | 0x3030_3030_3030_3030;
    let places = usize::from(scale);
    let len = (8 - digits.leading_zeros() as usize / 8).max(places + 1);
    // The highest byte is the first character.
    text[at..at + 8].copy_from_slice(&(characters << (8 * (8 - len))).to_be_bytes());
    if places == 0 {
        return at + len;
    }
    let point = at + len - places;
    text[point] = b'.';
    text[point + 1..point + 9].copy_from_slice(&(characters << (8 * (8 - places))).to_be_bytes());
    point + 1 + places
}

/// The eight digits of a number below 10^8, one a byte, the last one lowest: halves, then quarters, then digits are
/// split off all at once by multiplying with the inverse of 100 and of 10.
#[inline]
fn eight_digits(value: u32) -> u64 {
    let fours = (u64::from(value / 10_000) << 32) | u64::from(value % 10_000);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = (hundreds << 16) | (fours - 100 * hundreds);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens << 8) | (pairs - 10 * tens)
}

/// Writes any number, digit by digit.
fn write_long(mut rest: u64, scale: u8, text: &mut [u8], at: usize) -> usize {
    let scale = usize::from(scale);
    let len = rest.checked_ilog10().map_or(1, |log| log as usize + 1).max(scale + 1);
    let point = if scale == 0 { len } else { len - scale };
    let end = at + len + usize::from(scale > 0);
    for place in text[at..end].iter_mut().enumerate().rev().filter(|(place, _)| *place != point).map(|(_, byte)| byte) {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if scale > 0 {
        text[at + point] = b'.';
    }
    end
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// 10 to the power of `n`; `None` beyond 64 bits.
#[inline]
pub(crate) fn pow10(n: u8) -> Option<i64> {
    const POWERS: [i64; 19] = {
        let mut powers = [1_i64; 19];
        let mut i = 1;
        while i < 19 {
            powers[i] = powers[i - 1] * 10;
            i += 1;
        }
        powers
    };
    POWERS.get(usize::from(n)).copied()
}

/// Checks that `text` is a plain decimal (`-?digits[.digits]`, at most 40 bytes), for values that are passed
/// through as the venue wrote them without being computed with.
pub fn decimal_text(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (text.len() <= 40 && plain(whole) && places.is_none_or(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Decimal, DecimalError> {
        Decimal::parse(text.as_bytes())
    }

    #[test]
    fn numbers_print_as_they_were_written() {
        for text in ["0", "0.10", "-0.001", "60620.00", "43730", "1.9537", "0.00000001", "9223372036854775807"] {
            assert_eq!(parse(text).map(|d| d.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn exponents_are_exact() {
        assert_eq!(parse("9.64e4"), Ok(Decimal::new(96400, 0)));
        assert_eq!(parse("1E-7"), Ok(Decimal::new(1, 7)));
        assert_eq!(parse("0e99"), Ok(Decimal::ZERO));
        assert_eq!(parse("1e400"), Err(DecimalError::Range));
        assert_eq!(parse("1e-400"), Err(DecimalError::Range));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in
            ["", "-", ".", "1.", ".5", "1..2", "1.2.3", "+1", " 1", "1 ", "NaN", "1e", "1e+", "0x1", "e5", "--1"]
        {
            assert_eq!(parse(text), Err(DecimalError::Syntax), "{text:?}");
        }
        assert_eq!(parse("92233720368547758080"), Err(DecimalError::Range));
        assert_eq!(parse("0.0000000000000000001"), Err(DecimalError::Range));
    }

    #[test]
    fn plain_text_check() {
        for good in ["0", "-1.50", "123456789012345678901234567890.12"] {
            assert_eq!(decimal_text(good), Some(good));
        }
        for bad in ["", "-", "1.", ".1", "1e5", "+1", "1,0", "١"] {
            assert_eq!(decimal_text(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_value_survives_text(mantissa in -i64::MAX..i64::MAX, scale in 0_u8..=MAX_SCALE) {
            let value = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse(&value.to_string()), Ok(value));
        }

        #[test]
        fn rescaling_never_rounds(mantissa in -1_000_000_i64..1_000_000, from in 0_u8..9, to in 0_u8..9) {
            let value = Decimal::new(mantissa, from);
            if let Some(m) = value.rescaled(to) {
                prop_assert_eq!(Decimal::new(m, to).trimmed(), value.trimmed());
            } else {
                prop_assert!(to < from);
            }
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Decimal::parse(&text);
        }
    }
}
