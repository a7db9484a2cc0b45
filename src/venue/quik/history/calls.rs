//! The calls of history: made for a place in the table of sources, bounded in number while they read bars.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::reply::Reply;
use super::super::rpc::{Caller, Part};
use super::bars::NUMBERS;
use crate::venue::{Host, Output, Urgency};

/// Calls on their way at one time: enough for a fast terminal, and what other background calls wait behind with a
/// short budget.
pub(super) const IN_FLIGHT: usize = 64;
/// Datasources remembered that could not be closed.
const UNCLOSED_MAX: usize = 1_000;
/// Functions that give a bar's numbers, in the order of a bar.
const FUNCTIONS: [&str; NUMBERS] = ["datasource.O", "datasource.H", "datasource.L", "datasource.C", "datasource.V"];
/// Places of calls: ids of the two callers are told apart by them.
const READ: usize = 0;
const CLOSE: usize = 1;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A datasource.
    Create,
    /// How many bars it has.
    Size,
    /// Whether the terminal knows the security.
    Check,
    /// The volume of the last bar known.
    Peek,
    /// The time of the bar with this index.
    Time(u64),
    /// A number of the bar with this index.
    Number(u64, usize),
}

/// A call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The source's place.
    pub(super) place: usize,
    /// The load it belongs to; when that is over the answer is of no use.
    pub(super) load: u64,
    pub(super) what: What,
}

/// Makes the calls.
#[derive(Debug)]
pub(super) struct Calls {
    class: String,
    reader: Caller,
    /// Closing goes before everything else: it is what is left to do at the end.
    closer: Caller,
    open: HashMap<u64, Call>,
    /// Datasources being closed, by call, and those that could not be.
    closing: HashMap<u64, String>,
    unclosed: Vec<String>,
    loads: u64,
}

impl Calls {
    pub(super) fn new(class: &str, timeout: Duration) -> Self {
        let caller = |urgency| Caller::new(Part::History, Host::Data, urgency, timeout);
        Self {
            class: class.to_owned(),
            reader: caller(Urgency::Background),
            closer: caller(Urgency::Control),
            open: HashMap::new(),
            closing: HashMap::new(),
            unclosed: Vec::new(),
            loads: 0,
        }
    }

    /// A number for a load: no other has it.
    pub(super) const fn next_load(&mut self) -> u64 {
        self.loads += 1;
        self.loads
    }

    /// Calls of bars that may be made now.
    pub(super) fn room(&self) -> usize {
        IN_FLIGHT.saturating_sub(self.open.len())
    }

    /// The call an answer is for; it is no longer on its way.
    pub(super) fn answered(&mut self, id: u64, reply: &Reply<'_>) -> Option<Call> {
        if let Some(uuid) = self.closing.remove(&id)
            && matches!(reply, Reply::Lost(_))
            && self.unclosed.len() < UNCLOSED_MAX
        {
            self.unclosed.push(uuid);
        }
        self.open.remove(&id)
    }

    /// Forgets the calls on their way, but for datasources that are being made: they will have to be closed.
    pub(super) fn forget(&mut self) {
        self.open.retain(|_, call| call.what == What::Create);
    }

    pub(super) fn create(&mut self, call: Call, symbol: &str, interval: &str, out: &mut dyn Output) {
        let args = json!({"class_code": self.class, "sec_code": symbol, "interval": interval, "param": ""});
        self.make(call, "datasource.CreateDataSource", &args, out);
    }

    pub(super) fn check(&mut self, call: Call, symbol: &str, out: &mut dyn Output) {
        let args = json!({"class_code": self.class, "sec_code": symbol});
        self.make(call, "getSecurityInfo", &args, out);
    }

    /// Asks something of a datasource.
    pub(super) fn ask(&mut self, call: Call, uuid: &str, last: u64, out: &mut dyn Output) {
        let at = |index: u64| json!({"datasource_uuid": uuid, "candle_index": index});
        let (method, args) = match call.what {
            What::Size | What::Create | What::Check => ("datasource.Size", json!({"datasource_uuid": uuid})),
            What::Peek => (FUNCTIONS[NUMBERS - 1], at(last)),
            What::Time(index) => ("datasource.T", at(index)),
            What::Number(index, number) => (FUNCTIONS[number], at(index)),
        };
        self.make(call, method, &args, out);
    }

    fn make(&mut self, call: Call, method: &str, args: &Value, out: &mut dyn Output) {
        let id = self.reader.call(READ, method, args, out);
        self.open.insert(id, call);
    }

    pub(super) fn close(&mut self, uuid: &str, out: &mut dyn Output) {
        let id = self.closer.call(CLOSE, "datasource.Close", &json!({"datasource_uuid": uuid}), out);
        self.closing.insert(id, uuid.to_owned());
    }

    /// Tries again to close what could not be closed.
    pub(super) fn close_again(&mut self, out: &mut dyn Output) {
        for uuid in std::mem::take(&mut self.unclosed) {
            self.close(&uuid, out);
        }
    }
}
