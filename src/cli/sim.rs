//! `tickbus sim`: a simulated venue on a local port, for any client.

use clap::Args;

use crate::bus::BindError;
use crate::sim::fault::{ALLOWED, FaultSpec};
use crate::sim::server::{Options, Server};

/// Most market moves a second.
const MOST_RATE: i64 = 1_000_000;

/// Arguments of `tickbus sim`.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// Venue to simulate.
    #[arg(long, default_value = "bybit", value_parser = ["bybit"])]
    pub venue: String,

    /// Address for websocket and REST, both on one port; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "HOST:PORT")]
    pub listen: String,

    /// Seed of markets and faults: the same seed lives the same life.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Market moves a second over all subscribed symbols; 0 stands still.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=MOST_RATE))]
    pub rate: u32,

    /// Fault to inject; may be repeated.
    #[arg(long = "fault", value_name = "FAULT", long_help = format!("Fault to inject; may be repeated. {ALLOWED}."))]
    pub faults: Vec<FaultSpec>,

    /// Symbols to list, separated by commas; unknown ones are made up. All of the built-in ones by default.
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL,…")]
    pub symbols: Vec<String>,
}

/// Runs the simulated venue until the process is interrupted or terminated. Prints `ws://HOST:PORT` on stdout.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run(args: SimArgs) -> anyhow::Result<()> {
    let SimArgs { venue, listen, seed, rate, faults, symbols } = args;
    let options = Options { venue, listen: listen.clone(), seed, rate, faults, symbols };
    let refused = |source| BindError::Refused { endpoint: listen, source };
    let server = Server::bind(options).await.map_err(refused)?;
    let address = server.local_addr();
    tracing::info!(%address, seed, rate, "simulated venue listening");
    println!("ws://{address}");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    server
        .run(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        })
        .await;
    Ok(())
}
