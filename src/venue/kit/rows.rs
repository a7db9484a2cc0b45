//! Rows of accounts, read by tables that say which member of the venue's is which field of ours.

use std::borrow::Cow;

use super::fields::{Members, bare, number};
use crate::model::{AccountKind, Clocks, Decimal, UnixNanos};
use crate::venue::{AccountUpdate, FieldValue, Output, Update};

/// Words of a venue's and ours for them; others are handed on as they are.
pub type Words = &'static [(&'static str, &'static str)];

/// How a member is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// Text, or a decimal.
    Text,
    /// Milliseconds, which become nanoseconds.
    Time,
    /// A truth value.
    Flag,
    /// One of these words.
    Word(Words),
}

/// Fields of ours, the members they are, and how these are read.
pub type Fields = &'static [(&'static str, &'static str, As)];

/// Sides of an order, however they are capitalised.
pub const SIDES: Words = &[("Buy", "buy"), ("BUY", "buy"), ("Sell", "sell"), ("SELL", "sell")];
/// Whether a fill took liquidity or gave it, told by whether its order was the maker.
pub const LIQUIDITY: Words = &[("true", "maker"), ("false", "taker")];

/// How new a row is: by the venue's time of its last change, and for changes of the same moment by how far they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// When it last changed, or a sequence of the venue's. Only rows of the same kind are compared.
    pub at: u64,
    /// What only grows meanwhile: the filled size in 10⁻¹⁸, or a finer sequence.
    pub step: i128,
    /// Whether nothing can follow: the order is closed.
    pub closed: bool,
}

impl Version {
    /// The version of an order with so much filled. A size that cannot be read counts as none.
    pub fn of_order(at: u64, filled: Option<&str>, is_open: bool) -> Self {
        let filled = filled.and_then(|text| number(text).ok()).unwrap_or(Decimal::ZERO);
        let places = u32::from(18_u8.saturating_sub(filled.scale));
        Self { at, step: i128::from(filled.mantissa) * 10_i128.pow(places), closed: !is_open }
    }
}

/// A row under our names.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its channel.
    pub kind: AccountKind,
    /// The market the symbol is of, where the venue says it.
    pub market: Option<&'static str>,
    /// The symbol; a balance's currency.
    pub symbol: &'a str,
    /// Which of the fields tell it from others of its symbol.
    pub keys: &'static [&'static str],
    /// How new it is; `None` where the venue does not say.
    pub version: Option<Version>,
    /// Whether there is something: an order that is open, a position or balance that is not gone.
    pub is_open: bool,
    /// The rest.
    pub fields: Vec<(&'static str, FieldValue<'a>)>,
    /// When it happened.
    pub event: Option<UnixNanos>,
}

impl<'a> Row<'a> {
    /// A row with these fields; open, and of no known version.
    pub fn new(kind: AccountKind, symbol: &'a str, members: &Members<'a>, fields: Fields) -> Self {
        let fields = fields.iter().filter_map(|(ours, theirs, kind)| Some((*ours, read(members, theirs, *kind)?)));
        let fields = fields.collect();
        Self { kind, market: None, symbol, keys: &[], version: None, is_open: true, fields, event: None }
    }

    /// What tells it from all others of its kind.
    pub fn key(&self) -> Box<str> {
        let mut key = self.symbol.to_owned();
        for name in self.keys {
            key.push('\n');
            if let Some((_, value)) = self.fields.iter().find(|(known, _)| known == name) {
                key.push_str(&value.to_string());
            }
        }
        key.into_boxed_str()
    }

    /// Hands it on as a row of this account.
    pub fn tell(&self, account: &str, clocks: Clocks, out: &mut dyn Output) {
        out.update(Update::Account(AccountUpdate {
            kind: self.kind,
            account,
            market: self.market,
            symbol: self.symbol,
            fields: &self.fields,
            clocks: Clocks { event: self.event.or(clocks.event), ..clocks },
        }));
    }
}

fn read<'a>(members: &Members<'a>, name: &str, kind: As) -> Option<FieldValue<'a>> {
    let text = member(members, name)?;
    Some(match kind {
        As::Text => FieldValue::Text(text),
        As::Time => FieldValue::Integer(stamp(text)?.0),
        As::Flag => FieldValue::Boolean(text == "true"),
        As::Word(words) => FieldValue::Text(word(words, text)),
    })
}

/// Our word for one of the venue's.
pub fn word(words: Words, text: &str) -> &str {
    words.iter().find(|(theirs, _)| *theirs == text).map_or(text, |(_, ours)| ours)
}

/// A member's text; `None` for one that says nothing: empty, null, an object or a list.
pub fn member<'a>(row: &Members<'a>, name: &str) -> Option<&'a str> {
    let (_, value) = row.0.iter().find(|(key, _)| key == name)?;
    let text = bare(value);
    let said = !text.is_empty() && !text.starts_with(['{', '[']) && value.get() != "null";
    said.then_some(text)
}

/// A member's time, which is in milliseconds; none if it is zero.
pub fn time(row: &Members<'_>, name: &str) -> Option<UnixNanos> {
    stamp(member(row, name)?)
}

fn stamp(text: &str) -> Option<UnixNanos> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = if is_plain { text.parse().ok().filter(|ms| *ms > 0)? } else { return None };
    Some(UnixNanos::from_ms(ms))
}

/// Whether a number is there and is not zero.
pub fn is_some(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
}

/// The number of the other sign, digit for digit; zero has none.
pub fn negated(number: &str) -> Cow<'_, str> {
    let digits = number.split(['e', 'E']).next().unwrap_or_default();
    match number.strip_prefix('-') {
        Some(positive) => Cow::Borrowed(positive),
        None if is_some(Some(digits)) => Cow::Owned(format!("-{number}")),
        None => Cow::Borrowed(number),
    }
}

/// One size less another, as a text.
pub fn less(size: &str, other: &str) -> Option<String> {
    combined(size, other, i64::checked_sub)
}

/// The sum of two sizes, as a text.
pub fn sum(size: &str, other: &str) -> Option<String> {
    combined(size, other, i64::checked_add)
}

fn combined(one: &str, other: &str, by: fn(i64, i64) -> Option<i64>) -> Option<String> {
    let (one, other) = (number(one).ok()?, number(other).ok()?);
    let scale = one.scale.max(other.scale);
    Some(Decimal::new(by(one.rescaled(scale)?, other.rescaled(scale)?)?, scale).trimmed().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_with_time_then_size_then_the_end() {
        let version = Version::of_order;
        assert!(version(2, None, true) > version(1, Some("9"), false));
        assert!(version(1, Some("0.5"), true) > version(1, Some("0.10"), true));
        assert!(version(1, Some("1"), true) == version(1, Some("1.000"), true));
        assert!(version(1, Some("1"), false) > version(1, Some("1.0"), true));
        assert!(version(1, Some("x"), true) == version(1, None, true));
    }

    #[test]
    fn a_turned_number_keeps_its_digits() {
        for (number, turned) in [
            ("-0.0010", "0.0010"),
            ("0.5", "-0.5"),
            ("-0.00", "0.00"),
            ("0", "0"),
            ("0.000", "0.000"),
            ("1e-7", "-1e-7"),
            ("0e-7", "0e-7"),
        ] {
            assert_eq!(negated(number), turned);
        }
    }

    #[test]
    fn members_become_fields() {
        let text = r#"{"S":"SELL","p":"1.50","t":1700000000001,"z":"","n":null,"m":true,"o":{"x":1}}"#;
        let members: Members<'_> = serde_json::from_str(text).expect("an object");
        const FIELDS: Fields = &[
            ("side", "S", As::Word(SIDES)),
            ("price", "p", As::Text),
            ("created", "t", As::Time),
            ("none", "z", As::Text),
            ("null", "n", As::Text),
            ("liquidity", "m", As::Word(LIQUIDITY)),
            ("flag", "m", As::Flag),
            ("object", "o", As::Text),
        ];
        let row = Row { keys: &["side", "gone"], ..Row::new(AccountKind::Order, "X", &members, FIELDS) };
        let fields: Vec<String> = row.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(fields, ["side=sell", "price=1.50", "created=1700000000001000000", "liquidity=maker", "flag=true"]);
        assert_eq!(&*row.key(), "X\nsell\n");
        assert_eq!(less("2", "0.50").as_deref(), Some("1.5"));
        assert_eq!(sum("2.25", "0.750").as_deref(), Some("3"));
        assert_eq!((less("x", "1"), is_some(Some("0.00")), is_some(Some("-0.01"))), (None, false, true));
    }
}
