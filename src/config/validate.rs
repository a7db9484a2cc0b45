//! Rules that join several fields, or that a JSON Schema cannot say: endpoints, addresses, and one source per topic.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::auth::{Of, Security, note_if_open};
use super::problem::{Findings, member, quoted};
use super::schema::{Bind, Settings};
use super::secret::Environment;
use super::{Config, FeedPlan, accounts, jobs, streams};
use crate::bus::Endpoint;
use crate::model::{Channel, Stream};
use crate::venue::VenueDef;

/// A token shorter than this, in bytes, had better be longer.
const GOOD_TOKEN: usize = 16;

/// Checks what the schema cannot, and resolves the feeds. The result is worth something only if nothing was found.
pub(super) fn check(
    settings: Settings,
    environment: &Environment,
    venues: &[&'static VenueDef],
    findings: &mut Findings,
) -> Config {
    check_sockets(&settings, findings);
    let mut security = Security::default();
    security.bus = settings.bus.auth.resolve(Of::Bus, environment, &mut security, findings);
    security.control = settings.control.auth.resolve(Of::Control, environment, &mut security, findings);
    let redis = settings.sinks.resolve(environment, findings);
    check_names("accounts", "an account", settings.accounts.keys(), findings);
    let accounts = accounts::resolve(&settings.accounts, settings.apis.as_deref(), environment, findings);
    let fetch = settings.control.fetch.resolve(&accounts, findings);
    check_names("feeds", "a feed", settings.feeds.keys(), findings);
    let mut feeds: Vec<FeedPlan> = Vec::new();
    let mut owners = BTreeMap::new();
    for (name, feed) in &settings.feeds {
        let path = member("feeds", name);
        if let Some((plan, entries)) = streams::resolve(name, &path, feed, environment, &accounts, venues, findings) {
            streams::check_account(&plan, &path, &accounts, findings);
            check_owners(&plan, &entries, &path, &mut owners, findings);
            feeds.push(plan);
        }
    }
    check_names("jobs", "a job", settings.jobs.keys(), findings);
    let mut jobs = Vec::new();
    for (name, job) in &settings.jobs {
        let path = member("jobs", name);
        jobs.extend(jobs::resolve(name, &path, job, &accounts, venues, findings));
    }
    if settings.feeds.is_empty() && settings.jobs.is_empty() && settings.control.bind.is_none() {
        let why = "is empty, as jobs is, and without a control socket nothing can be opened: there is nothing to do";
        findings.add("feeds", why);
    }
    check_token(&settings, environment, &mut security, findings);
    check_state_file(&settings, findings);
    let Settings { bus, control, admin, log, connect, store, .. } = settings.clone();
    Config {
        bus,
        control,
        admin,
        log,
        connect,
        store,
        security,
        redis,
        accounts,
        fetch,
        feeds,
        jobs,
        settings,
        source: None,
    }
}

/// Reads the secret that requests to the control socket must carry, if there is to be one.
fn check_token(settings: &Settings, environment: &Environment, security: &mut Security, findings: &mut Findings) {
    let Some(source) = &settings.control.token else { return };
    let token = source.read(environment).map_err(|what| findings.add("control.token", what)).ok();
    if token.as_ref().is_some_and(|token| token.reveal().len() < GOOD_TOKEN) {
        let what = source.shown();
        security.notes.push(format!("control.token: {what} has fewer than {GOOD_TOKEN} bytes, which can be guessed"));
    }
    note_if_open(source, "control.token", security);
    security.token = token;
}

fn check_state_file(settings: &Settings, findings: &mut Findings) {
    let Some(path) = settings.control.state_file.as_deref().map(Path::new) else { return };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.file_name().is_none() || path.is_dir() {
        findings.add("control.state_file", format!("{} is no file", quoted(&path.display().to_string())));
    } else if !folder.is_dir() {
        let folder = folder.display().to_string();
        findings.add("control.state_file", format!("there is no folder {}; make it first", quoted(&folder)));
    }
}

/// Names must survive environment variables: lower case, and `__` separates keys there.
pub(super) fn is_feed_name(name: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.split('_').all(word)
}

fn check_names<'s>(section: &str, what: &str, names: impl Iterator<Item = &'s String>, findings: &mut Findings) {
    for name in names.filter(|name| !is_feed_name(name)) {
        let message = format!("is not {what} name; allowed: lower case letters, digits and single underscores");
        findings.add(member(section, name), message);
    }
}

fn check_sockets(settings: &Settings, findings: &mut Findings) {
    let mut bound: Vec<(String, Endpoint)> = Vec::new();
    let bus = &settings.bus;
    let binds = bus.bind.iter().enumerate().map(|(at, bind)| match bind {
        Bind::Endpoint(text) => (format!("bus.bind[{at}]"), text),
        Bind::Own(own) => (format!("bus.bind[{at}].endpoint"), &own.endpoint),
    });
    for (path, text) in binds.chain([("bus.snapshot_bind".to_owned(), &bus.snapshot_bind)]) {
        let advice = "set bus.public to true if anyone may read the data, or let bus.auth keep strangers out, or bind \
                      127.0.0.1";
        let free = bus.public || bus.auth.keeps_strangers_out();
        check_socket(path, text.parse(), (!free).then_some(advice), &mut bound, findings);
    }
    if let Some(text) = &settings.control.bind {
        let advice = "whoever reaches it controls the gateway: let control.auth keep strangers out, or set control.token \
                      (which others on the way can read without CURVE), or bind 127.0.0.1";
        let free = settings.control.auth.keeps_strangers_out() || settings.control.token.is_some();
        check_socket("control.bind".to_owned(), text.parse(), (!free).then_some(advice), &mut bound, findings);
    }
    let advice = Some("only loopback is allowed, because whoever reaches it sees the state of everything");
    if let Some(text) = &settings.admin.listen {
        check_socket("admin.listen".to_owned(), Endpoint::from_host_port(text), advice, &mut bound, findings);
    }
}

fn check_socket(
    path: String,
    endpoint: Result<Endpoint, String>,
    loopback_only: Option<&str>,
    bound: &mut Vec<(String, Endpoint)>,
    findings: &mut Findings,
) {
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(message) => return findings.add(path, message),
    };
    if let Some(advice) = loopback_only.filter(|_| !endpoint.is_loopback()) {
        findings.add(&path, format!("{endpoint} can be reached from other machines; {advice}"));
    }
    if let Some((other, _)) = bound.iter().find(|(_, other)| other.collides(&endpoint)) {
        findings.add(&path, format!("{endpoint} is already bound by {other}"));
    }
    bound.push((path, endpoint));
}

/// Topics that have one source together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topics {
    /// A symbol of a market, whatever its channels: it has one status and one instrument topic.
    Symbol(Arc<str>, String),
    /// A channel of an account, whose topics name no market.
    Account(String, Channel),
    /// What a market's feed publishes untouched.
    Untouched(Arc<str>),
}

/// Who publishes what of a venue: the feed's name.
type Owners = BTreeMap<(&'static str, Topics), String>;

/// Refuses what an earlier feed publishes too: its topics would have two sources and two sequences.
fn check_owners(plan: &FeedPlan, entries: &[usize], path: &str, owners: &mut Owners, findings: &mut Findings) {
    let mut clashes: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
    for (Stream { symbol, channel, .. }, entry) in plan.streams.iter().zip(entries) {
        let of = match channel {
            // Without an account there is no row; that is told of the account.
            Channel::Account(_) if plan.lacks_account() => continue,
            Channel::Account(_) => Topics::Account(plan.account().unwrap_or_default().to_owned(), *channel),
            Channel::Raw => Topics::Untouched(Arc::clone(&plan.market)),
            _ => Topics::Symbol(Arc::clone(&plan.market), symbol.clone()),
        };
        let owner = owners.entry((plan.venue.id, of)).or_insert_with(|| plan.name.clone());
        if *owner == plan.name {
            continue;
        }
        if channel.is_of_account() {
            let why = plan.rows_taken(*channel, &member("feeds", owner));
            findings.add(format!("{path}.channels[{entry}]"), why);
            continue;
        }
        let name = if channel.has_symbol() { symbol.clone() } else { channel.to_string() };
        let names = clashes.entry((*entry, owner.clone())).or_default();
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    for ((entry, owner), symbols) in clashes {
        let more = match symbols.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let what = format!("{}{more} is published by {} too", quoted(&symbols[0]), member("feeds", &owner));
        findings.add(
            format!("{path}.channels[{entry}]"),
            format!("{what}; a symbol's topics have one source, so put all its channels into one feed"),
        );
    }
}
