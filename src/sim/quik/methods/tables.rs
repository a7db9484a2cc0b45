//! `getNumberOf`, `getItem` and `SearchItems`: the terminal's tables, every value of a row as text.

use super::market::about;
use super::{Arg, Outcome, int, one, table, text};
use crate::sim::quik::account::{CLIENT, DEPO_ACCOUNT, FUTURES_ACCOUNT};
use crate::sim::quik::catalog::CLASSES;
use crate::sim::quik::terminal::Terminal;
use crate::sim::quik::value::Value;

/// Tables that a terminal has and that are always empty here.
const EMPTY: [&str; 9] = [
    "account_positions",
    "stop_orders",
    "neg_deals",
    "neg_trades",
    "neg_deal_reports",
    "firm_holding",
    "account_balance",
    "ccp_holdings",
    "rm_holdings",
];

impl Terminal {
    pub(super) fn table_method(&self, method: &str, args: &Arg) -> Option<Outcome> {
        Some(match method {
            "getNumberOf" => text(args, "table_name").and_then(|name| {
                let rows = self.rows(&name).map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
                one("result", rows)
            }),
            "getItem" => self.item(args),
            // Lua code cannot be run here: nothing is ever found.
            "SearchItems" => text(args, "fn_def").and(int(args, "start_index")).map(|_| table()),
            _ => return None,
        })
    }

    fn item(&self, args: &Arg) -> Outcome {
        let (name, index) = (text(args, "table_name")?, int(args, "index")?);
        let row = usize::try_from(index).ok().and_then(|index| self.row(&name, index));
        Ok(match row {
            None => table(),
            Some(row @ Value::Table(_)) => table().with("table_row", row.texts()),
            Some(bare) => table().with("table_row", table().with("singular_result", bare.texts())),
        })
    }

    fn rows(&self, name: &str) -> Option<usize> {
        let derivatives = |derivatives| {
            let of_market = move |place: &usize| self.securities[*place].spec.class.derivatives == derivatives;
            self.account.positions().filter(of_market)
        };
        Some(match name {
            "firms" | "trade_accounts" => 2,
            "classes" => CLASSES.len(),
            "securities" => self.securities.len(),
            "client_codes" | "futures_client_limits" | "money_limits" => 1,
            "all_trades" => self.all_trades.len(),
            "orders" => self.account.orders.len(),
            "trades" => self.account.trades.len(),
            "futures_client_holding" => derivatives(true).count(),
            "depo_limits" => derivatives(false).count(),
            _ if EMPTY.contains(&name) => 0,
            _ => return None,
        })
    }

    fn row(&self, name: &str, index: usize) -> Option<Value> {
        if index >= self.rows(name)? {
            return None;
        }
        let of_market = |derivatives: bool| {
            let place =
                self.account.positions().filter(|at| self.securities[*at].spec.class.derivatives == derivatives);
            place.map(|place| (place, &self.securities[place])).nth(index)
        };
        match name {
            "firms" => Some(firm(index)),
            "trade_accounts" => Some(trade_account(index)),
            "classes" => CLASSES.get(index).map(|class| Value::from(class.code)),
            "client_codes" => Some(Value::from(CLIENT)),
            "securities" => self.securities.get(index).map(about),
            "all_trades" => self.all_trades.get(index).map(|trade| self.securities[trade.security].trade_table(trade)),
            "orders" => self.account.orders.get(index).cloned(),
            "trades" => self.account.trades.get(index).cloned(),
            "futures_client_limits" => Some(self.account.futures_limit()),
            "money_limits" => Some(self.account.money_limit()),
            "futures_client_holding" => of_market(true).map(|(at, security)| self.account.holding(at, security)),
            "depo_limits" => of_market(false).map(|(at, security)| self.account.depo_limit(at, security)),
            _ => None,
        }
    }
}

fn firm(index: usize) -> Value {
    let (firmid, name) = if index == 0 {
        ("SPBFUT589000", "Симулятор: срочный рынок")
    } else {
        ("MC0139600000", "Симулятор: фондовый рынок")
    };
    table().with("firmid", firmid).with("firm_name", name).with("status", 1).with("exchange", "MICEX")
}

fn trade_account(index: usize) -> Value {
    let (account, firmid, classes) = if index == 0 {
        (FUTURES_ACCOUNT, "SPBFUT589000", "|SPBFUT|SPBOPT|")
    } else {
        (DEPO_ACCOUNT, "MC0139600000", "|TQBR|CETS|")
    };
    table().with("trdaccid", account).with("firmid", firmid).with("class_codes", classes).with("status", 0)
}
