//! Configuration: file, environment and command line, merged and checked as a whole before anything starts.
//!
//! Later layers win: `config.json` < `TICKBUS__SECTION__KEY` < `--set section.key=value`. Every problem is reported
//! at once, each with where it comes from and its path.

pub mod accounts;
pub mod at_run_time;
pub mod auth;
mod client_keys;
pub mod credentials;
pub mod fetch;
mod hint;
pub mod jobs;
mod json;
mod load;
mod overrides;
mod plan;
mod problem;
pub mod schema;
pub mod secret;
mod shape;
pub mod sinks;
mod streams;
mod terminal;
mod terminal_auth;
#[cfg(test)]
mod tests;
mod validate;

pub use accounts::{Accounts, KnownAccount};
pub use auth::Security;
pub use client_keys::{KeyList, KeyListChange, reload};
pub use load::{Layers, Source, load, load_accounts};
pub use plan::{Config, FeedPlan, TerminalPlan};
pub use problem::{Problem, Problems};
