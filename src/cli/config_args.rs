//! Where the config comes from; the same for every subcommand that needs one.

use std::path::{Path, PathBuf};

use crate::config::{self, Accounts, Config, Problems};

/// The config file where none is named.
const USUAL: &str = "config.json";

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

/// Where accounts come from; the same for every subcommand that may sign a call.
#[derive(Clone, Debug, clap::Args)]
pub struct AccountsArgs {
    /// The config file that has the accounts [default: config.json, if there is one]. Keys may also be in the file that
    /// `PYBOTTERS_APIS` names.
    #[arg(short, long, value_name = "FILE", env = "TICKBUS_CONFIG")]
    pub config: Option<PathBuf>,
}

impl AccountsArgs {
    /// Whether a config was named, which must then be there and right.
    pub const fn is_named(&self) -> bool {
        self.config.is_some()
    }

    /// Loads the accounts. What else stands in the config is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(&self) -> Result<Accounts, Problems> {
        let usual = Path::new(USUAL);
        config::load_accounts(self.config.as_deref().or_else(|| usual.exists().then_some(usual)))
    }
}
