//! Calls of the terminal's functions: how a request is spelled, whose it is, and what each part of the session does
//! with its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::reply::Reply;
use crate::model::{Stamp, StreamId};
use crate::venue::{Host, Output, RpcRequest, Timer, Urgency};

/// The parts of the session that call. A call's id begins with its part, so that the answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The terminal's state.
    Session = 1,
    /// Books.
    Books,
    /// The table of all trades.
    Trades,
    /// Current parameters.
    Params,
    /// Candles.
    History,
    /// Questions from outside.
    Questions,
    /// Definitions and subscriptions of securities.
    Subscriptions,
}

/// Whose call it was.
pub(super) const fn part(id: u64) -> Option<Part> {
    match id >> 56 {
        1 => Some(Part::Session),
        2 => Some(Part::Books),
        3 => Some(Part::Trades),
        4 => Some(Part::Params),
        5 => Some(Part::History),
        6 => Some(Part::Questions),
        7 => Some(Part::Subscriptions),
        _ => None,
    }
}

/// The place the call was made for.
pub(super) const fn place(id: u64) -> usize {
    (id & 0x00ff_ffff) as usize
}

/// A part of the session with calls of its own. It makes them when told to work, and only between being told that the
/// terminal is live and that it is not.
pub(super) trait Machine {
    /// The terminal is live, perhaps again: what was asked of it before may be gone. Calls begin.
    fn live(&mut self, now: Stamp, out: &mut dyn Output);
    /// The terminal is not live: no more calls. Answers may still come.
    fn down(&mut self);
    /// One of its calls was answered. It may be a call from before the terminal was down.
    fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output);
    /// Makes the calls that are due.
    fn work(&mut self, now: Stamp, out: &mut dyn Output);
    /// When to work next, if nothing is answered first.
    fn next_timeout(&self) -> Option<Timer>;
    /// A stream cannot be trusted: all of it is to be said again. Streams of other parts are none of its business.
    fn resync(&mut self, stream: StreamId, now: Stamp, out: &mut dyn Output);
    /// The process ends: gives back what was taken at the terminal.
    fn shut_down(&mut self, out: &mut dyn Output);
}

/// Makes the calls of one part.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    part: Part,
    host: Host,
    urgency: Urgency,
    timeout: Duration,
    count: u64,
}

impl Caller {
    /// Calls of `part`, of which each may take `timeout`.
    pub(super) const fn new(part: Part, host: Host, urgency: Urgency, timeout: Duration) -> Self {
        Self { part, host, urgency, timeout, count: 0 }
    }

    /// Calls a function and returns the call's id. `args` is an object, or null where the function takes none.
    /// `place` is the caller's own and comes back with [`place`]; its lowest 24 bits count.
    pub(super) fn call(&mut self, place: usize, method: &str, args: &Value, out: &mut dyn Output) -> u64 {
        self.count = (self.count + 1) & 0xffff_ffff;
        let id = ((self.part as u64) << 56) | (self.count << 24) | (place as u64 & 0x00ff_ffff);
        let body = if args.is_null() { json!({ "method": method }) } else { json!({ "method": method, "args": args }) };
        out.rpc(RpcRequest {
            id,
            host: self.host,
            urgency: self.urgency,
            body: body.to_string(),
            timeout: self.timeout,
            idempotent: is_idempotent(method),
        });
        id
    }
}

/// Whether calling a function twice does no harm. A call that got no answer may have been executed, and a datasource
/// made twice would stay open for ever.
pub(super) fn is_idempotent(method: &str) -> bool {
    const REPEATABLE: [&str; 13] = [
        "CancelParamRequest",
        "IsSubscribed_Level_II_Quotes",
        "ParamRequest",
        "Subscribe_Level_II_Quotes",
        "Unsubscribe_Level_II_Quotes",
        "datasource.C",
        "datasource.Close",
        "datasource.H",
        "datasource.L",
        "datasource.O",
        "datasource.Size",
        "datasource.T",
        "datasource.V",
    ];
    method.starts_with("get") || method == "isConnected" || REPEATABLE.contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_part_and_place() {
        use Part::{Books, History, Params, Questions, Subscriptions, Trades};
        for part in [Part::Session, Books, Trades, Params, History, Questions, Subscriptions] {
            let mut said = crate::venue::quik::tests::Said::default();
            let mut caller = Caller::new(part, Host::Data, Urgency::Data, Duration::from_secs(1));
            let first = caller.call(300, "getItem", &json!({ "index": 1 }), &mut said);
            let second = caller.call(300, "isConnected", &Value::Null, &mut said);
            assert_eq!((super::part(first), place(first)), (Some(part), 300));
            assert_ne!(first, second);
            let bodies: Vec<&str> = said.calls.iter().map(|call| call.body.as_str()).collect();
            assert_eq!(bodies, [r#"{"args":{"index":1},"method":"getItem"}"#, r#"{"method":"isConnected"}"#]);
            assert!(said.calls.iter().all(|call| call.idempotent && call.host == Host::Data));
        }
        assert_eq!((part(0), part(8 << 56)), (None, None));
    }

    #[test]
    fn only_what_does_no_harm_twice_is_repeated() {
        for method in ["getParamEx2", "getItem", "isConnected", "datasource.Size", "Subscribe_Level_II_Quotes"] {
            assert!(is_idempotent(method), "{method}");
        }
        for method in ["datasource.CreateDataSource", "sendTransaction", "message", "sleep", "SearchItems"] {
            assert!(!is_idempotent(method), "{method}");
        }
    }
}
