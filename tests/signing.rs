//! Signing as a whole: the committed vectors, those of the reference, what an independent verifier says of random requests,
//! and that no key is in any text.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tickbus::secret::Secret;
use tickbus::sign::{self, APIS, Api, Body, Compat, Credentials, Json, Method, Needs, Request, vectors};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// A time that all of them can say: 2026-11-21.
const NOW: u64 = 1_795_219_200_123;
/// Words that are in no text but the one that is sent.
const KEY: &str = "canary-key-7c2e";
const SECRET: &str = "canary-secret-91b0";
const PASSPHRASE: &str = "canary-passphrase-55aa";
const WALLET: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

fn credentials(api: &Api) -> Credentials {
    let secret = |text: &str| Secret::new(text.to_owned());
    match api.needs {
        Needs::KeyOnly => Credentials { key: secret(WALLET), secret: secret(""), passphrase: None },
        _ => Credentials { key: secret(KEY), secret: secret(SECRET), passphrase: Some(secret(PASSPHRASE)) },
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(json_files(&path)),
            false if path.extension().is_some_and(|kind| kind == "json") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

fn golden() -> Vec<PathBuf> {
    json_files(&Path::new(ROOT).join("tests/golden/signing"))
}

/// Checks all files of a folder; returns how many vectors there were.
fn all_match(files: &[PathBuf]) -> usize {
    let mut checked = 0;
    for path in files {
        let report = vectors::check(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(report.mismatches, [], "{}", path.display());
        checked += report.checked;
    }
    checked
}

#[test]
fn the_committed_vectors_of_every_api_match() {
    let files = golden();
    let names: Vec<_> = files.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for api in &APIS {
        assert!(names.iter().any(|name| name == api.name), "no vectors of {}", api.name);
    }
    assert!(all_match(&files) > 100);
}

/// The folder of the reference's vectors is named by `TICKBUS_SIGNING_VECTORS`; without it, one beside the repository.
#[test]
fn the_reference_vectors_match() {
    let beside = || Path::new(ROOT).join("../shared/reference/signing-vectors");
    let folder = std::env::var_os("TICKBUS_SIGNING_VECTORS").map_or_else(beside, PathBuf::from);
    let files = json_files(&folder);
    if files.is_empty() {
        println!("skipped: no signing vectors in {} (set TICKBUS_SIGNING_VECTORS)", folder.display());
        return;
    }
    println!("{} vectors", all_match(&files));
}

/// Changes each text and number below `expected`, one at a time.
fn mutants(json: &serde_json::Value, path: &str, is_expected: bool, out: &mut Vec<String>) {
    use serde_json::Value;
    match json {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            mutants(value, &format!("{path}/{key}"), is_expected || key == "expected", out);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| mutants(item, &format!("{path}/{at}"), is_expected, out));
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) if is_expected => out.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn whatever_is_changed_in_a_file_is_found_and_no_key_is_shown() {
    let mut changed = 0;
    for path in golden() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut places = Vec::new();
        mutants(&file, "", false, &mut places);
        // Sorted keys change what is signed, so the text is changed and not the value: each leaf by a mark in it.
        let secrets: Vec<String> = ["secret", "passphrase", "key"]
            .iter()
            .filter_map(|part| file["credentials"][*part].as_str().map(str::to_owned))
            .collect();
        for place in places.iter().step_by(7) {
            let leaf = file.pointer_mut(place).unwrap().take();
            let old = leaf.to_string();
            let new = match &leaf {
                serde_json::Value::String(_) => format!("\"~{}", &old[1..]),
                serde_json::Value::Number(_) => format!("1{}", old.trim_start_matches('-')),
                other => (!other.as_bool().unwrap()).to_string(),
            };
            *file.pointer_mut(place).unwrap() = leaf;
            let mutant = replaced(&text, place, &new);
            let report = vectors::check(&mutant).unwrap();
            assert!(!report.mismatches.is_empty(), "{}: {place} may be {new}", path.display());
            let shown = format!("{report:?}");
            assert!(
                !secrets.iter().any(|secret| shown.contains(secret.as_str())),
                "{}: {place}: {shown}",
                path.display()
            );
            changed += 1;
        }
    }
    assert!(changed > 300, "{changed}");
}

/// The text with another leaf at this place; all members stay in order.
fn replaced(text: &str, place: &str, new: &str) -> String {
    fn walk(json: &Json, steps: &[&str], new: &str) -> Json {
        let Some((step, rest)) = steps.split_first() else { return Json::parse(new).unwrap() };
        match json {
            Json::Map(members) => Json::Map(
                members
                    .iter()
                    .map(|(key, value)| (key.clone(), if key == step { walk(value, rest, new) } else { value.clone() }))
                    .collect(),
            ),
            Json::List(items) => {
                let at: usize = step.parse().unwrap();
                let item =
                    |(index, item): (usize, &Json)| if index == at { walk(item, rest, new) } else { item.clone() };
                Json::List(items.iter().enumerate().map(item).collect())
            }
            _ => panic!("{step}"),
        }
    }
    let steps: Vec<String> = place.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    walk(&Json::parse(text).unwrap(), &steps, new).write(sign::Style::Compact)
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9_-]{1,8}", "[ -~]{0,8}", "\\PC{0,4}"]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|number| Json::Number(number.to_string())),
        any::<u32>().prop_map(|number| Json::Number(format!("{}.{}", number >> 8, number & 255))),
        any_text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            prop::collection::btree_map(any_text(), inner, 0..4)
                .prop_map(|members| Json::Map(members.into_iter().collect())),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Body> {
    let pairs = prop::collection::vec((any_text(), any_text()), 0..4);
    let flat = prop::collection::btree_map(any_text(), any_text().prop_map(Json::Text), 0..4);
    prop_oneof![
        Just(Body::Empty),
        flat.prop_map(|members| Body::Data(Json::Map(members.into_iter().collect()))),
        any_json().prop_map(Body::Json),
        pairs.prop_map(Body::Form),
        any_text().prop_map(|text| Body::Raw { content_type: "text/plain".to_owned(), text }),
    ]
}

/// A request to one of the hosts of an API.
fn any_request(api: &'static Api) -> impl Strategy<Value = Request> {
    let hosts: Vec<&str> =
        api.hosts().into_iter().filter(|host| sign::for_host(host).is_some_and(|of| of.venue == api.venue)).collect();
    let method = prop::sample::select(vec![Method::Get, Method::Post, Method::Put, Method::Delete]);
    let path = prop::collection::vec("[a-zA-Z0-9_.-]{1,6}|[ -.:-~]{1,4}|日本", 1..4);
    let query = prop::option::of("[a-z]=[a-z0-9]{0,3}(&[a-z]=%2[Cc]b)?");
    let params = prop::collection::vec((any_text(), any_text()), 0..4);
    let port = prop::sample::select(vec!["", ":443", ":8443"]);
    (method, prop::sample::select(hosts), port, path, query, params, any_body()).prop_map(
        |(method, host, port, path, query, params, body)| {
            let path = path.join("/").replace(['?', '#', '\\'], "");
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            let url = format!("https://{host}{port}/x/{path}{query}");
            Request { method, url, params, body, ..Request::default() }
        },
    )
}

/// Random requests of an API, each signed.
fn samples(api: &'static Api, count: usize) -> Vec<sign::Signed> {
    let mut runner = TestRunner::deterministic();
    let strategy = any_request(api);
    let mut signed = Vec::new();
    while signed.len() < count {
        let request = strategy.new_tree(&mut runner).unwrap().current();
        signed.push(api.sign(&request, &credentials(api), NOW, Compat::Documented).unwrap());
    }
    signed
}

#[test]
fn an_independent_verifier_accepts_random_requests() {
    let python = std::env::var("TICKBUS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(ROOT).join("tests/python/verify_signature.py");
    let started = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut verifier) = started else {
        println!("skipped: no python3 (set TICKBUS_TEST_PYTHON)");
        return;
    };
    let mut input = verifier.stdin.take().unwrap();
    let mut asked = Vec::new();
    for api in APIS.iter().filter(|api| api.needs != Needs::KeyOnly) {
        for signed in samples(api, 60) {
            let headers: serde_json::Map<String, serde_json::Value> =
                signed.headers.iter().map(|(name, value)| (name.clone(), value.reveal().into())).collect();
            asked.push(serde_json::json!({
                "api": api.name, "secret": SECRET, "passphrase": PASSPHRASE, "method": signed.method.as_str(),
                "url": signed.url.reveal(), "headers": headers, "body": signed.body,
            }));
        }
    }
    // All is written at once, and read by the other side while it is.
    let lines: String = asked.iter().map(|line| format!("{line}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = verifier.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), asked.len(), "{answers}");
    for (asked, answer) in asked.iter().zip(answers.lines()) {
        assert_eq!(answer, "ok", "{asked}");
    }
}

#[test]
fn http_clients_send_signed_addresses_as_they_are() {
    for api in &APIS {
        let hosts = api.hosts();
        let signed = match api.needs {
            Needs::KeyOnly => {
                let url = format!("https://{}/info/a b/日?x='", hosts[0]);
                let request = Request { url, params: vec![("é'".into(), "\"<>".into())], ..Request::default() };
                vec![api.sign(&request, &credentials(api), NOW, Compat::Documented).unwrap()]
            }
            _ => samples(api, 200),
        };
        for signed in signed {
            let url = signed.url.reveal();
            assert_eq!(url::Url::parse(url).unwrap().as_str(), url, "{}", api.name);
            assert!(url.ends_with(signed.target.reveal()));
        }
    }
}

#[test]
fn no_key_is_in_any_text_of_ours() {
    let mut texts = Vec::new();
    for api in &APIS {
        let (host, keys) = (api.hosts()[0], credentials(api));
        texts.push(format!("{api:?} {keys:?}"));
        let urls = [
            format!("https://{host}/x"),
            format!("wss://{host}/private"),
            "no address".to_owned(),
            "https://x/".into(),
        ];
        let bodies = [Body::Empty, Body::Data(Json::List(vec![Json::Null])), Body::Data(Json::text("x"))];
        for (url, body) in urls.iter().flat_map(|url| bodies.iter().map(move |body| (url, body))) {
            let request = Request { url: url.clone(), body: body.clone(), ..Request::default() };
            for compat in [Compat::Documented, Compat::Reference] {
                texts.push(format!("{:?}", api.sign(&request, &keys, NOW, compat)));
                texts.push(format!("{:?}", api.sign(&request, &keys, u64::MAX, compat)));
                texts.push(format!("{:?}", api.open(url, None, &keys, NOW, "", compat)));
                texts.push(format!("{:?}", api.open(url, None, &keys, NOW, &"0".repeat(32), compat)));
                let mut message = Json::map([("op", Json::text("order")), ("params", Json::Null)]);
                texts.push(format!("{:?}", api.sign_message(url, None, &mut message, &keys, NOW, compat)));
            }
        }
        for broken in ["", "-----BEGIN PRIVATE KEY-----canary-secret-91b0", "canary-secret-91b0"] {
            let secret = || Secret::new(broken.to_owned());
            let keys = Credentials { key: secret(), secret: secret(), passphrase: Some(secret()) };
            texts.push(format!("{:?}", api.check(&keys)));
            texts.extend(api.check(&keys).err().map(|error| error.to_string()));
        }
    }
    for text in &texts {
        for canary in [KEY, SECRET, PASSPHRASE, &WALLET[2..]] {
            assert!(!text.contains(canary), "{text}");
        }
    }
    assert!(texts.iter().any(|text| text.contains("Signed")) && texts.iter().any(|text| text.contains("Opening")));
}

#[test]
fn no_key_is_sent_to_another_host() {
    for api in &APIS {
        for host in ["example.com", "api.bybit.com.example.com", "127.0.0.1"] {
            let request = Request { url: format!("https://{host}/x"), ..Request::default() };
            let error = api.sign(&request, &credentials(api), NOW, Compat::Documented).unwrap_err();
            assert!(error.to_string().contains(host), "{error}");
            let opening = api.open(&format!("wss://{host}/x"), None, &credentials(api), NOW, "", Compat::Documented);
            let opening = opening.unwrap();
            assert!(opening.login.is_none() && opening.headers.is_empty() && opening.proofs.is_empty());
        }
        let host = api.hosts().into_iter().find(|host| sign::for_host(host).is_some()).unwrap();
        let request = Request {
            url: "http://127.0.0.1:9001/x".to_owned(),
            as_host: Some(host.to_owned()),
            method: Method::Post,
            ..Request::default()
        };
        let signed = api.sign(&request, &credentials(api), NOW, Compat::Documented).unwrap();
        assert!(
            signed.url.reveal().starts_with("http://127.0.0.1:9001/x") && !signed.proofs.is_empty(),
            "{}",
            api.name
        );
    }
}
