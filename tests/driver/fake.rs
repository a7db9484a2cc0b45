//! A feed that does what its messages say, a sink that remembers, and a driver around them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{Frame, Outgoing, Retain};
use tickbus::io::backoff::BackoffLimits;
use tickbus::io::budget::{Account, RestBudget};
use tickbus::io::command::{Command, DriverReport};
use tickbus::io::dial::DialLimits;
use tickbus::io::driver::{Driver, DriverLimits, DriverParts};
use tickbus::io::http::RestClient;
use tickbus::io::limits::{ConnectBudget, Rate};
use tickbus::io::tap::Tap;
use tickbus::io::ws::ConnectionLimits;
use tickbus::io::{FrameSink, Steps};
use tickbus::model::{Mono, Stamp, StreamId};
use tickbus::pipeline::{FeedReport, Outbox};
use tickbus::venue::{Endpoints, HttpRequest, Input, LinkId, RestLimit, Route, Timer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// No test waits longer for anything that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes each text as a frame; some texts are orders: `reconnect`, `get PATH`, `image PATH`, `timer MS`, `send TEXT`, `big`,
/// `links LINK:ROUTE …`. Inputs of other connections than the first are told with their number.
struct Fake {
    outbox: Outbox,
    links: Vec<(LinkId, Route)>,
    /// Whose input it is.
    link: LinkId,
    steps: mpsc::Sender<String>,
    timer: Option<Mono>,
}

impl Fake {
    fn obey(&mut self, text: &str, now: Stamp) {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("reconnect", why) => self.outbox.reconnects.push((self.link, why.to_owned())),
            // As a session asks for a stream's image.
            ("image", path) => {
                let (path, timeout, stream) = (path.to_owned(), Duration::from_secs(5), Some(StreamId(3)));
                self.outbox.requests.push((LinkId(0), HttpRequest { stream, ..HttpRequest::get(8, path, timeout, 1) }));
            }
            ("get", path) => {
                let (path, timeout) = (path.to_owned(), Duration::from_secs(5));
                self.outbox.requests.push((LinkId(0), HttpRequest::get(7, path, timeout, 1)));
            }
            ("timer", ms) => self.timer = Some(now.mono.after(Duration::from_millis(ms.parse().unwrap()))),
            ("send", what) => self.outbox.sends.push((self.link, what.to_owned())),
            ("links", table) => self.links = table.split(' ').map(link).collect(),
            ("big", _) => self.outbox.sends.push((LinkId(0), "x".repeat(5 << 20))),
            _ => {}
        }
    }
}

impl Steps for Fake {
    fn step(&mut self, input: Input<'_>, now: Stamp) {
        let what = match input {
            Input::Connected => {
                self.outbox.sends.push((self.link, "subscribe".to_owned()));
                "connected".to_owned()
            }
            Input::Text(text) => {
                let text = std::str::from_utf8(text).unwrap();
                self.obey(text, now);
                self.outbox.frames.push(Outgoing::Frame(frame(text)));
                format!("text {}", &text[..text.len().min(40)])
            }
            Input::Binary(data) => format!("binary {}", data.len()),
            Input::Http { id, status, body, .. } => format!("http {id} {status:?} {}", String::from_utf8_lossy(body)),
            Input::Timeout => {
                self.timer = None;
                "timeout".to_owned()
            }
            Input::Disconnected => {
                self.outbox.frames.push(Outgoing::Frame(frame("stale")));
                "disconnected".to_owned()
            }
            Input::Subscribe { stream, .. } => format!("subscribe {stream}"),
            Input::Unsubscribe(id) => format!("unsubscribe {}", id.0),
            Input::Rpc { id, answer } => format!("rpc {id} {answer:?}"),
            Input::Ask { id, question } => format!("ask {id} {question}"),
            Input::Initialize => "initialize".to_owned(),
            Input::Resync(_) => "resync".to_owned(),
            Input::Image(_) => "image".to_owned(),
            Input::Shutdown => "shutdown".to_owned(),
        };
        let link = if self.link == LinkId(0) { String::new() } else { format!("link {} ", self.link.0) };
        self.steps.try_send(format!("{link}{what}")).unwrap();
    }

    fn step_on(&mut self, link: LinkId, input: Input<'_>, now: Stamp) {
        self.link = link;
        self.step(input, now);
        self.link = LinkId(0);
    }

    fn links(&self) -> &[(LinkId, Route)] {
        &self.links
    }

    fn image_waits(&mut self, stream: StreamId, ahead: usize, wait: Duration, _: Stamp) {
        let _ = self.steps.try_send(format!("waits {} behind {ahead} for {} s", stream.0, wait.as_secs()));
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.timer.map(|at| Timer { at, why: "test" })
    }

    fn snapshot(&mut self, topic: &str) -> Option<Frame> {
        Some(frame(topic))
    }

    fn resync(&mut self, symbol: &str, _now: Stamp) -> bool {
        symbol == "BTCUSDT"
    }

    fn shut_down(&mut self, _now: Stamp) {
        self.outbox.frames.push(Outgoing::Frame(frame("down")));
    }

    fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}

/// `LINK:ROUTE`.
fn link(text: &str) -> (LinkId, Route) {
    let (link, route) = text.split_once(':').expect("LINK:ROUTE");
    (LinkId(link.parse().unwrap()), Route(route.parse().unwrap()))
}

fn frame(text: &str) -> Frame {
    let (topic, payload) = (Bytes::from_static(b"t."), Bytes::copy_from_slice(text.as_bytes()));
    Frame { topic, payload, retain: Retain::Stream, seq: 0 }
}

struct Remember(mpsc::Sender<Vec<String>>);

impl FrameSink for Remember {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        let texts = batch.drain(..).map(|work| match work {
            Outgoing::Frame(frame) => String::from_utf8(frame.payload.to_vec()).unwrap(),
            Outgoing::Shared(frame) => String::from_utf8(frame.payload.to_vec()).unwrap(),
            Outgoing::Forget(topic) => format!("forget {topic:?}"),
        });
        self.0.try_send(texts.collect()).unwrap();
    }
}

/// A driver at work, and what can be seen of it.
pub(crate) struct Running {
    pub(crate) steps: mpsc::Receiver<String>,
    pub(crate) batches: mpsc::Receiver<Vec<String>>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) task: JoinHandle<()>,
}

/// What a test may set.
pub(crate) struct Setup {
    pub(crate) limits: DriverLimits,
    pub(crate) connects: Rate,
    pub(crate) rest_url: String,
    pub(crate) account: Arc<Account>,
    pub(crate) tap: Option<Tap>,
}

/// An account of its own.
pub(crate) fn account(limit: RestLimit) -> Arc<Account> {
    RestBudget::default().open("test".to_owned(), limit)
}

impl Default for Setup {
    fn default() -> Self {
        let backoff = BackoffLimits { first: Duration::from_millis(10), ..BackoffLimits::default() };
        let limits = DriverLimits {
            backoff,
            dial: DialLimits::default(),
            connection: ConnectionLimits::default(),
            connect_pause: Duration::ZERO,
        };
        Self {
            limits,
            connects: Rate::per_five_minutes(100),
            rest_url: "http://127.0.0.1:1".to_owned(),
            account: account(RestLimit::calls("test", 20)),
            tap: None,
        }
    }
}

impl Setup {
    pub(crate) fn start(self, url: String) -> Running {
        self.start_with(vec![url])
    }

    /// With an address for each route.
    pub(crate) fn start_with(self, urls: Vec<String>) -> Running {
        let (step_sender, steps) = mpsc::channel(100_000);
        let (batch_sender, batches) = mpsc::channel(100_000);
        let (commands, command_receiver) = mpsc::channel(16);
        let driver = Driver::new(DriverParts {
            feed: "test".into(),
            endpoints: Endpoints { urls, raw: None, rest_url: self.rest_url, note: None },
            pipeline: Fake {
                outbox: Outbox::default(),
                links: vec![(LinkId(0), Route(0))],
                link: LinkId(0),
                steps: step_sender,
                timer: None,
            },
            sink: Arc::new(Remember(batch_sender)),
            connects: Arc::new(ConnectBudget::new(self.connects)),
            rest: RestClient::default(),
            account: self.account,
            signer: None,
            commands: command_receiver,
            tap: self.tap,
            limits: self.limits,
        });
        Running { steps, batches, commands, task: tokio::spawn(driver.run()) }
    }
}

impl Running {
    /// Waits until the feed was stepped with this.
    pub(crate) async fn step(&mut self, wanted: &str) -> String {
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

    pub(crate) async fn report(&self) -> DriverReport {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Report { reply }).await.unwrap();
        timeout(PATIENCE, answer).await.unwrap().unwrap()
    }

    /// Waits until the connection, or an attempt at one, has failed in a way that says this.
    pub(crate) async fn failure(&self, wanted: &str) {
        let search = async {
            loop {
                let last = self.report().await.link.last_failure;
                if last.as_ref().is_some_and(|last| last.contains(wanted)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(PATIENCE, search).await.is_err() {
            panic!("wanted {wanted}, got {:?}", self.report().await.link.last_failure);
        }
    }

    /// All frames until and with this one.
    pub(crate) async fn frames_until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|seen| seen != last) {
            let batch = timeout(PATIENCE, self.batches.recv()).await;
            seen.extend(batch.unwrap_or_else(|_| panic!("no frame {last}")).expect("the driver ended"));
        }
        seen
    }
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/v5/public/linear", listener.local_addr().unwrap());
    (listener, url)
}

pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept()).await.expect("nobody connected").unwrap().0
}

pub(crate) async fn accept_ws(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    accept_async(accept(listener).await).await.unwrap()
}

/// Nobody connects for a while.
pub(crate) async fn assert_quiet(listener: &TcpListener) {
    assert!(timeout(Duration::from_millis(400), listener.accept()).await.is_err(), "connected too soon");
}
