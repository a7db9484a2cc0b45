//! `tickbus fetch`: one REST call to any address, signed by an account that fits its host.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tracing::info;

use super::{AccountsArgs, Usage};
use crate::config::Accounts;
use crate::fetch::{self, Fetch, Fetched, Fetcher, Signing};
use crate::io::http::RestClient;
use crate::sign::{Body, Method};

/// Arguments of `tickbus fetch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints the body as it came. Hosts of an API that there is exactly one account of get signed calls; with several accounts,
name one. Keys leave for hosts of their API only, and for simulators on this machine. Redirects are followed for a GET, on
the same host, and signed anew. Within the venue's own limits the call may have to wait.

Exit code 0 for a status of success (2xx), 1 for any other and when there is no answer, 2 for a call that makes no sense.

Examples:
  tickbus fetch GET https://api.bitflyer.com/v1/getticker product_code=BTC_JPY
  tickbus fetch GET https://api.bybit.com/v5/account/info --account main
  tickbus fetch POST https://api.bitflyer.com/v1/me/cancelallchildorders --data '{\"product_code\": \"BTC_JPY\"}'"
)]
pub struct Args {
    /// GET, POST, PUT or DELETE.
    #[arg(value_name = "METHOD", value_parser = fetch::method)]
    pub method: Method,
    /// The address, with or without a query.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Parameters, which are appended to the query in this order.
    #[arg(value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// What is sent: JSON, or a form where the venue reads forms.
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// Send the data as a form.
    #[arg(long, requires = "data")]
    pub form: bool,
    /// A header. May be repeated, each with another name.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The account that signs it [default: the one of the host's API].
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Do not sign it.
    #[arg(long, conflicts_with = "account")]
    pub unsigned: bool,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub accounts: AccountsArgs,
    /// Seconds the call may take once it has left.
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub timeout: u32,
    /// Print status and headers before the body.
    #[arg(short, long)]
    pub include: bool,
}

/// Makes the call and prints the answer.
///
/// # Errors
/// What is wrong with the arguments, or why there is no answer.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let include = args.include;
    let accounts = if args.unsigned { Accounts::default() } else { args.accounts.load()? };
    let fetcher = Fetcher::new(RestClient::default(), Arc::default(), accounts);
    let fetch = fetch_of(args).map_err(Usage)?;
    let host = fetch.url.host_str().unwrap_or_default().to_owned();
    let fetched = fetcher.fetch(fetch, None).await;
    let fetched = fetched.map_err(|error| match error {
        fetch::FetchError::Http(error) => anyhow::Error::from(error),
        other => Usage(other.to_string()).into(),
    })?;
    if let Some(note) = &fetched.note {
        info!("{note}");
    }
    super::print(&shown(&fetched, include))?;
    match fetched.status {
        _ if fetched.is_success() => Ok(ExitCode::SUCCESS),
        status @ (301..=303 | 307 | 308) => {
            bail!(
                "HTTP {status} from {host}; a redirect is followed for a GET only, within its host, three times at most"
            )
        }
        status => bail!("HTTP {status} from {host}"),
    }
}

fn fetch_of(args: Args) -> Result<Fetch, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?}: write KEY=VALUE")),
    };
    let header = |text: &'_ String| match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.to_owned())),
        None => Err(format!("{text:?}: write NAME: VALUE")),
    };
    let headers: Vec<_> = args.header.iter().map(header).collect::<Result<_, _>>()?;
    Ok(Fetch {
        method: args.method,
        url: fetch::url(&args.url)?,
        params: args.params.iter().map(pair).collect::<Result<_, _>>()?,
        body: args.data.map_or(Ok(Body::Empty), |data| fetch::body(&data, args.form))?,
        headers: fetch::headers(headers)?,
        signing: match (args.account, args.unsigned) {
            (Some(account), _) => Signing::Account(account),
            (None, true) => Signing::Nobody,
            (None, false) => Signing::ByHost,
        },
        timeout: Duration::from_secs(args.timeout.into()),
    })
}

fn shown(fetched: &Fetched, include: bool) -> String {
    let mut text = String::new();
    if include {
        text.push_str(&format!("HTTP {}\n", fetched.status));
        fetched.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\n")));
        text.push('\n');
    }
    text.push_str(String::from_utf8_lossy(&fetched.body).trim_end());
    text.push('\n');
    text
}
