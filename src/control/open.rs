//! Opening and closing feeds at run time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tracing::{info, warn};

use super::reply::{Code, Failure};
use super::wished::Owner;
use super::{Running, RunningFeed, subscribe};
use crate::bus::Outgoing;
use crate::config::FeedPlan;
use crate::config::at_run_time;
use crate::config::credentials::GivenTexts;
use crate::frame::parse_topic;
use crate::io::command::Command;
use crate::io::terminal::LAST_ANSWERS_WITHIN;
use crate::venue::{Credentials, Signer};

/// How long a feed may take to end before its task is aborted.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// Opens a feed with the settings of the request.
pub(super) async fn open(running: &Running, mut settings: Map<String, Value>, owner: &Owner) -> Result<Value, Failure> {
    let name = match settings.remove("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Failure::bad("name: expected a string")),
        None => return Err(Failure::bad("name is missing; for example \"name\":\"okx_spot\"")),
    };
    let texts = GivenTexts::take(&mut settings);
    // Secrets may be in files, and files may be slow.
    let plan = tokio::task::spawn_blocking({
        let (name, feeds) = (name.clone(), Arc::clone(&running.feeds));
        move || at_run_time::feed(&name, settings, texts, feeds.accounts())
    });
    let plan = plan.await.map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    let plan = plan.map_err(|problems| Failure::problems(&problems))?;
    let (notes, count) = (plan.notes.clone(), plan.streams.len());
    let wishes: Vec<_> = plan.streams.iter().map(|stream| (stream.clone(), owner.clone())).collect();
    running.feeds.wait_for_others(&plan, &plan.streams).await;
    let added = running.feeds.add(plan.clone(), false, &wishes);
    let existed = match added.map_err(|why| Failure::new(Code::Conflict, why))? {
        Ok(feed) => {
            info!(feed = feed.name(), venue = feed.handle.venue, market = %feed.handle.market, "Feed opened");
            false
        }
        Err(known) => {
            same(&known, &plan)?;
            if known.plan.terminal.is_none() && !plan.streams.is_empty() {
                // The venue's answer is not waited for, as it is not with a new feed.
                subscribe::subscribe(&running.feeds, &known, &plan.streams, owner, Duration::ZERO).await?;
            }
            true
        }
    };
    let mut fields = json!({"name": name, "existed": existed, "streams": count});
    if !notes.is_empty() {
        fields["notes"] = json!(notes);
    }
    Ok(fields)
}

/// Whether a feed is what was asked for.
fn same(known: &RunningFeed, asked: &FeedPlan) -> Result<(), Failure> {
    let why = match () {
        () if known.is_stopping() => "a feed of that name is being closed; try again",
        () if known.plan.settings == asked.settings && same_key(&known.plan, asked) => return Ok(()),
        () => "there is a feed of that name with other settings; close it first, or take another name",
    };
    Err(Failure::new(Code::Exists, format!("{:?}: {why}", known.name())))
}

fn same_key(known: &FeedPlan, asked: &FeedPlan) -> bool {
    let parts = |of: &Signer| {
        let Credentials { key, secret, passphrase } = of.credentials.clone();
        (Arc::clone(&of.account), key, secret, passphrase)
    };
    known.signer.as_ref().map(parts) == asked.signer.as_ref().map(parts)
}

/// Closes a feed: it says `down`, its connections close, and nothing of it is kept.
pub(super) async fn close(running: &Running, feed: &Arc<RunningFeed>) -> Result<(), Failure> {
    {
        let _gate = feed.gate.lock().await;
        if feed.is_stopping() {
            return Err(Failure::new(Code::UnknownFeed, format!("feed {} is closed", feed.name())));
        }
        feed.stop();
    }
    // The queue of commands may have been full.
    feed.handle.tell(Command::Shutdown).await;
    let within = if feed.plan.terminal.is_some() { ENDS_WITHIN + LAST_ANSWERS_WITHIN } else { ENDS_WITHIN };
    if let Some(mut task) = feed.take_task()
        && timeout(within, &mut task).await.is_err()
    {
        warn!(feed = feed.name(), "Feed did not end in time");
        task.abort();
        let _ = task.await;
    }
    let has_sibling = running.feeds.has_sibling(feed);
    let shared = |topic: &str| {
        has_sibling
            && parse_topic(topic).is_some_and(|[channel, _, _, symbol]| channel == "status" && symbol.is_empty())
    };
    let mut gone = feed.store.forget(|_| true);
    // The state of the feed as a whole is told on a topic that other feeds of its market go on using.
    gone.retain(|topic| !std::str::from_utf8(topic).is_ok_and(shared));
    running.publisher.publish(&mut gone.into_iter().map(Outgoing::Forget).collect());
    running.feeds.remove(feed);
    info!(feed = feed.name(), "Feed closed");
    Ok(())
}
