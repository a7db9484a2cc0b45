//! CPU time of a signed request as jobs, calls and fetches sign it, scheme by scheme, beside the bare HMAC over the same
//! text. Rounds of both alternate, so that the machine's moods hit both.

use std::hint::black_box;

use hmac::{Hmac, Mac as _};
use rustix::time::{ClockId, clock_gettime};
use sha2::Sha256;
use tickbus::secret::Secret;
use tickbus::sign::{APIS, Api, Body, Compat, Credentials, Json, Method, Needs, Proof, Request, Signer};

/// The most a request signed with HMAC may take, in nanoseconds.
const TARGET: f64 = 20_000.0;
const NOW: u64 = 1_795_219_200_123;
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (calls, rounds) = if quick { (2_000, 3) } else { (20_000, 7) };
    println!("{:<22} {:>10} {:>10} {:>7}", "an order by REST", "ns signed", "ns HMAC", "ratio");
    let mut worst: f64 = 0.0;
    for api in &APIS {
        let (request, credentials) = (order(api), credentials(api));
        let signer = Signer::new("main", api, credentials.clone(), &request.url).expect("usable");
        let texts = signed_texts(api, &request, &credentials);
        let (mut ours, mut bare) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..rounds {
            ours = ours.min(nanos(calls, || sign(&signer, &request)));
            bare = bare.min(nanos(calls, || texts.iter().fold(0, |sum, text| sum ^ hmac(text)[0])));
        }
        match api.needs {
            Needs::KeyOnly => println!("{:<22} {ours:>10.0} {:>10} {:>7}", api.name, "-", "-"),
            _ => {
                worst = worst.max(ours);
                println!("{:<22} {ours:>10.0} {bare:>10.0} {:>7.1}", api.name, ours / bare);
            }
        }
    }
    let verdict = if worst <= TARGET { "met" } else { "MISSED" };
    println!("slowest with HMAC: {worst:.0} ns; target {TARGET:.0} ns {verdict}");
}

/// CPU nanoseconds of one call.
fn nanos<T>(calls: u32, mut work: impl FnMut() -> T) -> f64 {
    let start = cpu_nanos();
    for _ in 0..calls {
        black_box(work());
    }
    (cpu_nanos() - start) as f64 / f64::from(calls)
}

/// CPU time of this thread.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// As every signed call does, which may have to sign its request anew.
fn sign(signer: &Signer, request: &Request) {
    drop(black_box(signer.sign(request.clone(), NOW).expect("signed")));
}

fn hmac(text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// What is signed with HMAC in this request.
fn signed_texts(api: &Api, request: &Request, credentials: &Credentials) -> Vec<String> {
    let signed = api.sign(request, credentials, NOW, Compat::Documented).expect("signed");
    let text = |proof: &Proof| match proof {
        Proof::Hmac { message, .. } => Some(message.reveal().to_owned()),
        Proof::Typed(_) => None,
    };
    signed.proofs.iter().filter_map(text).collect()
}

fn credentials(api: &Api) -> Credentials {
    let secret = |text: &str| Secret::new(text.to_owned());
    match api.needs {
        Needs::KeyOnly => Credentials { key: secret(&"11".repeat(32)), secret: secret(""), passphrase: None },
        _ => {
            let key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
            Credentials { key: secret(key), secret: secret(SECRET), passphrase: Some(secret("a passphrase")) }
        }
    }
}

/// A limit order with a body and two parameters in the query.
fn order(api: &Api) -> Request {
    let order = r#"{"symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"28000.5","timeInForce":"GTC","orderLinkId":"a1b2c3d4-0001"}"#;
    let action = r#"{"action":{"type":"order","orders":[{"a":4,"b":true,"p":"1100","s":"0.2","r":false,"t":{"limit":{"tif":"Gtc"}}}],"grouping":"na"}}"#;
    let text = if api.needs == Needs::KeyOnly { action } else { order };
    let params = [("recvWindow", "5000"), ("note", "a b/c")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let host = api.hosts().into_iter().find(|host| tickbus::sign::for_host(host).is_some()).expect("a REST host");
    Request {
        method: Method::Post,
        url: format!("https://{host}/api/v5/trade/order"),
        params: params.to_vec(),
        body: Body::Data(Json::parse(text).expect("JSON")),
        ..Request::default()
    }
}
