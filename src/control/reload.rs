//! Reading the config and the lists of client keys again: what can change while the gateway runs does, and the rest is
//! told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{error, info, warn};

use super::reply::{Code, Failure};
use super::wished::Owner;
use super::{Running, RunningFeed, open, subscribe};
use crate::config::schema::{Feed, Settings};
use crate::config::{Config, FeedPlan, KeyListChange, Problems, Source};
use crate::model::Stream;
use crate::zmtp::PublicKey;

/// The config that the gateway was started with.
pub struct Applied {
    /// As it was written, with the defaults.
    pub settings: Settings,
    /// Where it can be read again.
    pub source: Option<Source>,
}

/// What changes for one feed that goes on.
struct FeedChange {
    feed: Arc<RunningFeed>,
    gone: Vec<Stream>,
    new: Vec<Stream>,
}

/// What a new config changes.
#[derive(Default)]
struct Plan {
    removed: Vec<Arc<RunningFeed>>,
    changed: Vec<FeedChange>,
    added: Vec<FeedPlan>,
    /// Keys that need a restart.
    restart: Vec<String>,
}

/// Reads everything again. One at a time; a config that is not good changes nothing.
pub(super) async fn reload(running: &Running) -> Result<Value, Failure> {
    let applied = running.applied.lock().await;
    // A config may have been a temporary file; what it named can be read again all the same.
    let Some(source) = applied.source.clone().filter(Source::is_there) else {
        if running.key_lists.is_empty() {
            let why =
                "there is nothing to read again: the config is no file that is there, and no list of clients is in one";
            return Err(Failure::new(Code::Unsupported, why));
        }
        return Ok(json!({"lists": lists(running.reload_keys().await.map_err(failed)?)}));
    };
    let read = tokio::task::spawn_blocking(move || source.load());
    let read = read.await.map_err(|error| failed(error.to_string()))?;
    let config = read.map_err(|problems| not_good(&problems))?;
    let plan = plan(running, &applied.settings, config).inspect_err(|failure| {
        error!(error = failure.message, "Config not changed");
    })?;
    let lists = lists(running.reload_keys().await.map_err(failed)?);
    let mut fields = apply(running, plan).await;
    fields["lists"] = lists;
    Ok(fields)
}

fn failed(why: String) -> Failure {
    Failure::new(Code::Failed, why)
}

fn not_good(problems: &Problems) -> Failure {
    error!(error = %problems, "Config not changed");
    let list = problems.0.iter().map(|p| json!({"origin": p.origin, "path": p.path, "message": p.message}));
    let fields = Map::from_iter([("problems".to_owned(), list.collect())]);
    Failure { code: Code::BadRequest, message: format!("nothing has changed: {problems}"), fields }
}

fn lists(changes: Vec<KeyListChange>) -> Value {
    let keys = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lists = changes.into_iter().map(|list| {
        let (added, removed) = (keys(&list.change.added), keys(&list.change.removed));
        json!({"list": list.path, "clients": list.keys, "added": added, "removed": removed})
    });
    lists.collect()
}

/// Compares what runs with what is written now.
fn plan(running: &Running, settings: &Settings, config: Config) -> Result<Plan, Failure> {
    let mut plan = Plan { restart: differences(settings, &config.settings), ..Plan::default() };
    let names: BTreeSet<&str> = config.feeds.iter().map(|feed| feed.name.as_str()).collect();
    let feeds = running.feeds.list();
    plan.removed = feeds.iter().filter(|feed| feed.is_of_config() && !names.contains(feed.name())).cloned().collect();
    let going: BTreeSet<&str> = plan.removed.iter().map(|feed| feed.name()).collect();
    let mut problems = Vec::new();
    for new in &config.feeds {
        let path = format!("feeds.{}", new.name);
        if let Some((symbol, other)) = running.feeds.taken_at_run_time(new, &going) {
            let what = format!("{symbol:?} is published by feed {other}, where it was subscribed to at run time");
            problems.push((path.clone(), format!("{what}: unsubscribe it there first")));
        }
        match running.feeds.find(&new.name) {
            None => plan.added.push(new.clone()),
            Some(feed) => match changes(&feed, new, &path, &mut plan.restart) {
                Ok(change) => plan.changed.push(change),
                Err(what) => problems.push((path, what)),
            },
        }
    }
    let most = super::registry::FEEDS_MAX;
    if feeds.len() + plan.added.len() > most + plan.removed.len() {
        problems.push(("feeds".to_owned(), format!("with those opened at run time there are more than {most}")));
    }
    if problems.is_empty() { Ok(plan) } else { Err(Failure::problems(&problems)) }
}

/// What changes for a feed that runs.
fn changes(
    feed: &Arc<RunningFeed>,
    new: &FeedPlan,
    path: &str,
    restart: &mut Vec<String>,
) -> Result<FeedChange, String> {
    let mut keys = Vec::new();
    let bare = |feed: &Feed| Feed { symbols: Vec::new(), channels: Vec::new(), ..feed.clone() };
    compare(&as_json(&bare(&feed.plan.settings)), &as_json(&bare(&new.settings)), path, &mut keys);
    if !keys.is_empty() && !feed.is_of_config() {
        return Err("a feed of that name was opened at run time with other settings: close it first".to_owned());
    }
    restart.append(&mut keys);
    let wished = feed.wished();
    let of_config: BTreeSet<&Stream> = {
        let by_config = |owners: &[&Owner]| owners.contains(&&Owner::Config);
        wished.all().filter(|(_, owners)| by_config(owners)).map(|(stream, _)| stream).collect()
    };
    let wanted: BTreeSet<&Stream> = new.streams.iter().collect();
    let [gone, added] = [of_config.difference(&wanted), wanted.difference(&of_config)]
        .map(|streams| streams.map(|stream| (*stream).clone()).collect::<Vec<_>>());
    if feed.plan.terminal.is_some() {
        if !(gone.is_empty() && added.is_empty()) {
            restart.push(format!("{path}.channels"));
        }
        return Ok(FeedChange { feed: Arc::clone(feed), gone: Vec::new(), new: Vec::new() });
    }
    for stream in &added {
        if let Err(super::wished::Refusal::Instead(other)) = wished.check(stream)
            && wished.all().any(|(of, owners)| *of == other && owners.iter().any(|owner| **owner != Owner::Config))
        {
            return Err(format!("{stream} would publish the same topics as {other}, which a client subscribed to"));
        }
    }
    Ok(FeedChange { feed: Arc::clone(feed), gone, new: added })
}

fn as_json(value: &impl serde::Serialize) -> Value {
    // What came from JSON can be written as it.
    serde_json::to_value(value).unwrap_or_default()
}

/// The keys, but those of feeds, that are written otherwise now.
fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let bare = |settings: &Settings| {
        let mut value = as_json(settings);
        if let Some(sections) = value.as_object_mut() {
            sections.retain(|key, _| !matches!(key.as_str(), "feeds" | "$schema"));
        }
        value
    };
    let mut keys = Vec::new();
    compare(&bare(old), &bare(new), "", &mut keys);
    keys
}

fn compare(old: &Value, new: &Value, path: &str, keys: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null), &inner, keys);
            }
        }
        _ if old != new => keys.push(path.to_owned()),
        _ => {}
    }
}

/// Carries a plan out. What goes, goes first, so that its symbols are free.
async fn apply(running: &Running, plan: Plan) -> Value {
    let registry = &running.feeds;
    let mut problems = Vec::new();
    for feed in &plan.removed {
        if let Err(failure) = open::close(running, feed).await {
            problems.push(failure.message);
        }
    }
    for change in plan.changed.iter().filter(|change| !change.gone.is_empty()) {
        let left = subscribe::unsubscribe(registry, &change.feed, &change.gone, &Owner::Config, Duration::ZERO).await;
        problems.extend(left.err().map(|failure| failure.message));
    }
    for change in &plan.changed {
        change.feed.adopt();
        if !change.new.is_empty() {
            let new = subscribe::subscribe_for_config(registry, &change.feed, &change.new).await;
            problems.extend(new.err().map(|failure| failure.message));
        }
    }
    let added: Vec<String> = plan.added.iter().map(|feed| feed.name.clone()).collect();
    for new in plan.added {
        let wishes: Vec<_> = new.streams.iter().map(|stream| (stream.clone(), Owner::Config)).collect();
        registry.wait_for_others(&new, &new.streams).await;
        problems.extend(registry.add(new, true, &wishes).err());
    }
    registry.changed();
    let names = |streams: &[Stream]| streams.iter().map(ToString::to_string).collect::<Vec<_>>();
    let changed = plan.changed.iter().filter(|change| !(change.gone.is_empty() && change.new.is_empty()));
    let changed: Vec<Value> = changed
        .map(|change| {
            let (gone, new) = (names(&change.gone), names(&change.new));
            json!({"feed": change.feed.name(), "subscribed": new, "unsubscribed": gone})
        })
        .collect();
    let removed: Vec<&str> = plan.removed.iter().map(|feed| feed.name()).collect();
    info!(?added, ?removed, changed = changed.len(), restart = ?plan.restart, "Config read again");
    for problem in &problems {
        warn!(problem, "Config not applied whole");
    }
    let mut fields = json!({"added": added, "removed": removed, "changed": changed, "restart": plan.restart});
    if !problems.is_empty() {
        fields["problems"] = json!(problems);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_are_named_each() {
        let old = Settings::default();
        let mut new = old.clone();
        new.bus.queue_frames += 1;
        new.control.bind = None;
        new.control.state_file = Some("state.json".to_owned());
        new.feeds.insert("x".to_owned(), Feed::default());
        assert_eq!(differences(&old, &new), ["bus.queue_frames", "control.bind", "control.state_file"]);
        assert_eq!(differences(&old, &old), [""; 0]);
    }
}
