//! A terminal's feed as a whole against libzmq: events through the driver, restarts, bursts.

use std::sync::Arc;

use tickbus::bus::Outgoing;
use tickbus::frame::Frame;
use tickbus::io::command::{Command, DriverReport};
use tickbus::io::terminal::{EventsSocket, TerminalDriver, TerminalParts};
use tickbus::io::{FrameSink, Steps};
use tickbus::model::Stamp;
use tickbus::pipeline::{FeedReport, Outbox};
use tickbus::venue::{Input, LinkId, Timer};
use tickbus::zmtp::{ClientSecurity, KeyPair};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::python::{PATIENCE, Terminal, WIDE, request};

/// Asks for trades and `OnClose`, makes one call, and tells what it is stepped with.
struct Feed {
    outbox: Outbox,
    steps: mpsc::Sender<String>,
}

impl Steps for Feed {
    fn step(&mut self, input: Input<'_>, _now: Stamp) {
        let what = match input {
            Input::Connected => {
                self.outbox.sends = ["OnAllTrade", "OnClose"].map(|name| (LinkId(0), name.to_owned())).to_vec();
                self.outbox.calls.push(request(1));
                return;
            }
            Input::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            Input::Rpc { id, answer } => format!("rpc {id} {}", answer.is_ok()),
            other => format!("{other:?}"),
        };
        self.steps.try_send(what).unwrap();
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    fn next_timeout(&self) -> Option<Timer> {
        None
    }

    fn snapshot(&mut self, _topic: &str) -> Option<Frame> {
        None
    }

    fn resync(&mut self, _symbol: &str, _now: Stamp) -> bool {
        false
    }

    fn shut_down(&mut self, _now: Stamp) {}

    fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}

struct Nowhere;

impl FrameSink for Nowhere {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        batch.clear();
    }
}

struct Running {
    steps: mpsc::Receiver<String>,
    commands: mpsc::Sender<Command>,
}

fn start(terminal: &Terminal, security: &ClientSecurity) -> Running {
    let (sender, steps) = mpsc::channel(100_000);
    let (commands, receiver) = mpsc::channel(4);
    let driver = TerminalDriver::new(TerminalParts {
        feed: "test".into(),
        pipeline: Feed { outbox: Outbox::default(), steps: sender },
        sink: Arc::new(Nowhere),
        commands: receiver,
        tap: None,
        pool: terminal.pool(security, WIDE),
        events: Some(EventsSocket { endpoint: terminal.events.clone(), security: security.clone() }),
    });
    tokio::spawn(driver.run());
    Running { steps, commands }
}

impl Running {
    /// The next step that is not an answer.
    async fn next(&mut self) -> String {
        loop {
            let step = timeout(PATIENCE, self.steps.recv()).await.expect("no step").expect("the driver ended");
            if !step.starts_with("rpc") {
                return step;
            }
        }
    }

    /// Publishes until it arrives: libzmq does not say when a subscription has reached it.
    async fn subscribed(&mut self, terminal: &mut Terminal) {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "not subscribed; {:?}", self.report().await.link);
            terminal.order("publish OnClose");
            if let Ok(step) = timeout(std::time::Duration::from_millis(100), self.next()).await
                && step == "[\"OnClose\"]"
            {
                break;
            }
        }
        terminal.order("publish OnAllTrade {\"end\":true}");
        while self.next().await != "[\"OnAllTrade\",{\"end\":true}]" {}
    }

    async fn report(&self) -> DriverReport {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Report { reply }).await.unwrap();
        timeout(PATIENCE, answer).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_are_and_only_those_asked_for() {
    let Some(mut terminal) = Terminal::start(&["null"]) else { return };
    let mut running = start(&terminal, &ClientSecurity::Null);
    assert_eq!(running.next().await, "[\"EventsConnected\"]");
    running.subscribed(&mut terminal).await;
    for order in ["OnAllTrades {}", "OnQuote {}", "OnAllTrade nonsense", "OnAllTrade {\"a\": \"б\"}"] {
        terminal.order(&format!("publish {order}"));
    }
    assert_eq!(running.next().await, "[\"OnAllTrade\",{\"a\": \"б\"}]");
    let terminal_report = running.report().await.link.terminal.unwrap();
    assert_eq!(terminal_report.events.unwrap().skipped, 2, "OnQuote was not even sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_twenty_thousand_loses_nothing_and_keeps_its_order() {
    let Some(mut terminal) = Terminal::start(&["null"]) else { return };
    let mut running = start(&terminal, &ClientSecurity::Null);
    running.subscribed(&mut terminal).await;
    terminal.order("burst 20000");
    for number in 0..20_000 {
        assert_eq!(running.next().await, format!("[\"OnAllTrade\",{{\"trade_num\":{number}}}]"));
    }
    let events = running.report().await.link.terminal.unwrap().events.unwrap();
    assert_eq!((events.dropped, events.failures), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_events_and_calls_come_again() {
    let Some(terminal) = Terminal::start(&["null"]) else { return };
    let mut running = start(&terminal, &ClientSecurity::Null);
    assert_eq!(running.next().await, "[\"EventsConnected\"]");
    let mut terminal = terminal.restart(&["null"]);
    assert_eq!(running.next().await, "[\"EventsLost\",\"the server closed the connection\"]");
    while running.next().await != "[\"EventsConnected\"]" {}
    running.subscribed(&mut terminal).await;
    let link = running.report().await.link;
    assert_eq!(link.terminal.unwrap().events.unwrap().connects, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_guarded_like_calls() {
    let (server, client, stranger) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let secret = server.secret().to_z85();
    let Some(mut terminal) = Terminal::start(&["curve", &secret, &client.public().to_string()]) else { return };
    let curve = |own: KeyPair| ClientSecurity::Curve { server: server.public(), own };
    let mut running = start(&terminal, &curve(client));
    running.subscribed(&mut terminal).await;
    terminal.order("burst 1000");
    for number in 0..1000 {
        assert_eq!(running.next().await, format!("[\"OnAllTrade\",{{\"trade_num\":{number}}}]"));
    }
    let mut refused = start(&terminal, &curve(stranger));
    let told = refused.next().await;
    assert!(told.starts_with("[\"EventsLost\",\"the server does not accept this client key"), "{told}");
}
