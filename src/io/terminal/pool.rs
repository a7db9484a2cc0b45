//! The pool of connections to one terminal, shared by all feeds of it: any number of callers, one budget.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connection::{self, Job, News, Place, Reports};
use super::desk::{Action, Desk};
use super::host::End;
use super::report::PoolReport;
use super::{Dial, PoolLimits, RpcAnswer, ZmqDial};
use crate::io::repeats::Repeats;
use crate::model::Mono;
use crate::venue::RpcRequest;
use crate::zmtp::ClientSecurity;

/// Calls of one caller that have no answer yet, or whose answer it has not taken; more are refused.
pub const MOST_OUTSTANDING: usize = 4096;
/// News of connections handed on together; bounds how long callers wait for their turn to ask.
const NEWS_BATCH: usize = 64;

/// A pool. It ends with its last handle and caller.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One feed's access to a pool.
#[derive(Debug)]
pub struct Caller {
    pool: Arc<Pool>,
    id: u64,
    answers: mpsc::Receiver<RpcAnswer>,
    outstanding: usize,
}

#[derive(Debug)]
struct Shared {
    /// Its name in reports and logs.
    terminal: Arc<str>,
    state: Mutex<State>,
    /// A call has entered.
    entered: Notify,
    /// Where the desk's clock starts: tokio's clock, so that tests can set it.
    start: Instant,
}

#[derive(Debug)]
struct State {
    desk: Desk,
    callers: HashMap<u64, mpsc::Sender<RpcAnswer>>,
    last_caller: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between its methods, so a panic elsewhere while it was locked does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl State {
    /// Hands out the answers among the actions and leaves the others.
    fn deliver(&self, actions: &mut Vec<Action>) {
        for action in std::mem::take(actions) {
            match action {
                Action::Answer { caller, answer } => {
                    if let Some(sender) = self.callers.get(&caller) {
                        // There is room for everything a caller may have outstanding.
                        let _ = sender.try_send(answer);
                    }
                }
                other => actions.push(other),
            }
        }
    }
}

impl Pool {
    /// Starts dialing the terminal of this name on the current tokio runtime: its main RPC endpoint, and the one for
    /// data where it is another.
    pub fn connect(
        terminal: &str,
        rpc: &str,
        data: Option<&str>,
        security: &ClientSecurity,
        limits: PoolLimits,
    ) -> Arc<Self> {
        let dial = |endpoint: &str| ZmqDial::calls(endpoint, security.clone());
        Self::open(terminal, dial(rpc), data.map(dial), limits)
    }

    pub(super) fn open<D: Dial>(terminal: &str, main: D, data: Option<D>, limits: PoolLimits) -> Arc<Self> {
        let dials: Vec<Arc<D>> = std::iter::once(main).chain(data).map(Arc::new).collect();
        let endpoints = dials.iter().map(|dial| dial.endpoint()).collect();
        let shared = Arc::new(Shared {
            terminal: terminal.into(),
            state: Mutex::new(State {
                desk: Desk::new(endpoints, limits, Mono(0)),
                callers: HashMap::new(),
                last_caller: 0,
            }),
            entered: Notify::new(),
            start: Instant::now(),
        });
        let (news_sender, news) = mpsc::channel(NEWS_BATCH);
        let dispatcher = Dispatcher {
            shared: Arc::clone(&shared),
            dials,
            jobs: HashMap::new(),
            connections: JoinSet::new(),
            news_sender,
            news,
            repeats: Repeats::default(),
        };
        Arc::new(Self { shared, task: tokio::spawn(dispatcher.run()) })
    }

    /// Access for one more feed.
    pub fn caller(self: &Arc<Self>) -> Caller {
        let (sender, answers) = mpsc::channel(MOST_OUTSTANDING);
        let mut state = self.shared.state();
        state.last_caller += 1;
        let id = state.last_caller;
        state.callers.insert(id, sender);
        drop(state);
        Caller { pool: Arc::clone(self), id, answers, outstanding: 0 }
    }

    /// State and counters.
    pub fn report(&self) -> PoolReport {
        self.shared.state().desk.report(&self.shared.terminal)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Caller {
    /// Asks for a call. Never waits.
    ///
    /// # Errors
    /// Why it is refused, counted; there is then no other answer.
    pub fn call(&mut self, request: RpcRequest) -> Result<(), String> {
        let shared = &self.pool.shared;
        let mut state = shared.state();
        if self.outstanding >= MOST_OUTSTANDING {
            state.desk.refused();
            return Err(format!("{MOST_OUTSTANDING} calls of this feed are unanswered already"));
        }
        if self.pool.task.is_finished() {
            state.desk.refused();
            return Err("the connections to the terminal failed inside: this is a bug".to_owned());
        }
        state.desk.enter(self.id, request, shared.now())?;
        drop(state);
        self.outstanding += 1;
        shared.entered.notify_one();
        Ok(())
    }

    /// Waits for the next answer, in the order in which they came. May be dropped and called again: nothing is lost.
    pub async fn answer(&mut self) -> RpcAnswer {
        let Some(answer) = self.answers.recv().await else { return pending().await };
        self.outstanding -= 1;
        answer
    }

    /// The next answer, if it is there.
    pub fn answer_now(&mut self) -> Option<RpcAnswer> {
        let answer = self.answers.try_recv().ok()?;
        self.outstanding -= 1;
        Some(answer)
    }

    /// Calls without an answer, or whose answer was not taken.
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Takes back the calls that have not left; gives their ids. They have no other answer.
    pub fn take_back(&mut self) -> Vec<u64> {
        let taken = self.pool.shared.state().desk.take_waiting(self.id);
        self.outstanding -= taken.len();
        taken
    }

    /// The pool's state and counters.
    pub fn report(&self) -> PoolReport {
        self.pool.report()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut state = self.pool.shared.state();
        state.callers.remove(&self.id);
        state.desk.take_waiting(self.id);
    }
}

/// Carries out what the desk decides.
struct Dispatcher<D> {
    shared: Arc<Shared>,
    dials: Vec<Arc<D>>,
    /// Where each connection takes its next call.
    jobs: HashMap<Place, mpsc::Sender<Job>>,
    /// Ends them all with the dispatcher.
    connections: JoinSet<()>,
    news_sender: mpsc::Sender<(Place, News)>,
    news: mpsc::Receiver<(Place, News)>,
    repeats: Repeats,
}

impl<D: Dial> Dispatcher<D> {
    async fn run(mut self) {
        let mut news = Vec::with_capacity(NEWS_BATCH);
        loop {
            let wake = self.advance(&mut news);
            tokio::select! {
                _ = self.news.recv_many(&mut news, NEWS_BATCH) => {}
                () = self.shared.entered.notified() => {}
                () = sleep_until(wake.unwrap_or(self.shared.start)), if wake.is_some() => {}
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Takes the news in, does what follows, and says when to look again.
    fn advance(&mut self, news: &mut Vec<(Place, News)>) -> Option<Instant> {
        let mut actions = Vec::new();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let now = shared.now();
        for (place, news) in news.drain(..) {
            self.log(place, &news, now);
            match news {
                News::Opened => state.desk.opened(place, now),
                News::Answered(body) => state.desk.answered(place, body, now, &mut actions),
                News::Stray => state.desk.stray(),
                News::Closed(end) => {
                    self.jobs.remove(&place);
                    state.desk.closed(place, &end, now, fastrand::f64(), &mut actions);
                }
            }
        }
        state.desk.advance(now, &mut actions);
        state.deliver(&mut actions);
        let wake = state.desk.next_wake(now);
        drop(state);
        for action in actions {
            self.carry_out(action);
        }
        wake.map(|at| shared.start + std::time::Duration::from_nanos(at.0))
    }

    /// Connections come and go together: one line tells of all.
    fn log(&mut self, (host, slot): Place, news: &News, now: Mono) {
        let (terminal, endpoint) = (&self.shared.terminal, self.dials.get(host).map(|dial| dial.endpoint()));
        let endpoint = endpoint.as_deref().unwrap_or_default();
        match news {
            News::Opened if slot == 0 => info!(%terminal, endpoint, "Terminal connected"),
            News::Closed(End::Failed(error)) => {
                let reason = error.reason.as_str();
                if let Some(repeats) = self.repeats.admit(reason, now) {
                    warn!(%terminal, endpoint, reason, repeats, "Terminal not connected");
                }
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Dial(place) => {
                let Some(dial) = self.dials.get(place.0).map(Arc::clone) else { return };
                let (sender, jobs) = mpsc::channel(1);
                self.jobs.insert(place, sender);
                let reports = Reports { place, sender: self.news_sender.clone() };
                self.connections.spawn(connection::run(dial, jobs, reports));
            }
            Action::Send { place, ticket, body, timeout } => {
                // It takes one call at a time and is free; if it has just ended, its news says so.
                let job = Job { ticket, body, timeout };
                let _ = self.jobs.get(&place).map(|jobs| jobs.try_send(job));
            }
            // Delivered already.
            Action::Answer { .. } => {}
        }
    }
}
