//! What the terminal says of one parameter, typed: `param_type` decides what is taken and how it is written.
//!
//! Source: ARQA's QLua manual, `getParamEx2`; the JSON form is quik-lua-rpc's.

use super::super::reply::Fields;
use crate::model::Decimal;

/// Longest text that is published of a parameter, in characters.
const TEXT_MAX: usize = 256;
/// Most digits before or behind the point that a number may have.
const DIGITS_MAX: usize = 60;

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is no such parameter, or not for this instrument.
    Unknown,
    /// It has no value now.
    Empty,
    /// Its value: a decimal, a text, `HH:MM:SS` or `YYYY-MM-DD`.
    Value(String),
    /// A value of a list: its name and its number in the list.
    Listed(String, String),
}

/// Reads the member `param_ex` of an answer. All its members are texts; each may be missing.
pub(super) fn reading(param: &Fields<'_>) -> Reading {
    let text = |name: &str| param.text(name).map_or_else(String::new, |text| text.trim().to_owned());
    let (value, image) = (text("param_value"), cut(&text("param_image")));
    if text("result") != "1" {
        return Reading::Unknown;
    }
    let read = match text("param_type").as_str() {
        "3" => Some(image),
        "4" => {
            let ordinal = plain(&value).unwrap_or_default();
            return match (image.is_empty(), ordinal.is_empty()) {
                (true, _) => Reading::Empty,
                (false, true) => Reading::Value(image),
                (false, false) => Reading::Listed(image, ordinal),
            };
        }
        "5" => time(&value, &image),
        "6" => date(&value, &image),
        // A zero without an image is how the terminal says that there is no value yet.
        _ => plain(&value).filter(|number| number != "0" || !image.is_empty()),
    };
    read.filter(|text| !text.is_empty()).map_or(Reading::Empty, Reading::Value)
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// The number without exponent, needless zeros and point, exact however many digits it has; `None` for what is no
/// number or absurdly long.
pub(super) fn plain(text: &str) -> Option<String> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = match rest.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || digits.len() > DIGITS_MAX || !is_plain(whole) || !is_plain(places) {
        return None;
    }
    let all = format!("{whole}{places}");
    // Where the point stands in `all`, which may be outside of it.
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let (whole, places) = match usize::try_from(point) {
        Ok(point) if point > DIGITS_MAX => return None,
        Ok(point) if point >= all.len() => (format!("{all:0<point$}"), String::new()),
        Ok(point) => (all[..point].to_owned(), all[point..].to_owned()),
        Err(_) => {
            let zeros = usize::try_from(point.unsigned_abs()).ok().filter(|zeros| *zeros <= DIGITS_MAX)?;
            (String::new(), format!("{}{all}", "0".repeat(zeros)))
        }
    };
    let (whole, places) = (whole.trim_start_matches('0'), places.trim_end_matches('0'));
    let sign = if negative && !(whole.is_empty() && places.is_empty()) { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if places.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{places}") })
}

/// An integer of exactly so many digits, leading zeros restored, from `HHMMSS.000000` or `YYYYMMDD.000000`.
fn digits(value: &str, count: usize) -> Option<String> {
    let number = Decimal::parse(value.as_bytes()).ok()?.trimmed();
    let text = (number.scale == 0 && number.mantissa >= 0).then(|| format!("{:0>count$}", number.mantissa))?;
    (text.len() == count).then_some(text)
}

fn is_within(text: &str, range: std::ops::RangeInclusive<u32>) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(|number| range.contains(&number))
}

/// `HH:MM:SS` from the value, else from the image. Midnight without an image is no time.
fn time(value: &str, image: &str) -> Option<String> {
    let from_image = || {
        let [hours, minutes, seconds] = parts(image, ':')?;
        valid_time(&format!("{hours:0>2}"), minutes, seconds)
    };
    let number = digits(value, 6).filter(|number| number != "000000" || !image.is_empty());
    let from_value = || {
        let number = number?;
        valid_time(&number[..2], &number[2..4], &number[4..])
    };
    from_value().or_else(from_image)
}

fn valid_time(hours: &str, minutes: &str, seconds: &str) -> Option<String> {
    let valid = is_within(hours, 0..=23) && is_within(minutes, 0..=59) && is_within(seconds, 0..=59);
    let two = [hours, minutes, seconds].iter().all(|part| part.len() == 2);
    (valid && two).then(|| format!("{hours}:{minutes}:{seconds}"))
}

/// `YYYY-MM-DD` from the value, else from the image (`DD.MM.YYYY`).
fn date(value: &str, image: &str) -> Option<String> {
    let from_value = || {
        let number = digits(value, 8)?;
        valid_date(&number[..4], &number[4..6], &number[6..])
    };
    let from_image = || {
        let [day, month, year] = parts(image, '.')?;
        valid_date(year, month, day)
    };
    from_value().or_else(from_image)
}

fn valid_date(year: &str, month: &str, day: &str) -> Option<String> {
    let valid = is_within(year, 1000..=9999) && is_within(month, 1..=12) && is_within(day, 1..=31);
    let full = year.len() == 4 && month.len() == 2 && day.len() == 2;
    (valid && full).then(|| format!("{year}-{month}-{day}"))
}

fn parts(text: &str, separator: char) -> Option<[&str; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Reading {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text).expect("JSON");
        super::reading(&Fields::read(raw).expect("an object"))
    }

    fn reading(kind: &str, value: &str, image: &str) -> Reading {
        let text = serde_json::json!({"param_type": kind, "param_value": value, "param_image": image, "result": "1"});
        let text = text.to_string();
        read(&text)
    }

    fn value(text: &str) -> Reading {
        Reading::Value(text.to_owned())
    }

    #[test]
    fn numbers_come_from_the_value_and_never_from_the_image() {
        assert_eq!(reading("1", "305.700000", "305,70"), value("305.7"));
        assert_eq!(reading("2", "1200025.000000", "1\u{a0}200\u{a0}025"), value("1200025"));
        assert_eq!(reading("1", "-0.500000", "-0,5"), value("-0.5"));
        assert_eq!(reading("1", "1e-07", "0,0000001"), value("0.0000001"));
        assert_eq!(reading("1", "123456789012345678901.500000", "x"), value("123456789012345678901.5"));
        assert_eq!(reading("1", "abc", "1,5"), Reading::Empty);
    }

    #[test]
    fn a_zero_is_a_number_only_where_the_terminal_shows_it() {
        assert_eq!(reading("1", "0.000000", ""), Reading::Empty);
        assert_eq!(reading("1", "0.000000", "0,00"), value("0"));
    }

    #[test]
    fn texts_and_lists() {
        assert_eq!(reading("3", "0.000000", " RTS-12.26 "), value("RTS-12.26"));
        assert_eq!(reading("3", "0.000000", ""), Reading::Empty);
        assert_eq!(reading("4", "1.000000", "торгуется"), Reading::Listed("торгуется".into(), "1".into()));
        assert_eq!(reading("4", "", "открыта"), value("открыта"));
        assert_eq!(reading("4", "1.000000", ""), Reading::Empty);
        assert_eq!(reading("3", "0", &"я".repeat(5000)), value(&"я".repeat(TEXT_MAX)));
    }

    #[test]
    fn times_and_dates() {
        assert_eq!(reading("5", "185959.000000", "18:59:59"), value("18:59:59"));
        assert_eq!(reading("5", "95959.000000", ""), value("09:59:59"), "the number has lost its leading zero");
        assert_eq!(reading("5", "0.000000", "00:00:00"), value("00:00:00"));
        assert_eq!(reading("5", "0.000000", ""), Reading::Empty);
        assert_eq!(reading("5", "999999.000000", "9:05:01"), value("09:05:01"), "the image where the value is odd");
        assert_eq!(reading("5", "999999.000000", "??"), Reading::Empty);
        assert_eq!(reading("6", "20261217.000000", "17.12.2026"), value("2026-12-17"));
        assert_eq!(reading("6", "0.000000", "17.12.2026"), value("2026-12-17"));
        assert_eq!(reading("6", "20261317.000000", ""), Reading::Empty);
        assert_eq!(reading("6", "0.000000", ""), Reading::Empty);
    }

    #[test]
    fn result_zero_and_missing_members() {
        for text in [r#"{"param_type":"1","param_value":"0.000000","param_image":"","result":"0"}"#, "{}"] {
            assert_eq!(read(text), Reading::Unknown);
        }
        assert_eq!(read(r#"{"result":"1"}"#), Reading::Empty);
        let numbers = r#"{"result":1,"param_type":1,"param_value":2.50,"param_image":""}"#;
        assert_eq!(read(numbers), Reading::Value("2.5".to_owned()), "bare numbers will do");
    }

    #[test]
    fn number_texts_are_exact() {
        for (text, expected) in [
            ("112480.0", "112480"),
            ("-0.0", "0"),
            ("007.250", "7.25"),
            ("1.5e3", "1500"),
            ("1.2345e+2", "123.45"),
            ("5e-3", "0.005"),
            ("100", "100"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", ".5", "1e", "1e999", "1e-999", "1,5", "nan", "inf", "1.2.3", "--1", " 1", "1e99999999999"]
        {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_decimal_keeps_its_value(mantissa in any::<i32>(), scale in 0_u8..12) {
            let number = Decimal::new(i64::from(mantissa), scale);
            let text = plain(&number.to_string()).expect("a number");
            let back = Decimal::parse(text.as_bytes()).expect("a number").trimmed();
            prop_assert_eq!(back, number.trimmed());
            prop_assert_eq!(back.to_string(), text);
        }

        #[test]
        fn no_answer_panics(kind in "[0-7]?", value in "\\PC{0,24}", image in "\\PC{0,24}") {
            let _ = reading(&kind, &value, &image);
            let _ = plain(&value);
        }
    }
}
