//! bitbank ("Private REST API, Authorization", "Private stream"): the private stream is a long poll at PubNub, whose
//! channel and token a signed call gives.

use super::call::Call;
use super::json::Json;
use super::{Body, Method, Request, Scheme, SignError, no_login, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message: no_message };

/// Where channel and token of the private stream come from.
pub const SUBSCRIBE: &str = "https://api.bitbank.cc/v1/user/subscribe";
/// Where the private stream is polled.
const PUBNUB: &str = "https://ps.pndsn.com/v2/subscribe/sub-c-ecebae8e-dd60-11e6-b6b1-02ee2ddab7fe";

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let (time, window) = (call.ms(), call.header("ACCESS-TIME-WINDOW").to_owned());
    let signed = match call.method {
        Method::Get => call.url.target(),
        _ => call.body().to_owned(),
    };
    let sign = call.hex(&[&time, &window, &signed]);
    call.set_key("ACCESS-KEY");
    call.set("ACCESS-REQUEST-TIME", time);
    call.set("ACCESS-SIGNATURE", sign);
    Ok(())
}

/// The next poll of the private stream, which is not signed. `channel` and `token` are `pubnub_channel` and
/// `pubnub_token` of the answer of [`SUBSCRIBE`]; `cursor` is `t` of the last poll's answer.
pub fn poll(channel: &str, token: &str, cursor: Option<&Json>) -> Request {
    let param = |key: &str, value: String| (key.to_owned(), value);
    let mut params = vec![param("uuid", channel.to_owned())];
    let text = |value: &Json| value.as_text().map_or_else(|| value.write(super::Style::Compact), str::to_owned);
    for (name, key) in [("tt", "t"), ("tr", "r")] {
        params.extend(cursor.and_then(|cursor| cursor.get(key)).map(|value| param(name, text(value))));
    }
    params.push(param("auth", token.to_owned()));
    Request { url: format!("{PUBNUB}/{channel}/0"), params, body: Body::Empty, ..Request::default() }
}
