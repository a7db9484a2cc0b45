//! A forward-only reader of compact JSON for hot paths. It reads what it fully understands and gives up with
//! `None` on anything else (escapes, spaces, odd numbers), so that the caller falls back to the full parser.

use crate::model::{Decimal, Level};

/// Where reading stands in a message.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
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

    /// Reads a string of printable ASCII without escapes.
    #[inline]
    pub fn string(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().position(|byte| *byte == b'"')?;
        let text = rest.get(..len)?;
        let plain = text.iter().all(|byte| (0x20..0x7f).contains(byte) && *byte != b'\\');
        self.at += len + 1;
        if plain { std::str::from_utf8(text).ok() } else { None }
    }

    /// Reads the key of an object's member and its colon.
    #[inline]
    pub fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.byte(b':')?;
        Some(key)
    }

    /// Reads an unsigned integer of at most 18 digits.
    #[inline]
    pub fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0_u64;
        while let Some(digit) = self.peek().map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        let len = self.at - start;
        let leading_zero = len > 1 && self.bytes.get(start) == Some(&b'0');
        ((1..=18).contains(&len) && !leading_zero).then_some(value)
    }

    /// Reads `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Option<bool> {
        if self.peek()? == b't' { self.text(b"true").map(|()| true) } else { self.text(b"false").map(|()| false) }
    }

    /// Reads a plain decimal in quotes, of at most 18 digits.
    #[inline]
    pub fn decimal(&mut self) -> Option<Decimal> {
        self.byte(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let mut mantissa = 0_u64;
        let mut at = 0;
        let mut digit = rest.first()?.wrapping_sub(b'0');
        while digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
            digit = rest.get(at)?.wrapping_sub(b'0');
        }
        let whole = at;
        let mut scale = 0;
        if *rest.get(at)? == b'.' {
            at += 1;
            digit = rest.get(at)?.wrapping_sub(b'0');
            while digit < 10 {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
                digit = rest.get(at)?.wrapping_sub(b'0');
            }
            scale = at - whole - 1;
            if scale == 0 {
                return None;
            }
        }
        if *rest.get(at)? != b'"' || whole == 0 || whole + scale > 18 {
            return None;
        }
        self.at += at + 1;
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
        assert_eq!(scan.key(), Some("a"));
        assert_eq!(scan.integer(), Some(12));
        assert_eq!(scan.either(b',', b'}'), Some(true));
        assert_eq!(scan.key(), Some("b"));
        let mut levels = Vec::new();
        scan.levels(&mut levels).expect("levels");
        assert_eq!(levels.len(), 2);
        assert_eq!(levels[0].price, Decimal::new(150, 2));
        assert_eq!(scan.either(b',', b'}'), Some(true));
        assert_eq!((scan.key(), scan.boolean()), (Some("c"), Some(true)));
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
