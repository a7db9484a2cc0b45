//! Methods about the account, and those that only compute. A gateway should not offer them; the server has them.

use jiff::civil::DateTime;

use super::{Arg, Failure, Outcome, int, one, table, text};
use crate::model::Decimal;
use crate::sim::market::Side;
use crate::sim::quik::account::{CLIENT, Deal};
use crate::sim::quik::terminal::Terminal;
use crate::sim::quik::value::{Value, number_text};

impl Terminal {
    pub(super) fn account_method(&mut self, method: &str, args: &Arg, at: DateTime) -> Option<Outcome> {
        Some(match method {
            "getMoney" => self.money(args),
            "getMoneyEx" => self.of_client(args, "money_ex", |terminal| Some(terminal.account.money_limit())),
            "getDepo" => self.depo(args),
            "getDepoEx" => self.of_security(args, "depo_ex", |terminal, place| {
                terminal.account.depo_limit(place, &terminal.securities[place])
            }),
            "getFuturesLimit" => one("futures_limit", self.account.futures_limit()),
            "getFuturesHolding" => self.of_security(args, "futures_holding", |terminal, place| {
                terminal.account.holding(place, &terminal.securities[place])
            }),
            "getOrderByNumber" => self.order(args),
            "getPortfolioInfo" | "getPortfolioInfoEx" => portfolio(args),
            "getBuySellInfo" => self.buy_sell(args, "buy_sell_info"),
            "getBuySellInfoEx" => self.buy_sell(args, "buy_sell_info_ex"),
            "CalcBuySell" => self.calc_buy_sell(args),
            "sendTransaction" => self.send_transaction(args.get("transaction"), at),
            "getLinesCount" => text(args, "tag").and_then(|_| one("lines_count", 0)),
            "getNumCandles" => text(args, "tag").and_then(|_| one("num_candles", 0)),
            "RGB" => rgb(args),
            _ => return bit(method, args),
        })
    }

    fn of_client(&self, args: &Arg, name: &'static str, row: impl FnOnce(&Self) -> Option<Value>) -> Outcome {
        let row = if text(args, "client_code")? == CLIENT { row(self) } else { None };
        one(name, row.unwrap_or(Value::Nil))
    }

    /// A row of the security with this code, in the first class that lists it.
    fn of_security(&self, args: &Arg, name: &'static str, row: impl FnOnce(&Self, usize) -> Value) -> Outcome {
        let code = text(args, "sec_code")?;
        let place = self.securities.iter().position(|security| security.spec.code == code);
        one(name, place.map_or(Value::Nil, |place| row(self, place)))
    }

    fn money(&self, args: &Arg) -> Outcome {
        text(args, "client_code")?;
        let names = [
            "money_open_limit",
            "money_limit_locked_nonmarginal_value",
            "money_limit_locked",
            "money_open_balance",
            "money_current_limit",
            "money_current_balance",
            "money_limit_available",
        ];
        one("money", names.into_iter().fold(table(), |money, name| money.with(name, "0.0")))
    }

    fn depo(&self, args: &Arg) -> Outcome {
        text(args, "sec_code")?;
        let names = [
            "depo_limit_locked_buy_value",
            "depo_current_balance",
            "depo_limit_locked_buy",
            "depo_limit_locked",
            "depo_limit_available",
            "depo_current_limit",
            "depo_open_balance",
            "depo_open_limit",
        ];
        one("depo", names.into_iter().fold(table(), |depo, name| depo.with(name, "0.0")))
    }

    /// Without a match the result is a list, not an object.
    fn order(&self, args: &Arg) -> Outcome {
        let (class_code, number) = (text(args, "class_code")?, int(args, "order_id")?);
        let field = |row: &Value, name: &str| match row {
            Value::Table(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
            _ => None,
        };
        let is = |row: &&Value| {
            field(row, "order_num") == Some(Value::Int(number))
                && field(row, "class_code") == Some(Value::from(class_code.as_str()))
        };
        let found = self.account.orders.iter().enumerate().find(|(_, row)| is(row));
        Ok(found.map_or(Value::List(Vec::new()), |(at, row)| {
            table().with("order", row.clone()).with("indx", i64::try_from(at).unwrap_or(0))
        }))
    }

    fn buy_sell(&self, args: &Arg, name: &'static str) -> Outcome {
        let known = self.named(args)?.is_some() && text(args, "client_code")? == CLIENT;
        let fields =
            ["is_margin_sec", "can_buy", "can_sell", "position", "value", "open_value", "lim_long", "lim_short"];
        let info = fields.into_iter().fold(table(), |info, field| info.with(field, "0"));
        one(name, if known { info } else { table() })
    }

    fn calc_buy_sell(&self, args: &Arg) -> Outcome {
        let place = self.named(args)?.ok_or(Failure::Raised)?;
        args.get("price").number().ok_or(Failure::Raised)?;
        let lots =
            100_000_000 / self.securities[place].value(self.securities[place].market.last().ticks).mantissa.max(1);
        Ok(table().with("qty", lots).with("comission", "0.0"))
    }

    /// Deals at the touch: `""` when the transaction was taken, else words in windows-1251.
    fn send_transaction(&mut self, transaction: &Arg, at: DateTime) -> Outcome {
        if !matches!(transaction, Arg::Object(_)) {
            return Err(Failure::Raised);
        }
        let field = |name: &str| transaction.get(name).text().unwrap_or_default();
        let refused = |words: &str| one("result", Value::Cp1251(words.to_owned()));
        if field("ACTION") != "NEW_ORDER" {
            return refused("Неизвестный тип транзакции");
        }
        let Some(&place) = self.places.get(&(field("CLASSCODE"), field("SECCODE"))) else {
            return refused("Неизвестный код инструмента");
        };
        let lots = field("QUANTITY").parse::<i64>().ok().filter(|lots| (1..=1_000_000).contains(lots));
        let (Some(lots), "B" | "S") = (lots, field("OPERATION").as_str()) else {
            return refused("Неверно указано количество или направление");
        };
        let buy = field("OPERATION") == "B";
        let best = self.securities[place].market.best(if buy { Side::Ask } else { Side::Bid });
        let trans_id = field("TRANS_ID").parse().unwrap_or(0);
        self.deal(place, Deal { buy, ticks: best.ticks, lots, trans_id }, at);
        one("result", "")
    }
}

fn portfolio(args: &Arg) -> Outcome {
    text(args, "firm_id")?;
    if text(args, "client_code")? != CLIENT {
        return one("portfolio_info", table());
    }
    let million = number_text(Decimal::new(1_000_000, 0));
    let info = table()
        .with("is_leverage", "МЛ")
        .with("in_assets", million.clone())
        .with("leverage", "1.0")
        .with("open_limit", "0.0")
        .with("val_short", "0.0")
        .with("val_long", "0.0")
        .with("portfolio_value", million);
    one("portfolio_info", info)
}

fn rgb(args: &Arg) -> Outcome {
    let (red, green, blue) = (int(args, "red")?, int(args, "green")?, int(args, "blue")?);
    one("result", (red & 0xff) | (green & 0xff) << 8 | (blue & 0xff) << 16)
}

fn bit(method: &str, args: &Arg) -> Option<Outcome> {
    let x = |name: &str| int(args, name);
    let fold = |join: fn(i64, i64) -> i64| {
        let mut out = join(x("x1")?, x("x2")?);
        if let Arg::List(more) = args.get("xi") {
            for number in more {
                out = join(out, number.int().ok_or(Failure::Raised)?);
            }
        }
        one("result", out)
    };
    Some(match method.strip_prefix("bit.")? {
        "band" => fold(|a, b| a & b),
        "bor" => fold(|a, b| a | b),
        "bxor" => fold(|a, b| a ^ b),
        "bnot" => x("x").and_then(|x| one("result", !x)),
        "test" => x("x").and_then(|number| {
            let n = u32::try_from(x("n")?).ok().filter(|n| *n < 64).ok_or(Failure::Raised)?;
            one("result", Value::truthy(number >> n & 1 == 1))
        }),
        "tohex" => x("x").and_then(|number| {
            let digits = usize::try_from(x("n").unwrap_or(8).clamp(1, 16)).unwrap_or(8);
            let text = format!("{:016x}", number);
            one("result", &text[16 - digits..])
        }),
        _ => return None,
    })
}
