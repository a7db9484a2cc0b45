//! The wished set of topics and what the venue made of it: batches, pacing, acknowledgements, refusals.
//!
//! The wished set is the truth. After every connect it is asked for anew, in requests within the venue's
//! limits; a refused topic is set aside and the rest of its request is asked for again without it.

mod answers;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::budget::Budget;
use crate::model::{Mono, StreamId};

/// A venue's limits on subscribing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most topics in one request.
    pub topics_per_request: usize,
    /// Most characters of all topics on one connection.
    pub characters: usize,
    /// Least time between two requests.
    pub pace: Duration,
    /// Most requests of one connection in an hour, of all kinds.
    pub per_hour: usize,
    /// Most requests without an answer at a time.
    pub in_flight: usize,
    /// How long an answer may take.
    pub patience: Duration,
    /// When to ask again for a refused topic.
    pub retry_refused: Duration,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Subscribes.
    Subscribe,
    /// Unsubscribes.
    Unsubscribe,
}

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Echoed by the venue, where it echoes ids.
    pub id: u64,
    /// What it does.
    pub op: Op,
    /// Places in the topic table.
    pub topics: Vec<usize>,
}

/// What a venue answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Done, all of it.
    Done,
    /// The whole request failed; the venue may have named the topic that spoiled it.
    Failed {
        /// The topic that is to blame, if the venue said.
        topic: Option<&'a str>,
        /// The venue's words.
        detail: &'a str,
    },
    /// The named topic was subscribed before: as good as done for it, but the rest was not done.
    Already(&'a str),
    /// The whole request is refused, and so would each of its topics be by itself.
    Refused(&'a str),
}

/// What became of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The venue confirmed it.
    Subscribed(usize),
    /// The venue refused it.
    Refused(usize, String),
    /// A stream is no longer subscribed to, as was wished.
    Left(StreamId),
}

/// What a wish at run time meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It will be asked for.
    Asked,
    /// The topic is subscribed to already.
    Confirmed,
    /// It is beyond what one connection may have.
    Beyond,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked for.
    Wished,
    /// Asked for, not answered.
    Asked,
    /// Confirmed, or proven by data.
    Active,
    /// To be left and asked for anew.
    Leaving,
    /// To be left for good.
    Parting,
    /// Not wished any more.
    Gone,
    /// Refused; asked for again at this time.
    Refused(Mono),
    /// Beyond the connection's limit: not asked for.
    Beyond,
}

#[derive(Clone, Debug)]
struct Topic {
    name: Box<str>,
    streams: Vec<StreamId>,
    /// Streams that are told when it was left.
    parting: Vec<StreamId>,
    state: State,
    /// Whether the venue may have it: it was asked for on this connection and not left since.
    asked: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    request: Request,
    deadline: Mono,
}

/// The wished set and its state.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    limits: Limits,
    topics: Vec<Topic>,
    places: HashMap<Box<str>, usize>,
    characters: usize,
    /// Most topics of a connection, and how many there are.
    topics_max: usize,
    topic_count: usize,
    connected: bool,
    queue: VecDeque<(Op, Vec<usize>)>,
    pending: VecDeque<Pending>,
    unanswered: u32,
    next_id: u64,
    next_send: Mono,
    budget: Budget,
    /// The earliest time at which a refused topic is asked for again.
    next_retry: Option<Mono>,
}

/// Requests in a row that may go unanswered before the connection is given up.
const UNANSWERED_MAX: u32 = 2;

impl Subscriptions {
    /// An empty set.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            topics: Vec::new(),
            places: HashMap::new(),
            characters: 0,
            topics_max: usize::MAX,
            topic_count: 0,
            connected: false,
            queue: VecDeque::new(),
            pending: VecDeque::new(),
            unanswered: 0,
            next_id: 1,
            next_send: Mono::default(),
            budget: Budget::new(limits.per_hour),
            next_retry: None,
        }
    }

    /// The same for a venue that counts topics.
    pub const fn with_topics_max(mut self, topics_max: usize) -> Self {
        self.topics_max = topics_max;
        self
    }

    /// Adds a stream under the venue's topic; several streams may share one topic.
    pub fn add(&mut self, name: &str, stream: StreamId) -> usize {
        let place = self.add_own(name);
        self.topics[place].streams.push(stream);
        place
    }

    /// Adds a topic that the session needs itself, without a stream.
    pub fn add_own(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.topics.len();
        let state = self.admitted(name);
        self.topics.push(Topic { name: name.into(), streams: Vec::new(), parting: Vec::new(), state, asked: false });
        self.places.insert(name.into(), place);
        place
    }

    /// Whether one more topic is to be asked for, or is beyond the limit.
    const fn admitted(&mut self, name: &str) -> State {
        if self.characters + name.len() > self.limits.characters || self.topic_count >= self.topics_max {
            return State::Beyond;
        }
        self.characters += name.len();
        self.topic_count += 1;
        State::Wished
    }

    /// Adds a stream at run time, under a topic that is known or new.
    pub fn wish(&mut self, name: &str, stream: StreamId) -> (usize, Wish) {
        let known = self.places.get(name).copied();
        let place = known.unwrap_or_else(|| self.add(name, stream));
        let Some(topic) = self.topics.get(place) else { return (place, Wish::Beyond) };
        let mut state = topic.state;
        if known.is_some() {
            if matches!(state, State::Gone | State::Beyond | State::Parting) {
                let admitted = self.admitted(name);
                state = if admitted == State::Wished && state == State::Parting { State::Leaving } else { admitted };
            }
            if let Some(topic) = self.topics.get_mut(place) {
                topic.streams.push(stream);
                topic.state = state;
            }
        }
        match state {
            State::Active => (place, Wish::Confirmed),
            State::Beyond => (place, Wish::Beyond),
            State::Wished | State::Refused(_) => {
                if self.connected {
                    self.ask(&[place]);
                }
                (place, Wish::Asked)
            }
            State::Asked | State::Leaving | State::Parting | State::Gone => (place, Wish::Asked),
        }
    }

    /// Takes a stream away at run time; its topic is left when it has no other. Says so if nothing is to be asked for.
    pub fn unwish(&mut self, place: usize, stream: StreamId) -> Option<Change> {
        let topic = self.topics.get_mut(place)?;
        let at = topic.streams.iter().position(|known| *known == stream)?;
        topic.streams.swap_remove(at);
        if !topic.streams.is_empty() {
            return Some(Change::Left(stream));
        }
        if topic.state != State::Beyond {
            self.characters = self.characters.saturating_sub(topic.name.len());
            self.topic_count = self.topic_count.saturating_sub(1);
        }
        match topic.state {
            _ if self.connected && topic.asked => {
                topic.parting.push(stream);
                let is_queued = std::mem::replace(&mut topic.state, State::Parting) == State::Leaving;
                if !is_queued {
                    self.leave(place);
                }
                None
            }
            _ => {
                topic.state = State::Gone;
                Some(Change::Left(stream))
            }
        }
    }

    /// A topic's place in the table.
    #[inline]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The streams of a topic.
    #[inline]
    pub fn streams(&self, place: usize) -> &[StreamId] {
        self.topics.get(place).map_or(&[], |topic| &topic.streams)
    }

    /// The venue's name of a topic.
    pub fn name(&self, place: usize) -> &str {
        self.topics.get(place).map_or("", |topic| &topic.name)
    }

    /// A connection is open: everything is asked for anew. Returns the topics that are beyond its limit.
    pub fn connected(&mut self, now: Mono) -> Vec<usize> {
        self.disconnected();
        self.connected = true;
        self.next_send = now;
        self.budget.clear();
        (self.characters, self.topic_count) = (0, 0);
        let (mut out, mut wished) = (Vec::new(), Vec::new());
        for (place, topic) in self.topics.iter_mut().enumerate().filter(|(_, topic)| topic.state != State::Gone) {
            let characters = self.characters + topic.name.len();
            if characters > self.limits.characters || self.topic_count >= self.topics_max {
                topic.state = State::Beyond;
                out.push(place);
            } else {
                (self.characters, self.topic_count) = (characters, self.topic_count + 1);
                topic.state = State::Wished;
                wished.push(place);
            }
        }
        self.ask(&wished);
        out
    }

    /// The connection is gone, and with it what was still to be left.
    pub fn disconnected(&mut self) -> Vec<Change> {
        self.connected = false;
        self.next_retry = None;
        self.queue.clear();
        self.pending.clear();
        self.unanswered = 0;
        (0..self.topics.len()).flat_map(|place| self.parted(place)).collect()
    }

    /// Data of a topic came: it is subscribed, whatever the acknowledgement does.
    #[inline]
    pub fn data(&mut self, place: usize) {
        if let Some(topic) = self.topics.get_mut(place)
            && topic.state == State::Asked
        {
            topic.state = State::Active;
        }
    }

    /// Leaves a topic and asks for it anew, so that the venue sends a snapshot; one that was refused is asked for at
    /// once. False for a topic beyond the connection's limit, which is never asked for.
    pub fn resync(&mut self, place: usize) -> bool {
        let Some(topic) = self.topics.get_mut(place) else { return false };
        match topic.state {
            State::Beyond | State::Gone | State::Parting => return false,
            State::Refused(_) if self.connected => self.ask(&[place]),
            State::Active | State::Asked if self.connected => {
                topic.state = State::Leaving;
                self.leave(place);
            }
            _ => {}
        }
        true
    }

    fn leave(&mut self, place: usize) {
        let room = self.limits.topics_per_request;
        match self.queue.back_mut() {
            Some((Op::Unsubscribe, batch)) if batch.len() < room => batch.push(place),
            _ => self.queue.push_back((Op::Unsubscribe, vec![place])),
        }
    }

    /// The next request that may be sent now.
    pub fn next_request(&mut self, now: Mono) -> Option<Request> {
        if !self.connected || now < self.next_send || self.pending.len() >= self.limits.in_flight {
            return None;
        }
        let (op, topics) = loop {
            let (op, mut topics) = self.queue.pop_front()?;
            // What was wished otherwise since it was queued is left out.
            topics.retain(|place| match self.topics.get(*place).map(|topic| topic.state) {
                Some(State::Wished) => op == Op::Subscribe,
                Some(State::Leaving | State::Parting) => op == Op::Unsubscribe,
                _ => false,
            });
            if !topics.is_empty() {
                break (op, topics);
            }
        };
        if op == Op::Subscribe {
            self.set(&topics, State::Asked);
            for place in &topics {
                if let Some(topic) = self.topics.get_mut(*place) {
                    topic.asked = true;
                }
            }
        }
        let request = Request { id: self.next_id, op, topics };
        self.next_id += 1;
        self.spend(now);
        self.pending.push_back(Pending { request: request.clone(), deadline: now.after(self.limits.patience) });
        Some(request)
    }

    /// A request of another kind was sent; it counts with the others.
    pub fn spend(&mut self, now: Mono) {
        self.next_send = now.after(self.limits.pace.max(self.budget.spend(now)));
    }

    /// Looks at deadlines. An error says why the connection is of no more use.
    ///
    /// # Errors
    /// When requests go unanswered; one whose topics all have data is answered by that.
    pub fn timeout(&mut self, now: Mono) -> Result<(), String> {
        let open = |topic: &Topic, op| match op {
            Op::Subscribe => topic.state == State::Asked,
            Op::Unsubscribe => matches!(topic.state, State::Leaving | State::Parting),
        };
        while self.pending.front().is_some_and(|pending| pending.deadline <= now) {
            let Some(Pending { request, .. }) = self.pending.pop_front() else { break };
            let is_open = |place: &usize| self.topics.get(*place).is_some_and(|topic| open(topic, request.op));
            let topics: Vec<_> = request.topics.into_iter().filter(is_open).collect();
            let Some(first) = topics.first() else { continue };
            self.unanswered += 1;
            if self.unanswered >= UNANSWERED_MAX {
                let name = self.name(*first);
                return Err(format!("no answer to subscribing {name} in {} s", self.limits.patience.as_secs()));
            }
            match request.op {
                Op::Subscribe => self.ask(&topics),
                Op::Unsubscribe => topics.into_iter().for_each(|place| self.leave(place)),
            }
        }
        if self.next_retry.is_some_and(|at| at <= now) {
            self.retry_refused(now);
        }
        Ok(())
    }

    /// Asks again for the refused topics whose time has come.
    fn retry_refused(&mut self, now: Mono) {
        self.next_retry = None;
        for place in 0..self.topics.len() {
            match self.topics.get(place).map(|topic| topic.state) {
                Some(State::Refused(at)) if at <= now => self.ask(&[place]),
                Some(State::Refused(at)) => {
                    self.next_retry = Some(self.next_retry.map_or(at, |next| next.min(at)));
                }
                _ => {}
            }
        }
    }

    /// When to look again.
    pub fn next_timeout(&self) -> Option<Mono> {
        if !self.connected {
            return None;
        }
        let can_send = !self.queue.is_empty() && self.pending.len() < self.limits.in_flight;
        let send = can_send.then_some(self.next_send);
        send.into_iter().chain(self.pending.front().map(|p| p.deadline)).chain(self.next_retry).min()
    }

    fn ask(&mut self, topics: &[usize]) {
        self.set_wished(topics);
        let room = self.limits.topics_per_request.max(1);
        for place in topics {
            match self.queue.back_mut() {
                Some((Op::Subscribe, batch)) if batch.len() < room => batch.push(*place),
                _ => self.queue.push_back((Op::Subscribe, vec![*place])),
            }
        }
    }

    /// What is not to be left is to be asked for.
    fn set_wished(&mut self, topics: &[usize]) {
        for place in topics {
            if let Some(topic) = self.topics.get_mut(*place)
                && !matches!(topic.state, State::Parting | State::Gone)
            {
                topic.state = State::Wished;
            }
        }
    }

    fn set(&mut self, topics: &[usize], state: State) {
        for place in topics {
            if let Some(topic) = self.topics.get_mut(*place) {
                topic.state = state;
            }
        }
    }

    fn split(&self, topics: &[usize], name: Option<&str>) -> (Vec<usize>, Vec<usize>) {
        topics.iter().partition(|place| name.is_some_and(|name| self.name(**place) == name))
    }
}

#[cfg(test)]
#[path = "subscriptions_tests.rs"]
mod tests;
