//! `tickbus-sub`: prints what a tickbus gateway publishes, and reports gaps and latency.

use std::process::ExitCode;

use clap::Parser;
use tickbus::client::{SubArgs, run};

#[derive(Parser)]
#[command(
    name = "tickbus-sub",
    version,
    about = "Prints what a tickbus gateway publishes, and reports gaps and latency"
)]
struct Cli {
    #[command(flatten)]
    args: SubArgs,
}

fn main() -> ExitCode {
    let args = Cli::parse().args;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tickbus-sub: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(args));
    // A write to a reader that does not read must not keep the process from ending.
    runtime.shutdown_background();
    code
}
