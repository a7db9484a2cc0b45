//! The control plane with feeds that agree to everything at once: what hostile requests are tried on. The stable test
//! `tests/control_input.rs` tries the same with generated requests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "a harness, of which each user takes a part")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tickbus::bus::{Asker, Outgoing, Publisher, PublisherOptions, RequestHandler, Retain};
use tickbus::config::{Accounts, Layers};
use tickbus::control::wished::Owner;
use tickbus::control::{
    Applied, Calls, ControlDoor, ControlPlane, Guard, Registry, Running, RunningFeed, SnapshotDoor, StartFeed,
};
use tickbus::fetch::{Allowed, Fetcher};
use tickbus::frame::{Encoding, Frame, LastSeq};
use tickbus::io::FrameSink;
use tickbus::io::command::{Answered, Command, DriverReport};
use tickbus::io::http::RestClient;
use tickbus::jobs::{Desk, Frames, RestCaller, Sources};
use tickbus::model::Mono;
use tickbus::pipeline::Settled;
use tickbus::sink::redis::Commands as _;
use tickbus::store::StoreLimits;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Starts feeds that say yes.
struct Agreeing;

impl StartFeed for Agreeing {
    fn start(&self, _: Arc<RunningFeed>, commands: mpsc::Receiver<Command>) -> JoinHandle<()> {
        tokio::spawn(agree(commands))
    }
}

async fn agree(mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        let all = |reply: mpsc::Sender<Answered>, count: usize, settled: Settled| {
            (0..count).for_each(|at| drop(reply.try_send(Answered { at, settled: settled.clone() })));
        };
        match command {
            Command::Subscribe { streams, reply } => all(reply, streams.len(), Settled::Subscribed),
            Command::Unsubscribe { streams, reply } => all(reply, streams.len(), Settled::Unsubscribed),
            Command::Ask { reply, .. } => drop(reply.send("{\"ok\":true}".to_owned())),
            Command::Report { reply } => drop(reply.send(DriverReport::default())),
            Command::Resync { reply, .. } => drop(reply.send(true)),
            Command::Initialize { reply } => drop(reply.send(Ok(()))),
            Command::Snapshot { reply, .. } => drop(reply.send(None)),
            Command::Shutdown => return,
        }
    }
}

/// A gateway with one feed, `a`, and its doors.
pub struct Plane {
    running: Running,
    door: ControlDoor,
    snapshot: SnapshotDoor,
}

impl Plane {
    pub async fn new() -> Self {
        let publisher = Publisher::bind(PublisherOptions::default()).await.unwrap();
        let feed = r#"{"venue":"bybit","market":"linear","symbols":["BTCUSDT"],"channels":["book","trade"]}"#;
        let config = Layers { text: format!("{{\"feeds\":{{\"a\":{feed}}}}}"), ..Layers::default() }.check().unwrap();
        let feeds = Arc::new(Registry::new(Arc::new(Agreeing), StoreLimits::default(), Accounts::default()));
        for plan in &config.feeds {
            let wishes: Vec<_> = plan.streams.iter().map(|stream| (stream.clone(), Owner::Config)).collect();
            assert!(feeds.add(plan.clone(), true, &wishes).unwrap().is_ok());
        }
        let trade = Frame {
            topic: Bytes::from_static(b"trade.bybit.linear.BTCUSDT."),
            payload: Bytes::from_static(br#"{"type":"trade"}"#),
            retain: Retain::Stream,
            seq: 1,
        };
        feeds.find("a").unwrap().store.record(&mut [Outgoing::Frame(trade)]);
        let applied = Applied { settings: config.settings.clone(), source: None };
        let caller = Arc::new(RestCaller::new(RestClient::offline(), Arc::default()));
        let bus: Arc<dyn FrameSink> = Arc::new(publisher.clone());
        let sources: Arc<dyn Sources> = Arc::clone(&feeds) as _;
        let frames = Frames::new(1, Encoding::Json, LastSeq::new(|_| 0, 0), sources, Arc::clone(&bus));
        let desk = Desk::new(caller, bus, Arc::new(frames), 1, Encoding::Json);
        let fetcher = Fetcher::new(RestClient::offline(), Arc::default(), Accounts::default());
        let running = Running {
            epoch: 1,
            publisher,
            feeds,
            applied: Arc::new(tokio::sync::Mutex::new(applied)),
            redis: None,
            calls: Arc::new(Calls::new(Arc::new(fetcher), Allowed::default(), Arc::new(desk))),
            key_lists: Arc::from([]),
            shutdown: Arc::new(watch::Sender::new(false)),
        };
        let guard = Arc::new(Guard::new(None, 100_000, Mono(0)));
        let (door, snapshot) = (ControlDoor::new(running.clone(), guard), SnapshotDoor::new(running.clone(), false));
        Self { running, door, snapshot }
    }

    /// What the control socket answers to a client without a name.
    pub async fn ask(&self, request: &[u8]) -> Vec<Bytes> {
        let asker = Asker { connection: 1, identity: None };
        let answer = tokio::time::timeout(Duration::from_secs(20), self.door.handle(request.to_vec().into(), &asker));
        answer.await.expect("an answer in time")
    }

    /// What the snapshot socket answers where strangers reach it.
    pub async fn ask_snapshots(&self, request: &[u8]) -> Vec<Bytes> {
        self.snapshot.handle(request.to_vec().into(), &Asker::default()).await
    }

    /// What every door makes of a request: always an answer, and a refusal with its reason.
    pub async fn try_all(&self, request: &[u8]) {
        let asker = Asker::default();
        judge(&self.ask(request).await);
        judge(&self.snapshot.handle(request.to_vec().into(), &asker).await);
        let text: Value = serde_json::from_slice(request).unwrap_or(Value::String("no JSON".to_owned()));
        let answer = ControlPlane::new(self.running.clone()).execute(text).await;
        judge(&[answer.to_string().into()]);
        self.door.left(&asker);
    }

    /// How many feeds there are.
    pub fn feeds(&self) -> usize {
        self.running.feeds.len()
    }
}

fn judge(answer: &[Bytes]) {
    let last = answer.last().expect("an answer");
    let text: Value = serde_json::from_slice(last).expect("JSON");
    match text["ok"].as_bool() {
        Some(true) => {}
        Some(false) => {
            assert!(text["code"].as_str().is_some_and(|code| !code.is_empty()), "{text}");
            assert!(text["error"].as_str().is_some_and(|error| !error.is_empty()), "{text}");
        }
        None => panic!("neither good nor bad: {text}"),
    }
}

/// Lines are requests, one after the other.
pub fn control(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plane = Plane::new().await;
        for line in data.split(|byte| *byte == b'\n').take(100) {
            // A wish may wait for its venue; nothing here does.
            plane.try_all(line).await;
        }
        assert!(plane.feeds() <= 100);
    });
    runtime.shutdown_background();
}
