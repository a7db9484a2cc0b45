//! A forward-only reader of compact JSON for hot paths. It reads what it fully understands and gives up with
//! `None` on anything else (escapes, spaces, odd numbers), so that the caller falls back to the full parser.

use crate::model::{Decimal, Level};

/// Where reading stands in a message.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Which bytes stand for themselves in a string: printable ASCII but quotes and backslashes.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// Ten to the power of the index.
const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// A run of decimal digits. The value is right up to 19 digits and wraps beyond.
#[derive(Clone, Copy)]
struct Digits {
    value: u64,
    len: usize,
}

/// The digits that `bytes` begins with.
#[inline(always)]
fn digits(bytes: &[u8]) -> Digits {
    let mut run = Digits { value: 0, len: 0 };
    while let Some(eight) = bytes.get(run.len..).and_then(<[u8]>::first_chunk) {
        let Digits { value, len } = digits_of_eight(*eight);
        run.value = run.value.wrapping_mul(POWERS[len]).wrapping_add(value);
        run.len += len;
        if len < 8 {
            return run;
        }
    }
    let rest = bytes.get(run.len..).unwrap_or_default();
    for digit in rest.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
        run.value = run.value.wrapping_mul(10).wrapping_add(u64::from(digit));
        run.len += 1;
    }
    run
}

/// The digits that eight bytes begin with, found and added up all at once: a digit xor `0` is 0 to 9, so that neither
/// it nor it plus 6 has a high bit; then neighbours are joined to pairs, fours and eights.
#[inline]
const fn digits_of_eight(bytes: [u8; 8]) -> Digits {
    let digits = u64::from_le_bytes(bytes) ^ 0x3030_3030_3030_3030;
    let others = (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
    let len = others.trailing_zeros() / 8;
    // What follows the digits is shifted out, and zeros come in before them.
    let digits = digits.unbounded_shl(64 - 8 * len);
    let pairs = (digits.wrapping_mul((10 << 8) | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul((100 << 16) | 1) >> 16) & 0x0000_ffff_0000_ffff;
    let value = fours.wrapping_mul((10_000 << 32) | 1) >> 32;
    Digits { value, len: len as usize }
}

impl<'a> Scan<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are read.
    #[inline]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The next byte, which stays unread.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Reads exactly this byte.
    #[inline]
    pub fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// Reads exactly this text.
    #[inline]
    pub fn text(&mut self, expected: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(expected).then(|| self.at += expected.len())
    }

    /// Reads one of two bytes and says whether it was the first.
    #[inline]
    pub fn either(&mut self, yes: u8, no: u8) -> Option<bool> {
        let byte = self.peek()?;
        (byte == yes || byte == no).then(|| {
            self.at += 1;
            byte == yes
        })
    }

    /// Whether everything is read.
    #[inline]
    pub const fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Reads a string of printable ASCII without escapes, as bytes.
    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().position(|byte| !PLAIN[usize::from(*byte)])?;
        let (text, end) = rest.split_at(len);
        self.at += len + 1;
        (end.first() == Some(&b'"')).then_some(text)
    }

    /// Reads a string of printable ASCII without escapes.
    #[inline]
    pub fn string(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Reads the key of an object's member and its colon.
    #[inline]
    pub fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.bytes()?;
        self.byte(b':')?;
        Some(key)
    }

    /// Reads an unsigned integer of at most 18 digits.
    #[inline]
    pub fn integer(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..)?;
        let Digits { value, len } = digits(rest);
        self.at += len;
        let leading_zero = len > 1 && rest.first() == Some(&b'0');
        ((1..=18).contains(&len) && !leading_zero).then_some(value)
    }

    /// Reads `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Option<bool> {
        if self.peek()? == b't' { self.text(b"true").map(|()| true) } else { self.text(b"false").map(|()| false) }
    }

    /// Reads a plain decimal in quotes, of at most 18 digits.
    #[inline(always)]
    pub fn decimal(&mut self) -> Option<Decimal> {
        self.byte(b'"')?;
        let whole = digits(self.bytes.get(self.at..)?);
        self.at += whole.len;
        let (mut mantissa, mut scale) = (whole.value, 0);
        if self.peek()? == b'.' {
            self.at += 1;
            let places = digits(self.bytes.get(self.at..)?);
            self.at += places.len;
            scale = places.len;
            let factor = *POWERS.get(scale).filter(|_| scale > 0)?;
            mantissa = mantissa.wrapping_mul(factor).wrapping_add(places.value);
        }
        self.byte(b'"')?;
        if whole.len == 0 || whole.len + scale > 18 {
            return None;
        }
        Some(Decimal::new(i64::try_from(mantissa).ok()?, u8::try_from(scale).ok()?))
    }

    /// Reads `[["price","size"],…]` and appends the levels.
    #[inline]
    pub fn levels(&mut self, out: &mut Vec<Level>) -> Option<()> {
        self.byte(b'[')?;
        if self.peek()? == b']' {
            return self.byte(b']');
        }
        loop {
            self.byte(b'[')?;
            let price = self.decimal()?;
            self.byte(b',')?;
            let size = self.decimal()?;
            self.byte(b']')?;
            out.push(Level { price, size });
            if !self.either(b',', b']')? {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_knows() {
        let mut scan = Scan::new(br#"{"a":12,"b":[["1.50","0"],["2","3.25"]],"c":true}"#);
        scan.byte(b'{').expect("brace");
        assert_eq!(scan.key(), Some(&b"a"[..]));
        assert_eq!(scan.integer(), Some(12));
        assert_eq!(scan.either(b',', b'}'), Some(true));
        assert_eq!(scan.key(), Some(&b"b"[..]));
        let mut levels = Vec::new();
        scan.levels(&mut levels).expect("levels");
        assert_eq!(levels.len(), 2);
        assert_eq!(levels[0].price, Decimal::new(150, 2));
        assert_eq!(scan.either(b',', b'}'), Some(true));
        assert_eq!((scan.key(), scan.boolean()), (Some(&b"c"[..]), Some(true)));
        assert_eq!(scan.either(b',', b'}'), Some(false));
        assert!(scan.is_done());
    }

    #[test]
    fn gives_up_on_the_rest() {
        for text in [r#""1.""#, r#"".5""#, r#""""#, r#""-1""#, r#""1e5""#, r#""1234567890123456789""#, "1", r#""1"#] {
            assert_eq!(Scan::new(text.as_bytes()).decimal(), None, "{text}");
        }
        for text in ["", "x", "01", "1234567890123456789", "-1"] {
            assert_eq!(Scan::new(text.as_bytes()).integer(), None, "{text}");
        }
        assert_eq!(Scan::new(br#""a\"b""#).string(), None);
        assert_eq!(Scan::new("\"é\"".as_bytes()).string(), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_full_decimal_parser(text in "[0-9.eE+-]{0,24}") {
            let quoted = format!("\"{text}\"");
            if let Some(fast) = Scan::new(quoted.as_bytes()).decimal() {
                prop_assert_eq!(Decimal::parse(text.as_bytes()), Ok(fast));
            }
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Scan::new(&bytes).decimal();
            let _ = Scan::new(&bytes).levels(&mut Vec::new());
            let _ = Scan::new(&bytes).string();
            let _ = Scan::new(&bytes).integer();
        }
    }
}
