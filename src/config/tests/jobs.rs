//! Jobs: which calls are signed, and by whom.

use super::*;
use crate::jobs::{Node, Work};
use crate::venue::{Endpoint, bybit};

const fn endpoint(name: &'static str, path: &'static str, signed: bool) -> Endpoint {
    let weight = |_: &[(String, String)]| 3;
    Endpoint { name, about: "", path, required: &[], optional: &[], signed, weight, fixed: &[], read: None, past: None }
}

static VENUE: VenueDef = VenueDef {
    rest: |_| {
        const ALL: &[Endpoint] = &[endpoint("time", "/time", false), endpoint("wallet", "/wallet", true)];
        ALL
    },
    ..bybit::VENUE
};

fn check(job: serde_json::Value) -> Result<Config, Problems> {
    let account = |name: &str| json!({"api": "bybit", "key": {"env": "K"}, "secret": {"env": name}});
    let accounts = json!({"one": account("S"), "two": account("S"), "broken": account("NOWHERE")});
    let text = json!({"feeds": {}, "accounts": accounts, "jobs": {"x": job}}).to_string();
    let env = [("K", "a-long-key"), ("S", "a-long-secret")].map(|(name, value)| (name.into(), value.into()));
    Layers { text, env: env.into(), ..Layers::default() }.check_with(&[&VENUE])
}

fn job(task: serde_json::Value) -> serde_json::Value {
    json!({"venue": "bybit", "market": "spot", "account": "one", "queue": [task]})
}

/// Label and account of every call.
fn signers(node: &Node) -> Vec<(String, Option<String>)> {
    match &node.work {
        Work::Call(call) => vec![(call.label().to_owned(), call.account().map(str::to_owned))],
        Work::Group(group) => group.tasks.iter().flat_map(signers).collect(),
    }
}

#[test]
fn calls_are_signed_where_they_are_to_be_by_the_nearest_account() {
    let path = |more: serde_json::Value| {
        let mut get = json!({"path": "/p"});
        get.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        get
    };
    let tasks = json!([
        {"get": "time"}, {"get": "wallet"}, {"get": path(json!({}))},
        {"get": path(json!({"signed": false}))},
        {"account": "two", "serial": [{"get": "wallet"}, {"account": "one", "get": "wallet"}, {"get": "time"}]},
    ]);
    let config = check(job(json!({"gather": tasks}))).unwrap();
    let told = signers(&config.jobs[0].tasks[0]);
    let told: Vec<_> = told.iter().map(|(label, account)| (label.as_str(), account.as_deref())).collect();
    let (one, two) = (Some("one"), Some("two"));
    let wanted =
        [("time", None), ("wallet", one), ("/p", one), ("/p", None), ("wallet", two), ("wallet", one), ("time", None)];
    assert_eq!(told, wanted);
}

#[test]
fn what_cannot_be_signed_is_a_problem_of_the_config() {
    let problem = |task: serde_json::Value, account: Option<&str>| {
        let mut job = job(task);
        job["account"] = json!(account);
        let found = check(job).unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        found.to_string()
    };
    let wallet = || json!({"get": "wallet"});
    let told = problem(wallet(), None);
    let wanted =
        "jobs.x.queue[0].account: wallet is signed: say which account signs it; accounts of bybit: broken, one, two";
    assert!(told.ends_with(wanted), "{told}");
    let told = problem(json!({"get": {"path": "/p", "signed": true}}), None);
    assert!(told.contains("/p is signed"), "{told}");
    let told = problem(wallet(), Some("three"));
    assert!(told.contains("there is no account \"three\"; known: broken, one, two"), "{told}");
    let told = problem(wallet(), Some("broken"));
    assert!(told.contains("the account broken cannot be used: secret: the environment variable NOWHERE"), "{told}");
    let told = problem(json!({"get": {"path": "/p", "method": "POST"}}), None);
    assert!(told.contains("unknown method \"POST\"; allowed: GET"), "{told}");
    let mut nowhere = job(json!({"get": "time"}));
    nowhere["rest_url"] = json!("127.0.0.1:9001");
    let told = check(nowhere.clone()).unwrap_err().to_string();
    assert!(told.contains("jobs.x.queue[0]: \"127.0.0.1:9001\" is no REST address; write https://HOST"), "{told}");
    nowhere["rest_url"] = json!("http://127.0.0.1:99999");
    let told = check(nowhere).unwrap_err().to_string();
    assert!(told.contains("\"http://127.0.0.1:99999\" is no REST address"), "{told}");
}

#[test]
fn an_account_that_does_not_exist_is_a_problem_though_no_call_needs_it() {
    let mut idle = job(json!({"gather": [{"get": "time"}, {"get": "wallet"}, {"account": "tow", "get": "time"}]}));
    idle["account"] = json!("three");
    let told = check(idle.clone()).unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().map(|line| line.trim_start_matches(": ")).collect();
    let known = "known: broken, one, two";
    let (at_job, at_task) = ("jobs.x.account", "jobs.x.queue[0].gather[2].account");
    assert_eq!(
        lines,
        [
            format!("{at_job}: there is no account \"three\"; {known}"),
            format!("{at_task}: there is no account \"tow\"; {known}; did you mean \"two\"?"),
        ],
        "each once, where it stands"
    );
    // What is wrong with one that no call needs matters to nobody.
    let mut idle = job(json!({"get": "time"}));
    idle["account"] = json!("broken");
    assert!(check(idle).is_ok());
}

#[test]
fn a_second_ticker_of_a_symbol_is_not_called_a_book() {
    let feed = json!({"venue": "binance", "market": "usdm", "symbols": ["SOLUSDT"], "channels": ["ticker:mini", "ticker:mark"]});
    let layers = Layers { text: json!({"feeds": {"a": feed}}).to_string(), ..Layers::default() };
    let told = layers.check().unwrap_err().to_string();
    let wanted =
        "feeds.a.channels[1]: a second ticker of \"SOLUSDT\", besides channels[0]: the bus has one ticker per symbol";
    assert!(told.contains(wanted), "{told}");
}
