//! Jobs that the control commands start, look at, give tasks, take results of, and stop.

use std::sync::Arc;

use serde_json::{Value, json};
use tickbus::client::{Incoming, subscribe};
use tickbus::sim::{Options, Server as Venue};
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, file_of};
use crate::server::{Asked, CANARIES, Gate, KEYS, Said, Server, accounts, assert_no_canary, canaries, hex, ok};

/// Repeats its target; `/slow…` once the gate is open, `/bad…` with an error.
fn answer(asked: &Asked, gate: &Gate) -> Said {
    if asked.target.starts_with("/slow") {
        gate.wait(DEADLINE);
    }
    let key = asked.header("x-bapi-api-key");
    if !key.is_empty() {
        let place = KEYS.iter().position(|(_, known)| *known == key).expect("a known key");
        let text = [asked.header("x-bapi-timestamp"), key, asked.query()].concat();
        assert_eq!(asked.header("x-bapi-sign"), hex(CANARIES[place].1, &text));
    }
    if asked.target.starts_with("/bad") {
        return (500, String::new(), "out of order".to_owned());
    }
    ok(format!("{{\"target\":\"{}\",\"signed\":{},\"n\":1.50}}", asked.target, !key.is_empty()))
}

struct Scene {
    server: Server,
    gate: Arc<Gate>,
    gateway: Gateway,
}

impl Scene {
    async fn new() -> Self {
        let gate = Arc::<Gate>::default();
        let server = Server::start({
            let gate = Arc::clone(&gate);
            move |asked| answer(asked, &gate)
        })
        .await;
        let mut config = config(&json!({}));
        config["accounts"] = accounts(&[("one", "bybit", "ONE"), ("two", "bybit", "TWO"), ("spare", "bybit", "TWO")]);
        config["control"]["fetch"] = json!({"accounts": ["one", "two"], "hosts": [server.host()]});
        let ring = json!([{"get": {"path": "/of_config"}}]);
        config["jobs"] = json!({"hourly": {
            "venue": "bybit", "market": "spot", "rest_url": server.url, "ring": ring, "interval_ms": 3_600_000,
        }});
        let gateway = Gateway::start_with(&config, &canaries().collect::<Vec<_>>(), &[]).await;
        Self { server, gate, gateway }
    }

    fn job(&self, more: Value) -> Value {
        let mut job = json!({"venue": "bybit", "market": "spot", "rest_url": self.server.url});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    }

    async fn ask(&self, request: Value) -> Value {
        let answer = self.gateway.ask(request).await;
        assert_no_canary(&answer.to_string());
        answer
    }

    /// Its line in the list of jobs, once this holds of it.
    async fn listed(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let answer = self.ask(json!({"op": "jobs"})).await;
                let found = answer["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).cloned();
                if let Some(job) = found.filter(&holds) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{name} is not listed so"))
    }
}

fn get(path: &str) -> Value {
    json!({"get": {"path": path}})
}

#[tokio::test]
async fn a_job_is_started_listed_given_tasks_and_stopped_and_its_results_are_frames() {
    let scene = Scene::new().await;
    let hourly = scene.listed("hourly", |job| job["state"] == "waiting").await;
    assert_eq!((&hourly["origin"], &hourly["order"], &hourly["round"]), (&json!("config"), &json!("ring"), &json!(2)));
    assert!(hourly["next"].as_u64().unwrap() > 1_700_000_000_000_000_000 && hourly["done"] == 1, "{hourly}");

    let mut frames = subscribe(&scene.gateway.bus, &["job.extra.".to_owned()]).unwrap();
    while !matches!(timeout(DEADLINE, frames.next()).await.unwrap(), Incoming::Connected) {}
    let job = scene.job(json!({"stack": [get("/a"), get("/b")], "pause_ms": 1}));
    let answer = scene.ask(json!({"op": "job_start", "name": "extra", "job": job})).await;
    assert_eq!(
        (&answer["ok"], &answer["origin"], &answer["results"]),
        (&json!(true), &json!("command"), &json!("bus"))
    );
    scene.listed("extra", |job| job["state"] == "idle" && job["done"] == 2).await;
    let task = json!({"gather": [get("/c"), {"account": "two", "get": {"path": "/d"}}, get("/bad")]});
    let answer = scene.ask(json!({"op": "job_add", "name": "extra", "task": task})).await;
    assert_eq!((&answer["ok"], &answer["places"]), (&json!(true), &json!(["3"])), "{answer}");
    let mut told = Vec::new();
    while told.len() < 5 {
        if let Incoming::Frame(frame) = timeout(DEADLINE, frames.next()).await.unwrap() {
            let frame: Value = serde_json::from_slice(&frame.payload).unwrap();
            told.push((frame["seq"].as_u64().unwrap(), frame["task"].as_str().unwrap().to_owned(), frame));
        }
    }
    assert_eq!(told.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((told[0].1.as_str(), told[1].1.as_str()), ("2", "1"), "the last first");
    let of = |place: &str| &told.iter().find(|(_, task, _)| task == place).unwrap().2;
    assert_eq!((&of("3.2")["account"], &of("3.2")["result"]["signed"]), (&json!("two"), &json!(true)));
    assert_eq!((&of("3.1")["result"]["signed"], of("3.1").get("account")), (&json!(false), None));
    assert_eq!((&of("3.3")["ok"], &of("3.3")["error"]), (&json!(false), &json!("HTTP 500: out of order")));
    let done = scene.listed("extra", |job| job["state"] == "idle").await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(4), &json!(1)));

    for name in ["extra", "hourly"] {
        assert_eq!(scene.ask(json!({"op": "job_stop", "name": name})).await["state"], "stopped");
        assert_eq!(scene.ask(json!({"op": "job_stop", "name": name})).await["code"], "not_found");
    }
    assert_eq!(scene.ask(json!({"op": "jobs"})).await["jobs"], json!([]));
}

#[tokio::test]
async fn results_are_taken_one_by_one_several_or_all_at_once() {
    let scene = Scene::new().await;
    let job = scene.job(json!({"queue": [get("/a"), get("/slow"), get("/bad"), get("/c")]}));
    let start = json!({"op": "job_start", "name": "mine", "job": job, "results": "pull"});
    assert_eq!(scene.ask(start.clone()).await["results"], "pull");
    assert_eq!(scene.ask(start.clone()).await["code"], "exists");
    let next = async |more: Value| {
        let mut request = json!({"op": "job_next", "name": "mine"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.ask(request).await
    };
    let first = next(json!({})).await;
    assert_eq!(
        (&first["result"]["task"], &first["result"]["result"]["target"]),
        (&json!("1"), &json!("/a")),
        "{first}"
    );
    // Nothing has come yet, and that is no error.
    let none = next(json!({"within_ms": 0})).await;
    assert_eq!((&none["ok"], none.get("result"), &none["state"]), (&json!(true), None, &json!("running")), "{none}");
    scene.gate.open();
    let rest = next(json!({"n": 100})).await;
    let places: Vec<&str> = rest["results"].as_array().unwrap().iter().map(|r| r["task"].as_str().unwrap()).collect();
    assert_eq!((places, &rest["state"], &rest["failed"]), (vec!["2", "3", "4"], &json!("idle"), &json!(1)), "{rest}");
    assert_eq!(rest["results"][1]["error"], "HTTP 500: out of order");
    assert_eq!(next(json!({})).await["state"], "idle");
    // What is over and taken makes room for its name.
    assert_eq!(scene.ask(start).await["ok"], true);

    let tasks = json!([{"gather": [get("/x"), get("/y")]}, get("/z")]);
    let run = |job: Value, within: u64| json!({"op": "job_run", "name": "all", "job": job, "within_ms": within});
    let whole = scene.ask(run(scene.job(json!({"queue": tasks})), 20_000)).await;
    assert_eq!(
        (&whole["state"], &whole["done"], whole["results"].as_array().unwrap().len()),
        (&json!("idle"), &json!(3), 3)
    );
    let endless = scene.job(json!({"ring": [get("/a")], "interval_ms": 200}));
    let cut = scene.ask(run(endless, 500)).await;
    assert_eq!(cut["state"], "stopped", "{cut}");
    assert!((1..=4).contains(&cut["results"].as_array().unwrap().len()), "{cut}");
    let stops = scene.job(json!({"queue": [get("/bad"), get("/never")], "on_error": "stop"}));
    let failed = scene.ask(run(stops, 20_000)).await;
    assert_eq!((&failed["state"], &failed["tasks"], &failed["failed"]), (&json!("failed"), &json!(0), &json!(2)));
    assert!(scene.ask(json!({"op": "jobs"})).await["jobs"].as_array().unwrap().iter().all(|job| job["name"] != "all"));
}

#[tokio::test]
async fn jobs_of_clients_reach_what_fetch_may_and_nothing_else() {
    let scene = Scene::new().await;
    scene.listed("hourly", |job| job["state"] == "waiting").await;
    let before = scene.server.asked().len();
    let stranger = Server::start(|_| ok("{}")).await;
    let start = async |job: Value| scene.ask(json!({"op": "job_start", "name": "x", "job": job})).await;
    let elsewhere = |url: &str| json!({"venue": "bybit", "market": "spot", "rest_url": url, "queue": [get("/a")]});
    for (job, wanted) in [
        (elsewhere(&stranger.url), "is no venue's REST host"),
        (elsewhere("http://169.254.169.254"), "is no venue's REST host"),
        (
            scene.job(json!({"queue": [{"serial": [get("/a"), {"account": "spare", "get": {"path": "/b"}}]}]})),
            "signed calls need",
        ),
        (
            json!({"venue": "bybit", "market": "spot", "account": "one", "queue": [get("/v5/account/info")]}),
            "signed calls need",
        ),
    ] {
        let answer = start(job).await;
        assert_eq!(answer["code"], "forbidden", "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(wanted), "{answer}");
    }
    for (job, place) in [
        (scene.job(json!({"queue": [{"account": "nobody", "get": {"path": "/a"}}]})), "queue[0].account"),
        (scene.job(json!({"queue": [{"get": {"path": "/a", "method": "POST"}}]})), "queue[0].get"),
        (scene.job(json!({})), ""),
        (json!({"venue": "nobody", "market": "spot", "queue": [get("/a")]}), "venue"),
        (json!([]), ""),
    ] {
        let answer = start(job).await;
        assert_eq!(
            (&answer["code"], &answer["problems"][0]["path"]),
            (&json!("bad_request"), &json!(place)),
            "{answer}"
        );
    }
    for (request, code) in [
        (json!({"op": "job_next", "name": "hourly"}), "unsupported"),
        (json!({"op": "job_next", "name": "nobody"}), "not_found"),
        (json!({"op": "job_next", "name": "hourly", "within_ms": 60_001}), "unsupported"),
        (json!({"op": "job_add", "name": "hourly"}), "bad_request"),
        (json!({"op": "job_add", "name": "hourly", "tasks": [{"get": {"path": "a"}}]}), "bad_request"),
        (json!({"op": "job_add", "name": "hourly", "task": {"account": "spare", "get": {"path": "/a"}}}), "forbidden"),
        (json!({"op": "job_start", "name": "A b", "job": scene.job(json!({"queue": [get("/a")]}))}), "bad_request"),
        (json!({"op": "job_start", "name": "x"}), "bad_request"),
    ] {
        let answer = scene.ask(request.clone()).await;
        assert_eq!(answer["code"], code, "{request}: {answer}");
    }
    assert_eq!((scene.server.asked().len(), stranger.asked().len()), (before, 0));
}

#[tokio::test]
async fn ctl_has_a_word_for_each() {
    let venue = Venue::bind(Options { rate: 0, ..Options::default() }).await.unwrap().start();
    let host = venue.local_addr().to_string();
    let mut config = config(&json!({}));
    config["control"]["fetch"] = json!({"hosts": [host]});
    let gateway = Gateway::start(&config).await;
    let task = json!({"get": {"path": "/v5/market/time"}});
    let job = json!({"venue": "bybit", "market": "spot", "rest_url": format!("http://{host}"), "queue": [task]});
    let file = file_of(&job);
    let (from_file, inline) = (format!("job=@{}", file.path().display()), format!("job={job}"));
    for (arguments, wanted) in [
        (vec!["job_run", "clock", &from_file], "results"),
        (vec!["job_start", "clock", &inline, "results=pull"], "state"),
        (vec!["job_add", "clock", &format!("task={task}")], "places"),
        (vec!["job_next", "clock"], "result"),
        (vec!["job_next", "clock", "n=1"], "results"),
        (vec!["jobs"], "jobs"),
        (vec!["job_stop", "clock"], "name"),
        (vec!["fetch", &format!("http://{host}/v5/market/time?a=b")], "json"),
    ] {
        let (code, answer) = gateway.ctl(&arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {answer}");
        assert!(answer.get(wanted).is_some(), "{arguments:?}: {answer}");
    }
    let (code, answer) = gateway.ctl(&["job_stop", "clock"]).await;
    assert_eq!((code, &answer["code"]), (1, &json!("not_found")));
}

#[tokio::test]
async fn what_an_answer_has_no_room_for_is_counted_or_waits() {
    let server = Server::start(|asked| {
        let size = if asked.target == "/large" { 9_000_000 } else { 10 };
        ok(format!("\"{}\"", "x".repeat(size)))
    })
    .await;
    let mut config = config(&json!({}));
    config["control"]["fetch"] = json!({"hosts": [server.host()]});
    let gateway = Gateway::start(&config).await;
    let large = json!({"get": {"path": "/large"}});
    let queue = json!([large, large, {"get": {"path": "/small"}}, large, {"get": {"path": "/small"}}]);
    let job = json!({"venue": "bybit", "market": "spot", "rest_url": server.url, "queue": queue});
    let tasks = |told: &Value| -> Vec<String> {
        told["results"].as_array().unwrap().iter().map(|one| one["task"].as_str().unwrap().to_owned()).collect()
    };
    let told = gateway.ask(json!({"op": "job_run", "name": "big", "job": job, "within_ms": 30_000})).await;
    assert_eq!((&told["state"], &told["done"], &told["left_out"]), (&json!("idle"), &json!(5), &json!(2)));
    assert_eq!(tasks(&told), ["1", "3", "5"], "what fits is there");
    assert!(told.to_string().len() < 16 * 1024 * 1024);

    gateway.ask(json!({"op": "job_start", "name": "one", "job": job, "results": "pull"})).await;
    let mut taken = Vec::new();
    while taken.len() < 5 {
        let told = gateway.ask(json!({"op": "job_next", "name": "one", "n": 100, "within_ms": 20_000})).await;
        assert!(told.to_string().len() < 16 * 1024 * 1024 && !tasks(&told).is_empty());
        taken.extend(tasks(&told));
    }
    assert_eq!(taken, ["1", "2", "3", "4", "5"], "each once");
}

#[tokio::test]
async fn a_job_that_stops_on_errors_says_of_each_task_that_it_is_not_made() {
    let scene = Scene::new().await;
    let queue = json!([{"get": {"path": "/bad"}}, {"get": {"path": "/b"}}, {"gather": [{"get": {"path": "/c"}}]}]);
    let job = scene.job(json!({"on_error": "stop", "queue": queue})).to_string();
    let (_, told) = scene.gateway.ctl(&["job_run", "stops", &format!("job={job}")]).await;
    let all: Vec<_> = told["results"].as_array().unwrap().iter().map(|one| (&one["task"], &one["ok"])).collect();
    assert_eq!(all, [(&json!("1"), &json!(false)), (&json!("2"), &json!(false)), (&json!("3.1"), &json!(false))]);
    assert!(told["results"][1]["error"].as_str().unwrap().starts_with("not made: a task of the job failed"), "{told}");
    assert_eq!((&told["state"], &told["failed"], &told["tasks"]), (&json!("failed"), &json!(3), &json!(0)));
}
