//! `tickbus call`: one REST call to a venue.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;

use super::job::run_plan;
use super::{AccountsArgs, Usage};
use crate::config::jobs;
use crate::venue::{self, Endpoint};

/// Arguments of `tickbus call`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints the venue's answer as it came. Without an endpoint, lists those there are. An endpoint may also be a path:
its method is GET, and its weight 1.

Examples:
  tickbus call binance coinm
  tickbus call binance coinm klines symbol=BTCUSD_PERP interval=1m limit=2
  tickbus call bybit linear /v5/market/time
  tickbus call binance usdm /fapi/v3/account --account main"
)]
pub struct Args {
    /// The venue.
    #[arg(value_name = "VENUE")]
    pub venue: String,
    /// Which of its markets.
    #[arg(value_name = "MARKET")]
    pub market: String,
    /// The endpoint's name, or a path that begins with a slash.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: Option<String>,
    /// Its parameters.
    #[arg(value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// REST address instead of the venue's own.
    #[arg(long, value_name = "URL")]
    pub rest_url: Option<String>,
    /// The account that signs it, where it is to be signed: an endpoint that the venue wants signed, or any path.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub accounts: AccountsArgs,
    /// Seconds the call may take once it has left.
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub timeout: u32,
}

/// Makes the call and prints the answer, or lists the endpoints.
///
/// # Errors
/// What is wrong with the arguments, or why there is no answer.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(endpoint) = &args.endpoint else {
        super::print(&list(&args.venue, &args.market)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let get = if endpoint.starts_with('/') { json!({"path": endpoint}) } else { json!(endpoint) };
    let task = json!({"get": get, "params": params(&args.params)?, "timeout_ms": args.timeout * 1000});
    let mut job = json!({"venue": args.venue, "market": args.market, "queue": [task]});
    if let Some(rest_url) = &args.rest_url {
        job["rest_url"] = json!(rest_url);
    }
    // What is wrong with accounts does not matter to a call that needs none, unless a config was named.
    let accounts = match &args.account {
        Some(account) => {
            job["account"] = json!(account);
            args.accounts.load()?
        }
        None if args.accounts.is_named() => args.accounts.load()?,
        None => args.accounts.load().unwrap_or_default(),
    };
    let plan = jobs::from_value("call", job, &accounts).map_err(|found| Usage(wrong(&found)))?;
    let mut said = None;
    run_plan(plan, &mut |result| {
        said = Some(result.outcome.map(|answer| answer.body));
        Ok(true)
    })
    .await?;
    match said {
        Some(Ok(body)) => {
            super::print(&format!("{}\n", String::from_utf8_lossy(&body).trim_end()))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(failure)) => bail!("{}", failure.detail),
        None => bail!("the call was not made"),
    }
}

/// What is wrong, in words of the command line instead of a job's.
fn wrong(found: &[(String, String)]) -> String {
    let one = |(place, what): &(String, String)| {
        let place = place.trim_start_matches("queue[0]").trim_start_matches('.');
        match place {
            "" => what.clone(),
            "get" => format!("ENDPOINT: {what}"),
            "rest_url" | "account" => format!("--{}: {what}", place.replace('_', "-")),
            "timeout_ms" => format!("--timeout: {what}"),
            "venue" | "market" => format!("{}: {what}", place.to_uppercase()),
            place => format!("{place}: {what}"),
        }
    };
    found.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn params(texts: &[String]) -> Result<BTreeMap<String, String>, Usage> {
    let mut params = BTreeMap::new();
    for text in texts {
        let (key, value) = text.split_once('=').ok_or_else(|| Usage(format!("{text:?}: write KEY=VALUE")))?;
        if params.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Usage(format!("{key} is given twice")));
        }
    }
    Ok(params)
}

/// The named endpoints of a market.
fn list(venue: &str, market: &str) -> Result<String, Usage> {
    let known = || venue::VENUES.iter().map(|venue| venue.id).collect::<Vec<_>>().join(", ");
    let found = venue::find(venue).ok_or_else(|| Usage(format!("unknown venue {venue:?}; allowed: {}", known())))?;
    found.check_market(market).map_err(Usage)?;
    let endpoints = (found.rest)(market);
    if endpoints.is_empty() {
        return Err(Usage(format!("{venue} has no named endpoints yet; give a path")));
    }
    let mut text = String::new();
    for endpoint in endpoints {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:24} {}", usage(endpoint), endpoint.about);
    }
    Ok(text)
}

fn usage(endpoint: &Endpoint) -> String {
    let optional: Vec<String> = endpoint.optional.iter().map(|name| format!("[{name}=]")).collect();
    let required: Vec<String> = endpoint.required.iter().map(|name| format!("{name}=")).collect();
    let words: Vec<String> = [endpoint.name.to_owned()].into_iter().chain(required).chain(optional).collect();
    words.join(" ")
}
