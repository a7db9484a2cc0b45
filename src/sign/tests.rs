//! Worked examples of the venues' pages, and where their documentation differs from the reference client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn credentials() -> Credentials {
    Credentials { key: secret("testkey"), secret: secret("testsecret"), passphrase: Some(secret("p")) }
}

fn get(url: &str) -> Request {
    Request { url: url.to_owned(), ..Request::default() }
}

fn post(url: &str, body: Body) -> Request {
    Request { method: Method::Post, body, ..get(url) }
}

fn signed_by(credentials: &Credentials, request: &Request, now: u64, compat: Compat) -> Signed {
    let api = for_request(request, compat).expect("a known host");
    api.sign(request, credentials, now, compat).expect("signed")
}

fn signed(request: &Request, now: u64) -> Signed {
    signed_by(&credentials(), request, now, Compat::Documented)
}

fn open(api: &str, url: &str, now: u64, nonce: &str, compat: Compat) -> Opening {
    find(api).expect("known").open(url, None, &credentials(), now, nonce, compat).expect("opened")
}

fn login(api: &str, url: &str, now: u64, nonce: &str) -> Option<Json> {
    open(api, url, now, nonce, Compat::Documented).login.map(|login| Json::parse(login.reveal()).expect("JSON"))
}

/// The member that these keys and places lead to.
fn at<'j>(json: &'j Json, path: &str) -> &'j Json {
    path.split('.').fold(json, |json, step| match step.parse::<usize>() {
        Ok(at) => &json.items()[at],
        Err(_) => json.get(step).expect("a member"),
    })
}

#[test]
fn worked_examples_of_headers() {
    for (url, now, header, wanted) in [
        (
            "https://api.bitflyer.com/v1/me/getbalance",
            NOW,
            "ACCESS-SIGN",
            "d3b87ccdfe5a8044b67c38e7fa5fabba08a57358b9730bc42b723900344056f2",
        ),
        (
            "https://coincheck.com/api/accounts/balance",
            NOW,
            "ACCESS-SIGNATURE",
            "ea7a7bc8f2e848f3df4d0c0252bcad82eb4b285dcabb33e13b27684d50f009f5",
        ),
        (
            "https://api.bitget.com/api/v2/spot/account/assets?coin=USDT",
            NOW,
            "ACCESS-SIGN",
            "ROFFd4+DVLlr0tKiRPa/6C0QO/CEPEJP3qU/PNOmKXY=",
        ),
        (
            "https://www.okx.com/api/v5/account/balance?ccy=BTC",
            NOW,
            "OK-ACCESS-SIGN",
            "r08bS9X5FPzXyC41sXd/6luwKLvhbqC8Xxp2xjtbENw=",
        ),
    ] {
        assert_eq!(signed(&get(url), now).header(header), Some(wanted), "{url}");
    }
    let mut request = get("https://api.bitbank.cc/v1/user/assets");
    request.headers.push(("ACCESS-TIME-WINDOW".to_owned(), "1000".to_owned()));
    let wanted = "573248d81f2e0fc8130d828aec254767e7b01cd0ca4fb54463d85a21393121a6";
    assert_eq!(signed(&request, 1_721_121_776_490).header("access-signature"), Some(wanted));
}

#[test]
fn worked_examples_of_binance() {
    let mut request = get("https://api.binance.com/api/v3/order");
    request.params = [
        ("symbol", "LTCBTC"),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "1"),
        ("price", "0.1"),
        ("recvWindow", "5000"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let keys = Credentials {
        secret: secret("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"),
        ..credentials()
    };
    let of_page = signed_by(&keys, &request, 1_499_827_319_559, Compat::Documented);
    let wanted = "&timestamp=1499827319559&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
    assert!(of_page.url.reveal().ends_with(wanted), "{}", of_page.url.reveal());
    let request = get("https://api.binance.com/api/v3/openOrders?symbol=BTCUSDT");
    let wanted = "signature=602823b4810bbbb87775916a63df6d7817c1473676d92214a0a216109fb1c8ec";
    assert!(signed(&request, NOW).url.reveal().ends_with(wanted));
}

#[test]
fn worked_examples_of_logins() {
    let of = |api, url, nonce, path| {
        let frame = login(api, url, NOW, nonce).expect("a login");
        at(&frame, path).as_text().expect("a text").to_owned()
    };
    let bitflyer = of("bitflyer", "wss://ws.lightstream.bitflyer.com/json-rpc", "abcdef0123456789", "params.signature");
    assert_eq!(bitflyer, "bc8e264e6e7802b7e02541ead584c6431d7d233afa4b16312520fc000976caa2");
    let coincheck = of("coincheck", "wss://stream.coincheck.com", "", "access_signature");
    assert_eq!(coincheck, "1ee71d67e98d4edeec03c79dadb0d745e1c86de12f045220db16c44f5b267e8b");
    let bitget = of("bitget", "wss://ws.bitget.com/v2/ws/private", "", "args.0.sign");
    assert_eq!(bitget, "7yvssn19Hr3vxrE80AxY85uruo3euy+gZGqusHm7oc8=");
    let mexc = of("mexc", "wss://contract.mexc.com/edge", "", "param.signature");
    assert_eq!(mexc, "d07f4602ba7c6df8710307e9b5c1f37bd220b44415db3e0e4bd447a74193b189");
    let okx = of("okx", "wss://ws.okx.com:8443/ws/v5/private", "", "args.0.sign");
    assert_eq!(okx, "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=");
    // BitMEX logs in by the upgrade; five seconds are left.
    let opening = open("bitmex", "wss://ws.bitmex.com/realtime", NOW - 5_000, "", Compat::Documented);
    let signature = opening.headers.iter().find(|(name, _)| name == "api-signature").map(|(_, value)| value.reveal());
    assert_eq!(signature, Some("27c2a11b5695eee399b504b715f23f8e3d013f5d0a521dcb3cf684cc464b9c2a"));
}

/// The key of RFC 8032, 7.1, TEST 1.
#[test]
fn binance_takes_ed25519_keys() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
    };
    let der = bytes(&format!("302e020100300506032b657004220420{seed}"));
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&der));
    let keys = Credentials { secret: secret(&pem), ..credentials() };
    let request = get("https://api.binance.com/api/v3/account");
    let signed = signed_by(&keys, &request, NOW, Compat::Documented);
    let query = signed.target.reveal().split_once('?').expect("a query").1;
    let (payload, signature) = query.split_once("&signature=").expect("a signature");
    assert_eq!(payload, format!("timestamp={NOW}"));
    let signature = STANDARD.decode(encode::decoded_path(signature)).expect("base64");
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let public = VerifyingKey::from_bytes(public.first_chunk().expect("32 bytes")).expect("a key");
    public.verify(payload.as_bytes(), &Signature::from_slice(&signature).expect("64 bytes")).expect("the signature");
    for bad in ["-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----"] {
        let keys = Credentials { secret: secret(bad), ..credentials() };
        assert!(matches!(find("binance").expect("known").check(&keys), Err(SignError::Key(_))), "{bad}");
    }
}

#[test]
fn logins_are_sent_only_where_they_are_known() {
    let none = [
        ("okx", "wss://ws.okx.com:8443/ws/v5/public"),
        ("bybit", "wss://stream.bybit.com/v5/public/linear"),
        ("bitget", "wss://ws.bitget.com/v2/ws/public"),
        ("bittrade", "wss://api-cloud.bittrade.co.jp/ws"),
        ("okj", "wss://ws.okj.com/ws/v5/public"),
        ("gmocoin", "wss://api.coin.z.com/ws/private/v1/TOKEN"),
    ];
    for (api, url) in none {
        let opening = open(api, url, NOW, "", Compat::Documented);
        assert!(opening.login.is_none() && opening.headers.is_empty(), "{url}");
    }
    assert!(login("bittrade", "wss://api-cloud.bittrade.co.jp/ws/v2", NOW, "").is_some());
    // The reference client signs upgrades of hosts it knows from REST, and logs in on OKX's public path.
    assert!(!open("gmocoin", none[5].1, NOW, "", Compat::Reference).headers.is_empty());
    assert!(open("okx", none[0].1, NOW, "", Compat::Reference).login.is_some());
}

#[test]
fn bybit_stamps_orders_and_not_its_own_login() {
    let url = "wss://stream.bytick.com/v5/trade";
    let api = find("bybit").expect("known");
    let sent = |text: &str, compat| {
        let mut message = Json::parse(text).expect("JSON");
        api.sign_message(url, None, &mut message, &credentials(), NOW, compat).expect("signed");
        message.get("header").is_some()
    };
    assert!(sent(r#"{"op":"order.create"}"#, Compat::Documented));
    assert!(!sent(r#"{"op":"ping"}"#, Compat::Documented));
    assert!(!sent(r#"{"op":"order.create"}"#, Compat::Reference), "it does not know this host");
    assert!(login("bybit", url, NOW, "").expect("a login").get("header").is_none());
}

#[test]
fn hosts_belong_to_one_api() {
    assert_eq!(for_host("API.bybit.com:443").map(|api| api.name), Some("bybit"));
    assert_eq!(for_host("www.okx.com").map(|api| api.name), Some("okx"));
    assert_eq!(for_host("example.com").map(|api| api.name), None);
    let mut demo = get("https://www.okx.com/x");
    demo.headers.push(("X-Simulated-Trading".to_owned(), "1".to_owned()));
    assert_eq!(for_request(&demo, Compat::Documented).map(|api| api.name), Some("okx_demo"));
    let signed =
        find("okx_demo").expect("known").sign(&get("https://www.okx.com/x"), &credentials(), NOW, Compat::Documented);
    assert_eq!(signed.expect("signed").header("x-simulated-trading"), Some("1"));
    let mut names: Vec<&str> = APIS.iter().map(|api| api.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), APIS.len());
}

#[test]
fn bodies_are_written_as_the_venue_reads_them() {
    let data = || Body::Data(Json::parse(r#"{"a":1.50,"b":"日 x","c":[1,"2"],"d":true}"#).expect("JSON"));
    let json = signed(&post("https://api.bybit.com/x", data()), NOW);
    assert_eq!(json.body, r#"{"a":1.50,"b":"日 x","c":[1,"2"],"d":true}"#);
    assert_eq!(json.header("content-type"), Some("application/json"));
    let form = signed(&post("https://coincheck.com/x", data()), NOW);
    assert_eq!(form.body, "a=1.50&b=%E6%97%A5%20x&c=1&c=2&d=true");
    assert_eq!(form.header("content-type"), Some("application/x-www-form-urlencoded"));
    let reference = signed_by(&credentials(), &post("https://coincheck.com/x", data()), NOW, Compat::Reference);
    assert_eq!(reference.body, "a=1.5&b=%E6%97%A5+x&c=1&c=2&d=True");
    let empty = signed(&post("https://api.bybit.com/x", Body::Empty), NOW);
    assert_eq!((empty.body.as_str(), empty.header("content-type")), ("", None));
    let nested = Body::Data(Json::parse(r#"{"a":{"b":1}}"#).expect("JSON"));
    let api = find("coincheck").expect("known");
    let refused = api.sign(&post("https://coincheck.com/x", nested), &credentials(), NOW, Compat::Documented);
    assert!(matches!(refused, Err(SignError::Body(_))));
}

#[test]
fn what_is_missing_is_named() {
    let keys = Credentials { passphrase: None, ..credentials() };
    let refused = find("okx").expect("known").sign(&get("https://www.okx.com/x"), &keys, NOW, Compat::Documented);
    assert_eq!(refused.err().map(|error| error.to_string()).as_deref(), Some("okx needs a passphrase"));
    let refused = find("hyperliquid").expect("known").check(&credentials());
    assert!(matches!(refused, Err(SignError::Key(_))));
    let url = "wss://ws.lightstream.bitflyer.com/json-rpc";
    let refused = find("bitflyer").expect("known").open(url, None, &credentials(), NOW, "short", Compat::Documented);
    assert!(matches!(refused, Err(SignError::Nonce(_))));
}

#[test]
fn hyperliquid_signs_only_what_it_knows() {
    let keys = Credentials {
        key: secret("0x0123456789012345678901234567890123456789012345678901234567890123"),
        secret: secret(""),
        passphrase: None,
    };
    let api = find("hyperliquid").expect("known");
    let sign = |action: &str, compat| {
        let data = Json::map([("action", Json::parse(action).expect("JSON")), ("nonce", Json::number(1))]);
        api.sign(&post("https://api.hyperliquid.xyz/exchange", Body::Data(data)), &keys, NOW, compat)
    };
    for refused in [
        r#"{"type":"multiSig"}"#,
        r#"{"type":"unheardOf","hyperliquidChain":"Mainnet"}"#,
        r#"{"type":"usdSend","destination":"0x","amount":1,"time":1}"#,
        r#"{"type":"usdSend","destination":"0x","time":1}"#,
        r#"{"type":"approveAgent","agentAddress":"0x12","agentName":"","nonce":1}"#,
        r#"{"type":"usdSend","destination":"0x","amount":"1","time":1,"signatureChainId":"42161"}"#,
        r#"{"type":"x","n":18446744073709551616}"#,
    ] {
        assert!(matches!(sign(refused, Compat::Documented), Err(SignError::Body(_))), "{refused}");
    }
    // The chain that the wallet is shown is signed too, unlike with the reference client.
    let on = |chain: &str, compat| {
        let action = format!(
            r#"{{"type":"usdSend","hyperliquidChain":"Mainnet","destination":"0x","amount":"1","time":1,"signatureChainId":"{chain}"}}"#
        );
        let signed = sign(&action, compat).expect("signed");
        Json::parse(&signed.body).expect("JSON").get("signature").cloned()
    };
    assert_ne!(on("0x66eee", Compat::Documented), on("0xa4b1", Compat::Documented));
    assert_eq!(on("0x66eee", Compat::Documented), on("0x66eee", Compat::Reference));
    assert_eq!(on("0x66eee", Compat::Reference), on("0xa4b1", Compat::Reference));
}

#[test]
fn helpers_of_private_streams() {
    let answer = Json::parse(r#"{"data":{"token":"t/=","instanceServers":[{"endpoint":"wss://a/"}]}}"#).expect("JSON");
    let url = kucoin::socket_url(&answer, "id").expect("an address");
    assert_eq!(url, "wss://a/?token=t/=&acceptUserMessage=true&connectId=id");
    assert!(kucoin::socket_url(&Json::Null, "id").is_err());
    let poll = bitbank::poll("c", "t", Some(&Json::parse(r#"{"t":"16","r":4}"#).expect("JSON")));
    let params: Vec<String> = poll.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(params, ["uuid=c", "tt=16", "tr=4", "auth=t"]);
}
