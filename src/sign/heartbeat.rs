//! What venues want to hear from time to time on a socket, by host.

use std::time::Duration;

use super::call::Call;
use super::json::Json;
use super::{Beat, Heartbeat, SignError};

/// Kinds of heartbeats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Always the same text.
    Text(&'static str, u64),
    /// An empty PONG that was not asked for.
    Pong,
    Kucoin,
    Phemex,
    Bittrade,
}

const BYBIT: Kind = Kind::Text(r#"{"op":"ping"}"#, 20);
const OKX: Kind = Kind::Text("ping", 15);
const HYPERLIQUID: Kind = Kind::Text(r#"{"method":"ping"}"#, 30);

const HOSTS: [(&str, Kind); 29] = [
    ("stream.bitbank.cc", Kind::Text("2", 15)),
    ("stream.bybit.com", BYBIT),
    ("stream.bytick.com", BYBIT),
    ("stream-demo.bybit.com", BYBIT),
    ("stream-testnet.bybit.com", BYBIT),
    ("stream.binance.com", Kind::Pong),
    ("fstream.binance.com", Kind::Pong),
    ("dstream.binance.com", Kind::Pong),
    ("vstream.binance.com", Kind::Pong),
    ("stream.binancefuture.com", Kind::Pong),
    ("dstream.binancefuture.com", Kind::Pong),
    ("testnet.binanceops.com", Kind::Pong),
    ("testnetws.binanceops.com", Kind::Pong),
    ("phemex.com", Kind::Phemex),
    ("api.phemex.com", Kind::Phemex),
    ("vapi.phemex.com", Kind::Phemex),
    ("testnet.phemex.com", Kind::Phemex),
    ("testnet-api.phemex.com", Kind::Phemex),
    ("ws.okx.com", OKX),
    ("wsaws.okx.com", OKX),
    ("wspap.okx.com", OKX),
    ("connect.okcoin.jp", OKX),
    ("ws.bitget.com", Kind::Text("ping", 25)),
    ("contract.mexc.com", Kind::Text(r#"{"method":"ping"}"#, 10)),
    ("ws-api-spot.kucoin.com", Kind::Kucoin),
    ("ws-api-futures.kucoin.com", Kind::Kucoin),
    ("api-cloud.bittrade.co.jp", Kind::Bittrade),
    ("api.hyperliquid.xyz", HYPERLIQUID),
    ("api.hyperliquid-testnet.xyz", HYPERLIQUID),
];
/// Hosts that the reference client does not know, or forgot.
const MORE: [(&str, Kind); 5] = [
    ("ws.phemex.com", Kind::Phemex),
    ("ws.okj.com", OKX),
    ("wseea.okx.com", OKX),
    ("wsus.okx.com", OKX),
    ("wseeapap.okx.com", OKX),
];

/// Whether KuCoin's heartbeats are wanted there.
pub(super) fn is_kucoin(host: &str) -> bool {
    HOSTS.iter().any(|(known, kind)| *known == host && *kind == Kind::Kucoin)
}

/// Whether there is something that this host wants to hear.
pub(super) fn is_known(host: &str) -> bool {
    HOSTS.iter().chain(&MORE).any(|(known, _)| *known == host)
}

/// What the socket's host wants to hear now. `nonce` is the id of a heartbeat that has one.
pub(super) fn of(call: &Call<'_>, nonce: &str) -> Result<Option<Heartbeat>, SignError> {
    let more = if call.is_reference() { [].as_slice() } else { &MORE };
    let Some((_, kind)) = HOSTS.iter().chain(more).find(|(known, _)| *known == call.host) else { return Ok(None) };
    let heartbeat =
        |every: u64, text: String| Some(Heartbeat { every: Duration::from_secs(every), beat: Beat::Text(text) });
    let ms = || call.ms().parse().map_or(Json::Null, |ms: u64| Json::number(ms));
    Ok(match kind {
        Kind::Text(text, every) => heartbeat(*every, (*text).to_owned()),
        Kind::Pong => Some(Heartbeat { every: Duration::from_secs(60), beat: Beat::Pong }),
        Kind::Kucoin if nonce.is_empty() => return Err(SignError::Nonce("an id for the first heartbeat")),
        Kind::Kucoin => {
            heartbeat(15, Json::map([("id", Json::text(nonce)), ("type", Json::text("ping"))]).write(call.style()))
        }
        Kind::Phemex => {
            let id = if call.is_reference() { 123 } else { 2_000_000_002 };
            heartbeat(10, format!(r#"{{"method":"server.ping","params":[],"id":{id}}}"#))
        }
        Kind::Bittrade => match super::encode::decoded_path(&call.url.path).as_str() {
            "/retail/ws" => {
                let beat = Json::map([("action", Json::number(5)), ("ts", Json::number(call.seconds()))]);
                heartbeat(10, beat.write(call.style()))
            }
            "/ws" => heartbeat(5, Json::map([("pong", ms())]).write(call.style())),
            "/ws/v2" => {
                let beat = Json::map([("action", Json::text("pong")), ("data", Json::map([("ts", ms())]))]);
                heartbeat(20, beat.write(call.style()))
            }
            _ => None,
        },
    })
}
