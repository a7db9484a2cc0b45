//! Answers: one JSON object each, `{"ok":true,…}` or `{"ok":false,"error":"…"}`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{FeedHandle, Running};
use crate::bus::SubscriberStats;
use crate::frame::Loss;
use crate::io::command::DriverReport;
use crate::io::terminal::TerminalReport;
use crate::sink::redis::SinkReport;

/// A good answer with these fields.
pub(super) fn ok(fields: &Value) -> Vec<Bytes> {
    let mut answer = Map::from_iter([("ok".to_owned(), Value::Bool(true))]);
    if let Value::Object(fields) = fields {
        answer.extend(fields.clone());
    }
    vec![Value::Object(answer).to_string().into()]
}

/// A refusal.
pub(super) fn error(message: &str) -> Vec<Bytes> {
    vec![json!({"ok": false, "error": message}).to_string().into()]
}

/// Subscribers listed at most: those that lost the most.
const MOST_PEERS: usize = 100;

/// The bus's counters, and its subscribers.
pub(super) fn stats(running: &Running) -> Value {
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
        "peers": running.publisher.subscribers(MOST_PEERS).iter().map(peer).collect::<Vec<_>>(),
    });
    if let Some(report) = running.redis_report() {
        fields["sinks"] = json!({"redis": redis(&report)});
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

/// A feed's state; with its symbols if asked for.
pub(super) fn feed(feed: &FeedHandle, report: Option<&DriverReport>, symbols: bool) -> Value {
    let mut fields = json!({"name": feed.name.as_ref(), "venue": feed.venue, "market": feed.market.as_ref()});
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
    if let Some(of_terminal) = &report.link.terminal {
        fields["terminal"] = terminal(of_terminal);
    }
    let counters = report.feed.counters;
    fields["counters"] = json!({
        "messages": counters.messages, "bytes": counters.bytes, "errors": counters.errors,
        "ignored": counters.ignored, "gaps": counters.gaps, "crossed": counters.crossed, "checksums_bad": counters.checksums_bad,
        "resyncs": counters.resyncs, "trades": counters.trades, "snapshots": counters.snapshots,
        "deltas": counters.deltas, "silences": counters.silences,
        "late": counters.late,
    });
    if symbols {
        let of = |symbol: &crate::feed::SymbolReport| (symbol.symbol.clone(), status(&symbol.status));
        fields["symbols"] = Value::Object(all.map(of).collect());
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
