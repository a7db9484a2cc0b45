//! The terminal without sockets: each oddity of the server, call by call.

mod faults;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Decimal, Mono, Stamp, UnixNanos};

/// 2026-11-19 11:57:56.485686 in Moscow.
const WALL: u64 = 1_795_078_676_485_686_000;

fn at(ms: u64) -> Stamp {
    Stamp { mono: Mono((10_000 + ms) * 1_000_000), wall: UnixNanos(WALL + ms * 1_000_000) }
}

fn terminal_with(settings: Settings) -> Terminal {
    let mut terminal = Terminal::new(Settings { rate: 0, ..settings }, at(0));
    terminal.start_script();
    terminal
}

fn terminal(faults: &[&str]) -> Terminal {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    terminal_with(Settings { faults, ..Settings::default() })
}

fn raw_at(terminal: &mut Terminal, ms: u64, request: &str) -> Vec<u8> {
    terminal.answer(request.as_bytes(), at(ms)).reply.expect("an answer")
}

fn text_of(terminal: &mut Terminal, request: &str) -> String {
    String::from_utf8(raw_at(terminal, 0, request)).unwrap()
}

fn call_at(terminal: &mut Terminal, ms: u64, method: &str, args: Value) -> Value {
    let request = json!({"method": method, "args": args}).to_string();
    serde_json::from_slice(&raw_at(terminal, ms, &request)).unwrap()
}

fn call(terminal: &mut Terminal, method: &str, args: Value) -> Value {
    call_at(terminal, 0, method, args)
}

fn riz6() -> Value {
    json!({"class_code": "SPBFUT", "sec_code": "RIZ6"})
}

fn with(mut args: Value, name: &str, value: impl Into<Value>) -> Value {
    args[name] = value.into();
    args
}

fn raised() -> Value {
    json!({"error": {"code": 1}})
}

fn nothing() -> Value {
    json!({"result": {}})
}

fn yes() -> Value {
    json!({"result": {"result": true}})
}

fn events(terminal: &mut Terminal) -> Vec<(String, Option<Value>)> {
    let read = |payload: Vec<u8>| serde_json::from_slice(&payload).unwrap();
    terminal.take_events().into_iter().map(|event| (event.name, event.payload.map(read))).collect()
}

fn names(terminal: &mut Terminal) -> Vec<String> {
    events(terminal).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn errors_are_the_servers() {
    let mut t = terminal(&[]);
    let unknown = json!({"error": {"code": 404, "message": "QLua-функция с именем 'foo' не найдена."}});
    assert_eq!(call(&mut t, "foo", json!({})), unknown);
    for name in ["OnQuote", "isconnected", "Size"] {
        assert_eq!(call(&mut t, name, json!({}))["error"]["code"], 404, "{name}");
    }
    assert!(text_of(&mut t, r#"{"method":7}"#).contains("404"));
    for wrong in ["nonsense", "[]", "{}", "{\"method\":\"a\tb\"}"] {
        let answer: Value = serde_json::from_str(&text_of(&mut t, wrong)).unwrap();
        assert_eq!(answer["error"]["code"], 500, "{wrong}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("json.lua:"), "{answer}");
    }
    assert_eq!(text_of(&mut t, r#"{"method":"getInfoParam"}"#), r#"{"error":{"code":1}}"#);
    assert_eq!(call(&mut t, "getClassInfo", json!({"class_code": "NONE"})), raised());
    assert_eq!(call(&mut t, "AllocTable", json!({})), raised());
    let calls = t.calls();
    assert_eq!((calls["(unknown)"], calls["(undecodable)"], calls["getInfoParam"]), (5, 4, 1));
}

#[test]
fn the_terminal_and_its_classes() {
    let mut t = terminal(&[]);
    assert_eq!(call(&mut t, "isConnected", json!({})), json!({"result": {"is_connected": 1}}));
    let info = |t: &mut Terminal, name: &str| {
        let answer = call(t, "getInfoParam", json!({"param_name": name}));
        answer["result"]["info_param"].as_str().unwrap().to_owned()
    };
    assert_eq!((info(&mut t, "LASTRECORDTIME"), info(&mut t, "SERVERTIME")), ("11:57:56".into(), "11:57:56".into()));
    assert_eq!((info(&mut t, "TRADEDATE"), info(&mut t, "NOSUCH")), ("19.11.2026".into(), String::new()));
    assert_eq!(call(&mut t, "getClassesList", json!({}))["result"]["classes_list"], "SPBFUT,SPBOPT,TQBR,CETS,");
    let securities = call(&mut t, "getClassSecurities", json!({"class_code": "SPBFUT"}));
    assert_eq!(securities["result"]["class_securities"], "RIZ6,SiZ6,BRF7,GDZ6,EuZ6,MXZ6,");
    assert_eq!(call(&mut t, "getClassSecurities", json!({"class_code": "X"}))["result"]["class_securities"], "");
    assert_eq!(call(&mut t, "getClassInfo", json!({"class_code": "TQBR"}))["result"]["class_info"]["nsecs"], 6);
    let sber = call(&mut t, "getSecurityInfo", json!({"class_code": "TQBR", "sec_code": "SBER"}));
    let info = &sber["result"]["security_info"];
    assert_eq!(
        (&info["short_name"], &info["lot_size"], &info["scale"]),
        (&json!("Сбербанк"), &json!("10.0"), &json!("2"))
    );
    let tgka = call(&mut t, "getSecurityInfo", json!({"class_code": "TQBR", "sec_code": "TGKA"}));
    assert_eq!(tgka["result"]["security_info"]["min_price_step"], "2e-06");
    assert_eq!(call(&mut t, "getSecurityInfo", json!({"class_code": "TQBR", "sec_code": "RIZ6"})), nothing());
    assert_eq!(call(&mut t, "getTradeDate", json!({}))["result"]["trade_date"]["date"], "19.11.2026");
    assert_eq!(call(&mut t, "os.sysdate", json!({}))["result"]["mcs"], 485_686);
}

#[test]
fn parameters_come_once_they_are_ordered() {
    let mut t = terminal(&[]);
    let (order, ask) = (with(riz6(), "db_name", "BID"), with(riz6(), "param_name", "bid"));
    let silent = call(&mut t, "getParamEx2", ask.clone());
    assert_eq!(silent["result"]["param_ex"]["result"], "0");
    assert_eq!(call(&mut t, "ParamRequest", order.clone()), yes());
    let bid = call(&mut t, "getParamEx2", ask.clone());
    let best = t.book("SPBFUT", "RIZ6").unwrap().bids[0].price;
    let value = format!("{best}.000000");
    let param = &bid["result"]["param_ex"];
    assert_eq!(
        (&param["param_type"], &param["param_value"], &param["result"]),
        (&json!("1"), &json!(value), &json!("1"))
    );
    assert!(param["param_image"].as_str().unwrap().contains('\u{a0}'), "{param}");
    assert_eq!(t.param_requests(), ["SPBFUT RIZ6 BID"]);
    assert_eq!(call(&mut t, "CancelParamRequest", order.clone()), yes());
    assert_eq!(call(&mut t, "CancelParamRequest", order), nothing());
    assert_eq!(call(&mut t, "getParamEx2", ask.clone())["result"]["param_ex"]["result"], "0");
    // getParamEx orders by asking, and nothing takes that back.
    assert_eq!(call(&mut t, "getParamEx", ask.clone())["result"]["param_ex"]["result"], "1");
    assert_eq!(call(&mut t, "getParamEx2", ask)["result"]["param_ex"]["result"], "1");
    assert!(t.param_requests().is_empty());
    let step = call(&mut t, "getParamEx2", with(riz6(), "param_name", "SEC_PRICE_STEP"));
    assert_eq!(step["result"]["param_ex"]["param_value"], "10.000000");
    assert_eq!(call(&mut t, "ParamRequest", with(riz6(), "db_name", "NOSUCH")), nothing());
    assert_eq!(call(&mut t, "ParamRequest", with(riz6(), "param_name", "BID")), raised());
    let unknown = call(&mut t, "getParamEx2", with(riz6(), "param_name", "NOSUCH"));
    assert_eq!(unknown["result"]["param_ex"]["result"], "0");
}

#[test]
fn level_ii_comes_once_it_is_subscribed_and_ascends() {
    let mut t = terminal(&[]);
    let empty = json!({"result": {"bid_count": "0", "offer_count": "0", "bids": [], "offers": []}});
    assert_eq!(call(&mut t, "getQuoteLevel2", riz6()), empty);
    assert_eq!(call(&mut t, "IsSubscribed_Level_II_Quotes", riz6()), nothing());
    assert_eq!(call(&mut t, "Subscribe_Level_II_Quotes", riz6()), yes());
    assert_eq!(call(&mut t, "Subscribe_Level_II_Quotes", riz6()), yes());
    assert_eq!(call(&mut t, "Subscribe_Level_II_Quotes", json!({"class_code": "TQBR", "sec_code": "NO"})), nothing());
    let quotes = call(&mut t, "getQuoteLevel2", riz6());
    let truth = t.book("SPBFUT", "RIZ6").unwrap();
    let side = |name: &str| {
        let levels = quotes["result"][name].as_array().unwrap().clone();
        let number = |level: &Value, name: &str| level[name].as_str().unwrap().parse::<f64>().unwrap() as i64;
        levels.iter().map(|level| (number(level, "price"), number(level, "quantity"))).collect::<Vec<_>>()
    };
    let told = |levels: &[crate::model::Level]| levels.iter().map(|l| (l.price.mantissa, l.size.mantissa)).collect();
    let (mut bids, asks): (Vec<_>, Vec<_>) = (told(&truth.bids), told(&truth.asks));
    bids.reverse();
    assert_eq!((side("bids"), side("offers")), (bids.clone(), asks.clone()));
    assert!(bids.windows(2).chain(asks.windows(2)).all(|w| w[0].0 < w[1].0) && bids.last() < asks.first());
    assert_eq!(quotes["result"]["bid_count"], "20");
    assert_eq!(call(&mut t, "Unsubscribe_Level_II_Quotes", riz6()), yes());
    assert_eq!(call(&mut t, "Unsubscribe_Level_II_Quotes", riz6()), nothing());
    assert_eq!(call(&mut t, "getQuoteLevel2", riz6()), empty);
}

fn create(t: &mut Terminal, interval: &str) -> String {
    let answer = call(t, "datasource.CreateDataSource", with(riz6(), "interval", interval));
    assert_eq!(answer["result"]["is_error"], false, "{answer}");
    answer["result"]["datasource_uuid"].as_str().unwrap().to_owned()
}

#[test]
fn datasources_fill_in_steps_and_tell_bar_by_bar() {
    let mut t = terminal(&[]);
    let uuid = create(&mut t, "INTERVAL_M5");
    let id = json!({"datasource_uuid": uuid});
    let size =
        |t: &mut Terminal, ms| call_at(t, ms, "datasource.Size", id.clone())["result"]["value"].as_i64().unwrap();
    let sizes: Vec<i64> = [0, 100, 200, 300].map(|ms| size(&mut t, ms)).to_vec();
    assert!(sizes[0] == 0 && sizes[1] < sizes[2] && sizes[2] < 300 && sizes[3] == 300, "{sizes:?}");
    let bars = t.bars("SPBFUT", "RIZ6", "INTERVAL_M5", at(300)).unwrap();
    let of = |index: i64| with(id.clone(), "candle_index", index);
    for (method, price) in [("O", bars[299].open), ("H", bars[299].high), ("L", bars[299].low), ("C", bars[299].close)]
    {
        let answer = call_at(&mut t, 300, &format!("datasource.{method}"), of(300));
        assert_eq!(answer["result"]["value"], format!("{price}.0"));
    }
    let volume = call_at(&mut t, 300, "datasource.V", of(1))["result"]["value"].clone();
    assert_eq!(volume, format!("{}.0", bars[0].lots));
    let time = call_at(&mut t, 300, "datasource.T", of(300))["result"]["time"].clone();
    assert_eq!(
        (&time["hour"], &time["min"], &time["sec"], &time["week_day"]),
        (&json!(11), &json!(55), &json!(0), &json!(4))
    );
    for wrong in [of(0), of(301), with(id.clone(), "candle_index", "1"), id.clone()] {
        assert_eq!(call_at(&mut t, 300, "datasource.C", wrong), raised());
    }
    assert_eq!(call(&mut t, "datasource.SetEmptyCallback", id.clone()), yes());
    let callback = with(id.clone(), "f_cb_def", "function() end");
    assert_eq!(call(&mut t, "datasource.SetUpdateCallback", callback.clone()), yes());
    assert_eq!(call(&mut t, "datasource.SetUpdateCallback", with(callback, "watching_C", true)), raised());
    assert_eq!(t.open_datasources(), ["SPBFUT RIZ6 INTERVAL_M5"]);
    assert_eq!(call_at(&mut t, 300, "datasource.Close", id.clone()), yes());
    assert_eq!(call_at(&mut t, 300, "datasource.Close", id.clone()), nothing());
    assert_eq!(size(&mut t, 300), 0);
    assert_eq!(call_at(&mut t, 300, "datasource.T", of(1)), raised());
    assert!(t.open_datasources().is_empty());
    assert_eq!(call(&mut t, "datasource.Size", json!({"datasource_uuid": "stranger"})), raised());
}

#[test]
fn datasources_that_are_refused() {
    let mut t = terminal(&[]);
    let unknown = json!({"class_code": "TQBR", "sec_code": "NOSUCH", "interval": "INTERVAL_M1"});
    let request = json!({"method": "datasource.CreateDataSource", "args": unknown}).to_string();
    let answer = raw_at(&mut t, 0, &request);
    assert!(String::from_utf8(answer.clone()).is_err(), "the reason is windows-1251");
    let (text, _, _) = encoding_rs::WINDOWS_1251.decode(&answer);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["result"]["is_error"], true);
    assert_eq!(answer["result"]["error_desc"], "Инструмент не найден: NOSUCH");
    assert_eq!(call(&mut t, "datasource.CreateDataSource", with(riz6(), "interval", "INTERVAL_M7")), raised());
    assert_eq!(call(&mut t, "datasource.CreateDataSource", riz6()), raised());
}

#[test]
fn new_bars_are_made_of_trades() {
    let mut t = terminal_with(Settings { securities: vec!["RIZ6".into()], ..Settings::default() });
    let (minute, tick) = (create(&mut t, "INTERVAL_M1"), create(&mut t, "INTERVAL_TICK"));
    let size_at = |t: &mut Terminal, ms, uuid: &str| {
        call_at(t, ms, "datasource.Size", json!({"datasource_uuid": uuid}))["result"]["value"].as_i64().unwrap()
    };
    let size = |t: &mut Terminal, uuid: &str| size_at(t, 60_000, uuid);
    assert_eq!((size_at(&mut t, 300, &minute), size_at(&mut t, 300, &tick)), (300, 300));
    let before = t.trades("SPBFUT", "RIZ6").len();
    t.step(100, at(60_000));
    let traded = (t.trades("SPBFUT", "RIZ6").len() - before) as i64;
    assert!(traded > 5);
    assert_eq!((size(&mut t, &minute), size(&mut t, &tick)), (301, 300 + traded));
    let last = *t.trades("SPBFUT", "RIZ6").last().unwrap();
    let bar = *t.bars("SPBFUT", "RIZ6", "INTERVAL_M1", at(60_000)).unwrap().last().unwrap();
    assert_eq!(bar.close, last.price);
    assert_eq!(bar.start.0 % 60_000_000_000, 0);
}

#[test]
fn trades_are_told_and_kept() {
    let mut t = terminal_with(Settings { securities: vec!["RIZ6".into(), "CNYRUB_TOM".into()], ..Settings::default() });
    t.take_events();
    let rows =
        |t: &mut Terminal| call(t, "getNumberOf", json!({"table_name": "all_trades"}))["result"]["result"].clone();
    assert_eq!(rows(&mut t), 40);
    let known = t.trades("SPBFUT", "RIZ6").len() + t.trades("CETS", "CNYRUB_TOM").len();
    t.step(500, at(1_000));
    let told: Vec<Value> =
        events(&mut t).into_iter().filter(|(name, _)| name == "OnAllTrade").map(|e| e.1.unwrap()).collect();
    assert_eq!(rows(&mut t), known + told.len());
    let of = |class: &str| told.iter().filter(|trade| trade["class_code"] == class).cloned().collect::<Vec<_>>();
    for (class, code) in [("SPBFUT", "RIZ6"), ("CETS", "CNYRUB_TOM")] {
        for (told, truth) in of(class).iter().zip(&t.trades(class, code)[20..]) {
            assert_eq!((&told["trade_num"], &told["qty"]), (&json!(truth.num), &json!(truth.lots)));
            let flags = told["flags"].as_i64().unwrap();
            assert!(flags & 0x400 != 0 && flags & 3 < 3);
            let price = Decimal::parse(told["price"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(price.trimmed(), truth.price.trimmed());
        }
    }
    let trade = &of("SPBFUT")[0];
    assert!(trade["trade_num"].as_i64().unwrap() > 1_000_000_000_000_000_000);
    assert_eq!((&trade["datetime"]["ms"], &trade["datetime"]["mcs"]), (&json!(485), &json!(485_686)));
    assert_eq!((&of("CETS")[0]["datetime"]["ms"], &of("CETS")[0]["datetime"]["mcs"]), (&json!(485), &json!(0)));
    assert!(told.iter().any(|trade| trade["flags"].as_i64().unwrap() & 3 == 0), "some have no side");
    let item = call(&mut t, "getItem", json!({"table_name": "all_trades", "index": 40}));
    let row = &item["result"]["table_row"];
    assert_eq!(row["trade_num"].as_str().unwrap(), told[0]["trade_num"].to_string());
    assert_eq!((row["qty"].is_string(), row["datetime"]["year"].clone()), (true, json!(2026)));
}

#[test]
fn tables() {
    let mut t = terminal(&[]);
    let item =
        |t: &mut Terminal, table: &str, index: Value| call(t, "getItem", json!({"table_name": table, "index": index}));
    assert_eq!(call(&mut t, "getNumberOf", json!({"table_name": "nosuch"}))["result"]["result"], -1);
    assert_eq!(call(&mut t, "getNumberOf", json!({"table_name": "stop_orders"}))["result"]["result"], 0);
    assert_eq!(item(&mut t, "classes", json!(0))["result"]["table_row"], json!({"singular_result": "SPBFUT"}));
    assert_eq!(item(&mut t, "classes", json!(99)), nothing());
    assert_eq!(item(&mut t, "firms", json!(0))["result"]["table_row"]["status"], "1");
    assert_eq!(item(&mut t, "classes", json!("0")), raised());
    let search = json!({"table_name": "orders", "start_index": 0, "fn_def": "function() return true end"});
    assert_eq!(call(&mut t, "SearchItems", search), nothing());
}

#[test]
fn the_account_deals_and_tells() {
    let mut t = terminal(&[]);
    t.take_events();
    let order = json!({"transaction": {"ACTION": "NEW_ORDER", "CLASSCODE": "SPBFUT", "SECCODE": "RIZ6",
        "OPERATION": "B", "PRICE": "0", "QUANTITY": "3", "TRANS_ID": "17"}});
    assert_eq!(call(&mut t, "sendTransaction", order), json!({"result": {"result": ""}}));
    let told = events(&mut t);
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["OnTransReply", "OnOrder", "OnTrade", "OnOrder", "OnFuturesClientHolding", "OnFuturesLimitChange"];
    assert_eq!(names, expected);
    let of = |at: usize| told[at].1.clone().unwrap();
    assert_eq!(
        (of(0)["trans_id"].clone(), of(1)["flags"].clone(), of(3)["flags"].clone()),
        (json!(17), json!(9), json!(8))
    );
    assert_eq!((of(2)["qty"].clone(), of(4)["totalnet"].clone()), (json!(3), json!("3.0")));
    assert_eq!(of(1)["order_num"], of(3)["order_num"]);
    let number = of(1)["order_num"].clone();
    let found = call(&mut t, "getOrderByNumber", json!({"class_code": "SPBFUT", "order_id": number}));
    assert_eq!((&found["result"]["order"]["qty"], &found["result"]["indx"]), (&json!(3), &json!(0)));
    let none = call(&mut t, "getOrderByNumber", json!({"class_code": "SPBFUT", "order_id": 1}));
    assert_eq!(none, json!({"result": []}));
    let stranger = json!({"firm_id": "X", "client_code": "nobody"});
    assert_eq!(call(&mut t, "getPortfolioInfo", stranger), json!({"result": {"portfolio_info": []}}));
    let request = r#"{"method":"sendTransaction","args":{"transaction":{"ACTION":"NEW_ORDER"}}}"#;
    assert!(String::from_utf8(raw_at(&mut t, 0, request)).is_err(), "refusals are windows-1251");
    let shares = json!({"transaction": {"ACTION": "NEW_ORDER", "CLASSCODE": "TQBR", "SECCODE": "SBER",
        "OPERATION": "S", "QUANTITY": "2"}});
    call(&mut t, "sendTransaction", shares);
    let told = events(&mut t);
    assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()[3..], ["OnDepoLimit", "OnMoneyLimit"]);
    assert_eq!(told[3].1.as_ref().unwrap()["currentbal"], -20);
}

#[test]
fn what_only_computes() {
    let mut t = terminal(&[]);
    let result = |t: &mut Terminal, method: &str, args: Value| call(t, method, args)["result"]["result"].clone();
    assert_eq!(result(&mut t, "bit.band", json!({"x1": 7, "x2": 6, "xi": [12, null, 1]})), 4);
    assert_eq!(call(&mut t, "bit.test", json!({"x": 4, "n": 1})), nothing());
    assert_eq!(result(&mut t, "bit.test", json!({"x": 4, "n": 2})), true);
    assert_eq!(result(&mut t, "bit.tohex", json!({"x": 255})), "000000ff");
    assert_eq!(result(&mut t, "RGB", json!({"red": 1, "green": 2, "blue": 3})), 197_121);
    assert_eq!(result(&mut t, "message", json!({"message": "hello", "icon_type": "WARNING"})), 1);
    let slept = t.answer(br#"{"method":"sleep","args":{"time":70}}"#, at(0));
    assert_eq!(slept.busy, Duration::from_millis(70));
}

#[test]
fn events_say_what_changed_and_to_whom_it_matters() {
    let mut t = terminal_with(Settings { securities: vec!["RIZ6".into()], ..Settings::default() });
    assert_eq!(events(&mut t), [("PublisherOnline".to_owned(), None)]);
    t.step(50, at(0));
    assert!(names(&mut t).iter().all(|name| name == "OnAllTrade"));
    call(&mut t, "Subscribe_Level_II_Quotes", riz6());
    call(&mut t, "ParamRequest", with(riz6(), "db_name", "LAST"));
    t.step(1, at(0));
    let told = events(&mut t);
    assert_eq!(told.last().unwrap(), &("OnParam".to_owned(), Some(riz6())));
    assert!(told.contains(&("OnQuote".to_owned(), Some(riz6()))));
    t.stop_script(2);
    assert_eq!(events(&mut t), [("OnClose".to_owned(), None), ("OnStop".to_owned(), Some(json!({"signal": 2})))]);
}

#[test]
fn a_new_run_holds_nothing_and_has_its_own_order_of_members() {
    let mut t = terminal(&[]);
    let uuid = create(&mut t, "INTERVAL_M1");
    call(&mut t, "Subscribe_Level_II_Quotes", riz6());
    call(&mut t, "ParamRequest", with(riz6(), "db_name", "LAST"));
    let state = call(&mut t, "sim.state", json!({}));
    let expected = json!({"calls": 3, "run": 1, "datasources": ["SPBFUT RIZ6 INTERVAL_M1"],
        "param_requests": ["SPBFUT RIZ6 LAST"], "level_ii": ["SPBFUT RIZ6"]});
    assert_eq!(state["result"], expected);
    let order = |t: &mut Terminal| text_of(t, r#"{"method":"getTradeDate"}"#);
    let orders: std::collections::BTreeSet<String> = (0..8)
        .map(|_| {
            t.start_script();
            order(&mut t)
        })
        .collect();
    assert!(orders.len() > 3, "{orders:?}");
    assert_eq!(call(&mut t, "datasource.Size", json!({"datasource_uuid": uuid})), raised());
    assert_eq!((t.open_datasources(), t.param_requests(), t.level_ii()), (vec![], vec![], vec![]));
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed| {
        let mut t = terminal_with(Settings { seed, ..Settings::default() });
        t.step(200, at(0));
        t.take_events()
    };
    assert_eq!(life(7), life(7));
    assert_ne!(life(7), life(8));
}
