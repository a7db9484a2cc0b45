//! Questions that wait for their session's answer. Bounded: a session may never answer, and askers may be gone.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::oneshot;

/// Questions of one feed that may wait at one time.
const MOST_WAITING: usize = 256;

/// The questions of one feed.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<String>>,
}

impl Questions {
    /// Notes who is to have the answer and gives the question its id; `None` when too many wait, which is then the
    /// answer.
    pub(super) fn note(&mut self, reply: oneshot::Sender<String>) -> Option<u64> {
        self.waiting.retain(|_, reply| !reply.is_closed());
        if self.waiting.len() >= MOST_WAITING {
            let _ =
                reply.send(refusal(&format!("{MOST_WAITING} questions wait for this feed already; ask again later")));
            return None;
        }
        self.last += 1;
        self.waiting.insert(self.last, reply);
        Some(self.last)
    }

    /// Hands an answer to its asker. One who is gone is not an error.
    pub(super) fn answer(&mut self, id: u64, text: String) {
        if let Some(reply) = self.waiting.remove(&id) {
            let _ = reply.send(text);
        }
    }
}

/// An answer that says why there is none, in the words of the control socket.
pub(super) fn refusal(why: &str) -> String {
    json!({"ok": false, "error": why}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_askers_and_those_who_left_make_room() {
        let mut questions = Questions::default();
        let mut askers = Vec::new();
        for id in 1..=MOST_WAITING as u64 {
            let (reply, answer) = oneshot::channel();
            assert_eq!(questions.note(reply), Some(id));
            askers.push(answer);
        }
        let (reply, mut refused) = oneshot::channel();
        assert_eq!(questions.note(reply), None);
        assert!(refused.try_recv().unwrap().contains("256 questions"));
        questions.answer(3, "three".to_owned());
        questions.answer(3, "again".to_owned());
        questions.answer(9999, "nobody".to_owned());
        assert_eq!(askers[2].try_recv().unwrap(), "three");
        askers.truncate(10);
        let (reply, _answer) = oneshot::channel();
        assert_eq!(questions.note(reply), Some(257));
        assert_eq!(questions.waiting.len(), 10);
    }
}
