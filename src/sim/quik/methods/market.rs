//! Methods about the terminal, its classes and securities, current parameters and Level II quotes.

use jiff::civil::DateTime;

use super::{Arg, Failure, Outcome, SCRIPTS, int, one, table, text};
use crate::model::Decimal;
use crate::sim::market::Side;
use crate::sim::quik::catalog::{CLASSES, class};
use crate::sim::quik::moscow;
use crate::sim::quik::params;
use crate::sim::quik::security::Security;
use crate::sim::quik::terminal::Terminal;
use crate::sim::quik::value::{Value, number_text};

/// Longest `sleep`.
const MOST_SLEEP_MS: u64 = 60_000;

/// Names of `getInfoParam` whose value here is always the same.
const INFO: [(&str, &str); 29] = [
    ("VERSION", "9.2.3.15"),
    ("NUMRECORDS", "148250"),
    ("LASTRECORD", "148250"),
    ("LATERECORD", "0"),
    ("IPADDRESS", "192.0.2.10"),
    ("IPPORT", "15100"),
    ("IPCOMMENT", "Симулятор"),
    ("SERVER", "Симулятор QUIK"),
    ("SESSIONID", "1"),
    ("USER", "Симулятор"),
    ("USERID", "104"),
    ("ORG", "Симулятор"),
    ("MEMORY", "262144"),
    ("MESSAGESSENT", "120"),
    ("ALLSENT", "24800"),
    ("BYTESSENT", "24000"),
    ("BYTESPERSECSENT", "12"),
    ("MESSAGESRECV", "148250"),
    ("BYTESRECV", "9400000"),
    ("ALLRECV", "9500000"),
    ("BYTESPERSECRECV", "5200"),
    ("AVGSENT", "10"),
    ("AVGRECV", "4800"),
    ("LASTPINGDURATION", "0.011"),
    ("AVGPINGDURATION", "0.012"),
    ("MAXPINGDURATION", "0.140"),
    ("LASTPINGTIME", "09:00:05"),
    ("MAXPINGTIME", "09:00:05"),
    ("CONNECTIONTIME", "09:00:00"),
];

impl Terminal {
    /// The place of the security that the arguments name, if it is listed.
    pub(super) fn named(&self, args: &Arg) -> Result<Option<usize>, Failure> {
        let (class_code, code) = (text(args, "class_code")?, text(args, "sec_code")?);
        let hidden = self.modes.unknown.as_ref().is_some_and(|only| only.as_ref().is_none_or(|only| *only == code));
        Ok(self.places.get(&(class_code, code)).copied().filter(|_| !hidden))
    }

    pub(super) fn market_method(&mut self, method: &str, args: &Arg, at: DateTime) -> Option<Outcome> {
        Some(match method {
            "isConnected" => one("is_connected", i64::from(self.connected)),
            "getInfoParam" => text(args, "param_name").and_then(|name| one("info_param", self.info(&name, at))),
            "getClassesList" => one("classes_list", CLASSES.map(|class| format!("{},", class.code)).concat()),
            "getClassInfo" => self.class_info(args),
            "getClassSecurities" => self.class_securities(args),
            "getSecurityInfo" => self.security_info(args),
            "getTradeDate" => one("trade_date", trade_date(at)),
            "os.sysdate" => Ok(moscow::datetime(at)),
            "ParamRequest" => self.param_request(args),
            "CancelParamRequest" => self.cancel_param_request(args),
            "getParamEx" => self.param(args, true, at),
            "getParamEx2" => self.param(args, false, at),
            "Subscribe_Level_II_Quotes" => self.level_ii_of(args, |terminal, place| {
                terminal.held.level_ii.insert(place);
                true
            }),
            "Unsubscribe_Level_II_Quotes" => {
                self.level_ii_of(args, |terminal, place| terminal.held.level_ii.remove(&place))
            }
            "IsSubscribed_Level_II_Quotes" => {
                self.level_ii_of(args, |terminal, place| terminal.held.level_ii.contains(&place))
            }
            "getQuoteLevel2" => self.quotes(args),
            "message" => {
                text(args, "message").map(|text| table().with("result", Value::from(i64::from(!text.is_empty()))))
            }
            "sleep" => self.sleep(args),
            "getScriptPath" => one("script_path", SCRIPTS),
            "getWorkingFolder" => one("working_folder", "C:\\QUIK"),
            "PrintDbgStr" => text(args, "s").map(|_| table()),
            _ => return None,
        })
    }

    fn info(&self, name: &str, at: DateTime) -> String {
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "LOCALTIME" => return moscow::time_text(at),
            "CONNECTION" => {
                return if self.connected { "установлено" } else { "не установлено" }.to_owned();
            }
            "VERSION" | "MEMORY" => {}
            _ if !self.connected => return String::new(),
            "TRADEDATE" => return moscow::date_text(at),
            "SERVERTIME" | "LASTRECORDTIME" => return moscow::time_text(at),
            _ => {}
        }
        INFO.iter().find(|(known, _)| *known == name).map_or(String::new(), |(_, value)| (*value).to_owned())
    }

    fn class_info(&self, args: &Arg) -> Outcome {
        let class = class(&text(args, "class_code")?).ok_or(Failure::Raised)?;
        let listed = self.securities.iter().filter(|security| security.spec.class.code == class.code).count();
        let info = table()
            .with("firmid", class.firm)
            .with("name", class.name)
            .with("code", class.code)
            .with("npars", 97)
            .with("nsecs", i64::try_from(listed).unwrap_or(0));
        one("class_info", info)
    }

    fn class_securities(&self, args: &Arg) -> Outcome {
        let class_code = text(args, "class_code")?;
        let of_class = self.securities.iter().filter(|security| security.spec.class.code == class_code);
        one("class_securities", of_class.map(|security| format!("{},", security.spec.code)).collect::<String>())
    }

    fn security_info(&self, args: &Arg) -> Outcome {
        let Some(place) = self.named(args)? else { return Ok(table()) };
        one("security_info", about(&self.securities[place]))
    }

    fn param_request(&mut self, args: &Arg) -> Outcome {
        let (place, name) = (self.named(args)?, text(args, "db_name")?.to_ascii_uppercase());
        let known = |place: &usize| params::find(&self.securities[*place], &name, DateTime::default()).is_some();
        let place = place.filter(known);
        let ordered = place.map(|place| self.held.params.insert((place, name)));
        one("result", Value::truthy(ordered.is_some()))
    }

    fn cancel_param_request(&mut self, args: &Arg) -> Outcome {
        let (place, name) = (self.named(args)?, text(args, "db_name")?.to_ascii_uppercase());
        let cancelled = place.is_some_and(|place| self.held.params.remove(&(place, name)));
        one("result", Value::truthy(cancelled))
    }

    /// What changes is told only if it was ordered; `getParamEx` orders it by asking.
    fn param(&mut self, args: &Arg, orders: bool, at: DateTime) -> Outcome {
        let (place, name) = (self.named(args)?, text(args, "param_name")?.to_ascii_uppercase());
        let found = place.and_then(|place| Some((place, params::find(&self.securities[place], &name, at)?)));
        let Some((place, param)) = found else { return one("param_ex", params::unknown()) };
        let key = (place, name);
        if orders {
            self.held.implied.insert(key.clone());
        }
        let known = param.fixed || self.held.params.contains(&key) || self.held.implied.contains(&key);
        one("param_ex", if known { param.table() } else { param.empty() })
    }

    fn level_ii_of(&mut self, args: &Arg, act: impl FnOnce(&mut Self, usize) -> bool) -> Outcome {
        let done = self.named(args)?.is_some_and(|place| act(self, place));
        one("result", Value::truthy(done))
    }

    fn quotes(&self, args: &Arg) -> Outcome {
        let place = self.named(args)?.filter(|place| self.held.level_ii.contains(place));
        let side = |side| place.map_or(Vec::new(), |place| self.levels(&self.securities[place], side));
        let (bids, offers) = (side(Side::Bid), side(Side::Ask));
        let count = |levels: &[Value]| levels.len().to_string();
        Ok(table()
            .with("bid_count", count(&bids))
            .with("offer_count", count(&offers))
            .with("bids", Value::List(bids))
            .with("offers", Value::List(offers)))
    }

    fn levels(&self, security: &Security, side: Side) -> Vec<Value> {
        let shown = security.ascending(side);
        let worst = if side == Side::Bid { 0 } else { shown.len() - 1 };
        let level = |(at, level): (usize, &crate::sim::market::Level)| {
            let silent = self.modes.no_quantity && at == worst;
            let quantity = if silent { Value::Nil } else { Value::Text(level.lots.to_string()) };
            table().with("price", params::fixed(security.spec.price(level.ticks))).with("quantity", quantity)
        };
        shown.iter().enumerate().map(level).collect()
    }

    fn sleep(&mut self, args: &Arg) -> Outcome {
        let ms = u64::try_from(int(args, "time")?).map_err(|_| Failure::Raised)?.min(MOST_SLEEP_MS);
        self.busy += std::time::Duration::from_millis(ms);
        one("result", i64::try_from(ms).unwrap_or(0))
    }
}

/// A security as `getSecurityInfo` and the table of securities describe it.
pub(super) fn about(security: &Security) -> Value {
    let spec = &security.spec;
    let share = !spec.isin.is_empty();
    table()
        .with("code", spec.code.as_str())
        .with("name", spec.name.as_str())
        .with("short_name", spec.short_name.as_str())
        .with("class_code", spec.class.code)
        .with("class_name", spec.class.name)
        .with("face_unit", if share { "SUR" } else { "" })
        .with("isin_code", spec.isin)
        .with("face_value", if share { "3.0" } else { "0.0" })
        .with("scale", spec.scale.to_string())
        .with("mat_date", spec.mat_date.to_string())
        .with("lot_size", number_text(Decimal::new(spec.lot, 0)))
        .with("min_price_step", number_text(spec.step))
}

fn trade_date(at: DateTime) -> Value {
    table()
        .with("date", moscow::date_text(at))
        .with("year", i64::from(at.year()))
        .with("month", i64::from(at.month()))
        .with("day", i64::from(at.day()))
}
