//! GMO Coin ("Private API, Authentication", "Private WebSocket API"): a socket is opened with a token in its path.

use super::call::Call;
use super::{Method, Scheme, SignError, no_login, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message: no_message };

/// Where a token is made (POST), extended (PUT) and given back (DELETE), the latter two with `{"token": …}`.
pub const TOKENS: &str = "https://api.coin.z.com/private/v1/ws-auth";

/// The path is signed without its first part; the query never is, and a body only with POST.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let (time, method) = (call.ms(), call.method);
    let path: Vec<String> = call.url.segments().skip(1).collect();
    let path = format!("/{}", path.join("/"));
    let body = if method == Method::Post { call.body().to_owned() } else { String::new() };
    let sign = call.hex(&[&time, method.as_str(), &path, &body]);
    call.set_key("API-KEY");
    call.set("API-TIMESTAMP", time);
    call.set("API-SIGN", sign);
    Ok(())
}

/// The address of the private socket, for a token that holds an hour unless it is extended.
pub fn socket_url(token: &str) -> String {
    format!("wss://api.coin.z.com/ws/private/v1/{token}")
}
