//! Which of a job's tasks is next, and when. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{Node, Order};
use crate::model::Mono;

/// Tasks that may wait in a queue or on a stack.
const TASKS_MAX: usize = 10_000;

/// What to do now.
#[derive(Debug)]
pub enum Turn {
    /// Run this task, of this round (from 1).
    Run(Box<Node>, u64),
    /// Nothing until then.
    Wait(Mono),
    /// Nothing any more, until a task is added.
    Idle,
}

/// The tasks of a job and their order.
#[derive(Debug)]
pub struct Turns {
    order: Order,
    /// Of a queue or a stack: those that are still to run. Of a ring: all.
    tasks: VecDeque<Node>,
    pause: Duration,
    /// Tasks given places so far.
    numbered: usize,
    /// The current round, from 1, and its next task.
    round: u64,
    at: usize,
    /// When the current round was due.
    round_at: Option<Mono>,
    /// When the next task may run.
    next_at: Option<Mono>,
    skipped: u64,
}

impl Turns {
    /// The tasks as they were given.
    pub fn new(order: Order, tasks: VecDeque<Node>, pause: Duration) -> Self {
        let numbered = tasks.len();
        Self { order, tasks, pause, numbered, round: 1, at: 0, round_at: None, next_at: None, skipped: 0 }
    }

    /// The next task, once its time has come.
    pub fn next(&mut self, now: Mono) -> Turn {
        match self.order {
            Order::Queue | Order::Stack if self.tasks.is_empty() => Turn::Idle,
            Order::Queue | Order::Stack => match self.next_at.filter(|at| *at > now) {
                Some(at) => Turn::Wait(at),
                None => self.take(),
            },
            Order::Ring { rounds, .. } => self.next_of_ring(rounds, now),
        }
    }

    fn take(&mut self) -> Turn {
        let task = if self.order == Order::Stack { self.tasks.pop_back() } else { self.tasks.pop_front() };
        task.map_or(Turn::Idle, |task| Turn::Run(Box::new(task), 1))
    }

    fn next_of_ring(&mut self, rounds: Option<u64>, now: Mono) -> Turn {
        if self.tasks.is_empty() || rounds.is_some_and(|rounds| self.round > rounds) {
            return Turn::Idle;
        }
        let due = *self.round_at.get_or_insert(now);
        let at = self.next_at.map_or(due, |next| next.max(due));
        if at > now {
            return Turn::Wait(at);
        }
        let Some(task) = self.tasks.get(self.at).cloned() else { return Turn::Idle };
        Turn::Run(Box::new(task), self.round)
    }

    /// The task that was handed out has ended.
    pub fn ended(&mut self, now: Mono) {
        self.next_at = Some(now.after(self.pause));
        let Order::Ring { interval, .. } = self.order else { return };
        self.at += 1;
        if self.at < self.tasks.len() {
            return;
        }
        self.at = 0;
        self.round += 1;
        self.next_at = None;
        let due = self.round_at.unwrap_or(now);
        if interval.is_zero() {
            self.round_at = Some(now.after(self.pause));
            return;
        }
        // Ticks that passed while the round ran are skipped: they would only pile up.
        let ticks = now.since(due).as_nanos().div_ceil(interval.as_nanos()).max(1);
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        self.skipped = self.skipped.saturating_add(ticks - 1);
        let nanos = interval.as_nanos().saturating_mul(u128::from(ticks));
        self.round_at = Some(due.after(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))));
    }

    /// Takes the tasks that are not run because an error stops the job, each with its round: all of a queue or a stack, of
    /// a ring those that the round still had.
    pub fn rest(&mut self) -> Vec<(Node, u64)> {
        if !matches!(self.order, Order::Ring { .. }) {
            let last_first = self.order == Order::Stack;
            let mut rest: Vec<_> = self.tasks.drain(..).map(|task| (task, 1)).collect();
            if last_first {
                rest.reverse();
            }
            return rest;
        }
        // At the first task, the round has not begun.
        let at = std::mem::take(&mut self.at);
        let begun = if at == 0 { self.tasks.len() } else { at };
        self.tasks.iter().skip(begun).map(|task| (task.clone(), self.round)).collect()
    }

    /// Adds a task: to the end of a queue or of each round of a ring, on top of a stack. Returns its place.
    ///
    /// # Errors
    /// When there are too many.
    pub fn push(&mut self, task: Node) -> Result<String, String> {
        if self.tasks.len() >= TASKS_MAX {
            return Err(format!("{TASKS_MAX} tasks wait already; add it when some have run"));
        }
        self.numbered += 1;
        let place = self.numbered.to_string();
        self.tasks.push_back(task.placed(&place));
        Ok(place)
    }

    /// Tasks that wait; of a ring, all.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many tasks may be added.
    pub fn room(&self) -> usize {
        TASKS_MAX.saturating_sub(self.tasks.len())
    }

    /// Calls of the tasks that wait; of a ring, of one round.
    pub fn calls(&self) -> usize {
        self.tasks.iter().map(Node::calls).sum()
    }

    /// Whether no task waits.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The round that runs or comes next, from 1.
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// Rounds that had no turn because the one before took too long.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
}
