//! Where the config comes from; the same for every subcommand that needs one.

use std::path::PathBuf;

use crate::config::{self, Config, Problems};

/// Where the config comes from.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    /// The config file.
    #[arg(short, long, value_name = "FILE", default_value = "config.json", env = "TICKBUS_CONFIG")]
    pub config: PathBuf,
    /// Replace one value: `--set bus.encoding=msgpack`, `--set feeds.bybit_spot.symbols=BTCUSDT,ETHUSDT`.
    ///
    /// Wins over the environment (`TICKBUS__BUS__ENCODING=msgpack`), which wins over the file. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// Loads and checks the config.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, Problems> {
        config::load(&self.config, &self.set)
    }
}
