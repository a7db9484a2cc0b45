//! Vectors of venues' own programs and of `ccxt`, each kind with fields of its own: they are checked against the venues'
//! documented behaviour.

use super::findings::Findings;
use super::{NotVectors, Report, credentials, has_all, join, member, rest, text, time};
use crate::secret::Secret;
use crate::sign::call::{self, Call};
use crate::sign::{
    Body, Compat, Credentials, Json, Method, Proof, Request, SignError, Signed, Style, api, bitmex, okx,
};

/// Where the cases of OKJ's program without an address of their own are sent.
const OKJ: &str = "https://api.okj.com";

/// Checks a file's cases.
pub(super) fn check(json: &Json) -> Result<Report, NotVectors> {
    let credentials = match json.get("private_key").and_then(Json::as_text) {
        Some(key) => {
            Credentials { key: Secret::new(key.to_owned()), secret: Secret::new(String::new()), passphrase: None }
        }
        None => credentials(member(json, "credentials", "")?)?,
    };
    let is_wallet = json.get("private_key").is_some();
    let mut findings = Findings::new(&credentials);
    for (at, case) in member(json, "cases", "")?.items().iter().enumerate() {
        let place = format!("cases[{at}]");
        findings.begin(&format!("cases {}", text(case, "id", &place)?));
        let checked = match case.get("kind").and_then(Json::as_text) {
            Some(_) if is_wallet => action(&credentials, case, &place, &mut findings)?,
            Some("pybit" | "python-okx") => signature(&credentials, case, &place, &mut findings)?,
            None | Some("rest" | "ws_login") => exchange(&credentials, case, &place, &mut findings)?,
            Some(unknown) => {
                findings.differ("kind", "a kind of case that can be checked", unknown);
                Ok(())
            }
        };
        if let Err(error) = checked {
            findings.failed(&error);
        }
        findings.end(&place)?;
    }
    findings.into_whole_report()
}

/// What could not be signed is a mismatch; what is missing makes the file none.
type Checked = Result<Result<(), SignError>, NotVectors>;

/// A text and its signature.
fn signature(credentials: &Credentials, case: &Json, place: &str, findings: &mut Findings) -> Checked {
    let text = |key| text(case, key, place);
    let got = match case.get("message").and_then(Json::as_text) {
        Some(message) => call::hex(&call::hmac(&credentials.secret, message)),
        None => okx::request(&credentials.secret, text("timestamp")?, text("method")?, text("path")?, text("body")?),
    };
    findings.compare("expected", Some(member(case, "expected", place)?), &got);
    Ok(Ok(()))
}

/// A REST request, or a login on a socket.
fn exchange(credentials: &Credentials, case: &Json, place: &str, findings: &mut Findings) -> Checked {
    let expected = member(case, "expected", place)?;
    let now = time(case, place)?;
    let url = text(expected, "url", place)?;
    let of_expected = join(place, "expected");
    if let Some(frame) = expected.get("frame") {
        return login(credentials, url, now, frame, &of_expected, findings);
    }
    let request = request(case.get("request").unwrap_or(case), place, expected, url)?;
    has_all(expected, &of_expected, &["headers"])?;
    if request.body != Body::Empty {
        has_all(expected, &of_expected, &["body"])?;
    }
    let Some(api) = api::for_request(&request, Compat::Documented) else {
        findings.differ("url", "a host that is signed for", url);
        return Ok(Ok(()));
    };
    Ok(api.sign(&request, credentials, now, Compat::Documented).map(|signed| compare(expected, &signed, findings)))
}

fn request(json: &Json, place: &str, expected: &Json, url: &str) -> Result<Request, NotVectors> {
    let method = Method::parse(text(json, "method", place)?).ok_or_else(|| NotVectors::lacks("known method"))?;
    let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let origin = if origin.is_empty() { OKJ } else { &origin };
    let mut request = Request { method, url: format!("{origin}{}", text(json, "path", place)?), ..Request::default() };
    let params = json.get("params").map(Json::members).unwrap_or_default();
    match method {
        Method::Get => {
            // The program leaves out what is empty.
            let given = params.iter().filter_map(|(key, value)| Some((key.clone(), value.as_text()?.to_owned())));
            request.params = given.filter(|(_, value)| !value.is_empty()).collect();
        }
        _ => {
            let data = json.get("json").or_else(|| json.get("params"));
            request.body = data.map_or(Body::Empty, |data| Body::Data(data.clone()));
            rest::adopt_body(&mut request, expected);
        }
    }
    Ok(request)
}

fn compare(expected: &Json, signed: &Signed, findings: &mut Findings) {
    findings.compare("url", expected.get("url"), signed.url.reveal());
    let headers = expected.get("headers").map(Json::members).unwrap_or_default();
    for (name, value) in headers {
        // What type nothing has, no venue reads.
        if !(signed.body.is_empty() && name.eq_ignore_ascii_case("content-type")) {
            findings.compare(&format!("headers.{name}"), Some(value), signed.header(name).unwrap_or("none"));
        }
    }
    findings.compare("body", expected.get("body"), &signed.body);
}

/// The message that logs in, in any order of its members.
fn login(
    credentials: &Credentials,
    url: &str,
    now: u64,
    frame: &Json,
    place: &str,
    findings: &mut Findings,
) -> Checked {
    let frame = frame.as_text().and_then(|text| Json::parse(text).ok()).unwrap_or_else(|| frame.clone());
    let got = match logs_in(credentials, url, now, &frame) {
        Ok(Some(got)) => got,
        Ok(None) => {
            findings.differ("url", "a host that is logged in on", url);
            return Ok(Ok(()));
        }
        Err(error) => return Ok(Err(error)),
    };
    let made: Vec<&str> = got.members().iter().map(|(key, _)| key.as_str()).collect();
    has_all(&frame, &join(place, "frame"), &made)?;
    for (key, value) in frame.members().iter().filter(|(key, value)| !is_address(key, value)) {
        let got = got.get(key).map_or_else(|| "nothing".to_owned(), |got| sorted(got).write(Style::Compact));
        findings.compare(&format!("frame.{key}"), Some(&Json::Text(sorted(value).write(Style::Compact))), &got);
    }
    Ok(Ok(()))
}

/// The message that we log in with; `None` where nobody does.
fn logs_in(credentials: &Credentials, url: &str, now: u64, frame: &Json) -> Result<Option<Json>, SignError> {
    let request = Request { url: url.to_owned(), ..Request::default() };
    let mut call = Call::new(&request, credentials, now, Compat::Documented)?;
    if frame.get("op").and_then(Json::as_text) == Some("authKeyExpires") {
        let expires = frame.get("args").and_then(|args| args.items().get(1)).and_then(Json::as_u64);
        return Ok(Some(bitmex::login_frame(&mut call, expires.unwrap_or_default())));
    }
    let Some(api) = api::for_socket(&call.host, Compat::Documented) else { return Ok(None) };
    let opening = api.open(url, None, credentials, now, "", Compat::Documented)?;
    Ok(opening.login.and_then(|login| Json::parse(login.reveal()).ok()))
}

/// `ccxt` notes with a message where it goes.
fn is_address(key: &str, value: &Json) -> bool {
    key == "url" && value.as_text().is_some_and(|text| text.starts_with("wss://"))
}

fn sorted(json: &Json) -> Json {
    match json {
        Json::List(items) => Json::List(items.iter().map(sorted).collect()),
        Json::Map(members) => {
            let mut members: Vec<_> = members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Json::Map(members)
        }
        other => other.clone(),
    }
}

/// An action of Hyperliquid's, signed with a wallet's key.
fn action(credentials: &Credentials, case: &Json, place: &str, findings: &mut Findings) -> Checked {
    let expected = member(case, "expected", place)?;
    let action = member(case, "action", place)?;
    // The user's actions come back with what the program adds to them, and the exchange's are told by their hash.
    let is_of_user = expected.get("action_hash").is_none();
    let always = ["signature", if is_of_user { "signed_action" } else { "action_hash" }];
    has_all(expected, &join(place, "expected"), &always)?;
    let is_mainnet = case.get("mainnet") == Some(&Json::Bool(true));
    let host = if is_mainnet { "api.hyperliquid.xyz" } else { "api.hyperliquid-testnet.xyz" };
    let mut data = Json::map([("action", action.clone())]);
    let user_nonce = action.get("nonce").or_else(|| action.get("time"));
    for (from, to) in [("nonce", "nonce"), ("vault", "vaultAddress"), ("expires", "expiresAfter")] {
        let value = case.get(from).or(user_nonce.filter(|_| from == "nonce"));
        if let Some(value) = value {
            data.set(to, value.clone());
        }
    }
    let url = format!("https://{host}/exchange");
    let request = Request { method: Method::Post, url, body: Body::Data(data), ..Request::default() };
    let Some(api) = api::for_host(host) else { return Ok(Err(SignError::Body("is of no known host"))) };
    let signed = match api.sign(&request, credentials, 0, Compat::Documented) {
        Ok(signed) => signed,
        Err(error) => return Ok(Err(error)),
    };
    let body = Json::parse(&signed.body).unwrap_or(Json::Null);
    let compact = |json: Option<&Json>| json.map(|json| Json::Text(json.write(Style::Compact)));
    for (key, got) in [("signature", body.get("signature")), ("signed_action", body.get("action"))] {
        let got = got.map_or_else(String::new, |got| got.write(Style::Compact));
        findings.compare(key, compact(expected.get(key)).as_ref(), &got);
    }
    for proof in &signed.proofs {
        if let Proof::Typed(typed) = proof {
            let hash = format!("0x{}", call::hex(&typed.action_hash));
            findings.compare("action_hash", expected.get("action_hash"), &hash);
        }
    }
    Ok(Ok(()))
}
