//! `tickbus schema`: the JSON Schemas of the config and of the frames.

use std::process::ExitCode;

use crate::config;

/// Arguments of `tickbus schema`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "Example: point an editor at it with \"$schema\" in config.json.
  tickbus schema config > config.schema.json")]
pub struct Args {
    /// Which schema.
    #[arg(value_enum)]
    pub of: Of,
}

/// What a schema is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Of {
    /// `config.json`.
    Config,
    /// The payload of a frame.
    Frame,
}

/// Prints the schema.
///
/// # Errors
/// stdout cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let schema = match args.of {
        Of::Config => config::schema::json_schema(),
        Of::Frame => crate::frame::json_schema(),
    };
    super::print(&format!("{schema:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}
