//! Every metric, in one table: name, type, meaning, and where its value comes from. Written as Prometheus text 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use self::Kind::{Counter, Gauge};
use self::Source::{
    AccountChannel, Answers, Book, Bus, BusRefused, Clock, Events, Feed, Job, LoginClock, One, Redis, Request,
    RequestRefused, Rest, Store, Table, Terminal, TerminalHost, Version,
};
use super::process::Process;
use crate::bus::{BusStats, Refused, RequestStats};
use crate::feed::State;
use crate::io::budget::AccountReport;
use crate::io::command::DriverReport;
use crate::io::terminal::{EventsReport, HostReport, PoolReport};
use crate::jobs::JobReport;
use crate::sink::redis::SinkReport;
use crate::store::StoreStats;
use crate::store::tables::TableReport;

/// The `Content-Type` of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the metrics are read from, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// The bus.
    pub bus: BusStats,
    /// The request sockets by name.
    pub sockets: Vec<(&'static str, RequestStats)>,
    /// The feeds.
    pub feeds: Vec<FeedReading>,
    /// The tables that are in use.
    pub tables: Vec<TableReport>,
    /// The budgets of REST calls.
    pub budgets: Vec<AccountReport>,
    /// Hosts whose clock was measured, and milliseconds that it is ahead of ours.
    pub clocks: Vec<(String, i64)>,
    /// The jobs.
    pub jobs: Vec<JobReport>,
    /// The Redis sink, if there is one.
    pub redis: Option<SinkReport>,
    /// Connections that the HTTP door had no place for.
    pub admin_refused: u64,
    /// Requests to the control socket without a good token.
    pub control_denied: u64,
    /// Requests to the control socket beyond its rates.
    pub control_limited: u64,
    /// Writes of the state file that failed.
    pub state_file_failures: u64,
    /// The process.
    pub process: Process,
}

/// One feed.
#[derive(Clone, Debug)]
pub struct FeedReading {
    /// Its name in the config.
    pub feed: Arc<str>,
    /// Its venue's id.
    pub venue: &'static str,
    /// Its market's id.
    pub market: Arc<str>,
    /// Its latest values.
    pub store: StoreStats,
    /// What it reports; `None` when it does not answer.
    pub report: Option<DriverReport>,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until the process (or its feed, after a failure inside) starts anew.
    Counter,
    /// Rises and falls.
    Gauge,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
        }
    }
}

/// Where a metric's values come from, and with that which labels they have.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// One value, absent if it is not known.
    One(fn(&Readings) -> Option<f64>),
    /// One value of the bus.
    Bus(fn(&BusStats) -> u64),
    /// The bus's refusals by reason.
    BusRefused,
    /// One value a request socket.
    Request(fn(&RequestStats) -> u64),
    /// A request socket's refusals by reason.
    RequestRefused,
    /// One value of the Redis sink, if there is one.
    Redis(fn(&SinkReport) -> u64),
    /// Whether each feed answers.
    Answers,
    /// One value of each feed's store.
    Store(fn(&StoreStats) -> u64),
    /// One value a table.
    Table(fn(&TableReport) -> u64),
    /// One value a feed that answers.
    Feed(fn(&DriverReport) -> u64),
    /// How far each feed's venue is ahead, where logins are signed by its clock.
    LoginClock,
    /// One value a feed with an events socket.
    Events(fn(&EventsReport) -> u64),
    /// One value a budget of REST calls, shared by feeds.
    Rest(fn(&AccountReport) -> u64),
    /// How far each host's clock is ahead, where it was measured.
    Clock,
    /// One value a job.
    Job(fn(&JobReport) -> u64),
    /// One value a terminal, shared by its feeds.
    Terminal(fn(&PoolReport) -> u64),
    /// One value an RPC host of a terminal.
    TerminalHost(fn(&HostReport) -> u64),
    /// One value a book and state: 1 for the state it is in.
    Book,
    /// One value a channel of an account and state, likewise.
    AccountChannel,
    /// Always 1; the version is a label.
    Version,
}

impl Source {
    const fn labels(self) -> &'static [&'static str] {
        match self {
            One(_) | Bus(_) => &[],
            BusRefused => &["reason"],
            Request(_) => &["socket"],
            RequestRefused => &["socket", "reason"],
            Redis(_) => &["sink"],
            Answers | Store(_) | Feed(_) | LoginClock | Events(_) => &["feed", "venue", "market"],
            Table(_) => &["venue", "table"],
            Rest(_) => &["budget"],
            Clock => &["host"],
            Job(_) => &["job"],
            Terminal(_) => &["terminal"],
            TerminalHost(_) => &["terminal", "endpoint"],
            Book => &["feed", "venue", "market", "symbol", "state"],
            AccountChannel => &["feed", "venue", "market", "channel", "state"],
            Version => &["version"],
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it says, in one line.
    pub help: &'static str,
    source: Source,
}

const fn metric(name: &'static str, kind: Kind, source: Source, help: &'static str) -> Metric {
    Metric { name, kind, help, source }
}

/// Every metric. Names are only added: dashboards and alerts depend on them.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    metric("tickbus_build_info", Gauge, Version, "Always 1; the label is the version."),
    metric("tickbus_feed_responsive", Gauge, Answers, "1 if the feed answers within two seconds; if not, it has no other values."),
    metric("tickbus_feed_connected", Gauge, Feed(|r| r.link.connected.into()), "1 while the feed's connection is open."),
    metric("tickbus_feed_connects_total", Counter, Feed(|r| r.link.connects), "Connections opened."),
    metric("tickbus_feed_failures_total", Counter, Feed(|r| r.link.failures), "Connections lost, and attempts that failed."),
    metric("tickbus_feed_received_messages_total", Counter, Feed(|r| r.feed.counters.messages), "Messages read from the venue."),
    metric("tickbus_feed_received_bytes_total", Counter, Feed(|r| r.feed.counters.bytes), "Bytes of messages read from the venue."),
    metric("tickbus_feed_errors_total", Counter, Feed(|r| r.feed.counters.errors), "Messages that could not be understood or applied."),
    metric("tickbus_feed_ignored_messages_total", Counter, Feed(|r| r.feed.counters.ignored), "Messages of unknown topics and kinds."),
    metric("tickbus_feed_gaps_total", Counter, Feed(|r| r.feed.counters.gaps), "Gaps found in the venue's sequences."),
    metric("tickbus_feed_crossed_total", Counter, Feed(|r| r.feed.counters.crossed), "Books found crossed."),
    metric("tickbus_feed_checksums_bad_total", Counter, Feed(|r| r.feed.counters.checksums_bad), "Venue checksums and middle prices that were not the book's."),
    metric("tickbus_feed_pruned_levels_total", Counter, Feed(|r| r.feed.counters.pruned), "Levels dropped from books because the venue's middle price was beyond them."),
    metric("tickbus_feed_differing_snapshots_total", Counter, Feed(|r| r.feed.counters.differed), "Whole books the venue repeated that differed from ours as no update explains."),
    metric("tickbus_feed_resyncs_total", Counter, Feed(|r| r.feed.counters.resyncs), "Books asked for anew."),
    metric("tickbus_feed_silences_total", Counter, Feed(|r| r.feed.counters.silences), "Streams that fell silent."),
    metric("tickbus_feed_backfilled_total", Counter, Feed(|r| r.feed.counters.backfilled), "Candles and trades of the past that were fetched and published."),
    metric("tickbus_feed_backfill_failures_total", Counter, Feed(|r| r.feed.counters.backfill_failures), "Calls for the past that failed, and were made again."),
    metric("tickbus_feed_backfill_lost_total", Counter, Feed(|r| r.feed.counters.backfill_lost), "Parts of the past that were given up."),
    metric("tickbus_feed_backfill_waiting", Gauge, Feed(|r| r.feed.backfilling as u64), "Parts of the past that are missing and being fetched."),
    metric("tickbus_feed_late_polls_total", Counter, Feed(|r| r.feed.counters.late), "Polls left out because the venue or its call budget did not keep up."),
    metric("tickbus_feed_login_clock_offset_seconds", Gauge, LoginClock, "How far the venue's clock is ahead of ours, where it has refused a login for its time."),
    metric("tickbus_feed_snapshots_total", Counter, Feed(|r| r.feed.counters.snapshots), "Snapshots applied to books."),
    metric("tickbus_feed_deltas_total", Counter, Feed(|r| r.feed.counters.deltas), "Deltas applied to books."),
    metric("tickbus_feed_trades_total", Counter, Feed(|r| r.feed.counters.trades), "Trades seen."),
    metric("tickbus_feed_events_total", Counter, Events(|e| e.events), "Events of a terminal handed to the feed."),
    metric("tickbus_feed_dropped_events_total", Counter, Events(|e| e.dropped), "Events of a terminal dropped because the feed was too far behind."),
    metric("tickbus_feed_skipped_events_total", Counter, Events(|e| e.skipped), "Messages of a terminal that were no event asked for."),
    metric("tickbus_store_frames", Gauge, Store(|s| s.frames as u64), "Frames kept of the latest values."),
    metric("tickbus_store_bytes", Gauge, Store(|s| s.bytes as u64), "Bytes kept of the latest values."),
    metric("tickbus_store_evicted_frames_total", Counter, Store(|s| s.evicted), "Kept frames that went for want of room, before their turn."),
    metric("tickbus_table_rows", Gauge, Table(|t| t.stats.rows as u64), "Rows of a table that is in use."),
    metric("tickbus_table_bytes", Gauge, Table(|t| t.stats.bytes as u64), "Bytes that the rows of a table take."),
    metric("tickbus_table_evicted_rows_total", Counter, Table(|t| t.stats.evicted), "Rows that went because newer ones of their symbol needed the room."),
    metric("tickbus_table_skipped_frames_total", Counter, Table(|t| t.stats.skipped), "Frames that a table could not take."),
    metric("tickbus_table_rebuilds_total", Counter, Table(|t| t.rebuilds), "Times a table was made anew because frames came faster than they became rows."),
    metric("tickbus_rest_limit_weight", Gauge, Rest(|a| a.limit), "Weight of REST calls that may leave in a minute."),
    metric("tickbus_rest_used_weight", Gauge, Rest(|a| a.used), "Weight of REST calls that left in the last minute, with what others are known to have used of the same address."),
    metric("tickbus_rest_waiting_calls", Gauge, Rest(|a| a.waiting), "REST calls that wait for the budget."),
    metric("tickbus_rest_under_way_calls", Gauge, Rest(|a| a.under_way), "REST calls on their way."),
    metric("tickbus_rest_held", Gauge, Rest(|a| a.held.into()), "1 while the venue has told us to make no REST calls."),
    metric("tickbus_rest_calls_total", Counter, Rest(|a| a.calls), "REST calls that left."),
    metric("tickbus_rest_weight_total", Counter, Rest(|a| a.weight), "Weight of the REST calls that left."),
    metric("tickbus_rest_others_weight_total", Counter, Rest(|a| a.others), "Weight that others used of the same address, so far as the venue's answers showed it."),
    metric("tickbus_rest_limited_total", Counter, Rest(|a| a.limited), "REST calls the venue refused because there were too many."),
    metric("tickbus_rest_clock_offset_seconds", Gauge, Clock, "How far the host's clock is ahead of ours, where it has refused signed calls for their time."),
    metric("tickbus_job_done_total", Counter, Job(|j| j.done), "Calls of the job that have a result."),
    metric("tickbus_job_failed_total", Counter, Job(|j| j.failed), "Calls of the job that have none."),
    metric("tickbus_job_skipped_rounds_total", Counter, Job(|j| j.skipped), "Rounds of the job that had no turn because the one before took too long."),
    metric("tickbus_job_waiting_tasks", Gauge, Job(|j| j.tasks as u64), "Tasks of the job that wait; of a ring, all."),
    metric("tickbus_terminal_connections", Gauge, TerminalHost(|h| h.open as u64), "RPC connections open now."),
    metric("tickbus_terminal_calls_total", Counter, Terminal(|p| p.counters.calls), "RPC calls taken, by all feeds of the terminal."),
    metric("tickbus_terminal_refused_total", Counter, Terminal(|p| p.counters.refused), "RPC calls refused because too many waited."),
    metric("tickbus_terminal_requests_total", Counter, Terminal(|p| p.counters.sent), "RPC requests sent: calls, and calls sent again."),
    metric("tickbus_terminal_answered_total", Counter, Terminal(|p| p.counters.answered), "RPC calls answered by the terminal."),
    metric("tickbus_terminal_failed_total", Counter, Terminal(|p| p.counters.failed), "RPC calls that ended without an answer of the terminal."),
    metric("tickbus_terminal_timeouts_total", Counter, Terminal(|p| p.counters.timed_out), "RPC requests not answered in time."),
    metric("tickbus_terminal_retries_total", Counter, Terminal(|p| p.counters.retried), "RPC calls to be sent again because no answer came."),
    metric("tickbus_terminal_expired_total", Counter, Terminal(|p| p.counters.expired), "RPC calls that waited too long for their turn."),
    metric("tickbus_terminal_stray_answers_total", Counter, Terminal(|p| p.counters.stray), "RPC answers that came too late or to nobody."),
    metric("tickbus_terminal_throttled_total", Counter, Terminal(|p| p.counters.throttled), "Times an RPC call had nothing but the budget to wait for."),
    metric("tickbus_terminal_in_flight_calls", Gauge, Terminal(|p| p.in_flight as u64), "RPC requests on their way now."),
    metric("tickbus_terminal_waiting_calls", Gauge, Terminal(|p| p.waiting as u64), "RPC calls waiting now."),
    metric("tickbus_book_state", Gauge, Book, "1 for the state a symbol's book is in, 0 for the other states."),
    metric(
        "tickbus_account_state",
        Gauge,
        AccountChannel,
        "1 for the state a channel of an account is in, 0 for the other states.",
    ),
    metric("tickbus_bus_subscribers", Gauge, Bus(|s| s.subscribers as u64), "Subscribers connected."),
    metric("tickbus_bus_queued_frames", Gauge, Bus(|s| s.queued_frames as u64), "Frames queued, for all subscribers together."),
    metric("tickbus_bus_kept_topics", Gauge, Bus(|s| s.kept_topics as u64), "Topics whose current frame is kept for joiners."),
    metric("tickbus_bus_accepted_total", Counter, Bus(|s| s.accepted), "Subscriber connections accepted."),
    metric("tickbus_bus_refused_total", Counter, BusRefused, "Subscriber connections refused or ended by the gateway."),
    metric("tickbus_bus_published_frames_total", Counter, Bus(|s| s.frames_published), "Frames published, whether or not anyone was subscribed."),
    metric("tickbus_bus_sent_frames_total", Counter, Bus(|s| s.frames_sent), "Frames given to sockets, once a subscriber."),
    metric("tickbus_bus_sent_bytes_total", Counter, Bus(|s| s.bytes_sent), "Bytes written to subscribers."),
    metric("tickbus_bus_dropped_frames_total", Counter, Bus(|s| s.dropped_frames), "Frames dropped because a subscriber's queue was full."),
    metric("tickbus_bus_conflated_frames_total", Counter, Bus(|s| s.conflated_frames), "Frames that took the place of an older one in a full queue."),
    metric("tickbus_bus_slow_disconnects_total", Counter, Bus(|s| s.slow_disconnects), "Subscribers disconnected because their queue stayed full, or was full where the policy is to disconnect."),
    metric("tickbus_bus_notices_total", Counter, Bus(|s| s.notices), "Notices sent to subscribers that had lost frames."),
    metric("tickbus_bus_not_kept_frames_total", Counter, Bus(|s| s.not_kept_frames), "Frames of topics beyond the number that is kept: joiners do not get them, heartbeats do not count them."),
    metric("tickbus_request_accepted_total", Counter, Request(|s| s.accepted), "Connections accepted by the snapshot and control sockets."),
    metric("tickbus_request_answered_total", Counter, Request(|s| s.answered), "Requests answered by the snapshot and control sockets."),
    metric("tickbus_request_refused_total", Counter, RequestRefused, "Connections refused or ended by the snapshot and control sockets."),
    metric("tickbus_control_denied_total", Counter, One(|r| Some(r.control_denied as f64)), "Requests to the control socket without a good token."),
    metric("tickbus_control_limited_total", Counter, One(|r| Some(r.control_limited as f64)), "Requests to the control socket that came too fast."),
    metric("tickbus_state_file_failures_total", Counter, One(|r| Some(r.state_file_failures as f64)), "Writes of the state file that failed."),
    metric("tickbus_sink_connected", Gauge, Redis(|r| r.connected.into()), "1 while the sink is connected."),
    metric("tickbus_sink_connects_total", Counter, Redis(|r| r.connects), "Connections that the sink opened."),
    metric("tickbus_sink_failures_total", Counter, Redis(|r| r.failures), "Connections of the sink lost, and attempts that failed."),
    metric("tickbus_sink_frames_total", Counter, Redis(|r| r.frames), "Frames that the sink wrote and that were confirmed."),
    metric("tickbus_sink_commands_total", Counter, Redis(|r| r.commands), "Commands that the sink had carried out."),
    metric("tickbus_sink_refused_commands_total", Counter, Redis(|r| r.refused), "Commands of the sink that were refused."),
    metric("tickbus_sink_queued_frames", Gauge, Redis(|r| r.queued_frames), "Frames that wait for the sink."),
    metric("tickbus_sink_dropped_frames_total", Counter, Redis(|r| r.dropped_frames), "Frames dropped because the sink's queue was full."),
    metric("tickbus_sink_conflated_frames_total", Counter, Redis(|r| r.conflated_frames), "Frames that took the place of an older one in the sink's full queue."),
    metric("tickbus_sink_lost_frames_total", Counter, Redis(|r| r.lost_frames), "Frames given up because writing them failed twice."),
    metric("tickbus_sink_unreadable_frames_total", Counter, Redis(|r| r.unreadable_frames), "Frames whose payload the sink could not read."),
    metric("tickbus_sink_requests_total", Counter, Redis(|r| r.requests), "Commands of okws clients that were answered."),
    metric("tickbus_sink_dropped_requests_total", Counter, Redis(|r| r.dropped_requests), "Commands of okws clients that could not be read, or were too many."),
    metric("tickbus_admin_refused_total", Counter, One(|r| Some(r.admin_refused as f64)), "Connections that the HTTP door had no place for."),
    metric("tickbus_recorder_dropped_total", Counter, One(|r| Some(recorder_dropped(r) as f64)), "Messages that did not fit into the recorder's queue."),
    metric("process_start_time_seconds", Gauge, One(|r| Some(r.epoch as f64 / 1e3)), "When the run started, in seconds since 1970."),
    metric("process_cpu_seconds_total", Counter, One(|r| r.process.cpu_seconds), "Processor time used, over all threads."),
    metric("process_resident_memory_bytes", Gauge, One(|r| r.process.resident_bytes.map(|bytes| bytes as f64)), "Memory occupied."),
    metric("process_open_fds", Gauge, One(|r| r.process.open_fds.map(|open| open as f64)), "Open file descriptors."),
];

const STATES: [State; 5] = [State::Live, State::Syncing, State::Stale, State::Down, State::Rejected];

/// All feeds share one recorder, and each reports the recorder's count.
fn recorder_dropped(readings: &Readings) -> u64 {
    let reports = readings.feeds.iter().filter_map(|feed| feed.report.as_ref());
    reports.map(|report| report.link.tap_dropped).max().unwrap_or(0)
}

/// The pools of all terminals, each once.
fn pools(readings: &Readings) -> impl Iterator<Item = &PoolReport> {
    let reports = readings.feeds.iter().filter_map(|feed| feed.report.as_ref()?.link.terminal.as_ref());
    let pools: BTreeMap<_, _> = reports.map(|terminal| (&terminal.pool.terminal, &terminal.pool)).collect();
    pools.into_values()
}

/// The budgets of REST calls, each once.
fn accounts(readings: &Readings) -> impl Iterator<Item = &AccountReport> {
    let of_feeds = readings.feeds.iter().filter_map(|feed| feed.report.as_ref()?.link.rest.as_ref());
    let accounts: BTreeMap<_, _> = of_feeds.chain(&readings.budgets).map(|account| (&account.name, account)).collect();
    accounts.into_values()
}

/// The metrics as Prometheus text 0.0.4.
pub fn text(readings: &Readings) -> String {
    let mut out = String::with_capacity(16 * 1024);
    for metric in METRICS {
        let Metric { name, kind, help, .. } = metric;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        metric.write(readings, &mut out);
    }
    out
}

impl Metric {
    fn write(&self, readings: &Readings, out: &mut String) {
        let mut sample = |values: &[&str], value: f64| self.sample(values, value, out);
        let refused = |refused: &Refused| refused.by_reason().map(|(reason, count)| (reason, count as f64));
        match self.source {
            One(read) => read(readings).into_iter().for_each(|value| sample(&[], value)),
            Bus(read) => sample(&[], read(&readings.bus) as f64),
            BusRefused => refused(&readings.bus.refused).iter().for_each(|(reason, count)| sample(&[reason], *count)),
            Request(read) => readings.sockets.iter().for_each(|(name, stats)| sample(&[name], read(stats) as f64)),
            RequestRefused => {
                for (name, stats) in &readings.sockets {
                    refused(&stats.refused).iter().for_each(|(reason, count)| sample(&[name, reason], *count));
                }
            }
            Answers | Store(_) | Feed(_) | LoginClock | Events(_) | Book | AccountChannel => {
                readings.feeds.iter().for_each(|feed| self.write_feed(feed, out))
            }
            Table(read) => readings.tables.iter().for_each(|table| {
                sample(&[table.venue, table.kind.as_str()], read(table) as f64);
            }),
            Rest(read) => accounts(readings).for_each(|account| sample(&[&account.name], read(account) as f64)),
            Clock => readings.clocks.iter().for_each(|(host, ms)| sample(&[host], *ms as f64 / 1e3)),
            Job(read) => readings.jobs.iter().for_each(|job| sample(&[&job.name], read(job) as f64)),
            Terminal(read) => pools(readings).for_each(|pool| sample(&[&pool.terminal], read(pool) as f64)),
            TerminalHost(read) => {
                for pool in pools(readings) {
                    pool.hosts.iter().for_each(|host| sample(&[&pool.terminal, &host.endpoint], read(host) as f64));
                }
            }
            Redis(read) => readings.redis.iter().for_each(|report| sample(&["redis"], read(report) as f64)),
            Version => sample(&[env!("CARGO_PKG_VERSION")], 1.0),
        }
    }

    fn write_feed(&self, reading: &FeedReading, out: &mut String) {
        let FeedReading { feed, venue, market, store, report } = reading;
        let feed = feed.as_ref();
        match (self.source, report) {
            (Answers, report) => self.sample(&[feed, venue, market], f64::from(u8::from(report.is_some())), out),
            (Store(read), _) => self.sample(&[feed, venue, market], read(store) as f64, out),
            (Feed(read), Some(report)) => self.sample(&[feed, venue, market], read(report) as f64, out),
            (LoginClock, Some(report)) => {
                if let Some(ms) = report.feed.clock_ahead_ms {
                    self.sample(&[feed, venue, market], ms as f64 / 1e3, out);
                }
            }
            (Events(read), Some(report)) => {
                if let Some(events) = report.link.terminal.as_ref().and_then(|terminal| terminal.events.as_ref()) {
                    self.sample(&[feed, venue, market], read(events) as f64, out);
                }
            }
            (Book, Some(report)) => {
                for symbol in report.feed.symbols.iter().filter(|symbol| symbol.book) {
                    self.states([feed, venue, market, &symbol.symbol], symbol.status.state, out);
                }
            }
            (AccountChannel, Some(report)) => {
                for channel in &report.feed.account {
                    self.states([feed, venue, market, channel.kind.as_str()], channel.status.state, out);
                }
            }
            _ => {}
        }
    }

    /// A line for each state: 1 for this one.
    fn states(&self, [feed, venue, market, name]: [&str; 4], is: State, out: &mut String) {
        for state in STATES {
            self.sample(&[feed, venue, market, name, state.as_str()], f64::from(u8::from(is == state)), out);
        }
    }

    /// One line; `values` are those of the source's labels, in order.
    fn sample(&self, values: &[&str], value: f64, out: &mut String) {
        out.push_str(self.name);
        for (at, (label, value)) in self.source.labels().iter().zip(values).enumerate() {
            out.push(if at == 0 { '{' } else { ',' });
            let _ = write!(out, "{label}=\"{}\"", escaped(value));
        }
        let _ = writeln!(out, "{} {value}", if values.is_empty() { "" } else { "}" });
    }
}

/// A label's value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The reference page of all metrics, in Markdown.
pub fn reference() -> String {
    let mut page =
        "# Metrics\n\nGenerated from the table in `src/telemetry/metrics.rs`. `GET /metrics` on `admin.listen` \
                    serves them as Prometheus text 0.0.4.\n\n| Name | Type | Labels | Meaning |\n|---|---|---|---|\n"
            .to_owned();
    for metric in METRICS {
        let labels: Vec<String> = metric.source.labels().iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels, help) = (metric.name, metric.kind.as_str(), labels.join(" "), metric.help);
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    let states = STATES.map(|state| format!("`{}`", state.as_str())).join(", ");
    let reasons = Refused::default().by_reason().map(|(reason, _)| format!("`{reason}`")).join(", ");
    let _ = writeln!(page, "\nValues of `state`: {states}.\nValues of `reason`: {reasons}.");
    page.push_str("Values of `socket`: `snapshot`, `control`.\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedReport, Status, SymbolReport};
    use crate::io::terminal::TerminalReport;
    use crate::model::UnixNanos;

    fn symbol(name: &str, state: State, book: bool) -> SymbolReport {
        let status = Status { state, reason: None, since: UnixNanos(1), detail: None };
        SymbolReport { symbol: name.to_owned(), status, book }
    }

    fn readings() -> Readings {
        let symbols = vec![
            symbol("", State::Live, false),
            symbol("A\"\\\nB", State::Stale, true),
            symbol("TRADES", State::Live, false),
        ];
        let report = DriverReport { feed: FeedReport { symbols, ..FeedReport::default() }, ..DriverReport::default() };
        let feed = |name: &str, report| FeedReading {
            feed: name.into(),
            venue: "bybit",
            market: "linear".into(),
            store: StoreStats::default(),
            report,
        };
        Readings {
            epoch: 1_700_000_000_123,
            feeds: vec![feed("good", Some(report)), feed("mute", None)],
            ..Readings::default()
        }
    }

    #[test]
    fn names_and_help_follow_the_conventions() {
        for (at, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("tickbus_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Counter, "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '|']), "{name}");
            assert!(METRICS[..at].iter().all(|other| other.name != name), "{name} twice");
        }
    }

    #[test]
    fn values_have_their_labels_escaped() {
        let text = text(&readings());
        let lines = [
            "tickbus_feed_responsive{feed=\"good\",venue=\"bybit\",market=\"linear\"} 1",
            "tickbus_feed_responsive{feed=\"mute\",venue=\"bybit\",market=\"linear\"} 0",
            "tickbus_book_state{feed=\"good\",venue=\"bybit\",market=\"linear\",symbol=\"A\\\"\\\\\\nB\",state=\"stale\"} 1",
            "tickbus_bus_refused_total{reason=\"slow\"} 0",
            "process_start_time_seconds 1700000000.123",
            "tickbus_bus_subscribers 0",
        ];
        for line in lines {
            assert!(text.lines().any(|other| other == line), "{line} is missing from\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("tickbus_book_state{")).count(), STATES.len());
        assert!(!text.contains("symbol=\"TRADES\"") && !text.contains("_connected{feed=\"mute\""), "{text}");
    }

    #[test]
    fn a_terminal_is_counted_once_whatever_number_of_feeds_it_has() {
        let host = HostReport { endpoint: "tcp://127.0.0.1:5560".into(), open: 5, ..HostReport::default() };
        let pool = PoolReport { terminal: "quik".into(), waiting: 3, hosts: vec![host], ..PoolReport::default() };
        let feed = |name: &str, events: Option<EventsReport>| {
            let mut report = DriverReport::default();
            report.link.terminal = Some(TerminalReport { pool: pool.clone(), events });
            FeedReading {
                feed: name.into(),
                venue: "quik",
                market: "SPBFUT".into(),
                store: StoreStats::default(),
                report: Some(report),
            }
        };
        let events = EventsReport { events: 7, ..EventsReport::default() };
        let feeds = vec![feed("quik", Some(events)), feed("polled", None)];
        let text = text(&Readings { feeds, ..Readings::default() });
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
        assert_eq!(lines("tickbus_terminal_waiting_calls"), ["tickbus_terminal_waiting_calls{terminal=\"quik\"} 3"]);
        assert_eq!(
            lines("tickbus_terminal_connections"),
            ["tickbus_terminal_connections{terminal=\"quik\",endpoint=\"tcp://127.0.0.1:5560\"} 5"]
        );
        let only = "tickbus_feed_events_total{feed=\"quik\",venue=\"quik\",market=\"SPBFUT\"} 7";
        assert_eq!(lines("tickbus_feed_events_total"), [only]);
    }
}
