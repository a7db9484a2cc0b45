//! `tickbus fetch` and the control command of that name.

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::sim::{Options, Server as Venue};

use crate::gateway::{Gateway, config};
use crate::server::{
    Asked, CANARIES, Gate, KEYS, Said, Server, accounts, assert_no_canary, base64, config_of, hex, ok, said,
};

/// A response that repeats the request's headers, in its headers and in its body.
fn echo(asked: &Asked) -> Said {
    let secret = format!("X-Echo: {}\r\nX-Plain: yes\r\nSet-Cookie: a=b\r\n", asked.header("x-bapi-api-key"));
    (
        200,
        secret,
        json!({"method": asked.method, "target": asked.target, "headers": asked.headers, "body": asked.body})
            .to_string(),
    )
}

#[tokio::test]
async fn a_call_is_sent_as_it_was_written_and_its_answer_printed_as_it_came() {
    let server = Server::start(echo).await;
    let url = format!("{}/v1/getticker?a=1", server.url);
    let (code, out, _) = said(&["fetch", "get", &url, "product_code=BTC_JPY", "x=a b=c", "--header", "X-Y: z"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["target"]), (0, &json!("/v1/getticker?a=1&product_code=BTC_JPY&x=a%20b%3Dc")));
    assert_eq!((&told["headers"]["x-y"], &told["method"]), (&json!("z"), &json!("GET")));

    let data = r#"{"price": 1.10, "b": [1]}"#;
    let (_, out, _) = said(&["fetch", "POST", &url, "--data", data, "--include"]).await;
    let (head, body) = out.split_once("\n\n").unwrap();
    assert!(head.starts_with("HTTP 200\n") && head.contains("x-plain: yes") && !head.contains("cookie"), "{head}");
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&told["body"], &told["headers"]["content-type"]),
        (&json!(r#"{"price":1.10,"b":[1]}"#), &json!("application/json"))
    );
    let (_, out, _) = said(&["fetch", "PUT", &url, "--data", r#"{"a": "x y", "b": 1}"#, "--form"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["body"], &told["method"]), (&json!("a=x%20y&b=1"), &json!("PUT")));

    for (arguments, wanted) in [
        (&["fetch", "PATCH", &url] as &[&str], "unknown method"),
        (&["fetch", "GET", "api.bitflyer.com"], "is no address"),
        (&["fetch", "GET", &url, "--data", "{}"], "a GET has no data"),
        (&["fetch", "POST", &url, "--data", "{"], "the data is no JSON"),
        (&["fetch", "GET", &url, "--header", "Host: other"], "the header Host is set by the connection"),
        (&["fetch", "GET", &url, "--account", "nobody"], "there is no account \"nobody\""),
    ] {
        let (code, out, err) = said(arguments).await;
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(wanted), "{err}");
    }
    assert_eq!(server.asked().len(), 3);
    let (code, _, err) = said(&["fetch", "GET", "http://127.0.0.1:1/x"]).await;
    assert!(code == 1 && err.contains("call to 127.0.0.1:1 failed"), "{err}");
}

#[tokio::test]
async fn an_account_signs_for_a_simulator_on_this_machine_and_no_key_is_printed() {
    let server = Server::start(echo).await;
    let (config, url) = (config_of(&[("mine", "bybit", "ONE")]), format!("{}/v5/order?q=1", server.url));
    let config = config.path().to_str().unwrap();
    let call = ["fetch", "POST", &url, "category=linear", "--data", r#"{"qty": 1.0}"#, "--include", "--config", config];
    let (code, out, err) = said(&[&call[..], &["--account", "mine"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("x-echo: …") && out.contains(r#""x-bapi-api-key":"…""#), "{out}");
    let asked = server.asked().pop().unwrap();
    let text = [asked.header("x-bapi-timestamp"), KEYS[0].1, "q=1&category=linear", r#"{"qty":1.0}"#].concat();
    assert_eq!(
        (asked.header("x-bapi-sign"), asked.header("x-bapi-api-key")),
        (hex(CANARIES[0].1, &text).as_str(), KEYS[0].1)
    );
    // By itself nobody's host gets no signature.
    let (_, out, _) = said(&call).await;
    assert!(!out.contains("x-bapi"), "{out}");
    // And with a key no other host is even asked: its name is not looked up.
    let (code, _, err) =
        said(&["fetch", "GET", "https://api.bybit.example/v5", "--account", "mine", "--config", config]).await;
    assert!(code == 2 && err.contains("the account mine does not sign for api.bybit.example"), "{err}");
}

#[tokio::test]
async fn redirects_stay_on_the_host_and_take_no_key_elsewhere() {
    let stranger = Server::start(|_| ok("{}")).await;
    let location = stranger.url.clone();
    let server = Server::start(move |asked| match asked.target.as_str() {
        "/away" => (302, format!("Location: {location}/x\r\n"), "moved".to_owned()),
        "/here" => (302, "Location: /there\r\n".to_owned(), String::new()),
        _ => ok("\"arrived\""),
    })
    .await;
    let config = config_of(&[("mine", "bybit", "ONE")]);
    let fetch = |path: &str| format!("{}{path}", server.url);
    let signed = ["--account", "mine", "--config", config.path().to_str().unwrap()];
    let (code, out, _) = said(&[&["fetch", "GET", &fetch("/away")], &signed[..]].concat()).await;
    assert_eq!((code, out.as_str(), stranger.asked().len()), (1, "moved\n", 0));
    let (code, out, _) = said(&["fetch", "GET", &fetch("/here")]).await;
    assert_eq!((code, out.as_str()), (0, "\"arrived\"\n"));
}

/// A server of bybit's that sends calls on, and refuses what is not signed for where it came to.
async fn moving() -> Server {
    Server::start(|asked| {
        let moved = |status, to: &str| (status, format!("Location: {to}\r\n"), "moved".to_owned());
        let text = [asked.header("x-bapi-timestamp"), KEYS[0].1, asked.query(), &asked.body].concat();
        match asked.target.split_once('?').map_or(asked.target.as_str(), |(path, _)| path) {
            _ if asked.header("x-bapi-sign") != hex(CANARIES[0].1, &text) => (401, String::new(), "refused".to_owned()),
            "/found" => moved(302, "/v5/there?b=2&c=3"),
            "/kept" => moved(307, &asked.target.replace("kept", "v5/there")),
            "/round" => moved(302, "/round"),
            _ => ok("\"arrived\""),
        }
    })
    .await
}

#[tokio::test]
async fn a_signed_call_is_signed_anew_where_it_is_sent_on_to_or_not_made_again() {
    let server = moving().await;
    let config = config_of(&[("mine", "bybit", "ONE")]);
    let signed = ["--account", "mine", "--config", config.path().to_str().unwrap()];
    let fetch = async |method: &str, path: &str| {
        let before = server.asked().len();
        let (code, out, err) =
            said(&[&["fetch", method, &format!("{}{path}", server.url)], &signed[..]].concat()).await;
        let targets = server.asked().split_off(before).into_iter().map(|asked| asked.target).collect::<Vec<_>>();
        (code, out, err, targets)
    };
    for (path, to) in [("/found?a=1", "/v5/there?b=2&c=3"), ("/kept?a=1", "/v5/there?a=1")] {
        let (code, out, err, targets) = fetch("GET", path).await;
        assert_eq!((code, out.as_str(), targets), (0, "\"arrived\"\n", vec![path.to_owned(), to.to_owned()]), "{err}");
        for method in ["POST", "PUT", "DELETE"] {
            let (code, out, err, targets) = fetch(method, path).await;
            assert_eq!((code, out.as_str(), targets), (1, "moved\n", vec![path.to_owned()]));
            assert!(err.contains(" from 127.0.0.1; a redirect is followed for a GET only"), "{err}");
        }
    }
    let (code, _, err, targets) = fetch("GET", "/round").await;
    assert!(code == 1 && err.contains("HTTP 302 from 127.0.0.1") && targets.len() == 4, "{err}");

    let gateway = gateway(json!({"accounts": ["mine"], "hosts": [server.host()], "methods": ["POST"]})).await;
    for (method, status, calls) in [("GET", 200, 2), ("POST", 307, 1)] {
        let (url, before) = (format!("{}/kept?a=1", server.url), server.asked().len());
        let answer = gateway.ask(json!({"op": "fetch", "method": method, "url": url, "account": "mine"})).await;
        assert_eq!((&answer["status"], server.asked().len() - before), (&json!(status), calls), "{answer}");
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_said() {
    let server = Server::start(|_| (404, String::new(), "no such thing".to_owned())).await;
    let (code, out, err) = said(&["fetch", "GET", &server.url, "--header", "X-A: b", "--header", "x-b: c"]).await;
    assert_eq!((code, out.as_str()), (1, "no such thing\n"));
    assert!(err.contains("HTTP 404 from 127.0.0.1"), "{err}");
    let (code, _, err) = said(&["fetch", "GET", &server.url, "--header", "X-A: b", "--header", "x-a: c"]).await;
    assert!(code == 2 && err.contains("the header x-a is given twice"), "{err}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_ctl_is_given_is_sent_as_it_was_written() {
    let server = Server::start(echo).await;
    let gateway = gateway(json!({"hosts": [server.host()], "methods": ["POST"]})).await;
    let data = r#"{"qty":123456789012345678901234567890,"p":0.12345678901234567890123,"e":1E2,"b":1.10,"a":-0}"#;
    let call = [
        "fetch".to_owned(),
        format!("base_url={}", server.url),
        "path=/echo".to_owned(),
        "method=POST".to_owned(),
        format!("data={data}"),
        r#"params={"z":1.10,"a":2}"#.to_owned(),
    ];
    let (code, answer) = gateway.ctl(&call.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((code, &answer["status"]), (0, &json!(200)), "{answer}");
    let asked = server.asked().pop().unwrap();
    assert_eq!((asked.target.as_str(), asked.body.as_str()), ("/echo?z=1.10&a=2", data));
}

/// A gateway with two accounts, with what `control.fetch` says, and the canaries in its environment.
async fn gateway(fetch: Value) -> Gateway {
    let mut config = config(&json!({}));
    config["accounts"] = accounts(&[("mine", "bybit", "ONE"), ("other", "okx", "TWO")]);
    config["control"]["fetch"] = fetch;
    Gateway::start_with(&config, &crate::server::canaries().collect::<Vec<_>>(), &["-vv"]).await
}

#[tokio::test]
async fn a_client_of_the_control_socket_reaches_only_what_is_listed() {
    let server = Server::start(echo).await;
    let gateway = gateway(json!({})).await;
    let target = format!("{}/v5/account/info", server.url);
    for (asked, wanted) in [
        (json!({"url": target}), "is no venue's REST host"),
        (json!({"url": "http://169.254.169.254/latest"}), "is no venue's REST host"),
        (json!({"url": "http://localhost:5580/metrics"}), "is no venue's REST host"),
        (json!({"url": target, "account": "mine"}), "is no venue's REST host"),
        (json!({"url": "https://api.bybit.com/v5/account/info", "account": "mine"}), "signed calls need the account"),
        (
            json!({"url": "https://api.bybit.com/v5/order/create", "method": "POST", "signed": false}),
            "POST needs to be in",
        ),
    ] {
        let mut request = asked;
        request["op"] = json!("fetch");
        let answer = gateway.ask(request).await;
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("forbidden")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(wanted), "{answer}");
    }
    assert_eq!(server.asked().len(), 0);

    let (code, answer) = gateway.ctl(&["fetch", &target, "signed=false"]).await;
    assert_eq!((code, &answer["code"]), (1, &json!("forbidden")), "{answer}");
}

#[tokio::test]
async fn a_client_gets_what_the_config_lists_signed_by_the_account_it_lists() {
    let stranger = Server::start(|_| ok("{}")).await;
    let location = stranger.url.clone();
    let server = Server::start(move |asked| match asked.target.as_str() {
        "/away" => (302, format!("Location: {location}/x\r\n"), String::new()),
        "/text" => (404, String::new(), "no such thing".to_owned()),
        _ => echo(asked),
    })
    .await;
    let gateway = gateway(json!({"accounts": ["mine"], "hosts": [server.host()], "methods": ["POST"]})).await;
    let ask = async |mut request: Value| {
        request["op"] = json!("fetch");
        let answer = gateway.ask(request).await;
        assert_no_canary(&answer.to_string());
        answer
    };
    let answer = ask(json!({
        "method": "POST", "base_url": server.url, "path": "/v5/order", "params": {"z": 1, "a": "b"},
        "data": {"qty": 1, "a": [true]}, "headers": {"X-Y": "z"}, "account": "mine",
    }))
    .await;
    assert_eq!((&answer["ok"], &answer["status"], &answer["account"]), (&json!(true), &json!(200), &json!("mine")));
    assert_eq!((&answer["headers"]["x-plain"], answer["headers"].get("set-cookie")), (&json!("yes"), None));
    assert_eq!(
        (&answer["json"]["target"], &answer["json"]["headers"]["x-y"]),
        (&json!("/v5/order?a=b&z=1"), &json!("z"))
    );
    let asked = server.asked().pop().unwrap();
    let text = [asked.header("x-bapi-timestamp"), KEYS[0].1, "a=b&z=1", r#"{"a":[true],"qty":1}"#].concat();
    assert_eq!(asked.header("x-bapi-sign"), hex(CANARIES[0].1, &text));

    let answer = ask(json!({"url": format!("{}/text", server.url)})).await;
    assert_eq!(
        (&answer["status"], &answer["text"], &answer["ok"]),
        (&json!(404), &json!("no such thing"), &json!(true))
    );
    let answer = ask(json!({"url": format!("{}/away", server.url), "account": "mine"})).await;
    assert_eq!((&answer["status"], stranger.asked().len()), (&json!(302), 0));
    for (request, code) in [
        (json!({"url": server.url, "account": "other"}), "forbidden"),
        (json!({"url": stranger.url}), "forbidden"),
        (json!({"url": server.url, "method": "DELETE"}), "forbidden"),
        (json!({"url": server.url, "account": "nobody"}), "bad_request"),
        (json!({"url": server.url, "urls": 1}), "bad_request"),
    ] {
        assert_eq!(ask(request.clone()).await["code"], code, "{request}");
    }
    let log = format!("{:?}", gateway.log());
    assert!(log.contains("Fetch"), "the log has its calls: {log}");
    assert_no_canary(&log);
}

#[tokio::test]
async fn another_scheme_signs_as_well_and_a_slow_host_is_given_up() {
    let server = Server::start(|asked| {
        if asked.target == "/slow" {
            Gate::default().wait(Duration::from_millis(900));
        }
        let text = [asked.header("ok-access-timestamp"), "GET", &asked.target].concat();
        ok((asked.header("ok-access-sign") == base64(CANARIES[1].1, &text)).to_string())
    })
    .await;
    let gateway = gateway(json!({"accounts": ["other"], "hosts": [server.host()]})).await;
    let fetch = async |path: &str| {
        let url = format!("{}{path}", server.url);
        gateway.ask(json!({"op": "fetch", "url": url, "account": "other", "timeout_ms": 300})).await
    };
    assert_eq!(fetch("/api/v5/account/balance?ccy=BTC").await["json"], true);
    let answer = fetch("/slow").await;
    assert_eq!((&answer["code"], &answer["ok"]), (&json!("failed"), &json!(false)), "{answer}");
}

/// The budget of a simulator that a feed calls is the one that fetches use, and being told to slow down is obeyed.
#[tokio::test]
async fn fetches_share_the_budget_of_the_host_and_obey_it() {
    let venue = Venue::bind(Options { rate: 0, ..Options::default() }).await.unwrap().start();
    let host = venue.local_addr().to_string();
    let limited = Server::start(|_| (429, "Retry-After: 3600\r\n".to_owned(), "{}".to_owned())).await;
    let mut config = config(&json!({"a": crate::gateway::feed(&venue, "spot", &["BTCUSDT"], &["trade"])}));
    config["control"]["fetch"] = json!({"hosts": [host, limited.host()]});
    config["admin"]["listen"] = json!("127.0.0.1:0");
    let mut gateway = Gateway::start(&config).await;
    let url = format!("http://{host}/v5/market/time");
    let answer = gateway.ask(json!({"op": "fetch", "url": url})).await;
    assert_eq!(answer["json"]["retCode"], 0, "{answer}");

    let refused = gateway.ask(json!({"op": "fetch", "url": limited.url, "timeout_ms": 500})).await;
    assert_eq!(refused["status"], 429);
    let waits = gateway.ask(json!({"op": "fetch", "url": limited.url, "timeout_ms": 500})).await;
    assert!(waits["error"].as_str().unwrap().contains("the wait for the host's budget included"), "{waits}");
    assert_eq!(limited.asked().len(), 1, "asked nothing more while it is told to wait");

    let admin = gateway.logged("Gateway started").await["admin"].as_str().unwrap().to_owned();
    let (_, metrics, _) = said(&["fetch", "GET", &format!("{admin}metrics")]).await;
    let value = |name: &str, budget: &str| {
        let start = format!("{name}{{budget=\"{budget}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    let bybit = format!("bybit@{host}");
    let calls: f64 = value("tickbus_rest_calls_total", &bybit).unwrap().parse().unwrap();
    assert!(calls >= 2.0, "the feed's calls and the fetch");
    assert_eq!(value("tickbus_rest_held", limited.host()).as_deref(), Some("1"), "{metrics}");
}
