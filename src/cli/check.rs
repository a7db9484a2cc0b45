//! `tickbus check`: every problem of the config, or what it leads to.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::ExitCode;

use super::ConfigArgs;
use crate::bus::Policy;
use crate::config::schema::{Bind, Bus, Encoding};
use crate::config::{Config, KnownAccount};
use crate::jobs::JobPlan;

/// Arguments of `tickbus check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Connects to nothing. Exit code 0 when the config is good, 2 when it is not.

Examples:
  tickbus check
  tickbus check --config /etc/tickbus/config.json --set bus.public=true")]
pub struct Args {
    /// Where the config comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Checks, and prints a summary of what the config leads to.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    super::print(&format!("{}: ok\n{}", args.config.config.display(), summary(&config)))?;
    Ok(ExitCode::SUCCESS)
}

fn summary(config: &Config) -> String {
    let bus = &config.bus;
    let encoding = match bus.encoding {
        Encoding::Json => "json",
        Encoding::Msgpack => "msgpack",
    };
    let off = |bind: &Option<String>| bind.clone().unwrap_or_else(|| "off".to_owned());
    let mut text = format!(
        "bus        {} ({encoding}){}\nsnapshots  {}{}\ncontrol    {}{}{}\nadmin      {}\n",
        binds(bus),
        bus.auth.shown(),
        bus.snapshot_bind,
        bus.auth.shown(),
        off(&config.control.bind),
        config.control.auth.shown(),
        if config.control.token.is_some() { "  token" } else { "" },
        off(&config.admin.listen),
    );
    for note in &config.security.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "note       {note}");
    }
    for note in &config.accounts.notes {
        let _ = writeln!(text, "note       {note}");
    }
    for account in config.accounts.iter() {
        let _ = writeln!(text, "{}", account_line(account));
    }
    for feed in &config.feeds {
        let (symbols, streams) = (feed.symbol_count(), feed.streams.len());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "feed {}: {} {}, {}, {}, {}",
            feed.name,
            feed.venue.id,
            feed.market,
            counted(symbols, "symbol"),
            counted(streams, "stream"),
            feed.urls().join(" "),
        );
        for note in &feed.notes {
            let _ = writeln!(text, "  note: {note}");
        }
    }
    for job in &config.jobs {
        let _ = writeln!(text, "{}", job_line(job));
    }
    text
}

/// How many calls a job makes, and who signs them.
fn job_line(job: &JobPlan) -> String {
    let (mut venues, mut accounts) = (BTreeSet::new(), BTreeSet::new());
    let mut calls = 0;
    for task in &job.tasks {
        task.each_call(&mut |call| {
            calls += 1;
            venues.insert(format!("{} {}", call.venue.id, call.market));
            accounts.extend(call.account().map(str::to_owned));
        });
    }
    let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    let signed = if accounts.is_empty() { String::new() } else { format!(", signed by {}", joined(accounts)) };
    format!("job {}: {}, {}, {}{signed}", job.name, job.order.as_str(), counted(calls, "call"), joined(venues))
}

/// Whether an account can be used, and for what.
fn account_line(account: &KnownAccount) -> String {
    let KnownAccount { name, api, origin, credentials } = account;
    let hosts = api.hosts();
    let more = match hosts.len().saturating_sub(2) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verdict = match credentials {
        Ok(_) => format!("usable, for {}{more}", hosts[..hosts.len().min(2)].join(", ")),
        Err(why) => format!("not usable: {why}"),
    };
    format!("account {name}: {} (from {origin}), {verdict}", api.name)
}

/// The bus's endpoints, each with its policy if that is not the usual one.
fn binds(bus: &Bus) -> String {
    let bind = |bind: &Bind| match bind.policy().unwrap_or(bus.policy) {
        Policy::Conflate => bind.endpoint().to_owned(),
        policy => format!("{} {}", bind.endpoint(), policy.as_str()),
    };
    bus.bind.iter().map(bind).collect::<Vec<_>>().join(", ")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
