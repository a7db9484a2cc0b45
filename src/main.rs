//! The `tickbus` command: everything is in the library, under `cli`.

use std::process::ExitCode;

use clap::Parser;
use tickbus::cli::{self, Cli};

fn main() -> ExitCode {
    start(Cli::parse()).unwrap_or_else(|error| cli::report(&error))
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(cli::run(cli));
    // A name look-up that hangs holds a thread that cannot be stopped; it must not hold up the end.
    runtime.shutdown_background();
    code
}
