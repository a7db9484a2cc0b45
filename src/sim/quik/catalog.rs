//! The classes and securities of the simulated terminal: real codes, steps and lots, invented prices.

use crate::model::Decimal;
use crate::sim::market::Shape;

/// Levels a side of a true market; the terminal shows fewer.
const LEVELS: usize = 60;

/// A class of securities: what tickbus calls a market.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// Its code.
    pub(super) code: &'static str,
    /// Its name, in Russian as in the terminal.
    pub(super) name: &'static str,
    /// Firm that trades it.
    pub(super) firm: &'static str,
    /// Whether it is of the derivatives market: 19-digit numbers, open interest, one settlement currency.
    pub(super) derivatives: bool,
}

/// The classes, in the order in which the terminal lists them.
pub(super) const CLASSES: [Class; 4] = [
    Class { code: "SPBFUT", name: "ФОРТС: Фьючерсы", firm: "SPBFUT589000", derivatives: true },
    Class { code: "SPBOPT", name: "ФОРТС: Опционы", firm: "SPBFUT589000", derivatives: true },
    Class { code: "TQBR", name: "МБ ФР: Т+: Акции и ДР", firm: "MC0139600000", derivatives: false },
    Class {
        code: "CETS", name: "МБ Валютный рынок: Основной режим", firm: "MB0139600000", derivatives: false
    },
];

/// What a security is.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// Its class.
    pub(super) class: Class,
    /// Its code.
    pub(super) code: String,
    /// Full name.
    pub(super) name: String,
    /// Short name.
    pub(super) short_name: String,
    /// ISIN, or nothing.
    pub(super) isin: &'static str,
    /// Price step.
    pub(super) step: Decimal,
    /// Decimal places of a price.
    pub(super) scale: u8,
    /// Pieces in a lot.
    pub(super) lot: i64,
    /// Value of a step in rubles.
    pub(super) step_price: Decimal,
    /// Last day as `YYYYMMDD`; 0 without one.
    pub(super) mat_date: i64,
    /// Strike of an option.
    pub(super) strike: Option<Decimal>,
    /// How its market starts.
    pub(super) shape: Shape,
}

impl Spec {
    /// A price in the step's spelling.
    pub(super) fn price(&self, ticks: i64) -> Decimal {
        Decimal::new(ticks.saturating_mul(self.step.mantissa), self.step.scale)
    }
}

/// class, code, name, short name, ISIN, (step, scale), price, lot, value of a step, last day, strike
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (&'static str, u8),
    &'static str,
    i64,
    &'static str,
    i64,
    &'static str,
);

const ROWS: [Row; 15] = [
    (
        "SPBFUT",
        "RIZ6",
        "RTS-12.26 Фьючерс на индекс РТС",
        "RTS-12.26",
        "",
        ("10", 0),
        "112480",
        1,
        "16.08",
        20_261_217,
        "",
    ),
    (
        "SPBFUT",
        "SiZ6",
        "Si-12.26 Фьючерс на курс доллар-рубль",
        "Si-12.26",
        "",
        ("1", 0),
        "80450",
        1,
        "1",
        20_261_217,
        "",
    ),
    (
        "SPBFUT",
        "BRF7",
        "BR-1.27 Фьючерс на нефть BRENT",
        "BR-1.27",
        "",
        ("0.01", 2),
        "71.25",
        10,
        "8.04",
        20_261_228,
        "",
    ),
    (
        "SPBFUT",
        "GDZ6",
        "GOLD-12.26 Фьючерс на золото",
        "GOLD-12.26",
        "",
        ("0.1", 1),
        "2950.4",
        1,
        "8.04",
        20_261_217,
        "",
    ),
    (
        "SPBFUT",
        "EuZ6",
        "Eu-12.26 Фьючерс на курс евро-рубль",
        "Eu-12.26",
        "",
        ("1", 0),
        "92310",
        1,
        "1",
        20_261_217,
        "",
    ),
    (
        "SPBFUT",
        "MXZ6",
        "MIX-12.26 Фьючерс на индекс МосБиржи",
        "MIX-12.26",
        "",
        ("25", 0),
        "285750",
        1,
        "25",
        20_261_217,
        "",
    ),
    (
        "SPBOPT",
        "RI115000BL6",
        "Опцион на RTS-12.26",
        "RTS-12.26M171226CA115000",
        "",
        ("10", 0),
        "2410",
        1,
        "16.08",
        20_261_217,
        "115000",
    ),
    ("TQBR", "SBER", "Сбербанк России ПАО ао", "Сбербанк", "RU0009029540", ("0.01", 2), "305.7", 10, "0", 0, ""),
    ("TQBR", "GAZP", "\"Газпром\" (ПАО) ао", "ГАЗПРОМ ао", "RU0007661625", ("0.01", 2), "128.41", 10, "0", 0, ""),
    ("TQBR", "LKOH", "НК ЛУКОЙЛ (ПАО) - ао", "ЛУКОЙЛ", "RU0009024277", ("0.5", 1), "6420.5", 1, "0", 0, ""),
    ("TQBR", "VTBR", "ао ПАО Банк ВТБ", "ВТБ ао", "RU000A0JP5V6", ("0.005", 3), "71.525", 1, "0", 0, ""),
    (
        "TQBR",
        "FEES",
        "ПАО \"ФСК ЕЭС\" ао",
        "ФСК Россети",
        "RU000A0JPNN9",
        ("0.00002", 5),
        "0.07148",
        10_000,
        "0",
        0,
        "",
    ),
    ("TQBR", "TGKA", "ТГК-1 ПАО ао", "ТГК-1", "RU000A0JNUD0", ("0.000002", 6), "0.006512", 100_000, "0", 0, ""),
    ("CETS", "CNYRUB_TOM", "CNYRUB_TOM - CNY/РУБ", "CNYRUB_TOM", "", ("0.0005", 4), "11.2345", 1_000, "0", 0, ""),
    ("CETS", "USD000UTSTOM", "USDRUB_TOM - USD/РУБ", "USDRUB_TOM", "", ("0.0025", 4), "80.1525", 1_000, "0", 0, ""),
];

/// The class with this code.
pub(super) fn class(code: &str) -> Option<Class> {
    CLASSES.into_iter().find(|class| class.code == code)
}

/// Every security, in a fixed order; with `only` (`SBER`, or `TQBR.SBER`), those and no others. A name that the list
/// does not know becomes a future, or a share if its class says so; one of a class that does not exist is left out.
pub(super) fn securities(only: &[String]) -> Vec<Spec> {
    let all: Vec<Spec> = ROWS.iter().filter_map(listed).collect();
    if only.is_empty() {
        return all;
    }
    let mut chosen: Vec<Spec> = Vec::new();
    for name in only {
        let (class_code, code) = name.split_once('.').unwrap_or(("", name));
        let meant = |spec: &&Spec| spec.code == code && (class_code.is_empty() || spec.class.code == class_code);
        let known = all.iter().find(meant).cloned();
        let Some(spec) = known.or_else(|| made_up(if class_code.is_empty() { "SPBFUT" } else { class_code }, code))
        else {
            continue;
        };
        if !chosen.iter().any(|other| other.code == spec.code && other.class.code == spec.class.code) {
            chosen.push(spec);
        }
    }
    chosen
}

fn made_up(class_code: &str, code: &str) -> Option<Spec> {
    let class = class(class_code)?;
    let row = (class.code, "", "Сделано для симулятора", "", "", ("1", 0), "50000", 1, "1", 20_261_217, "");
    let spec = listed(&row)?;
    Some(Spec { code: code.to_owned(), short_name: code.to_owned(), ..spec })
}

fn listed(row: &Row) -> Option<Spec> {
    let (class_code, code, name, short_name, isin, (step, scale), price, lot, step_price, mat_date, strike) = *row;
    let number = |text: &str| Decimal::parse(text.as_bytes()).ok();
    let (step, price) = (number(step)?, number(price)?);
    let start_ticks = price.rescaled(step.scale)? / step.mantissa;
    Some(Spec {
        class: class(class_code)?,
        code: code.to_owned(),
        name: name.to_owned(),
        short_name: short_name.to_owned(),
        isin,
        step,
        scale,
        lot,
        step_price: number(step_price)?,
        mat_date,
        strike: number(strike),
        shape: Shape { start_ticks: start_ticks.max(4 * LEVELS as i64), levels: LEVELS, max_lots: 500 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_security() {
        let all = securities(&[]);
        assert_eq!(all.len(), ROWS.len());
        for (spec, row) in all.iter().zip(ROWS) {
            let price = spec.price(spec.shape.start_ticks);
            assert_eq!(price.trimmed(), Decimal::parse(row.6.as_bytes()).unwrap().trimmed(), "{}", spec.code);
            assert!(spec.step.scale <= spec.scale, "{}", spec.code);
        }
    }

    #[test]
    fn securities_can_be_chosen_or_made_up() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            securities(&only).iter().map(|spec| format!("{}.{}", spec.class.code, spec.code)).collect::<Vec<_>>()
        };
        assert_eq!(names(&["SBER", "SPBFUT.RIZ6", "SBER"]), ["TQBR.SBER", "SPBFUT.RIZ6"]);
        assert_eq!(names(&["F001", "TQBR.NEW", "NONE.SBER"]), ["SPBFUT.F001", "TQBR.NEW"]);
    }
}
