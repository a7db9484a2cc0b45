//! Answers: one JSON object each, `{"ok":true,…}` or `{"ok":false,"code":"…","error":"…"}`.

use serde_json::{Map, Value, json};

use super::wished::Owner;
use super::{Running, RunningFeed, subscribe};
use crate::bus::SubscriberStats;
use crate::feed::AccountReport;
use crate::frame::Loss;
use crate::io::command::DriverReport;
use crate::io::terminal::TerminalReport;
use crate::sink::redis::SinkReport;

/// Why a command was not carried out, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The request cannot be understood, or asks for what is not there to be had.
    BadRequest,
    /// There is no such command here.
    UnknownOp,
    /// There is no feed of that name.
    UnknownFeed,
    /// Another feed has that name.
    Exists,
    /// Another stream or feed publishes the same topics.
    Conflict,
    /// The venue refused.
    Rejected,
    /// There is nothing of that kind now.
    NotFound,
    /// The book, or the channel of the account, is there, but not live.
    NotLive,
    /// What happened since is not known any more.
    Reread,
    /// Feeds of this kind cannot do that.
    Unsupported,
    /// A feed does not answer.
    Timeout,
    /// The token is missing or wrong.
    Denied,
    /// The config does not let clients do that.
    Forbidden,
    /// Too many requests.
    Limited,
    /// Something outside failed, such as a file.
    Failed,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownOp => "unknown_op",
            Self::UnknownFeed => "unknown_feed",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::NotFound => "not_found",
            Self::NotLive => "not_live",
            Self::Reread => "reread",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Forbidden => "forbidden",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    /// What is wrong, what is allowed, what to do.
    pub(super) message: String,
    /// What else there is to say.
    pub(super) fields: Map<String, Value>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Map::new() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(super) fn mute(feed: &str) -> Self {
        Self::new(Code::Timeout, format!("feed {feed} does not answer"))
    }

    /// Everything that is wrong with a request, by place.
    pub(super) fn problems(problems: &[(String, String)]) -> Self {
        let shown = |(place, what): &(String, String)| match place.as_str() {
            "" => what.clone(),
            place => format!("{place}: {what}"),
        };
        let message = problems.iter().map(shown).collect::<Vec<_>>().join("; ");
        let list = problems.iter().map(|(place, what)| json!({"path": place, "message": what}));
        let fields = Map::from_iter([("problems".to_owned(), list.collect())]);
        Self { code: Code::BadRequest, message, fields }
    }

    /// As JSON.
    pub(super) fn into_value(self) -> Value {
        let mut answer = self.fields;
        answer.insert("ok".to_owned(), Value::Bool(false));
        answer.insert("code".to_owned(), self.code.as_str().into());
        answer.insert("error".to_owned(), self.message.into());
        Value::Object(answer)
    }
}

/// A good answer with these fields.
pub(super) fn ok(fields: &Value) -> Value {
    let mut answer = Map::from_iter([("ok".to_owned(), Value::Bool(true))]);
    if let Value::Object(fields) = fields {
        answer.extend(fields.clone());
    }
    Value::Object(answer)
}

/// Subscribers listed at most: those that lost the most.
const MOST_PEERS: usize = 100;

/// The bus's counters, and for those who may know, who its subscribers are.
pub(super) fn stats(running: &Running, with_peers: bool) -> Value {
    let stats = running.publisher.stats();
    let mut fields = json!({
        "epoch": running.epoch,
        "subscribers": stats.subscribers,
        "queued_frames": stats.queued_frames,
        "kept_topics": stats.kept_topics,
        "accepted": stats.accepted,
        "frames_published": stats.frames_published,
        "frames_sent": stats.frames_sent,
        "bytes_sent": stats.bytes_sent,
        "dropped_frames": stats.dropped_frames,
        "conflated_frames": stats.conflated_frames,
        "slow_disconnects": stats.slow_disconnects,
        "not_kept_frames": stats.not_kept_frames,
        "notices": stats.notices,
        "refused": Value::Object(stats.refused.by_reason().map(|(reason, count)| (reason.to_owned(), count.into())).into_iter().collect()),
    });
    if with_peers {
        fields["peers"] = running.publisher.subscribers(MOST_PEERS).iter().map(peer).collect();
        // Why it is not connected names its address.
        if let Some(report) = running.redis_report() {
            fields["sinks"] = json!({"redis": redis(&report)});
        }
    }
    fields
}

/// The Redis sink.
fn redis(report: &SinkReport) -> Value {
    let mut fields = json!({
        "connected": report.connected,
        "connects": report.connects,
        "failures": report.failures,
        "frames": report.frames,
        "commands": report.commands,
        "refused_commands": report.refused,
        "lost_frames": report.lost_frames,
        "unreadable_frames": report.unreadable_frames,
        "queued_frames": report.queued_frames,
        "dropped_frames": report.dropped_frames,
        "conflated_frames": report.conflated_frames,
        "requests": report.requests,
        "dropped_requests": report.dropped_requests,
    });
    if let Some(failure) = &report.last_failure {
        fields["last_failure"] = json!(failure);
    }
    fields
}

fn peer(stats: &SubscriberStats) -> Value {
    let lost = |(topic, loss): &(String, Loss)| {
        let counts = json!({"dropped": loss.dropped, "conflated": loss.conflated});
        (topic.clone(), counts)
    };
    json!({
        "peer": stats.peer,
        "since": stats.since.0,
        "policy": stats.policy.as_str(),
        "subscriptions": stats.subscriptions,
        "queued_frames": stats.queued_frames,
        "queued_bytes": stats.queued_bytes,
        "full": stats.full,
        "dropped_frames": stats.dropped,
        "conflated_frames": stats.conflated,
        "lost_topics": Value::Object(stats.lost_topics.iter().map(lost).collect()),
    })
}

/// Who wishes which streams of a feed.
fn wishes(feed: &RunningFeed) -> Value {
    let name = |owner: &&Owner| match owner {
        Owner::Config => json!({"config": true}),
        Owner::Client(name) => json!({"client": &**name}),
        Owner::Connection(number) => json!({"connection": number}),
        Owner::Nobody => json!({}),
    };
    let wished = feed.wished();
    let all = wished.all().map(|(stream, owners)| {
        let by: Vec<Value> = owners.iter().map(name).collect();
        let (symbol, channel) = subscribe::spelled(stream);
        json!({"symbol": symbol, "channel": channel, "by": by})
    });
    all.collect()
}

/// A feed's state; with its symbols and streams if asked for.
pub(super) fn feed(running: &RunningFeed, report: Option<&DriverReport>, symbols: bool) -> Value {
    let feed = &running.handle;
    let mut fields = json!({"name": feed.name.as_ref(), "venue": feed.venue, "market": feed.market.as_ref()});
    fields["origin"] = json!(if running.is_of_config() { "config" } else { "opened" });
    fields["streams"] = json!(running.wished().len());
    if let Some(account) = running.plan.account() {
        fields["account"] = json!(account);
    }
    if symbols {
        fields["wishes"] = wishes(running);
    }
    let Some(report) = report else {
        fields["state"] = json!("unresponsive");
        return fields;
    };
    let status = |status: &crate::feed::Status| {
        let mut fields = json!({"state": status.state.as_str(), "since": status.since.0});
        if let Some(reason) = status.reason {
            fields["reason"] = json!(reason.as_str());
        }
        if let Some(detail) = &status.detail {
            fields["detail"] = json!(detail);
        }
        fields
    };
    let mut all = report.feed.symbols.iter();
    if let (Some(whole), Some(fields)) = (all.next(), fields.as_object_mut())
        && let Value::Object(members) = status(&whole.status)
    {
        fields.extend(members);
    }
    fields["connected"] = json!(report.link.connected);
    fields["connects"] = json!(report.link.connects);
    fields["failures"] = json!(report.link.failures);
    if let Some(failure) = &report.link.last_failure {
        fields["last_failure"] = json!(failure);
    }
    if let Some(ahead_ms) = report.feed.clock_ahead_ms {
        fields["clock_ahead_ms"] = json!(ahead_ms);
    }
    if let Some(of_terminal) = &report.link.terminal {
        fields["terminal"] = terminal(of_terminal);
    }
    let counters = report.feed.counters;
    fields["counters"] = json!({
        "messages": counters.messages, "bytes": counters.bytes, "errors": counters.errors,
        "ignored": counters.ignored, "gaps": counters.gaps, "crossed": counters.crossed, "checksums_bad": counters.checksums_bad,
        "resyncs": counters.resyncs, "trades": counters.trades, "snapshots": counters.snapshots,
        "deltas": counters.deltas, "silences": counters.silences,
        "late": counters.late, "pruned": counters.pruned, "differed": counters.differed,
    });
    if symbols {
        let of = |symbol: &crate::feed::SymbolReport| (symbol.symbol.clone(), status(&symbol.status));
        fields["symbols"] = Value::Object(all.map(of).collect());
        let of = |channel: &AccountReport| (channel.kind.as_str().to_owned(), status(&channel.status));
        if !report.feed.account.is_empty() {
            fields["account_channels"] = Value::Object(report.feed.account.iter().map(of).collect());
        }
    }
    fields
}

/// A terminal's connections and calls.
fn terminal(report: &TerminalReport) -> Value {
    let TerminalReport { pool, events } = report;
    let hosts = pool.hosts.iter().map(|host| {
        let mut fields = json!({
            "endpoint": host.endpoint.as_ref(), "open": host.open, "connects": host.connects,
            "failures": host.failures,
        });
        if let Some(trouble) = &host.trouble {
            fields["trouble"] = json!(trouble);
        }
        fields
    });
    let counters = pool.counters;
    let mut fields = json!({
        "pool": pool.terminal.as_ref(), "hosts": hosts.collect::<Vec<_>>(),
        "in_flight": pool.in_flight, "waiting": pool.waiting,
        "calls": counters.calls, "refused": counters.refused, "sent": counters.sent,
        "answered": counters.answered, "failed": counters.failed, "timed_out": counters.timed_out,
        "retried": counters.retried, "expired": counters.expired, "stray": counters.stray,
        "throttled": counters.throttled,
    });
    if let Some(events) = events {
        fields["events"] = json!({
            "endpoint": events.endpoint.as_ref(), "connected": events.connected, "connects": events.connects,
            "failures": events.failures, "events": events.events, "dropped": events.dropped,
            "skipped": events.skipped,
        });
        if let Some(failure) = events.last_failure.as_ref().filter(|_| !events.connected) {
            fields["events"]["trouble"] = json!(failure);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::terminal::{EventsReport, HostReport, PoolReport};

    #[test]
    fn a_terminal_in_trouble_says_which_socket_and_why() {
        let host = |trouble: Option<&str>| HostReport {
            endpoint: "tcp://127.0.0.1:5560".into(),
            trouble: trouble.map(str::to_owned),
            ..HostReport::default()
        };
        let events =
            |connected| EventsReport { connected, last_failure: Some("gone".to_owned()), ..Default::default() };
        let report = |host, events| TerminalReport {
            pool: PoolReport { terminal: "quik".into(), waiting: 3, hosts: vec![host], ..PoolReport::default() },
            events,
        };
        let told = terminal(&report(host(Some("refused")), Some(events(false))));
        assert_eq!((&told["pool"], &told["waiting"]), (&json!("quik"), &json!(3)));
        assert_eq!(told["hosts"][0]["trouble"], "refused");
        assert_eq!(told["events"]["trouble"], "gone");
        let told = terminal(&report(host(None), Some(events(true))));
        assert!(told["hosts"][0].get("trouble").is_none() && told["events"].get("trouble").is_none(), "{told}");
        assert!(terminal(&report(host(None), None)).get("events").is_none(), "everything is polled");
    }
}
