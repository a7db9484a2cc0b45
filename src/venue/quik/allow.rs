//! Which of the terminal's functions the control socket may call. Whoever reaches the terminal's RPC port can trade and
//! run code there; whoever reaches the control socket shall not, unless the config says so by name.

use serde_json::Value;

/// Functions that only read market data, and neither block the terminal nor leave anything behind in it. Left out of
/// those a market-data client needs: `getParamEx` (orders data that cannot be cancelled), `ParamRequest`, the book
/// subscriptions and `datasource.*` (leave something behind), `getScriptPath` and `getWorkingFolder` (tell about the
/// machine).
const READING: [&str; 13] = [
    "IsSubscribed_Level_II_Quotes",
    "getClassInfo",
    "getClassSecurities",
    "getClassesList",
    "getInfoParam",
    "getItem",
    "getNumberOf",
    "getParamEx2",
    "getQuoteLevel2",
    "getSecurityInfo",
    "getTradeDate",
    "isConnected",
    "os.sysdate",
];
/// Tables without anything of an account; the others take `getItem` and `getNumberOf` named in the config.
const TABLES: [&str; 4] = ["all_trades", "classes", "firms", "securities"];

/// Checks a call. `named` are the functions that the config allows beyond the harmless ones.
///
/// # Errors
/// What is allowed, as one sentence.
pub(super) fn check(method: &str, args: &Value, named: &[String]) -> Result<(), String> {
    if named.iter().any(|name| name == method) {
        return Ok(());
    }
    let shown: String = method.chars().take(64).collect();
    if !READING.contains(&method) {
        return Err(format!(
            "{shown:?} is not allowed here; allowed: {}; others can be named in the feed's terminal.allow_methods",
            READING.join(", ")
        ));
    }
    if matches!(method, "getItem" | "getNumberOf") {
        let table = args.get("table_name").and_then(Value::as_str).unwrap_or_default();
        if !TABLES.contains(&table) {
            let table: String = table.chars().take(64).collect();
            return Err(format!(
                "{shown} of table {table:?} is not allowed here; allowed tables: {}; all of them, if {shown:?} is \
                 named in the feed's terminal.allow_methods",
                TABLES.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reading_is_allowed_and_nothing_else() {
        for method in READING.iter().filter(|method| !method.starts_with("getItem") && **method != "getNumberOf") {
            assert_eq!(check(method, &Value::Null, &[]), Ok(()));
        }
        for method in [
            "sendTransaction",
            "SearchItems",
            "datasource.SetUpdateCallback",
            "SetTableNotificationCallback",
            "sleep",
            "PrintDbgStr",
            "message",
            "ParamRequest",
            "Subscribe_Level_II_Quotes",
            "datasource.CreateDataSource",
            "datasource.Size",
            "getParamEx",
            "getMoney",
            "getPortfolioInfo",
            "getclasseslist",
            "",
        ] {
            let error = check(method, &Value::Null, &[]).expect_err(method);
            assert!(error.contains("allow_methods") && error.contains("getClassesList"), "{error}");
        }
    }

    #[test]
    fn tables_of_accounts_are_not_read() {
        assert_eq!(check("getItem", &json!({"table_name": "all_trades", "index": 0}), &[]), Ok(()));
        for args in [json!({"table_name": "orders"}), json!({}), Value::Null, json!({"table_name": 7})] {
            assert!(check("getNumberOf", &args, &[]).is_err_and(|error| error.contains("all_trades")), "{args}");
        }
    }

    #[test]
    fn the_config_can_name_more() {
        let named = ["message".to_owned(), "getItem".to_owned()];
        assert_eq!(check("message", &Value::Null, &named), Ok(()));
        assert_eq!(check("getItem", &json!({"table_name": "orders"}), &named), Ok(()));
        assert!(check("sleep", &Value::Null, &named).is_err());
    }
}
