//! What the gateway tells this subscriber alone about its own frames: the last `seq` of its topics in each heartbeat, and
//! what it lost in a notice. Pure.

use std::fmt;

use super::payload::DecodeError;
use super::print::plain;
use super::view::Members;

/// Topics that one line about a notice names.
const NAMED: usize = 3;

/// A heartbeat's payload, as far as it concerns the subscriber. Fields that are absent are 0 or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Heartbeat<'a> {
    /// The gateway's run, milliseconds since 1970.
    pub epoch: u64,
    /// The last `seq` of topics that are subscribed to; of many topics each heartbeat has some.
    #[serde(borrow)]
    pub topics: Members<'a, u64>,
}

/// A notice's payload: frames that did not reach this subscriber because it was too slow.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Notice<'a> {
    /// Frames that are gone.
    pub dropped: u64,
    /// Frames in whose place a newer one of their topic came.
    pub conflated: u64,
    /// The losses by topic.
    #[serde(borrow)]
    pub topics: Members<'a, Loss>,
}

/// What was lost of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Loss {
    /// Frames that are gone.
    pub dropped: u64,
    /// Frames in whose place a newer one came.
    pub conflated: u64,
    /// The lowest `seq` lost; 0 if not told.
    pub first_seq: u64,
    /// The highest `seq` lost; 0 if not told.
    pub last_seq: u64,
}

impl<'a> Heartbeat<'a> {
    /// Reads a payload's JSON text (see [`super::as_json`]); unknown fields are skipped.
    ///
    /// # Errors
    /// [`DecodeError::Json`], when it is no JSON object or a field has another type.
    pub fn read(json: &'a str) -> Result<Self, DecodeError> {
        Ok(serde_json::from_str(json)?)
    }

    /// The last `seq` of one topic, if this heartbeat tells it.
    pub fn last_seq(&self, topic: &str) -> Option<u64> {
        self.topics.0.iter().find(|(name, _)| **name == *topic).map(|(_, seq)| *seq)
    }
}

impl<'a> Notice<'a> {
    /// Reads a payload's JSON text (see [`super::as_json`]); unknown fields are skipped.
    ///
    /// # Errors
    /// [`DecodeError::Json`], when it is no JSON object or a field has another type.
    pub fn read(json: &'a str) -> Result<Self, DecodeError> {
        Ok(serde_json::from_str(json)?)
    }
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames dropped, {} conflated", self.dropped, self.conflated)?;
        for (topic, loss) in self.topics.0.iter().take(NAMED) {
            write!(f, "; {:?} {}", plain(topic), loss.dropped.saturating_add(loss.conflated))?;
            if loss.first_seq > 0 {
                write!(f, " of {}..={}", loss.first_seq, loss.last_seq)?;
            }
        }
        match self.topics.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; {more} more topics"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_tells_the_last_seq_of_topics() {
        let text = r#"{"type":"heartbeat","epoch":7,"seq":3,"new":[1],"topics":{"delta.v.m.S.":13,"trade.v.m.S.":3}}"#;
        let beat = Heartbeat::read(text).unwrap();
        assert_eq!((beat.epoch, beat.last_seq("delta.v.m.S."), beat.last_seq("delta.v.m.")), (7, Some(13), None));
        assert_eq!(Heartbeat::read(r#"{"epoch":7}"#).unwrap().topics.0.len(), 0);
        for wrong in [r#"{"topics":{"a.":-1}}"#, r#"{"topics":{"a.":"1"}}"#, r#"{"topics":[]}"#, r#"{"topics":{"#] {
            assert!(Heartbeat::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_notice_is_one_line() {
        let topic = |name: &str| format!(r#""{name}":{{"dropped":5,"conflated":1,"first_seq":7,"last_seq":12}}"#);
        let topics = [r"a\u001b.", "b.", "c.", "d.", "e."].map(topic).join(",");
        let text = format!(r#"{{"kind":"loss","dropped":25,"conflated":5,"topics":{{{topics}}},"other":{{}}}}"#);
        let line = Notice::read(&text).unwrap().to_string();
        let expected =
            r#"25 frames dropped, 5 conflated; "a?." 6 of 7..=12; "b." 6 of 7..=12; "c." 6 of 7..=12; 2 more topics"#;
        assert_eq!(line, expected);
        let bare = Notice::read(r#"{"dropped":2,"topics":{"a.":{"dropped":2}}}"#).unwrap();
        assert_eq!(bare.to_string(), r#"2 frames dropped, 0 conflated; "a." 2"#);
    }
}
