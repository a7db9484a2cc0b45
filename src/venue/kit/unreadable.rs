//! Messages that cannot be read: only the book they were of is doubted, if that can still be told.

use super::subscriptions::Subscriptions;
use crate::venue::{Output, Update};

/// What is wrong with a message.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The topic it is of, so far as it was read.
    pub topic: Option<String>,
    /// What is wrong.
    pub detail: String,
}

impl Unreadable {
    /// Doubts the topic's streams; without a known topic, neither read nor found in the ruin, all of the connection.
    pub fn tell(&self, in_ruin: Option<&str>, subscriptions: &Subscriptions, out: &mut dyn Output) {
        let detail = &self.detail;
        let topic = self.topic.as_deref().or(in_ruin);
        match topic.and_then(|topic| subscriptions.place(topic)) {
            Some(place) => {
                for stream in subscriptions.streams(place) {
                    out.update(Update::Broken { stream: Some(*stream), detail });
                }
            }
            None => out.update(Update::Broken { stream: None, detail }),
        }
    }
}

/// The text behind `marker`, up to the next quote.
pub fn quoted_after<'m>(message: &'m [u8], marker: &[u8]) -> Option<&'m str> {
    let rest = message.get(memchr::memmem::find(message, marker)? + marker.len()..)?;
    std::str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_a_ruin() {
        let ruin = br#"{"topic":"trade.X","data":[{"#;
        assert_eq!(quoted_after(ruin, br#""topic":""#), Some("trade.X"));
        assert_eq!(quoted_after(ruin, br#""stream":""#), None);
        assert_eq!(quoted_after(br#"{"topic":"trade"#, br#""topic":""#), None);
    }
}
