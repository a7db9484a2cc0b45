//! A checked job: what is called, in which order, and what happens when a call fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::jobs::Job;
use crate::venue::{Endpoint, Signer, VenueDef};

/// What happens to the tasks after one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// They run.
    #[default]
    Continue,
    /// They do not, and their group has failed.
    Stop,
}

/// In which order the uppermost tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
    /// All of them, again and again.
    Ring {
        /// How often; for ever when `None`.
        rounds: Option<u64>,
        /// From the start of one round to that of the next; a round that takes longer costs the next ones their turn.
        interval: Duration,
    },
}

impl Order {
    /// The word for it in config and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Stack => "stack",
            Self::Ring { .. } => "ring",
        }
    }
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// Its name: the frames' topic is `job.NAME.`.
    pub name: Arc<str>,
    /// The order of its tasks.
    pub order: Order,
    /// Pause between two of its tasks.
    pub pause: Duration,
    /// What a failure of one means for the others.
    pub on_error: OnError,
    /// The tasks, as they were given.
    pub tasks: VecDeque<Node>,
    /// All of it as it was written: what tasks that are added later take over.
    pub settings: Arc<Job>,
}

/// A task: a call or a group of tasks.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it is in the tree: `2.1` is the first task of the second.
    pub place: String,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// What it does.
    pub work: Work,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Work {
    /// One REST call; it is a `GET`.
    Call(Box<CallPlan>),
    /// Several tasks.
    Group(Group),
}

/// Tasks that belong together.
#[derive(Clone, Debug)]
pub struct Group {
    /// At the same time, or one after the other.
    pub at_once: bool,
    /// Pause between two tasks of a series.
    pub pause: Duration,
    /// What a failure of one means for the others.
    pub on_error: OnError,
    /// The tasks.
    pub tasks: Vec<Node>,
}

/// One REST call; it is a `GET`.
#[derive(Clone)]
pub struct CallPlan {
    /// Whose.
    pub venue: &'static VenueDef,
    /// Which of its markets.
    pub market: Arc<str>,
    /// REST base address without a trailing slash.
    pub base: Arc<str>,
    /// Path without the query.
    pub path: String,
    /// The named endpoint, if it is one.
    pub endpoint: Option<&'static Endpoint>,
    /// Parameters, in the order they are sent.
    pub params: Vec<(String, String)>,
    /// Who signs it, if it is signed.
    pub signer: Option<Signer>,
    /// What it costs of the venue's budget.
    pub weight: u32,
    /// How long it may take once it has left.
    pub timeout: Duration,
}

impl std::fmt::Debug for CallPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallPlan({} {})", self.venue.id, self.path)
    }
}

impl CallPlan {
    /// The account that signs it.
    pub fn account(&self) -> Option<&str> {
        self.signer.as_ref().map(|signer| &*signer.account)
    }

    /// What it is called in results: the endpoint's name, else its path.
    pub fn label(&self) -> &str {
        self.endpoint.map_or(&self.path, |endpoint| endpoint.name)
    }
}

impl Node {
    /// Gives this task its place, and those in it theirs.
    pub fn placed(mut self, place: &str) -> Self {
        place.clone_into(&mut self.place);
        if let Work::Group(group) = &mut self.work {
            let tasks = std::mem::take(&mut group.tasks);
            let placed = |(at, task): (usize, Self)| task.placed(&format!("{place}.{}", at + 1));
            group.tasks = tasks.into_iter().enumerate().map(placed).collect();
        }
        self
    }

    /// Its calls.
    pub fn each_call(&self, look: &mut dyn FnMut(&CallPlan)) {
        match &self.work {
            Work::Call(call) => look(call),
            Work::Group(group) => group.tasks.iter().for_each(|task| task.each_call(look)),
        }
    }

    /// How many calls it makes.
    pub fn calls(&self) -> usize {
        match &self.work {
            Work::Call(_) => 1,
            Work::Group(group) => group.tasks.iter().map(Self::calls).sum(),
        }
    }
}
