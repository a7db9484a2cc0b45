//! `tickbus demo`: a simulated venue, a gateway and a printer in one process. Everything between them is real:
//! websocket, REST, books, bus, subscriber.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::Gateway;
use crate::client::{Format, Incoming, Printer, View, as_json, subscribe};
use crate::config::{Config, Layers};
use crate::sim::fault::{ALLOWED, FaultSpec};
use crate::sim::server::{Options, Server};

/// Arguments of `tickbus demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "While it runs, its bus is open to other programs on this machine.

Examples:
  tickbus demo
  tickbus demo --seed 7 --rate 100 --duration 10
  tickbus demo --bind tcp://127.0.0.1:5555 &  tickbus-sub tcp://127.0.0.1:5555 --ladder BTCUSDT
  tickbus demo --rate 200 --fault drop@500+3000 --bind tcp://127.0.0.1:5555 --snapshot-bind tcp://127.0.0.1:5556
      something to try a subscriber on: docs/WRITE_A_SUBSCRIBER.md")]
pub struct Args {
    /// The same seed gives the same market.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Market moves a second over all symbols.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub duration: Option<u64>,
    /// The bus's endpoint; port 0 takes any free port.
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:0")]
    pub bind: String,
    /// The endpoint of the snapshot socket; port 0 takes any free port.
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:0")]
    pub snapshot_bind: String,
    /// Fault of the simulated venue; may be repeated.
    #[arg(long = "fault", value_name = "FAULT", long_help = format!("Fault of the simulated venue; may be repeated. {ALLOWED}."))]
    pub faults: Vec<FaultSpec>,
}

/// Runs until told to stop, or until the reader of stdout is gone.
///
/// # Errors
/// A socket that cannot be bound.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let venue = Server::bind(Options { seed: args.seed, rate: args.rate, faults: args.faults, ..Options::default() })
        .await?
        .start();
    let config = config(&venue.url("linear"), &venue.url("spot"), &args.bind, &args.snapshot_bind)?;
    let gateway = Gateway::start(&config, None).await?;
    let endpoint = gateway.bus_endpoints().first().cloned().unwrap_or_default();
    info!(endpoint, "Demo started: a simulated Bybit through the real gateway and bus; stop with Ctrl-C");
    let ends = async {
        match args.duration {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let printed = tokio::select! {
        printed = print(&endpoint) => printed,
        () = ends => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    gateway.stop().await;
    venue.stop().await;
    printed.map(|()| ExitCode::SUCCESS)
}

fn config(linear: &str, spot: &str, bind: &str, snapshot_bind: &str) -> anyhow::Result<Config> {
    let publish = serde_json::json!({"book_depth": 10, "book_interval_ms": 250});
    let text = serde_json::json!({
        "bus": {"bind": [bind], "snapshot_bind": snapshot_bind},
        "control": {"bind": null},
        "admin": {"listen": null},
        "feeds": {
            "demo_linear": {
                "venue": "bybit", "market": "linear", "symbols": ["BTCUSDT", "ETHUSDT"],
                "channels": ["book:50", "trade", "candle:1m"], "publish": publish, "url": linear,
            },
            "demo_spot": {
                "venue": "bybit", "market": "spot", "symbols": ["SOLUSDT"],
                "channels": ["book:50", "trade"], "publish": publish, "url": spot,
            },
        },
    });
    Ok(Layers { origin: "demo".to_owned(), text: text.to_string(), ..Layers::default() }.check()?)
}

/// Prints books, trades, candles and states; `delta` frames are on the bus too but too many to read.
async fn print(endpoint: &str) -> anyhow::Result<()> {
    let prefixes = ["book.", "trade.", "candle_1m.", "status."].map(str::to_owned);
    let mut subscriber = subscribe(endpoint, &prefixes)?;
    let printer = Printer::for_stdout(Format::Pretty);
    let mut line = Vec::new();
    loop {
        let Incoming::Frame(frame) = subscriber.next().await else { continue };
        let json = as_json(&frame.payload)?;
        line.clear();
        printer.line(&frame.topic, &json, &View::read(&json)?, &mut line)?;
        let mut out = std::io::stdout().lock();
        match out.write_all(&line).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}
