//! `tickbus run`: the gateway.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::ConfigArgs;
use crate::app::Gateway;
use crate::config::Config;
use crate::control::ControlPlane;
use crate::sink::redis::Commands as _;

/// Arguments of `tickbus run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tickbus run
  tickbus run --config /etc/tickbus/config.json
  TICKBUS__BUS__ENCODING=msgpack tickbus run
  tickbus run --set feeds.bybit_linear.url=ws://127.0.0.1:9001/v5/public/linear")]
pub struct Args {
    /// Where the config comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs until told to stop: by SIGTERM, SIGINT or the control socket. A second signal ends at once. SIGHUP reads the
/// config and the lists of client keys again, and applies what can change while it runs.
///
/// # Errors
/// A socket that cannot be bound, or TLS roots that cannot be read.
pub async fn run(_args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut gateway = Gateway::start(&config, None).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => info!(signal = "SIGTERM", "Ending"),
            _ = interrupt.recv() => info!(signal = "SIGINT", "Ending"),
            () = gateway.stop_requested() => info!(asked = "control socket", "Ending"),
            _ = hangup.recv() => {
                // What changed, or is wrong, is in the log.
                let reload = serde_json::json!({"op": "reload"});
                let plane = ControlPlane::new(gateway.running().clone());
                // Closing feeds takes a moment, in which other signals count.
                tokio::spawn(async move { drop(plane.execute(reload).await) });
                continue;
            }
        }
        break;
    }
    tokio::select! {
        () = gateway.stop() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}
