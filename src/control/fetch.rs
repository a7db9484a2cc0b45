//! The command `fetch`: one REST call, within what the config allows clients to ask for.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Running;
use super::reply::{Code, Failure};
use crate::fetch::{self, Fetch, FetchError, Signing};
use crate::sign::{self, Body, Json};

/// How long a call may take in all, where the request does not say, and at most: the line before the budget included.
const USUAL_MS: u64 = 10_000;
const LONGEST_MS: u64 = 60_000;

/// Arguments of `fetch`. Parameters and data are read from the text as it came: in order, and numbers as they were written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked<'a> {
    #[serde(rename = "op")]
    _op: String,
    method: Option<String>,
    url: Option<String>,
    base_url: Option<String>,
    path: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    form: bool,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    account: Option<String>,
    signed: Option<bool>,
    timeout_ms: Option<u64>,
}

/// Makes the call of a request, of which this is the text.
pub(super) async fn fetch(running: &Running, text: &str) -> Result<String, Failure> {
    let asked: Asked<'_> = serde_json::from_str(text).map_err(|error| Failure::bad(format!("fetch: {error}")))?;
    let within = asked.timeout_ms.unwrap_or(USUAL_MS);
    if !(1..=LONGEST_MS).contains(&within) {
        return Err(Failure::bad(format!("timeout_ms: {within} is out of range; allowed: 1 to {LONGEST_MS}")));
    }
    let within = Duration::from_millis(within);
    let call = call(asked, within).map_err(Failure::bad)?;
    let calls = &running.calls;
    let Ok(_place) = calls.at_once.try_acquire() else {
        return Err(Failure::new(Code::Limited, "too many calls of clients are under way; try again in a moment"));
    };
    match timeout(within, calls.fetcher.fetch(call, Some(&calls.allowed))).await {
        Ok(Ok(fetched)) => Ok(fetched.to_json()),
        Ok(Err(error)) => Err(Failure::new(code(&error), error.to_string())),
        Err(_) => {
            let what = format!("no answer within {} ms, the wait for the host's budget included", within.as_millis());
            Err(Failure::new(Code::Failed, what))
        }
    }
}

const fn code(error: &FetchError) -> Code {
    match error {
        FetchError::Bad(_) | FetchError::Ambiguous { .. } | FetchError::Account(_) => Code::BadRequest,
        FetchError::Forbidden(_) => Code::Forbidden,
        FetchError::Http(_) => Code::Failed,
    }
}

fn call(asked: Asked<'_>, timeout: Duration) -> Result<Fetch, String> {
    let at = |place: &'static str| move |what: String| format!("{place}: {what}");
    let address = match (asked.url, asked.base_url, asked.path) {
        (Some(url), None, None) => url,
        (None, Some(base), Some(path)) if path.starts_with('/') => format!("{}{path}", base.trim_end_matches('/')),
        (None, Some(_), Some(_)) => return Err("path: must begin with a slash".to_owned()),
        _ => {
            return Err(
                "needs url, or base_url and path; for example \"url\":\"https://api.bitflyer.com/v1/getticker\""
                    .to_owned(),
            );
        }
    };
    let params = match asked.params.map(RawValue::get) {
        None | Some("null") => Vec::new(),
        Some(text) => {
            let json = Json::parse(text).map_err(|error| format!("params: {error}"))?;
            fetch::pairs(&json).map_err(at("params"))?
        }
    };
    let body = match asked.data.map(RawValue::get) {
        None | Some("null") => Body::Empty,
        Some(text) => fetch::body(text, asked.form).map_err(at("data"))?,
    };
    let headers = match asked.headers.map(RawValue::get) {
        None | Some("null") => Vec::new(),
        Some(text) => headers(text).map_err(at("headers"))?,
    };
    let signing = match (asked.account, asked.signed) {
        (Some(_), Some(false)) => return Err("signed: is false, and an account is named".to_owned()),
        (Some(account), _) => Signing::Account(account),
        (None, Some(false)) => Signing::Nobody,
        (None, _) => Signing::ByHost,
    };
    Ok(Fetch {
        method: fetch::method(asked.method.as_deref().unwrap_or("GET")).map_err(at("method"))?,
        url: fetch::url(&address).map_err(at("url"))?,
        params,
        body,
        headers: fetch::headers(headers).map_err(at("headers"))?,
        signing,
        timeout,
    })
}

/// Names and values in their order, a name given twice included.
fn headers(object: &str) -> Result<Vec<(String, String)>, String> {
    let no_texts = |_| "is no object of texts: {\"NAME\": \"VALUE\"}".to_owned();
    let members = sign::raw_members(object).map_err(no_texts)?;
    let text = |(name, value): (String, &RawValue)| Ok((name, serde_json::from_str(value.get())?));
    members.into_iter().map(text).collect::<Result<_, _>>().map_err(no_texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::Method;

    fn read(text: &str) -> Result<Fetch, String> {
        let asked: Asked<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        call(asked, Duration::from_secs(1))
    }

    #[test]
    fn parameters_and_data_stay_as_they_were_written() {
        let call = read(
            r#"{"op":"fetch","method":"post","base_url":"https://a.com/","path":"/v1","params":{"z":1.50,"a":["x",true]},
               "data":{"b":1.10,"a":null},"headers":{"X-Y":"z"}}"#,
        )
        .unwrap();
        assert_eq!((call.method, call.url.as_str()), (Method::Post, "https://a.com/v1"));
        let params: Vec<_> = call.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(params, [("z", "1.50"), ("a", "x"), ("a", "true")]);
        let Body::Data(data) = call.body else { panic!("data") };
        assert_eq!(data.write(sign::Style::Compact), r#"{"b":1.10,"a":null}"#);
        assert_eq!(call.signing, Signing::ByHost);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_place() {
        for (text, wanted) in [
            (r#"{"op":"fetch"}"#, "needs url"),
            (r#"{"url":"https://a.com","path":"/x"}"#, "needs url"),
            (r#"{"base_url":"https://a.com","path":"x"}"#, "path: must begin"),
            (r#"{"base_url":"https://a.com@b.com","path":"/x"}"#, "url: the address names a user"),
            (r#"{"url":"https://a.com","params":[1]}"#, "params: is no object"),
            (r#"{"url":"https://a.com","params":{"a":{}}}"#, "params: \"a\" is no text"),
            (r#"{"url":"https://a.com","method":"PATCH"}"#, "method: unknown"),
            (r#"{"url":"https://a.com","headers":{"Host":"b"}}"#, "headers: the header Host"),
            (r#"{"url":"https://a.com","headers":{"X-A":"b","X-A":"c"}}"#, "headers: the header X-A is given twice"),
            (r#"{"url":"https://a.com","headers":{"X-A":1}}"#, "headers: is no object of texts"),
            (r#"{"url":"https://a.com","signed":false,"account":"x"}"#, "signed: is false"),
            (r#"{"url":"https://a.com","urls":1}"#, "unknown field"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
    }
}
