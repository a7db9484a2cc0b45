//! The websocket addresses: which path serves which market, which class of streams, raw or combined.

use super::catalog::Market;
use super::stream::Class;

/// Longest request line the venue takes.
const MOST_CHARACTERS: usize = 8_192;
/// Streams on one connection at most.
pub(super) const MOST_STREAMS: usize = 1_024;

/// What a connection serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// Every stream of the market.
    Everything,
    /// Streams of this class.
    Class(Class),
    /// The account.
    Private,
}

/// What the client asked for by connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Streams.
    Streams {
        /// The market; `None` where the first stream tells it.
        market: Option<Market>,
        serves: Serves,
        combined: bool,
        /// Streams, and listen keys.
        names: Vec<String>,
        /// Of the account only these events; empty for all.
        events: Vec<String>,
    },
    /// Spot's API over a websocket.
    Api,
}

/// Reads path and query.
///
/// # Errors
/// The HTTP status that refuses the connection.
pub(super) fn parse(path: &str, query: &str) -> Result<Place, u16> {
    if path.len() + query.len() > MOST_CHARACTERS {
        return Err(414);
    }
    let (market, rest) = prefix(path);
    if matches!(market, None | Some(Market::Spot)) && rest == "/ws-api/v3" {
        return Ok(Place::Api);
    }
    let (market, serves, rest) = class(market, rest)?;
    let (combined, tail) = match rest.strip_prefix("/stream") {
        Some(tail) => (true, tail),
        None => (false, rest.strip_prefix("/ws").ok_or(404_u16)?),
    };
    if !tail.is_empty() && !tail.starts_with('/') {
        return Err(404);
    }
    let (mut names, mut events) = (list(tail.trim_start_matches('/')), Vec::new());
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        match name {
            "streams" if combined => names.extend(list(value)),
            "listenKey" if serves == Serves::Private => names.extend(list(value)),
            "events" if serves == Serves::Private => events = list(value),
            // Other times than in ms are not simulated; better no connection than wrong times.
            "timeUnit" if !value.eq_ignore_ascii_case("millisecond") => return Err(400),
            _ => {}
        }
    }
    if names.len() > MOST_STREAMS { Err(400) } else { Ok(Place::Streams { market, serves, combined, names, events }) }
}

/// Takes the market off that may stand in front.
pub(super) fn prefix(path: &str) -> (Option<Market>, &str) {
    for market in Market::ALL {
        let rest = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(market.as_str()));
        if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
            return (Some(market), rest);
        }
    }
    (None, path)
}

fn class(market: Option<Market>, path: &str) -> Result<(Option<Market>, Serves, &str), u16> {
    let classes = [
        ("/public/", Serves::Class(Class::Public)),
        ("/market/", Serves::Class(Class::Market)),
        ("/private/", Serves::Private),
    ];
    for (name, serves) in classes {
        if let (true, None | Some(Market::Usdm)) = (path.starts_with(name), market) {
            return Ok((Some(Market::Usdm), serves, &path[name.len() - 1..]));
        }
    }
    // The unrouted address of USD-M accepts everything, and delivers books.
    let serves = if market == Some(Market::Usdm) { Serves::Class(Class::Public) } else { Serves::Everything };
    Ok((market, serves, path))
}

fn list(text: &str) -> Vec<String> {
    text.split('/').filter(|name| !name.is_empty()).map(decoded).collect()
}

/// A text without percent-encoding. A plus sign is one: it stands in `@kline_1d@+08:00`.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = &after[2..];
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(path: &str, query: &str) -> (Option<Market>, Serves, bool, Vec<String>) {
        match parse(path, query) {
            Ok(Place::Streams { market, serves, combined, names, .. }) => (market, serves, combined, names),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn addresses() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let two = names(&["btcusdt@depth", "btcusdt@kline_1d@+08:00"]);
        assert_eq!(
            streams("/stream", "streams=btcusdt@depth/btcusdt@kline_1d@%2B08:00"),
            (None, Serves::Everything, true, two)
        );
        assert_eq!(streams("/ws/btcusdt%40trade", "").3, names(&["btcusdt@trade"]));
        assert_eq!(streams("/coinm/ws", ""), (Some(Market::Coinm), Serves::Everything, false, vec![]));
        let usdm = Some(Market::Usdm);
        assert_eq!(streams("/public/stream", ""), (usdm, Serves::Class(Class::Public), true, vec![]));
        assert_eq!(streams("/usdm/market/ws", ""), (usdm, Serves::Class(Class::Market), false, vec![]));
        assert_eq!(streams("/usdm/ws", ""), (usdm, Serves::Class(Class::Public), false, vec![]));
        assert_eq!(streams("/private/ws", "listenKey=abc").3, names(&["abc"]));
        assert_eq!(parse("/ws-api/v3", ""), Ok(Place::Api));
    }

    #[test]
    fn refusals() {
        assert_eq!(parse("/wss", ""), Err(404));
        assert_eq!(parse("/spot/public/ws", ""), Err(404));
        assert_eq!(parse("/coinm/ws-api/v3", ""), Err(404));
        assert_eq!(parse("/stream", "streams=x&timeUnit=MICROSECOND"), Err(400));
        assert_eq!(parse("/stream", &format!("streams={}", "x/".repeat(MOST_STREAMS + 1))), Err(400));
        assert_eq!(parse("/stream", &"x".repeat(9_000)), Err(414));
    }
}
