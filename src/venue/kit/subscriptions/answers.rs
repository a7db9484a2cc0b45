//! What a venue answers to subscriptions, and what becomes of the topics by it.

use super::{Answer, Change, Op, Pending, State, Subscriptions, Topic};
use crate::model::Mono;

impl Subscriptions {
    /// An answer came. Without an id it belongs to the oldest open request of that kind (or of any kind) that has
    /// the topic it names, so that no topic is refused for another one's sake.
    pub fn answered(&mut self, id: Option<u64>, op: Option<Op>, answer: Answer<'_>, now: Mono) -> Vec<Change> {
        let named = match &answer {
            Answer::Failed { topic: Some(name), .. } | Answer::Already(name) => self.place(name),
            _ => None,
        };
        let matches = |pending: &Pending| match id {
            Some(id) => pending.request.id == id,
            None => {
                op.is_none_or(|op| op == pending.request.op)
                    && named.is_none_or(|place| pending.request.topics.contains(&place))
            }
        };
        let Some(at) = self.pending.iter().position(matches) else { return Vec::new() };
        let Some(Pending { request, .. }) = self.pending.remove(at) else { return Vec::new() };
        self.unanswered = 0;
        match (request.op, answer) {
            (Op::Unsubscribe, _) => self.left(&request.topics),
            (Op::Subscribe, Answer::Done) => self.confirm(request.topics),
            (Op::Subscribe, Answer::Already(name)) => {
                let (named, rest) = self.split(&request.topics, Some(name));
                self.ask(&rest);
                self.confirm(named)
            }
            (Op::Subscribe, Answer::Failed { topic, detail }) => self.failed(&request.topics, topic, detail, now),
            (Op::Subscribe, Answer::Refused(detail)) => {
                request.topics.iter().filter_map(|place| self.refuse(*place, detail, now)).collect()
            }
        }
    }

    /// The venue answered for one topic of a request alone; the answers for the others come by themselves. Without an id
    /// it belongs to the oldest open request of that kind that has the topic.
    pub fn answered_one(
        &mut self,
        id: Option<u64>,
        op: Option<Op>,
        place: usize,
        refusal: Option<&str>,
        now: Mono,
    ) -> Vec<Change> {
        let matches = |pending: &Pending| {
            id.is_none_or(|id| pending.request.id == id)
                && op.is_none_or(|op| op == pending.request.op)
                && pending.request.topics.contains(&place)
        };
        let Some(at) = self.pending.iter().position(matches) else { return Vec::new() };
        let Some(Pending { request, .. }) = self.pending.get_mut(at) else { return Vec::new() };
        request.topics.retain(|topic| *topic != place);
        let (op, over) = (request.op, request.topics.is_empty());
        if over {
            self.pending.remove(at);
        }
        self.unanswered = 0;
        match (op, refusal) {
            (Op::Unsubscribe, _) => self.left(&[place]),
            (Op::Subscribe, None) => self.confirm(vec![place]),
            (Op::Subscribe, Some(detail)) => self.refuse(place, detail, now).into_iter().collect(),
        }
    }

    /// Topics were left: for good, or to be asked for anew.
    fn left(&mut self, topics: &[usize]) -> Vec<Change> {
        let changes = topics.iter().flat_map(|place| self.parted(*place)).collect();
        let leaving = |place: &&usize| self.topics.get(**place).is_some_and(|topic| topic.state == State::Leaving);
        let again: Vec<usize> = topics.iter().filter(leaving).copied().collect();
        self.ask(&again);
        changes
    }

    /// The venue confirmed some topics and refused others, by name and without an id.
    pub fn answered_by_name(&mut self, done: &[&str], refused: &[&str], detail: &str, now: Mono) -> Vec<Change> {
        let places = |names: &[&str]| names.iter().filter_map(|name| self.place(name)).collect::<Vec<_>>();
        let (done, refused) = (places(done), places(refused));
        let Some(at) = self.pending.iter().position(|pending| {
            pending.request.topics.iter().any(|place| done.contains(place) || refused.contains(place))
        }) else {
            return Vec::new();
        };
        let Some(Pending { request, .. }) = self.pending.remove(at) else { return Vec::new() };
        self.unanswered = 0;
        if request.op == Op::Unsubscribe {
            return self.left(&request.topics);
        }
        let silent: Vec<_> =
            request.topics.iter().copied().filter(|p| !done.contains(p) && !refused.contains(p)).collect();
        self.ask(&silent);
        let mut changes = self.confirm(done);
        for place in refused {
            changes.extend(self.refuse(place, detail, now));
        }
        changes
    }

    fn failed(&mut self, topics: &[usize], name: Option<&str>, detail: &str, now: Mono) -> Vec<Change> {
        let (named, rest) = self.split(topics, name);
        if !named.is_empty() {
            self.ask(&rest);
            return named.into_iter().filter_map(|place| self.refuse(place, detail, now)).collect();
        }
        if let [only] = topics {
            return self.refuse(*only, detail, now).into_iter().collect();
        }
        let (left, right) = topics.split_at(topics.len() / 2);
        for half in [left, right] {
            self.set_wished(half);
            self.queue.push_back((Op::Subscribe, half.to_vec()));
        }
        Vec::new()
    }

    /// A topic was left for good.
    pub(super) fn parted(&mut self, place: usize) -> Vec<Change> {
        let Some(topic) = self.topics.get_mut(place) else { return Vec::new() };
        topic.asked = false;
        if topic.state == State::Parting {
            topic.state = State::Gone;
        }
        topic.parting.drain(..).map(Change::Left).collect()
    }

    /// Of these topics, those whose confirmation is waited for.
    fn asked(&self, mut topics: Vec<usize>) -> Vec<usize> {
        let asked = |topic: &Topic| matches!(topic.state, State::Asked | State::Active);
        topics.retain(|place| self.topics.get(*place).is_some_and(asked));
        topics
    }

    fn confirm(&mut self, topics: Vec<usize>) -> Vec<Change> {
        let topics = self.asked(topics);
        self.set(&topics, State::Active);
        topics.into_iter().map(Change::Subscribed).collect()
    }

    /// `None` for a topic that is not wished any more.
    fn refuse(&mut self, place: usize, detail: &str, now: Mono) -> Option<Change> {
        self.topics.get(place).filter(|topic| !matches!(topic.state, State::Parting | State::Gone))?;
        if let Some(topic) = self.topics.get_mut(place) {
            topic.asked = false;
        }
        let retry = now.after(self.limits.retry_refused);
        self.set(&[place], State::Refused(retry));
        self.next_retry = Some(self.next_retry.map_or(retry, |next| next.min(retry)));
        Some(Change::Refused(place, detail.to_owned()))
    }
}
