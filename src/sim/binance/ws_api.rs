//! Spot's API over a websocket, as far as the account's events need it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::Stamp;
use crate::sim::venue::Logins;

use super::Settings;
use super::message::json_text;
use super::sign::{self, Refusal, Shown};

/// What a request leads to, besides its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    None,
    /// The account's events begin.
    Subscribe,
    /// They end.
    Unsubscribe,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

/// Answers a request. What is signed is counted.
pub(super) fn answer(settings: &Settings, logins: &mut Logins, text: &str, now: Stamp) -> (String, Step) {
    let Ok(request) = serde_json::from_str::<Request>(text) else {
        let refusal = (400, -1_000, "Malformed request.".to_owned());
        return (refused("null", &refusal), Step::None);
    };
    let id = request.id.to_string();
    let (result, step) = match request.method.as_str() {
        "ping" => (Ok("{}".to_owned()), Step::None),
        "time" => (Ok(format!(r#"{{"serverTime":{}}}"#, now.wall.as_ms())), Step::None),
        "userDataStream.subscribe.signature" => {
            let checked = logins.count(check(settings, &request.params, now));
            (checked.map(|()| r#"{"subscriptionId":0}"#.to_owned()), Step::Subscribe)
        }
        "userDataStream.unsubscribe" => (Ok("{}".to_owned()), Step::Unsubscribe),
        other => (Err((400, -1_000, format!("Unknown method {other}."))), Step::None),
    };
    match result {
        Ok(result) => (format!(r#"{{"id":{id},"status":200,"result":{result}}}"#), step),
        Err(refusal) => (refused(&id, &refusal), Step::None),
    }
}

fn refused(id: &str, (status, code, words): &Refusal) -> String {
    let words = json_text(words);
    format!(r#"{{"id":{id},"status":{status},"error":{{"code":{code},"msg":{words}}}}}"#)
}

/// The signature is over all other parameters in the order of their names.
fn check(settings: &Settings, params: &BTreeMap<String, Value>, now: Stamp) -> Result<(), Refusal> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let get = |name: &str| params.get(name).map(text);
    sign::check_key(settings, get("apiKey").as_deref())?;
    let signed: Vec<String> = params
        .iter()
        .filter(|(name, _)| *name != "signature")
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let (signature, timestamp, recv_window) = (get("signature"), get("timestamp"), get("recvWindow"));
    let shown = Shown {
        text: &signed.join("&"),
        signature: signature.as_deref(),
        timestamp: timestamp.as_deref(),
        recv_window: recv_window.as_deref(),
    };
    sign::check(settings, &shown, now.wall.as_ms())
}

/// An event in the form in which a subscriber gets it.
pub(super) fn framed(event: &[u8]) -> Vec<u8> {
    [br#"{"subscriptionId":0,"event":"#, event, b"}"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixNanos;
    use serde_json::json;

    fn asked(params: &Value) -> (Value, Step) {
        let now = Stamp { wall: UnixNanos::from_ms(1_700_000_000_000), ..Stamp::default() };
        let request = json!({"id": "7", "method": "userDataStream.subscribe.signature", "params": params});
        let (text, step) = answer(&Settings::default(), &mut Logins::default(), &request.to_string(), now);
        (serde_json::from_str(&text).unwrap(), step)
    }

    #[test]
    fn a_signed_subscription_is_accepted_and_a_wrong_one_told_why() {
        let signature = sign::sign("secret", "apiKey=key&timestamp=1700000000000");
        let right = json!({"apiKey": "key", "timestamp": 1_700_000_000_000_u64, "signature": signature});
        let (answer, step) = asked(&right);
        assert_eq!((answer["status"].clone(), answer["id"].clone(), step), (json!(200), json!("7"), Step::Subscribe));
        let mut wrong = right;
        wrong["timestamp"] = json!(1_700_000_000_001_u64);
        let (answer, step) = asked(&wrong);
        assert_eq!((&answer["error"]["code"], step), (&json!(-1_022), Step::None));
    }
}
