//! Feeds and streams that are asked for while the gateway runs: the checks and the words are those of the config.

use std::ffi::OsString;

use serde_json::{Map, Value, json};

use super::credentials::GivenTexts;
use super::problem::Findings;
use super::schema::Feed;
use super::{Accounts, FeedPlan, accounts, shape, streams, validate};
use crate::model::Stream;
use crate::sign;
use crate::venue::{Market, VENUES};

/// What is wrong, by the place in the request (`symbols[0]`; empty for the whole).
pub type Problem = (String, String);

/// A feed from the settings of a request, as `feeds.NAME` would be of the config. Symbols and channels may both be
/// missing. What is given as text of its credentials is in `texts`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn feed(
    name: &str,
    mut settings: Map<String, Value>,
    texts: GivenTexts,
    accounts: &Accounts,
) -> Result<FeedPlan, Vec<Problem>> {
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let mut findings = Findings::default();
    if !validate::is_feed_name(name) {
        findings.add("name", "is not a feed name; allowed: lower case letters, digits and single underscores");
    }
    // An error about its shape would repeat what may be a secret.
    if settings.get("credentials").is_some_and(|given| !given.is_object() && !given.is_null()) {
        findings.add("credentials", "expected an object with key and secret");
        settings.remove("credentials");
    }
    let given_part = if texts.is_empty() { None } else { settings.remove("credentials") };
    let has_channels = settings.get("channels").is_some_and(|channels| *channels != json!([]));
    settings.entry("channels").or_insert_with(|| json!([]));
    let path = "feeds.x";
    let mut whole = json!({"feeds": {"x": settings}});
    let mut shaped = Findings::default();
    shape::check(&mut whole, &mut shaped);
    let allowed = |place: &str| !has_channels && place == "feeds.x.channels";
    shaped
        .into_list()
        .into_iter()
        .filter(|(place, _)| !allowed(place))
        .for_each(|(place, what)| findings.add(place, what));
    let feed: Feed = serde_json::from_value(whole["feeds"]["x"].take()).unwrap_or_default();
    if !has_channels && !feed.symbols.is_empty() {
        findings.add("feeds.x.channels", "is empty, so that the symbols would have no data");
    }
    if feed.account.is_some() && !texts.is_empty() {
        findings.add("feeds.x.account", "is given beside credentials; one of them says whose data it is");
    }
    let mut rules = Findings::default();
    let plan = streams::resolve(name, path, &feed, &environment, accounts, VENUES, &mut rules).map(|(plan, _)| plan);
    if let Some(plan) = plan.as_ref().filter(|_| texts.is_empty()) {
        streams::check_account(plan, path, accounts, &mut rules);
    }
    for (place, message) in rules.into_list() {
        if !findings.has(&place) {
            findings.add(place, message);
        }
    }
    let given = (!texts.is_empty()).then(|| {
        let sources = given_part.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        texts.resolve(&sources, "credentials", &environment, &mut findings)
    });
    let given = given.flatten();
    let strange = plan.as_ref().filter(|_| feed.account.is_some()).and_then(strange_host);
    if let Some(host) = strange {
        let what = format!("its key leaves for hosts of its API only, and for this machine; {host} is neither");
        findings.add("feeds.x.account", what);
    }
    let problems = without(path, findings);
    match plan {
        Some(plan) if problems.is_empty() => {
            let Some(given) = given else { return Ok(plan) };
            let signer = accounts::nameless(plan.venue, &plan.endpoints, given);
            let signer = signer.map_err(|why| vec![("credentials".to_owned(), why)])?;
            Ok(FeedPlan { signer: Some(signer), ..plan })
        }
        _ => Err(problems),
    }
}

/// A host that the account's key would leave for, though it is none of its API's: whoever opens a feed says where it is,
/// and need not be trusted with keys of the config.
fn strange_host(plan: &FeedPlan) -> Option<String> {
    let signer = plan.signer.as_ref()?;
    let addresses = plan.endpoints.urls.iter().chain([&plan.endpoints.rest_url]).filter(|address| !address.is_empty());
    let hosts = addresses.filter_map(|address| sign::host_of(address));
    let is_own = |host: &str| {
        let of_venue =
            |market: &Market| [market.url, market.rest_url].map(sign::host_of).contains(&Some(host.to_owned()));
        signer.api.hosts().contains(&host) || plan.venue.markets.iter().any(of_venue)
    };
    let is_here = |host: &str| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    hosts.into_iter().find(|host| !is_own(host) && !is_here(host))
}

/// The streams that symbols and channels make for a feed, each once, and notes on what was translated.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn streams(
    plan: &FeedPlan,
    symbols: &[String],
    channels: &[String],
) -> Result<(Vec<Stream>, Vec<String>), Vec<Problem>> {
    let mut findings = Findings::default();
    if channels.is_empty() {
        findings.add("channels", format!("is empty; allowed: {}", (plan.venue.channels)(&plan.market).join(", ")));
    }
    let asked = Feed {
        venue: plan.venue.id.to_owned(),
        market: plan.market.to_string(),
        symbols: symbols.to_vec(),
        channels: channels.to_vec(),
        ..Feed::default()
    };
    let (streams, notes) = streams::expand("x", &asked, plan.venue, &mut findings);
    let of_account = |stream: &&Stream| stream.channel.is_of_account();
    if let Some(stream) = streams.iter().find(of_account).filter(|_| plan.lacks_account()) {
        let what =
            format!("{} is of an account, and the feed has none: open one with account or credentials", stream.channel);
        findings.add("channels", what);
    }
    let problems = without("x", findings);
    if problems.is_empty() { Ok((streams, notes)) } else { Err(problems) }
}

fn without(path: &str, findings: Findings) -> Vec<Problem> {
    let cut = |place: String| match place.strip_prefix(path) {
        Some(rest) => rest.trim_start_matches('.').to_owned(),
        None => place,
    };
    findings.into_list().into_iter().map(|(place, message)| (cut(place), message)).collect()
}
