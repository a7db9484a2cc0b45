//! The command line: one file per subcommand, and how their errors become exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bus::BindError;
use crate::config::Problems;
use crate::config::schema::{Log, LogFormat, LogLevel};
use crate::telemetry::log::{self, LogError};

pub mod backfill;
pub mod call;
pub mod check;
pub mod completions;
mod config_args;
pub mod ctl;
mod ctl_fields;
mod ctl_tables;
pub mod demo;
pub mod fetch;
pub mod job;
pub mod keygen;
mod progress;
pub mod record;
pub mod replay;
pub mod run;
pub mod schema;
pub mod sign;
pub mod sim;
mod sim_symbols;
pub mod venues;

pub use config_args::{AccountsArgs, ConfigArgs};

/// A runtime failure.
const FAILED: u8 = 1;
/// A bad config or command line; clap uses the same.
const BAD_CONFIG: u8 = 2;
/// A socket that cannot be bound.
const BIND_FAILED: u8 = 3;

/// Market-data gateway: verified order books and trades from trading venues on a ZeroMQ bus.
#[derive(Debug, Parser)]
#[command(name = "tickbus", version, arg_required_else_help = true, propagate_version = true)]
#[command(
    after_help = "Data goes to stdout, logs to stderr. Exit codes: 0 ok, 1 failure, 2 bad config or usage, 3 cannot bind.

Examples:
  tickbus demo                       see it work, without network or account
  tickbus check                      every problem of config.json
  tickbus run                        the gateway, with config.json
  tickbus run --set bus.encoding=msgpack"
)]
pub struct Cli {
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What tickbus can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Run(run::Args),
    /// Check the config: print every problem, or what the config leads to.
    Check(check::Args),
    /// Run a simulated venue, a gateway and a printer in one, without network or account.
    Demo(demo::Args),
    /// Run a simulated venue for any client.
    Sim(Box<sim::SimArgs>),
    /// Fetch candles or trades of the past into a file.
    Backfill(backfill::Args),
    /// Record what the configured venues send, byte for byte.
    Record(record::Args),
    /// Run recordings through the same code as live data.
    Replay(replay::Args),
    /// Ask or tell a running gateway.
    Ctl(ctl::Args),
    /// Make one REST call to a venue.
    Call(call::Args),
    /// Make one REST call to any address, signed by an account that fits its host.
    Fetch(fetch::Args),
    /// Run or show a job of REST calls.
    Job(job::Args),
    /// Check how requests are signed against files of signing vectors.
    Sign(sign::Args),
    /// Make a key pair for CURVE.
    Keygen(keygen::Args),
    /// List the venues, their markets and channels.
    Venues,
    /// Print a JSON Schema.
    Schema(schema::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// How to log; the same for every subcommand.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LogArgs {
    /// Log more: -v debug, -vv trace. `RUST_LOG` wins.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log less: -q warnings, -qq errors. `RUST_LOG` wins.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub quiet: u8,
    /// How log lines are written [default: the config's, else text].
    #[arg(long, value_enum, value_name = "FORMAT", global = true, env = "TICKBUS_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl LogArgs {
    /// Sets up logging; the flags win over the config.
    ///
    /// # Errors
    /// `RUST_LOG` cannot be read.
    pub fn init(self, config: &Log) -> Result<(), LogError> {
        log::init(self.level(config.level), self.log_format.unwrap_or(config.format))
    }

    fn level(self, config: LogLevel) -> LogLevel {
        match (self.verbose, self.quiet) {
            (0, 0) => config,
            (0, 1) => LogLevel::Warn,
            (0, _) => LogLevel::Error,
            (1, _) => LogLevel::Debug,
            _ => LogLevel::Trace,
        }
    }
}

/// A command line that clap cannot judge: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Does what the command line says.
///
/// # Errors
/// Whatever stopped the subcommand; [`exit_code`] tells its code.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { log, command } = cli;
    match command {
        Command::Run(args) => {
            let config = args.config.load()?;
            log.init(&config.log)?;
            run::run(args, config).await
        }
        Command::Record(args) => {
            let config = args.config.load()?;
            log.init(&config.log)?;
            record::run(args, config).await
        }
        Command::Demo(args) => {
            log.init(&Log::default())?;
            demo::run(args).await
        }
        Command::Sim(args) => {
            log.init(&Log::default())?;
            sim::run(*args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(args) => {
            log.init(&Log::default())?;
            replay::run(args).await
        }
        Command::Ctl(args) => {
            log.init(&Log::default())?;
            ctl::run(args).await
        }
        Command::Backfill(args) => {
            log.init(&Log::default())?;
            backfill::run(args).await
        }
        Command::Call(args) => {
            log.init(&Log::default())?;
            call::run(args).await
        }
        Command::Fetch(args) => {
            log.init(&Log::default())?;
            fetch::run(args).await
        }
        Command::Job(args) => {
            log.init(&Log::default())?;
            job::run(args).await
        }
        Command::Check(args) => check::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Venues => venues::run(),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

/// Says on stderr what went wrong, and returns the exit code for it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let text = match error.downcast_ref::<Problems>() {
        Some(problems) if problems.0.len() == 1 => format!("{problems}\ntickbus: 1 problem in the config"),
        Some(problems) => format!("{problems}\ntickbus: {} problems in the config", problems.0.len()),
        None => format!("tickbus: {error}"),
    };
    // There is nobody left to tell when stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
    exit_code(error)
}

/// 2 for a bad config or usage, 3 for a socket that cannot be bound, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let bad = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Problems>() || cause.is::<LogError>() || cause.is::<Usage>()
    };
    match error {
        _ if error.chain().any(bad) => BAD_CONFIG,
        _ if error.chain().any(|cause| cause.is::<BindError>()) => BIND_FAILED,
        _ => FAILED,
    }
}

/// Writes data to stdout. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_on(text).map(|_| ())
}

/// Writes data to stdout; false when its reader went away (`| head`), so that whoever has more to say ends.
pub(crate) fn print_on(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_have_their_exit_codes_however_deep() {
        let bind = BindError::Endpoint("tcp://a:1".into());
        assert_eq!(code(&anyhow::Error::new(bind).context("starting")), BIND_FAILED);
        assert_eq!(code(&anyhow::Error::new(Problems(Vec::new())).context("loading")), BAD_CONFIG);
        assert_eq!(code(&LogError::AlreadySet.into()), BAD_CONFIG);
        assert_eq!(code(&io::Error::other("disk").into()), FAILED);
    }

    #[test]
    fn flags_win_over_the_configs_level() {
        let level = |verbose, quiet| LogArgs { verbose, quiet, log_format: None }.level(LogLevel::Info);
        assert_eq!([level(0, 0), level(1, 0), level(7, 0)], [LogLevel::Info, LogLevel::Debug, LogLevel::Trace]);
        assert_eq!([level(0, 1), level(0, 2)], [LogLevel::Warn, LogLevel::Error]);
    }
}
