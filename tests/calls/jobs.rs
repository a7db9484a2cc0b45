//! Signed jobs and calls without a gateway: `tickbus job` and `tickbus call`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tickbus::secret::Secret;
use tickbus::sim::{Options, Server as Venue, binance};

use crate::gateway::{DEADLINE, file_of, tickbus};
use crate::server::{Asked, CANARIES, KEYS, Said, Server, assert_no_canary, base64, config_of, hex, ok, said};

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The account whose key a Bybit request shows; its signature is verified here.
fn bybit_account(asked: &Asked) -> &'static str {
    let key = asked.header("x-bapi-api-key");
    let place = KEYS.iter().position(|(_, known)| *known == key).expect("a known key");
    let text = [asked.header("x-bapi-timestamp"), key, asked.header("x-bapi-recv-window"), asked.query()].concat();
    assert_eq!(asked.header("x-bapi-sign"), hex(CANARIES[place].1, &text), "{asked:?}");
    ["one", "two"][place]
}

#[tokio::test]
async fn several_accounts_side_by_side_each_sign_their_own_calls() {
    let server = Server::start(|asked| {
        let account = bybit_account(asked);
        // Whatever repeats a key is shown without it.
        let told = json!({"retCode": 0, "account": account, "headers": asked.headers});
        if asked.target.ends_with("fails") { (401, String::new(), told.to_string()) } else { ok(told.to_string()) }
    })
    .await;
    let get = |path: &str| json!({"path": path});
    let tasks = json!([
        {"gather": [
            {"name": "mine", "get": get("/v5/account/info"), "params": {"a": "x y", "b": "1"}},
            {"name": "other", "account": "two", "get": get("/v5/account/info")},
            {"serial": [{"get": get("/fails")}, {"get": get("/never")}], "account": "two", "on_error": "stop"},
            {"name": "last", "get": get("/v5/last")},
        ]},
    ]);
    let job = json!({"venue": "bybit", "market": "linear", "rest_url": server.url, "account": "one", "queue": tasks});
    let (job, config) = (file_of(&job), config_of(&[("one", "bybit", "ONE"), ("two", "bybit", "TWO")]));
    let (job, config) = (job.path().to_str().unwrap(), config.path().to_str().unwrap());

    let (code, out, _) = said(&["job", "show", job, "--config", config]).await;
    assert_eq!(code, 0);
    assert!(out.contains("1.1 mine /v5/account/info GET") && out.contains("(weight 1, signed by one)"), "{out}");
    assert!(out.contains("1.3.2 /never GET") && out.contains("(weight 1, signed by two)"), "{out}");

    let (code, out, _) = said(&["job", "run", job, "--config", config]).await;
    assert_eq!(code, 1, "one has failed: {out}");
    let told = lines(&out);
    let of = |place: &str| told.iter().find(|line| line["task"] == place).unwrap();
    for (place, account) in [("1.1", "one"), ("1.2", "two"), ("1.4", "one")] {
        let line = of(place);
        assert_eq!((&line["account"], &line["result"]["account"]), (&json!(account), &json!(account)), "{line}");
        assert_eq!(line["result"]["headers"]["x-bapi-api-key"], "…");
    }
    assert_eq!((&of("1.3.1")["status"], &of("1.3.1")["account"]), (&json!(401), &json!("two")));
    assert!(of("1.3.2")["error"].as_str().unwrap().starts_with("not made"), "{out}");
    assert_eq!(server.asked().len(), 4);

    // Without the config there is no such account, and nobody is asked.
    let (code, _, err) = said(&["job", "run", job]).await;
    assert_eq!(code, 2);
    assert!(err.contains(": account: there is no account \"one\"; there are none"), "{err}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_call_is_signed_on_demand_and_never_for_strangers() {
    let server = Server::start(|asked| {
        let text = [asked.header("ok-access-timestamp"), "GET", &asked.target].concat();
        let signed = asked.header("ok-access-sign") == base64(CANARIES[0].1, &text);
        ok(json!({"signed": signed, "phrase": asked.header("ok-access-passphrase")}).to_string())
    })
    .await;
    let config = config_of(&[("mine", "okx", "ONE"), ("other", "bybit", "TWO")]);
    let config = config.path().to_str().unwrap();
    let call = ["call", "okx", "swap", "/api/v5/account/balance", "ccy=BTC", "--rest-url", &server.url];
    let (code, out, _) = said(&[&call[..], &["--account", "mine", "--config", config]].concat()).await;
    assert_eq!((code, out.as_str()), (0, "{\"phrase\":\"…\",\"signed\":true}\n"));
    let (code, out, _) = said(&call).await;
    assert_eq!((code, out.as_str()), (0, "{\"phrase\":\"\",\"signed\":false}\n"), "unsigned without an account");
    let (code, _, err) = said(&[&call[..], &["--account", "other", "--config", config]].concat()).await;
    assert_eq!(code, 2);
    assert!(err.contains("the account other is of bybit, whose keys okx does not know"), "{err}");
    assert_eq!(server.asked().len(), 2);

    let stranger = ["call", "okx", "swap", "/x", "--rest-url", "https://api.binance.com", "--account", "mine"];
    let (code, _, err) = said(&[&stranger[..], &["--config", config]].concat()).await;
    assert_eq!(code, 2);
    assert!(err.contains("okx does not sign for the host \"api.binance.com\""), "{err}");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_the_answer_and_no_key_goes_there() {
    let stranger = Server::start(|_| ok("{}")).await;
    let location = stranger.url.clone();
    let server = Server::start(move |_| -> Said { (307, format!("Location: {location}/x\r\n"), String::new()) }).await;
    let config = config_of(&[("mine", "bybit", "ONE")]);
    let call = ["call", "bybit", "linear", "/v5/account/info", "--rest-url", &server.url, "--account", "mine"];
    let (code, _, err) = said(&[&call[..], &["--config", config.path().to_str().unwrap()]].concat()).await;
    assert_eq!(code, 1);
    assert!(err.contains("HTTP 307"), "{err}");
    assert_eq!((server.asked().len(), stranger.asked().len()), (1, 0));
}

#[tokio::test]
async fn the_simulated_binance_accepts_hmac_and_ed25519_and_refuses_a_wrong_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let pem = |label: &str, header: &[u8], key: &[u8]| {
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [header, key].concat());
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let algorithm = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    let public = [&[0x30, 0x2a], &algorithm[..], &[0x03, 0x21, 0x00]].concat();
    let private = [&[0x30, 0x2e, 0x02, 0x01, 0x00], &algorithm[..], &[0x04, 0x22, 0x04, 0x20]].concat();
    let public_key = ring::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    std::fs::write(path("public.pem"), pem("PUBLIC KEY", &public, &public_key)).unwrap();
    std::fs::write(path("private.pem"), pem("PRIVATE KEY", &private, &[7; 32])).unwrap();
    let settings = binance::Settings {
        key: KEYS[0].1.to_owned(),
        secret: Secret::new(CANARIES[0].1.to_owned()),
        public_key: Some(binance::PublicKey::read(path("public.pem").as_ref()).unwrap()),
        ..binance::Settings::default()
    };
    let options = Options { venue: "binance".to_owned(), rate: 0, binance: settings, ..Options::default() };
    let venue = Venue::bind(options).await.unwrap().start();
    let rest_url = format!("http://{}", venue.local_addr());
    let key = json!({"env": "ONE_KEY"});
    let config = file_of(&json!({"feeds": {}, "accounts": {
        "hmac": {"api": "binance", "key": key, "secret": {"env": "ONE_SECRET"}},
        "ed": {"api": "binance", "key": key, "secret": {"file": path("private.pem")}},
        "wrong": {"api": "binance", "key": key, "secret": {"env": "TWO_SECRET"}},
    }}));
    let config = config.path().to_str().unwrap().to_owned();
    for (account, wanted) in [("hmac", 0), ("ed", 0), ("wrong", 1)] {
        for (market, path) in [("usdm", "/fapi/v3/account"), ("spot", "/api/v3/account")] {
            let call = ["call", "binance", market, path, "--rest-url", &rest_url, "--account", account];
            let (code, out, err) = said(&[&call[..], &["--config", &config, "recvWindow=10000"]].concat()).await;
            assert_eq!(code, wanted, "{account} {market}: {out}{err}");
            let told = if wanted == 0 { &out } else { &err };
            assert!(told.contains(if wanted == 0 { "\"asset\"" } else { "-1022" }), "{account} {market}: {told}");
        }
    }
    // Endpoints with a name know by themselves whether they are signed.
    let named = ["call", "binance", "spot", "account", "--rest-url", &rest_url];
    let (code, out, err) = said(&[&named[..], &["--account", "ed", "--config", &config]].concat()).await;
    assert!(code == 0 && out.contains("\"asset\""), "{out}{err}");
    let (code, _, err) = said(&[&named[..], &["--config", &config]].concat()).await;
    assert_eq!(code, 2);
    assert!(
        err.contains("account is signed: say which account signs it; accounts of binance: ed, hmac, wrong"),
        "{err}"
    );
    let price =
        ["call", "binance", "spot", "ticker/price", "symbol=BTCUSDT", "--rest-url", &rest_url, "--account", "wrong"];
    let (code, out, err) = said(&[&price[..], &["--config", &config]].concat()).await;
    assert!(code == 0 && out.contains("BTCUSDT"), "what is public is not signed: {out}{err}");
    assert_no_canary(&venue.truth().stats().to_string());
}

/// A tree of calls: some fail, each is of an account or of nobody, groups stop on errors or do not.
struct Tree {
    random: fastrand::Rng,
    /// By path: the account that signs.
    calls: std::collections::BTreeMap<String, Option<&'static str>>,
}

impl Tree {
    fn task(&mut self, depth: usize, account: Option<&'static str>) -> Value {
        let own = [None, Some("one"), Some("two")][self.random.usize(..3)];
        let account = own.or(account);
        let mut task = if depth == 0 || self.random.u8(..3) == 0 {
            let fails = if self.random.u8(..4) == 0 { "fails" } else { "works" };
            let signed = account.is_none() || self.random.u8(..5) > 0;
            let path = format!("/{fails}/{}", self.calls.len());
            self.calls.insert(path.clone(), account.filter(|_| signed));
            let get = if signed { json!({"path": path}) } else { json!({"path": path, "signed": false}) };
            json!({"get": get})
        } else {
            let kind = if self.random.bool() { "serial" } else { "gather" };
            let policy = if self.random.u8(..3) == 0 { "stop" } else { "continue" };
            let tasks: Vec<Value> = (0..self.random.usize(1..5)).map(|_| self.task(depth - 1, account)).collect();
            json!({kind: tasks, "on_error": policy})
        };
        if let Some(own) = own {
            task["account"] = json!(own);
        }
        task
    }
}

#[tokio::test]
async fn trees_with_accounts_and_failures_tell_of_every_call_once() {
    let server = Server::start(|asked| {
        let account = if asked.header("x-bapi-sign").is_empty() { "nobody" } else { bybit_account(asked) };
        let body = json!({"account": account}).to_string();
        if asked.target.starts_with("/fails") { (500, String::new(), body) } else { ok(body) }
    })
    .await;
    let config = config_of(&[("one", "bybit", "ONE"), ("two", "bybit", "TWO")]);
    for seed in 1..=6 {
        let mut tree = Tree { random: fastrand::Rng::with_seed(seed), calls: std::collections::BTreeMap::new() };
        let tasks: Vec<Value> = (0..4).map(|_| tree.task(3, None)).collect();
        let order = if seed % 2 == 0 { "queue" } else { "stack" };
        let job = json!({"venue": "bybit", "market": "linear", "rest_url": server.url, order: tasks});
        let job = file_of(&job);
        let run = ["job", "run", job.path().to_str().unwrap(), "--config", config.path().to_str().unwrap()];
        let (_, out, err) = said(&run).await;
        let told = lines(&out);
        let mut paths: Vec<&str> = told.iter().map(|line| line["endpoint"].as_str().unwrap()).collect();
        paths.sort_unstable();
        let mut wanted: Vec<&str> = tree.calls.keys().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(paths, wanted, "seed {seed}: each once\n{err}");
        for line in &told {
            let path = line["endpoint"].as_str().unwrap();
            let account = tree.calls[path];
            assert_eq!(line.get("account").and_then(Value::as_str), account, "seed {seed}: {line}");
            match line["ok"].as_bool().unwrap() {
                true => assert_eq!(line["result"]["account"], account.unwrap_or("nobody"), "seed {seed}: {line}"),
                false => {
                    let error = line["error"].as_str().unwrap();
                    let is_left_out = error.starts_with("not made");
                    assert!(is_left_out || path.starts_with("/fails") && error.contains("HTTP 500"), "{line}");
                }
            }
        }
    }
}

#[tokio::test]
async fn check_says_of_each_job_what_it_calls_and_who_signs() {
    let get = |path: &str| json!({"get": {"path": path}});
    let tasks = json!([get("/a"), {"gather": [get("/b"), {"account": "two", "get": {"path": "/c"}}]}]);
    let job = json!({"venue": "bybit", "market": "spot", "account": "one", "ring": tasks, "interval_ms": 1000});
    let accounts = crate::server::accounts(&[("one", "bybit", "ONE"), ("two", "bybit", "TWO")]);
    let config = file_of(&json!({"feeds": {}, "accounts": accounts, "jobs": {"all": job}}));
    let (code, out, _) = said(&["check", "--config", config.path().to_str().unwrap()]).await;
    assert_eq!(code, 0);
    assert!(out.ends_with("\njob all: ring, 3 calls, bybit spot, signed by one, two\n"), "{out}");
}

/// A job of calls to a Bybit of that address.
fn job_of(url: &str, more: Value) -> tempfile::NamedTempFile {
    let mut job = json!({"venue": "bybit", "market": "spot", "rest_url": url});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file_of(&job)
}

#[tokio::test]
async fn a_job_whose_results_nobody_reads_ends() {
    let server = Server::start(|_| ok("{}")).await;
    let job = job_of(&server.url, json!({"ring": [{"get": {"path": "/x"}}], "interval_ms": 20}));
    let run = move || {
        let mut command = tickbus();
        let mut child =
            command.args(["job", "run", job.path().to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // Its reader is gone by now.
        (line, child.wait().unwrap().code())
    };
    let ran = tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(run)).await.expect("it ends").unwrap();
    assert!(ran.0.contains("\"ok\":true") && ran.1 == Some(0), "{ran:?}");
    assert!(server.asked().len() < 100);
}

#[tokio::test]
async fn a_host_that_refuses_at_once_again_is_left_alone_longer_each_time() {
    let server = Server::start(|_| (429, "Retry-After: 0\r\n".to_owned(), String::new())).await;
    let job = job_of(
        &server.url,
        json!({"queue": [{"get": {"path": "/a"}}, {"get": {"path": "/b"}}, {"get": {"path": "/c"}}]}),
    );
    let (code, out, err) = said(&["job", "run", job.path().to_str().unwrap()]).await;
    let took: Vec<u64> = lines(&out).iter().map(|line| line["took_ns"].as_u64().unwrap() / 1_000_000).collect();
    assert_eq!((code, took.len()), (1, 3), "{out}");
    assert!(took[1] >= 900 && took[2] >= 1_900, "{took:?}");
    assert!(err.contains("pause_ms=1000") && err.contains("pause_ms=2000") && err.contains("pause_ms=4000"), "{err}");
}

#[tokio::test]
async fn a_ban_ends_when_the_venue_said_so() {
    let server = Server::start(|asked| {
        let until = tickbus::clock::wall().as_ms() + 3_000;
        let body = format!("{{\"code\":-1003,\"msg\":\"IP banned until {until}. Please\"}}");
        if asked.target == "/a" { (418, String::new(), body) } else { ok("{}") }
    })
    .await;
    let tasks = json!({"venue": "binance", "queue": [{"get": {"path": "/a"}}, {"get": {"path": "/b"}}]});
    let (code, out, err) = said(&["job", "run", job_of(&server.url, tasks).path().to_str().unwrap()]).await;
    let told = lines(&out);
    let took = told[1]["took_ns"].as_u64().unwrap() / 1_000_000;
    assert!(code == 1 && (2_000..20_000).contains(&took), "{out}");
    assert_eq!(err.matches("the host limits our REST calls").count(), 1, "one pause, the one it named: {err}");
    assert!(err.contains("pause_ms=2") && !err.contains("pause_ms=120000"), "{err}");
}

#[tokio::test]
async fn what_cannot_be_run_says_why_with_its_own_exit_code() {
    let server =
        Server::start(|_| (302, "Location: http://127.0.0.1:1/other?signature=x\r\n".to_owned(), String::new())).await;
    let (code, _, err) = said(&["job", "run", "nowhere.json"]).await;
    assert!(code == 2 && err.contains("cannot read nowhere.json: No such file"), "{code} {err}");
    let call = ["call", "bybit", "spot", "/x", "--rest-url", &server.url];
    for (name, text) in [("gone", None), ("broken", Some("{")), ("list", Some("[]"))] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = match text {
            Some(text) => {
                std::fs::write(file.path(), text).unwrap();
                file.path().to_str().unwrap()
            }
            None => "nowhere.json",
        };
        let (code, _, err) = said(&[&call[..], &["-c", path]].concat()).await;
        assert!(code == 2 && err.contains(path), "{name}: {code} {err}");
    }
    assert!(server.asked().is_empty());
    let (code, _, err) = said(&call).await;
    assert_eq!(code, 1);
    assert!(
        err.contains("HTTP 302, to http://127.0.0.1:1, where it is not followed") && !err.contains("signature"),
        "{err}"
    );
    let (code, _, err) = said(&["call", "bybit", "spot", "tickerz", "--rest-url", &server.url]).await;
    assert!(code == 2 && err.contains("ENDPOINT: ") && !err.contains("queue[0]") && !err.contains("config"), "{err}");
    for text in ["null", "[]", "1"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (code, _, err) = said(&["job", "show", file.path().to_str().unwrap()]).await;
        assert!(
            code == 2 && err.contains("is not an object; write {\"venue\"") && !err.contains("unknown venue"),
            "{err}"
        );
    }
}
