//! The result of one call of a job.

use serde_json::value::RawValue;

use super::payload::{Encoding, Json, MessagePack, Payload};
use super::{Frame, Retain, VERSION, topic_of};
use crate::model::UnixNanos;

/// What the frame of a call's result says.
#[derive(Clone, Copy, Debug)]
pub struct JobResult<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// Counts the results of the job from 1.
    pub seq: u64,
    /// When the frame was made.
    pub ts_pub: UnixNanos,
    /// Where the call is in the job's tree: `2.1` is the first task of the second.
    pub task: &'a str,
    /// The task's name, if it has one.
    pub name: Option<&'a str>,
    /// Of which round, from 1.
    pub round: u64,
    /// Whom it asked.
    pub venue: &'a str,
    /// Which of the venue's markets.
    pub market: &'a str,
    /// The endpoint's name, else its path.
    pub endpoint: &'a str,
    /// The call's parameters.
    pub params: &'a [(String, String)],
    /// The account that signed it, if one did.
    pub account: Option<&'a str>,
    /// When it left.
    pub started: UnixNanos,
    /// Nanoseconds from then to the end of the answer.
    pub took: u64,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The answer, or why there is none.
    pub outcome: Result<&'a str, &'a str>,
    /// Normal frames that were made of the answer.
    pub frames: u64,
    /// The feeds that publish what it says themselves; empty if none does.
    pub left_to: &'a str,
    /// Why the answer could not be read, if it was to be and could not.
    pub unread: Option<&'a str>,
}

/// Encodes a result; its topic is `job.NAME.`. A body that is no JSON is a text.
pub fn job(encoding: Encoding, result: JobResult<'_>) -> Frame {
    let payload = match encoding {
        Encoding::Json => encode::<Json>(result),
        Encoding::MessagePack => encode::<MessagePack>(result),
    };
    let topic = topic_of(&["job", result.job]);
    Frame { topic, payload: payload.into(), retain: Retain::Stream, seq: result.seq }
}

fn encode<P: Payload>(result: JobResult<'_>) -> Vec<u8> {
    let body = result.outcome.map_or(0, str::len);
    let mut out = Vec::with_capacity(512 + body);
    P::begin(&mut out);
    P::integer(&mut out, "v", VERSION);
    P::text(&mut out, "type", "job");
    P::text(&mut out, "job", result.job);
    P::integer(&mut out, "epoch", result.epoch);
    P::integer(&mut out, "seq", result.seq);
    P::integer(&mut out, "ts_pub", result.ts_pub.0);
    P::text(&mut out, "task", result.task);
    let mut fields = 14;
    if let Some(name) = result.name {
        P::text(&mut out, "name", name);
        fields += 1;
    }
    P::integer(&mut out, "round", result.round);
    P::text(&mut out, "venue", result.venue);
    P::text(&mut out, "market", result.market);
    P::text(&mut out, "endpoint", result.endpoint);
    P::texts(&mut out, "params", result.params);
    if let Some(account) = result.account {
        P::text(&mut out, "account", account);
        fields += 1;
    }
    P::integer(&mut out, "started", result.started.0);
    P::integer(&mut out, "took_ns", result.took);
    if let Some(status) = result.status {
        P::integer(&mut out, "status", status.into());
        fields += 1;
    }
    P::boolean(&mut out, "ok", result.outcome.is_ok());
    match result.outcome {
        Err(error) => P::text(&mut out, "error", error),
        Ok(body) => match serde_json::from_str::<&RawValue>(body) {
            Ok(json) => P::json(&mut out, "result", json),
            Err(_) => P::text(&mut out, "result", body),
        },
    }
    if result.frames > 0 {
        P::integer(&mut out, "frames", result.frames);
        fields += 1;
    }
    let texts = [("left_to", Some(result.left_to).filter(|feeds| !feeds.is_empty())), ("unread", result.unread)];
    for (key, text) in texts {
        if let Some(text) = text {
            P::text(&mut out, key, text);
            fields += 1;
        }
    }
    P::end(&mut out, 0, fields + 2);
    out
}
