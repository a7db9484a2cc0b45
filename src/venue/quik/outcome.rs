//! What became of a call: its result, a refusal of the terminal, or no answer.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What became of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// The terminal answered.
    Result(CallResult<'a>),
    /// The terminal refused.
    Refused {
        /// The server's code: 404 no such method, 500 unreadable request, 1 the function failed.
        code: i64,
        /// The server's text; absent with code 1.
        message: Option<&'a str>,
    },
    /// There is no answer, and why.
    Lost(&'a str),
}

/// The member `result` of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallResult<'a>(pub(super) &'a RawValue);

impl<'a> CallResult<'a> {
    /// A member; `None` when it is missing, which is how the server writes false and nil. An empty array is how it
    /// writes an empty object.
    pub(super) fn member<T: Deserialize<'a>>(self, name: &str) -> Result<Option<T>, serde_json::Error> {
        let text = self.0.get();
        if text.starts_with('[') {
            return Ok(None);
        }
        let members: std::collections::HashMap<std::borrow::Cow<'a, str>, &'a RawValue> = serde_json::from_str(text)?;
        match members.get(name) {
            Some(value) if value.get() != "null" => serde_json::from_str(value.get()).map(Some),
            _ => Ok(None),
        }
    }
}
