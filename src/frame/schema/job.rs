//! The payload of a job's result, for its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// See [`Payload::Job`](super::Payload::Job).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Version of the wire format: 1.
    pub v: u64,
    /// The job's name.
    pub job: String,
    /// Milliseconds since 1970 of the gateway run's start.
    pub epoch: u64,
    /// Counts the results of the job from 1.
    pub seq: u64,
    /// When it was published, nanoseconds since 1970.
    pub ts_pub: u64,
    /// Where the call is in the job's tree: `2.1` is the first task of the second.
    pub task: String,
    /// The task's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of which round of a ring, from 1.
    pub round: u64,
    /// Whom it asked.
    pub venue: String,
    /// Which of the venue's markets.
    pub market: String,
    /// The endpoint's name, else its path.
    pub endpoint: String,
    /// The call's parameters.
    pub params: BTreeMap<String, String>,
    /// The account that signed the call, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When the call left, nanoseconds since 1970.
    pub started: u64,
    /// Nanoseconds from then to the end of the answer.
    pub took_ns: u64,
    /// HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether there is a result.
    pub ok: bool,
    /// The venue's answer as it was; a text, if it is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Normal frames that were made of the result, and published before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// Feeds that publish some of what the result says themselves, so that no frames were made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_to: Option<String>,
    /// Why the result of a known endpoint could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}
