//! Bybit (V5 API, "Authentication" and "WebSocket, Connect").

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message };

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let time = call.ms();
    let key = call.credentials.key.reveal();
    let (window, query, body) =
        (call.header("X-BAPI-RECV-WINDOW").to_owned(), call.url.query.clone(), call.body().to_owned());
    let sign = call.hex(&[&time, key, &window, &query, &body]);
    call.set_key("X-BAPI-API-KEY");
    call.set("X-BAPI-TIMESTAMP", time);
    call.set("X-BAPI-SIGN", sign);
    Ok(())
}

/// Public paths need none; the frame holds for five seconds.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    if call.url.has_segment("public") {
        return Ok(None);
    }
    let expires = call.ms_after(5_000);
    let sign = call.hex(&["GET/realtime", &expires.to_string()]);
    let args = vec![Json::text(call.credentials.key.reveal()), Json::number(expires), Json::text(sign)];
    let mut frame = Json::map([("op", Json::text("auth")), ("args", Json::List(args))]);
    // The reference client stamps its own login as if it were an order, on the hosts where it stamps orders.
    if call.is_reference() && super::api::for_messages(&call.host, call.compat).is_some() {
        message(call, &mut frame)?;
    }
    Ok(Some(frame))
}

/// Orders over the trade socket say when they were made; they have no signature of their own.
fn message(call: &mut Call<'_>, message: &mut Json) -> Result<(), SignError> {
    if !call.url.has_segment("trade") {
        return Ok(());
    }
    if !matches!(message, Json::Map(_)) {
        return Err(SignError::Body("must be a JSON object"));
    }
    let is_order = call.is_reference() || !matches!(message.get("op").and_then(Json::as_text), Some("auth" | "ping"));
    if is_order && message.get("header").is_none() {
        message.set("header", Json::map([("X-BAPI-TIMESTAMP", Json::text(call.ms()))]));
    }
    Ok(())
}
