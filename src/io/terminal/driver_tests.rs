//! The driver of a terminal's feed, with a terminal without sockets and a feed that does what it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fake::{Mood, Terminal};
use super::{MOST_OUTSTANDING, Pool, PoolLimits, TerminalDriver, TerminalParts};
use crate::bus::{Frame, Outgoing, Retain};
use crate::io::command::{Command, DriverReport};
use crate::io::tap::{Kind, Tap, tap};
use crate::io::{FrameSink, Steps};
use crate::model::{Mono, Stamp};
use crate::pipeline::{FeedReport, Outbox};
use crate::venue::{Host, Input, LinkId, RpcRequest, Timer, Urgency};

const PATIENCE: Duration = Duration::from_secs(20);
const QUICK: Mood = Mood::Answer(Duration::ZERO);
const WIDE: PoolLimits = PoolLimits { connections: 2, calls_per_second: 100_000, burst: 100_000 };

/// Tells what it is stepped with; asks for what its events order: `["OnQuote",["call",N]]` makes N calls.
struct Feed {
    outbox: Outbox,
    steps: mpsc::Sender<String>,
    timer: Option<Mono>,
    calls: u64,
}

impl Feed {
    fn call(&mut self, what: &str) {
        self.calls += 1;
        self.outbox.calls.push(RpcRequest {
            id: self.calls,
            host: Host::Rpc,
            urgency: Urgency::Control,
            body: what.to_owned(),
            timeout: Duration::from_millis(400),
            idempotent: false,
        });
    }

    fn text(&mut self, text: &str, now: Stamp) -> String {
        let orders = text.strip_prefix("[\"OnQuote\",[").map(|rest| rest.trim_end_matches(']'));
        match orders.and_then(|orders| orders.split_once(',')) {
            Some(("\"call\"", count)) => (0..count.parse().unwrap()).for_each(|_| self.call("{}")),
            Some(("\"timer\"", ms)) => self.timer = Some(now.mono.after(Duration::from_millis(ms.parse().unwrap()))),
            _ => {}
        }
        self.outbox.frames.push(Outgoing::Frame(frame(text)));
        format!("text {text}")
    }
}

impl Steps for Feed {
    fn step(&mut self, input: Input<'_>, now: Stamp) {
        let what = match input {
            Input::Connected => {
                self.outbox.sends.push((LinkId(0), "OnQuote".to_owned()));
                self.call("first");
                "connected".to_owned()
            }
            Input::Text(text) => self.text(std::str::from_utf8(text).unwrap(), now),
            Input::Binary(data) => format!("binary {}", data.len()),
            Input::Rpc { id, answer } => format!("rpc {id} {:?}", answer.map(String::from_utf8_lossy)),
            Input::Ask { id, question } => {
                self.outbox.answers.push((id, format!("you asked {question}")));
                "ask".to_owned()
            }
            Input::Timeout => {
                self.timer = None;
                "timeout".to_owned()
            }
            Input::Shutdown => {
                self.call("last");
                "shutdown".to_owned()
            }
            other => format!("{other:?}"),
        };
        self.steps.try_send(what).unwrap();
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.timer.map(|at| Timer { at, why: "test" })
    }

    fn snapshot(&mut self, _topic: &str) -> Option<Frame> {
        None
    }

    fn resync(&mut self, _symbol: &str, _now: Stamp) -> bool {
        false
    }

    fn shut_down(&mut self, _now: Stamp) {
        self.outbox.frames.push(Outgoing::Frame(frame("down")));
    }

    fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}

fn frame(text: &str) -> Frame {
    let (topic, payload) = (Bytes::from_static(b"t."), Bytes::copy_from_slice(text.as_bytes()));
    Frame { topic, payload, retain: Retain::Stream, seq: 0 }
}

struct Remember(mpsc::Sender<String>);

impl FrameSink for Remember {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        for work in batch.drain(..) {
            if let Outgoing::Frame(frame) = work {
                self.0.try_send(String::from_utf8(frame.payload.to_vec()).unwrap()).unwrap();
            }
        }
    }
}

struct Running {
    terminal: Terminal,
    steps: mpsc::Receiver<String>,
    frames: mpsc::Receiver<String>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

fn start(mood: Mood, limits: PoolLimits, tap: Option<Tap>) -> Running {
    let terminal = Terminal::new(mood);
    let (step_sender, steps) = mpsc::channel(100_000);
    let (frame_sender, frames) = mpsc::channel(100_000);
    let (commands, command_receiver) = mpsc::channel(16);
    let parts = TerminalParts {
        feed: "test".into(),
        pipeline: Feed { outbox: Outbox::default(), steps: step_sender, timer: None, calls: 0 },
        sink: Arc::new(Remember(frame_sender)),
        commands: command_receiver,
        tap,
        events: None,
        pool: Pool::open("quik", terminal.clone(), None, limits),
    };
    let driver = TerminalDriver::open(parts, Some(terminal.clone()));
    Running { terminal, steps, frames, commands, task: tokio::spawn(driver.run()) }
}

impl Running {
    async fn step(&mut self, wanted: &str) -> String {
        let search = async {
            while let Some(step) = self.steps.recv().await {
                if step.starts_with(wanted) {
                    return step;
                }
            }
            panic!("the driver ended before {wanted}");
        };
        timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("no step {wanted}"))
    }

    async fn report(&self) -> DriverReport {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Report { reply }).await.unwrap();
        timeout(PATIENCE, answer).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn is_connected_from_the_start_and_steps_answers_and_events() {
    let mut running = start(QUICK, WIDE, None);
    assert_eq!(running.step("").await, "connected");
    assert_eq!(running.step("rpc").await, "rpc 1 Ok(\"first\")");
    while running.terminal.subscribed() != ["OnQuote"] {
        tokio::task::yield_now().await;
    }
    running.terminal.publish(&[b"OnQuote", b"{\"a\":1}"]);
    assert_eq!(running.step("text [\"OnQuote\"").await, "text [\"OnQuote\",{\"a\":1}]");
    running.terminal.publish(&[b"OnQuote", b"{\"a\":\"\xc0\"}"]);
    running.step("binary 21").await;
    running.terminal.publish(&[b"OnQuote", b"[\"timer\",5]"]);
    running.step("timeout").await;
    assert_eq!(running.frames.recv().await.unwrap(), "[\"EventsConnected\"]");
    assert_eq!(running.frames.recv().await.unwrap(), "[\"OnQuote\",{\"a\":1}]");
    let link = running.report().await.link;
    let terminal = link.terminal.unwrap();
    assert!(link.connected && link.connects == 3, "two connections for calls and one for events");
    assert_eq!((terminal.pool.counters.answered, terminal.events.unwrap().events), (1, 3));
}

#[tokio::test]
async fn a_terminal_that_goes_is_not_a_new_connection() {
    let mut running = start(QUICK, WIDE, None);
    running.step("rpc").await;
    running.terminal.shut(false, "connection refused");
    assert_eq!(
        running.step("text [\"EventsLost\"").await,
        "text [\"EventsLost\",\"the other end closed the connection\"]"
    );
    running.step("text [\"EventsLost\",\"connection refused\"]").await;
    let failed = async {
        while running.report().await.link.connected {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, failed).await.unwrap();
    let link = running.report().await.link;
    assert!(link.failures > 0 && link.last_failure.is_some(), "{link:?}");
    running.terminal.set_door(super::fake::Door::Open);
    running.step("text [\"EventsConnected\"]").await;
}

#[tokio::test]
async fn questions_are_answered_to_who_asked() {
    let mut running = start(QUICK, WIDE, None);
    running.step("connected").await;
    let (gone, _) = oneshot::channel();
    running.commands.send(Command::Ask { question: "1".to_owned(), reply: gone }).await.unwrap();
    let (reply, answer) = oneshot::channel();
    running.commands.send(Command::Ask { question: "{\"op\":\"rpc\"}".to_owned(), reply }).await.unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap(), "you asked {\"op\":\"rpc\"}");
}

#[tokio::test]
async fn a_call_that_is_refused_is_answered_too() {
    let mut running = start(Mood::Hang, PoolLimits { calls_per_second: 1, burst: 1, connections: 1 }, None);
    running.step("text [\"EventsConnected\"]").await;
    let order = format!("[\"call\",{MOST_OUTSTANDING}]");
    while running.terminal.subscribed().is_empty() {
        tokio::task::yield_now().await;
    }
    running.terminal.publish(&[b"OnQuote", order.as_bytes()]);
    let refused = running.step("rpc 4097").await;
    assert!(refused.contains("unanswered already"), "{refused}");
}

#[tokio::test]
async fn the_last_calls_are_made_and_their_answers_waited_for() {
    let mut running = start(Mood::Answer(Duration::from_millis(50)), WIDE, None);
    running.step("rpc 1").await;
    running.commands.send(Command::Shutdown).await.unwrap();
    timeout(PATIENCE, &mut running.task).await.unwrap().unwrap();
    running.step("shutdown").await;
    assert_eq!(running.step("rpc").await, "rpc 2 Ok(\"last\")");
    let mut last = None;
    while let Some(frame) = running.frames.recv().await {
        last = Some(frame);
    }
    assert_eq!(last.as_deref(), Some("down"));
}

#[tokio::test]
async fn a_terminal_that_hangs_does_not_hold_the_end_up_and_what_waited_is_taken_back() {
    let mut running = start(Mood::Answer(Duration::from_secs(600)), PoolLimits { connections: 1, ..WIDE }, None);
    running.step("text [\"EventsConnected\"]").await;
    while running.terminal.subscribed().is_empty() {
        tokio::task::yield_now().await;
    }
    running.terminal.publish(&[b"OnQuote", b"[\"call\",3]"]);
    running.step("text [\"OnQuote\"").await;
    let began = tokio::time::Instant::now();
    running.commands.send(Command::Shutdown).await.unwrap();
    timeout(PATIENCE, &mut running.task).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(1100), "{:?}", began.elapsed());
    running.step("shutdown").await;
    for id in 2..=4 {
        assert_eq!(running.step("rpc").await, format!("rpc {id} Err(\"the feed ends\")"));
    }
}

#[tokio::test]
async fn the_tap_sees_events_and_answers_with_their_requests() {
    let (tap, mut reader) = tap();
    let running = start(QUICK, WIDE, Some(tap));
    while running.terminal.subscribed().is_empty() {
        tokio::task::yield_now().await;
    }
    running.terminal.publish(&[b"OnQuote", b"{}"]);
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let line = timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
        seen.push((line.kind, line.url.map(|url| url.to_string()), String::from_utf8(line.data.to_vec()).unwrap()));
    }
    let has = |kind, url: Option<&str>, data: &str| {
        assert!(seen.contains(&(kind, url.map(str::to_owned), data.to_owned())), "{kind:?} {data} in {seen:?}");
    };
    has(Kind::Connect, Some("tcp://fake:1"), "");
    has(Kind::Rest, Some("tcp://fake:1?first"), "first");
    has(Kind::Ws, None, "[\"EventsConnected\"]");
    has(Kind::Ws, None, "[\"OnQuote\",{}]");
}
