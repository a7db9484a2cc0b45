//! The columns of the current trading table: what `getParamEx2` says of a security, with QUIK's types and images.

use jiff::civil::{Date, DateTime};

use super::moscow;
use super::security::Security;
use super::value::Value;
use crate::model::Decimal;
use crate::sim::market::Side;

/// Places behind the point of a `param_value`.
const VALUE_PLACES: u8 = 6;

/// QUIK's types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Double = 1,
    Long = 2,
    Char = 3,
    Enumeration = 4,
    Time = 5,
    Date = 6,
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    kind: Kind,
    value: Decimal,
    image: String,
    applicable: bool,
    /// Known without being ordered: it does not change during the day.
    pub(super) fixed: bool,
}

impl Param {
    /// The `param_ex` of an answer.
    pub(super) fn table(&self) -> Value {
        answer(self.kind as i64, self.value, &self.image, self.applicable)
    }

    /// What is said of it while nobody has ordered it.
    pub(super) fn empty(&self) -> Value {
        answer(self.kind as i64, Decimal::ZERO, "", false)
    }
}

impl Param {
    /// Value and image, if it is applicable.
    pub(super) fn texts(self) -> Option<(String, String)> {
        self.applicable.then(|| (fixed(self.value), self.image))
    }
}

/// The `param_ex` of a name that does not exist.
pub(super) fn unknown() -> Value {
    answer(0, Decimal::ZERO, "", false)
}

fn answer(kind: i64, value: Decimal, image: &str, applicable: bool) -> Value {
    Value::Table(Vec::with_capacity(4))
        .with("param_type", kind.to_string())
        .with("param_value", fixed(value))
        .with("param_image", image)
        .with("result", if applicable { "1" } else { "0" })
}

/// A number with six decimal places.
pub(super) fn fixed(value: Decimal) -> String {
    let mantissa = value.rescaled(VALUE_PLACES).unwrap_or(0);
    Decimal::new(mantissa, VALUE_PLACES).to_string()
}

/// A number as the terminal shows it: no-break spaces between thousands, a decimal comma.
fn image(value: Decimal, places: u8) -> String {
    let text = value.rescaled(places).map_or(value, |mantissa| Decimal::new(mantissa, places)).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push(',');
        out.push_str(fraction);
    }
    out
}

fn double(value: Decimal, places: u8) -> Param {
    Param { kind: Kind::Double, value, image: image(value, places), applicable: true, fixed: false }
}

fn long(value: i64) -> Param {
    let value = Decimal::new(value, 0);
    Param { kind: Kind::Long, image: image(value, 0), ..double(value, 0) }
}

fn text(text: &str) -> Param {
    Param { kind: Kind::Char, image: text.to_owned(), ..double(Decimal::ZERO, 0) }
}

fn enumeration(ordinal: i64, text: &str) -> Param {
    Param { kind: Kind::Enumeration, image: text.to_owned(), ..long(ordinal) }
}

fn time(at: DateTime) -> Param {
    let digits = i64::from(at.hour()) * 10_000 + i64::from(at.minute()) * 100 + i64::from(at.second());
    Param { kind: Kind::Time, image: moscow::time_text(at), ..long(digits) }
}

/// A date written `YYYYMMDD`; the image is empty for 0.
fn date(digits: i64) -> Param {
    let image = match digits {
        0 => String::new(),
        _ => format!("{:02}.{:02}.{:04}", digits % 100, digits / 100 % 100, digits / 10_000),
    };
    Param { kind: Kind::Date, image, applicable: digits > 0, ..long(digits) }
}

/// The parameter with this name, in any case; `None` if there is none.
pub(super) fn find(security: &Security, name: &str, now: DateTime) -> Option<Param> {
    let name = name.to_ascii_uppercase();
    quotes(security, &name)
        .or_else(|| day(security, &name))
        .or_else(|| Some(Param { fixed: true, ..about(security, &name)? }))
        .or_else(|| derivative(security, &name, now))
}

fn quotes(security: &Security, name: &str) -> Option<Param> {
    let side = if name.contains("BID") { Side::Bid } else { Side::Ask };
    let (best, spec) = (security.market.best(side), &security.spec);
    let shown = security.market.top(side, super::security::DEPTH);
    Some(match name {
        "BID" | "OFFER" => double(spec.price(best.ticks), spec.scale),
        "BIDDEPTH" | "OFFERDEPTH" => double(Decimal::new(best.lots, 0), 0),
        "BIDDEPTHT" | "OFFERDEPTHT" => double(Decimal::new(shown.iter().map(|level| level.lots).sum(), 0), 0),
        "NUMBIDS" | "NUMOFFERS" => long(shown.len() as i64 * 7),
        "LAST" => double(spec.price(security.market.last().ticks), spec.scale),
        _ => return None,
    })
}

fn day(security: &Security, name: &str) -> Option<Param> {
    let (day, spec) = (&security.day, &security.spec);
    let price = |ticks| double(spec.price(ticks), spec.scale);
    let start = spec.shape.start_ticks;
    Some(match name {
        "OPEN" => price(day.open),
        "HIGH" => price(day.high),
        "LOW" => price(day.low),
        "WAPRICE" => price(if day.lots == 0 { day.open } else { day.turnover / day.lots }),
        "QTY" => long(day.last_lots),
        "VALUE" => double(security.value(day.last_lots.saturating_mul(security.market.last().ticks)), 2),
        "VOLTODAY" => double(Decimal::new(day.lots, 0), 0),
        "VALTODAY" => double(security.value(day.turnover), 2),
        "NUMTRADES" => long(day.trades),
        "TIME" => time(day.last_at),
        "CHANGETIME" => time(day.last_at),
        "PREVPRICE" | "SETTLEPRICE" | "CLPRICE" => price(start),
        "PRICEMIN" => price(start - start / 10),
        "PRICEMAX" => price(start + start / 10),
        "TRADINGSTATUS" => enumeration(1, "открыта"),
        _ => return None,
    })
}

fn about(security: &Security, name: &str) -> Option<Param> {
    let spec = &security.spec;
    Some(match name {
        "STATUS" => enumeration(1, "торгуется"),
        "LOTSIZE" => double(Decimal::new(spec.lot, 0), 0),
        "SEC_SCALE" => long(i64::from(spec.scale)),
        "SEC_PRICE_STEP" => double(spec.step, spec.scale),
        "LONGNAME" => text(&spec.name),
        "SHORTNAME" => text(&spec.short_name),
        _ => return None,
    })
}

/// What only derivatives have: elsewhere the column exists and is empty.
fn derivative(security: &Security, name: &str, now: DateTime) -> Option<Param> {
    let spec = &security.spec;
    let (future, option) = (spec.class.derivatives, spec.strike.is_some());
    let deposit = security.value(spec.shape.start_ticks / 8);
    let of = |applicable: bool, param: Param| Param { applicable: applicable && param.applicable, ..param };
    Some(match name {
        "NUMCONTRACTS" => of(future, long(security.open_interest)),
        "STEPPRICE" | "STEPPRICET" => of(future, double(spec.step_price, 6)),
        "BUYDEPO" | "SELLDEPO" => of(future, double(deposit, 2)),
        "MAT_DATE" | "EXPDATE" => of(future, date(spec.mat_date)),
        "DAYS_TO_MAT_DATE" => of(future, long(days_to(spec.mat_date, now))),
        "STRIKE" => of(option, double(spec.strike.unwrap_or(Decimal::ZERO), spec.scale)),
        "OPTIONTYPE" => of(option, text(if option { "Call" } else { "" })),
        "OPTIONBASE" => of(option, text(if option { "RIZ6" } else { "" })),
        "VOLATILITY" => of(option, double(Decimal::new(214_715, 4), 4)),
        "THEORPRICE" => of(option, double(spec.price(spec.shape.start_ticks), spec.scale)),
        _ => return None,
    })
}

fn days_to(mat_date: i64, now: DateTime) -> i64 {
    let part = |digits: i64| i8::try_from(digits % 100).unwrap_or(1);
    let year = i16::try_from(mat_date / 10_000).unwrap_or(0);
    Date::new(year, part(mat_date / 100), part(mat_date)).map_or(0, |end| i64::from((end - now.date()).get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::quik::catalog::securities;

    fn now() -> DateTime {
        "2026-11-19T11:57:56".parse().unwrap()
    }

    fn of(code: &str, name: &str) -> Param {
        let spec = securities(&[code.to_owned()]).remove(0);
        find(&Security::new(1, spec, now()), name, now()).unwrap()
    }

    #[test]
    fn images_are_for_eyes_only() {
        let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        assert_eq!(image(number("112480"), 0), "112\u{a0}480");
        assert_eq!(image(number("305.7"), 2), "305,70");
        assert_eq!(image(number("-1234567.5"), 1), "-1\u{a0}234\u{a0}567,5");
        assert_eq!(fixed(number("305.7")), "305.700000");
    }

    #[test]
    fn types_values_and_images() {
        let shown = |param: Param| (param.kind as i64, fixed(param.value), param.image, param.applicable);
        let case =
            |kind: i64, value: &str, image: &str, applicable| (kind, value.to_owned(), image.to_owned(), applicable);
        assert_eq!(shown(of("RIZ6", "prevprice")), case(1, "112480.000000", "112\u{a0}480", true));
        assert_eq!(shown(of("SBER", "SEC_SCALE")), case(2, "2.000000", "2", true));
        assert_eq!(shown(of("SBER", "SHORTNAME")), case(3, "0.000000", "Сбербанк", true));
        assert_eq!(shown(of("SBER", "STATUS")), case(4, "1.000000", "торгуется", true));
        assert_eq!(shown(of("SBER", "TIME")), case(5, "115756.000000", "11:57:56", true));
        assert_eq!(shown(of("RIZ6", "MAT_DATE")), case(6, "20261217.000000", "17.12.2026", true));
        assert_eq!(shown(of("SBER", "MAT_DATE")), case(6, "0.000000", "", false));
        assert_eq!(shown(of("RIZ6", "DAYS_TO_MAT_DATE")), case(2, "28.000000", "28", true));
        assert!(!of("SBER", "STRIKE").applicable && of("RI115000BL6", "STRIKE").applicable);
    }

    #[test]
    fn every_name_of_the_terminals_table_is_known() {
        let names = "BID OFFER LAST BIDDEPTH OFFERDEPTH BIDDEPTHT OFFERDEPTHT NUMBIDS NUMOFFERS OPEN HIGH LOW QTY TIME \
            VALUE VOLTODAY VALTODAY NUMTRADES WAPRICE PREVPRICE SETTLEPRICE CLPRICE NUMCONTRACTS STATUS TRADINGSTATUS \
            CHANGETIME LOTSIZE SEC_SCALE SEC_PRICE_STEP STEPPRICE STEPPRICET BUYDEPO SELLDEPO PRICEMIN PRICEMAX STRIKE \
            OPTIONTYPE OPTIONBASE VOLATILITY THEORPRICE MAT_DATE EXPDATE DAYS_TO_MAT_DATE LONGNAME SHORTNAME";
        for name in names.split_whitespace() {
            of("SBER", name);
        }
        let spec = securities(&[]).remove(0);
        assert_eq!(find(&Security::new(1, spec, now()), "NOSUCH", now()), None);
    }
}
