//! Methods of datasources: bars of one security and interval, one value a call.

use jiff::civil::DateTime;

use super::{Arg, Failure, Outcome, int, one, table, text};
use crate::model::{Decimal, Mono};
use crate::sim::quik::bars::Bar;
use crate::sim::quik::datasource::Source;
use crate::sim::quik::moscow::{self, Interval};
use crate::sim::quik::params;
use crate::sim::quik::terminal::Terminal;
use crate::sim::quik::value::{Value, number_text};

/// Refused: what the real server says in windows-1251, as it comes from QLua.
fn refused(reason: String) -> Outcome {
    Ok(table().with("is_error", true).with("error_desc", Value::Cp1251(reason)))
}

impl Terminal {
    pub(super) fn history_method(&mut self, method: &str, args: &Arg, at: DateTime, now: Mono) -> Option<Outcome> {
        Some(match method.strip_prefix("datasource.")? {
            "CreateDataSource" => self.create_source(args, now),
            "Size" => self.size(args, at, now),
            "Close" => self.close_source(args),
            "SetEmptyCallback" => self.source(args).and_then(|_| one("result", true)),
            "SetUpdateCallback" => self.set_update_callback(args),
            "T" => self.bar(args, at, now).and_then(|(_, bar)| one("time", moscow::bar_time(bar.start))),
            "O" => self.price(args, at, now, |bar| bar.open),
            "H" => self.price(args, at, now, |bar| bar.high),
            "L" => self.price(args, at, now, |bar| bar.low),
            "C" => self.price(args, at, now, |bar| bar.close),
            "V" => self.bar(args, at, now).and_then(|(_, bar)| one("value", number_text(Decimal::new(bar.lots, 0)))),
            _ => return None,
        })
    }

    fn create_source(&mut self, args: &Arg, now: Mono) -> Outcome {
        let place = self.named(args)?;
        let interval = Interval::parse(&text(args, "interval")?).ok_or(Failure::Raised)?;
        let Some(place) = place else {
            return refused(format!("Инструмент не найден: {}", text(args, "sec_code")?));
        };
        let param = args.get("param").text().unwrap_or_default();
        let known = param.is_empty() || params::find(&self.securities[place], &param, DateTime::default()).is_some();
        if !known {
            return refused(format!("Неизвестный параметр: {param}"));
        }
        let begun = now.after(self.modes.late_history);
        let load = self.settings.history_load;
        let uuid = self.held.sources.create(place, interval, begun, load, &mut self.rng).ok_or(Failure::Raised)?;
        Ok(table().with("datasource_uuid", uuid).with("is_error", false))
    }

    fn source(&self, args: &Arg) -> Result<Source, Failure> {
        self.held.sources.get(&text(args, "datasource_uuid")?).copied().ok_or(Failure::Raised)
    }

    /// The bars of a datasource that are there by now; none for a closed one.
    fn loaded(&mut self, source: &Source, at: DateTime, now: Mono) -> &[Bar] {
        if !source.open || self.modes.no_history {
            return &[];
        }
        let bars = self.securities[source.security].bars(source.interval, self.settings.history_bars, at);
        &bars[..source.size(bars.len(), now)]
    }

    fn size(&mut self, args: &Arg, at: DateTime, now: Mono) -> Outcome {
        let source = self.source(args)?;
        let size = self.loaded(&source, at, now).len();
        one("value", i64::try_from(size).unwrap_or(0))
    }

    fn bar(&mut self, args: &Arg, at: DateTime, now: Mono) -> Result<(Source, Bar), Failure> {
        let source = self.source(args)?;
        let index = usize::try_from(int(args, "candle_index")?).ok().and_then(|index| index.checked_sub(1));
        let bar = index.and_then(|index| self.loaded(&source, at, now).get(index).copied());
        Ok((source, bar.ok_or(Failure::Raised)?))
    }

    fn price(&mut self, args: &Arg, at: DateTime, now: Mono, of: impl Fn(&Bar) -> i64) -> Outcome {
        let (source, bar) = self.bar(args, at, now)?;
        one("value", number_text(self.securities[source.security].spec.price(of(&bar))))
    }

    fn close_source(&mut self, args: &Arg) -> Outcome {
        let closed = self.held.sources.close(&text(args, "datasource_uuid")?).ok_or(Failure::Raised)?;
        one("result", Value::truthy(closed))
    }

    /// Broken in the real server: with any `watching_…` it raises; without, it says yes and the callback never works.
    fn set_update_callback(&self, args: &Arg) -> Outcome {
        self.source(args)?;
        text(args, "f_cb_def")?;
        let Arg::Object(members) = args else { return Err(Failure::Raised) };
        if members.iter().any(|(name, value)| name.starts_with("watching_") && *value != Arg::Nil) {
            return Err(Failure::Raised);
        }
        one("result", true)
    }

    /// Datasources that are open, as `CLASS CODE INTERVAL`.
    pub fn open_datasources(&self) -> Vec<String> {
        let named = |source: &Source| {
            let spec = &self.securities[source.security].spec;
            let interval = moscow::INTERVALS.iter().find(|(_, interval)| *interval == source.interval);
            format!("{} {} {}", spec.class.code, spec.code, interval.map_or("", |(name, _)| name))
        };
        self.held.sources.open().map(|(_, source)| named(source)).collect()
    }

    /// Parameters ordered by `ParamRequest`, as `CLASS CODE NAME`.
    pub fn param_requests(&self) -> Vec<String> {
        let named = |(place, name): &(usize, String)| {
            let spec = &self.securities[*place].spec;
            format!("{} {} {name}", spec.class.code, spec.code)
        };
        self.held.params.iter().map(named).collect()
    }

    /// Level II subscriptions, as `CLASS CODE`.
    pub fn level_ii(&self) -> Vec<String> {
        let named = |place: &usize| {
            let spec = &self.securities[*place].spec;
            format!("{} {}", spec.class.code, spec.code)
        };
        self.held.level_ii.iter().map(named).collect()
    }
}
