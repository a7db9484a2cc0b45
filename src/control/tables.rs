//! The commands about tables: a row by its key, rows by their fields, a book in order, and what changes.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::account_tables::Sources;
use super::commands::Answer;
use super::reply::{Code, Failure};
use super::{Running, subscribe};
use crate::client::as_json;
use crate::frame::topic;
use crate::store::tables::{TableReport, VenueTables};
use crate::table::{Ambiguous, Change, Row, Table, TableKind, Where};

/// Rows of one answer: as many as are wanted where the request does not say, and at most.
const ROWS: u64 = 10_000;
const ROWS_MAX: u64 = 100_000;
/// Changes of one answer, likewise.
const CHANGES: u64 = 1_000;
const CHANGES_MAX: u64 = 10_000;
/// Bytes of the rows, or the changes, of one answer.
const ROWS_BYTES: usize = 15 << 20;
const CHANGES_BYTES: usize = 4 << 20;
/// What of a table of books matches a question for one.
const BOOKS: &str = "books";

/// Arguments of every command about a table; which of them there may be depends on it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    venue: Option<String>,
    feed: Option<String>,
    table: Option<String>,
    #[serde(rename = "where")]
    conditions: Map<String, Value>,
    limit: Option<u64>,
    after: Option<u64>,
    epoch: Option<u64>,
    within_ms: Option<u64>,
}

/// A table, and what is asked of it.
struct Question<'a> {
    running: &'a Running,
    venue: Arc<VenueTables>,
    kind: TableKind,
    asked: Where,
}

impl Asked {
    fn question<'a>(&self, running: &'a Running, default: Option<TableKind>) -> Result<Question<'a>, Failure> {
        let kind = match self.table.as_deref() {
            Some(name) => TableKind::parse(name).ok_or_else(|| unknown_table(name))?,
            None => default.ok_or_else(|| Failure::bad(format!("table is missing; allowed: {}", table_names())))?,
        };
        let feed = self.feed.as_deref().map(|name| super::commands::feed(running, Some(name))).transpose()?;
        let venue = match (self.venue.as_deref(), &feed) {
            (Some(venue), Some(feed)) if venue != feed.handle.venue => {
                let what =
                    format!("feed {} is of {}, not of {venue:?}; write one of the two", feed.name(), feed.handle.venue);
                return Err(Failure::bad(what));
            }
            (Some(venue), _) => venue,
            (None, Some(feed)) => feed.handle.venue,
            (None, None) => return Err(Failure::bad("venue is missing; write venue, or feed")),
        };
        let tables = running.feeds.tables();
        let venue = tables.venue(venue).ok_or_else(|| {
            let known: Vec<_> = tables.venues().iter().map(|venue| venue.venue()).collect();
            let what =
                format!("nothing is known of venue {venue:?}, as it has had no feed; allowed: {}", known.join(", "));
            Failure::new(Code::NotFound, what)
        })?;
        let mut asked = Where::new(kind, conditions(&self.conditions)?);
        match feed {
            Some(feed) if !kind.is_of_account() => {
                asked = asked.or_with("market", Value::from(&*feed.handle.market).to_string());
            }
            Some(feed) => {
                if let Some(account) = feed.plan.account() {
                    asked = asked.or_with("account", Value::from(account).to_string());
                }
            }
            None => {}
        }
        Ok(Question { running, venue, kind, asked })
    }

    /// Refuses arguments that this command has no use for.
    fn only(&self, op: &str, allowed: &[&str]) -> Result<(), Failure> {
        let given = [
            ("limit", self.limit.is_some()),
            ("after", self.after.is_some()),
            ("epoch", self.epoch.is_some()),
            ("within_ms", self.within_ms.is_some()),
        ];
        match given.into_iter().find(|(name, given)| *given && !allowed.contains(name)) {
            Some((name, _)) => Err(Failure::bad(format!("{op}: unknown field `{name}`"))),
            None => Ok(()),
        }
    }

    fn limit(&self, usual: u64, most: u64) -> Result<usize, Failure> {
        let limit = self.limit.unwrap_or(usual);
        let fits = usize::try_from(limit).ok().filter(|limit| *limit >= 1 && limit_fits(*limit, most));
        fits.ok_or_else(|| Failure::bad(format!("limit: {limit} is out of range; allowed: 1 to {most}")))
    }

    fn within(&self) -> Result<Duration, Failure> {
        subscribe::within(self.within_ms)
    }
}

fn limit_fits(limit: usize, most: u64) -> bool {
    limit as u64 <= most
}

fn table_names() -> String {
    TableKind::ALL.map(TableKind::as_str).join(", ")
}

fn unknown_table(name: &str) -> Failure {
    Failure::bad(format!("table: there is no table {name:?}; allowed: {}", table_names()))
}

/// Fields with their values as JSON text.
fn conditions(given: &Map<String, Value>) -> Result<Vec<(String, String)>, Failure> {
    let read = |(name, value): (&String, &Value)| match value {
        Value::Array(_) | Value::Object(_) => Err(Failure::bad(format!(
            "where.{name}: {value} is no field's value; allowed: text, integer, true, false, null"
        ))),
        Value::Number(number) if !number.is_u64() => {
            Err(Failure::bad(format!("where.{name}: {number}: prices and sizes are texts, for example \"0.5\"")))
        }
        value => Ok((name.clone(), value.to_string())),
    };
    given.iter().map(read).collect()
}

impl Question<'_> {
    /// What every answer begins with.
    fn head(&self, seq: u64) -> String {
        let (venue, table, epoch) = (self.venue.venue(), self.kind.as_str(), self.running.epoch);
        format!("{{\"ok\":true,\"venue\":\"{venue}\",\"table\":\"{table}\",\"epoch\":{epoch},\"seq\":{seq}")
    }

    /// A refusal with the number to go on from.
    fn refusal(&self, code: Code, what: String, seq: u64) -> Failure {
        let mut failure = Failure::new(code, what);
        failure.fields =
            Map::from_iter([("epoch".to_owned(), json!(self.running.epoch)), ("seq".to_owned(), json!(seq))]);
        failure
    }

    /// The account that is asked for.
    fn account(&self) -> Option<String> {
        self.asked.value("account").and_then(|json| serde_json::from_str(json).ok())
    }

    /// How the feeds stand that rows of accounts come from; `None` of other tables.
    fn sources(&self) -> Option<Sources> {
        let kind = self.kind.account_kind()?;
        Some(Sources::of(self.running, self.venue.venue(), kind, self.account().as_deref()))
    }

    /// Refuses rows of accounts that may not be what the venue has. To be asked before the rows are read.
    async fn check_sources(&self) -> Result<(), Failure> {
        let Some((kind, sources)) = self.kind.account_kind().zip(self.sources()) else { return Ok(()) };
        let Err(failure) = sources.check(self.venue.venue(), kind, self.account().as_deref()) else { return Ok(()) };
        if failure.code == Code::NotFound {
            // There is nothing to wait for.
            return Err(failure);
        }
        let seq = self.venue.read(self.kind, Table::seq).await;
        let mut refusal = self.refusal(failure.code, failure.message, seq);
        refusal.fields.extend(failure.fields);
        Err(refusal)
    }

    /// What an answer that shows no rows says of the feeds they come from, as members with a comma before them.
    fn not_live(&self) -> String {
        self.sources().map(|sources| sources.as_member()).unwrap_or_default()
    }

    fn keys(&self) -> &[&'static str] {
        self.venue.shape(self.kind).keys()
    }

    fn name(&self) -> String {
        format!("{} of {}", self.kind.as_str(), self.venue.venue())
    }

    fn ambiguous(&self, what: &str, count: usize) -> Failure {
        // A book is told by its market and symbol, and has rows of every side and price.
        let of_levels = |name: &str| what == BOOKS && matches!(name, "side" | "price");
        let tells = |name: &&str| self.asked.value(name).is_none() && !of_levels(name);
        let missing: Vec<&str> = self.keys().iter().copied().filter(tells).collect();
        Failure::bad(format!("{count} {what} match; write also some of: {}", missing.join(", ")))
    }

    /// Only what never changes in a row can be followed.
    fn key_only(&self, op: &str) -> Result<(), Failure> {
        match self.asked.beyond_key(self.venue.shape(self.kind)) {
            None => Ok(()),
            Some(name) => {
                let keys = self.keys().join(", ");
                Err(Failure::bad(format!("{op}: where.{name} is not of the table's key; allowed: {keys}")))
            }
        }
    }

    /// Looks now and after each change, until there is an answer, the time is over or the gateway ends.
    async fn watch<T>(&self, within: Duration, look: impl FnMut(&Table) -> Option<T>) -> Option<T> {
        let mut ending = self.running.shutdown.subscribe();
        tokio::select! {
            found = self.venue.watch(self.kind, Instant::now() + within, look) => found,
            // The sender lives in `running`.
            _ = ending.wait_for(|ending| *ending) => None,
        }
    }
}

/// Adds a list of rows under a name: the newest that have room.
fn push_rows(text: &mut String, name: &str, rows: &[Arc<Row>]) {
    let mut room = ROWS_BYTES;
    let fits = |row: &&Arc<Row>| {
        let size = row.text().len() + 1;
        let fits = size <= room;
        room = if fits { room - size } else { 0 };
        fits
    };
    let count = rows.iter().rev().take_while(fits).count();
    let rows = &rows[rows.len() - count..];
    text.reserve(ROWS_BYTES - room + name.len() + 8);
    for part in [",\"", name, "\":["] {
        text.push_str(part);
    }
    for (nth, row) in rows.iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        text.push_str(row.text());
    }
    text.push(']');
}

/// `get` of a row.
pub(super) async fn get(running: &Running, asked: &Asked) -> Result<Answer, Failure> {
    asked.only("get", &[])?;
    let question = asked.question(running, None)?;
    question.key_only("get")?;
    question.check_sources().await?;
    let read = |table: &Table| (table.get(&question.asked), table.seq());
    match question.venue.read(question.kind, read).await {
        (Ok(Some(row)), seq) => Ok(Answer::Text(format!("{},\"row\":{}}}", question.head(seq), row.text()))),
        (Ok(None), seq) => {
            Err(question.refusal(Code::NotFound, format!("there is no such row in {}", question.name()), seq))
        }
        (Err(Ambiguous(count)), _) => Err(question.ambiguous("rows", count)),
    }
}

/// `find`.
pub(super) async fn find(running: &Running, asked: &Asked) -> Result<Answer, Failure> {
    asked.only("find", &["limit"])?;
    let most = asked.limit(ROWS, ROWS_MAX)?;
    let question = asked.question(running, None)?;
    question.check_sources().await?;
    let read = |table: &Table| (table.find(&question.asked, most), table.seq());
    let (found, seq) = question.venue.read(question.kind, read).await;
    let mut text = question.head(seq);
    text.push_str(&format!(",\"matches\":{}", found.matches));
    push_rows(&mut text, "rows", &found.rows);
    text.push('}');
    Ok(Answer::Text(text))
}

/// `sorted`.
pub(super) async fn sorted(running: &Running, asked: &Asked) -> Result<Answer, Failure> {
    asked.only("sorted", &["limit"])?;
    let most = asked.limit(ROWS_MAX, ROWS_MAX)?;
    let question = asked.question(running, Some(TableKind::Book))?;
    if question.kind != TableKind::Book {
        return Err(Failure::bad(format!("sorted: {} has no order; allowed: book", question.kind.as_str())));
    }
    let Some(Value::String(symbol)) = asked.conditions.get("symbol") else {
        return Err(Failure::bad("sorted: where.symbol is missing; write the venue's own spelling"));
    };
    let read = |table: &Table| (table.sorted(&question.asked, most), table.seq());
    match question.venue.read(question.kind, read).await {
        (Ok(Some(sorted)), seq) => {
            let mut text = question.head(seq);
            push_rows(&mut text, "bids", &sorted.bids);
            push_rows(&mut text, "asks", &sorted.asks);
            text.push('}');
            Ok(Answer::Text(text))
        }
        (Ok(None), seq) => Err(not_live(&question, symbol, seq)),
        (Err(Ambiguous(count)), _) => Err(question.ambiguous(BOOKS, count)),
    }
}

/// Why there is no book, as the symbol's status says it.
fn not_live(question: &Question<'_>, symbol: &str, seq: u64) -> Failure {
    let market = question.asked.value("market").and_then(|json| serde_json::from_str::<String>(json).ok());
    let mut markets: Vec<_> = question.running.feeds.list();
    markets.retain(|feed| {
        feed.handle.venue == question.venue.venue()
            && market.as_deref().is_none_or(|market| market == &*feed.handle.market)
    });
    let status = markets.iter().find_map(|feed| {
        let topic = topic("status", feed.handle.venue, &feed.handle.market, symbol);
        let frame = feed.store.latest(&topic)?;
        serde_json::from_str::<Value>(&as_json(&frame.payload).ok()?).ok()
    });
    let Some(status) = status else {
        let what = format!("there is no book of {symbol:?} at {}: no feed has that symbol", question.venue.venue());
        return question.refusal(Code::NotFound, what, seq);
    };
    let word = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let what = match &*word("state") {
        "live" => {
            format!("there is no book of {symbol:?} at {}: its feed does not subscribe to it", question.venue.venue())
        }
        state => format!("the book of {symbol:?} is {state} ({}); wait until it is live", word("reason")),
    };
    let mut failure = question.refusal(Code::NotLive, what, seq);
    for key in ["state", "reason", "since", "detail"] {
        if let Some(value) = status.get(key) {
            failure.fields.insert(key.to_owned(), value.clone());
        }
    }
    failure
}

/// `wait`: whether the table, or a row of it, has changed since.
pub(super) async fn wait(running: &Running, asked: &Asked) -> Result<Answer, Failure> {
    asked.only("wait", &["after", "epoch", "within_ms"])?;
    let (question, within) = (asked.question(running, None)?, asked.within()?);
    question.key_only("wait")?;
    let of_another_run = asked.epoch.is_some_and(|epoch| epoch != running.epoch);
    // Where it has looked up to.
    let mut after = asked.after;
    let mut last = 0;
    let mut matcher = question.asked.matcher(question.kind);
    let look = |table: &Table| {
        last = table.seq();
        let from = *after.get_or_insert(last);
        let changed = match table.changes(from) {
            // It is not known any more what changed: something did.
            Err(_) => true,
            Ok(mut changes) => changes.any(|(_, change)| matcher.matches(change.row())),
        };
        after = Some(last);
        (changed || of_another_run).then_some(())
    };
    let changed = question.watch(within, look).await.is_some();
    Ok(Answer::Text(format!("{},\"changed\":{changed}{}}}", question.head(last), question.not_live())))
}

/// What `watch` has found.
struct Batch {
    changes: Vec<(u64, Arc<Change>)>,
    /// Up to where it has looked.
    seq: u64,
}

/// `watch`: the changes since.
pub(super) async fn watch(running: &Running, asked: &Asked) -> Result<Answer, Failure> {
    asked.only("watch", &["limit", "after", "epoch", "within_ms"])?;
    let most = asked.limit(CHANGES, CHANGES_MAX)?;
    let (question, within) = (asked.question(running, None)?, asked.within()?);
    question.key_only("watch")?;
    let mut after = asked.after;
    let of_another_run = asked.epoch.is_some_and(|epoch| epoch != running.epoch);
    let look = |table: &Table| {
        let from = *after.get_or_insert(table.seq());
        if of_another_run {
            return Some(Err(table.seq()));
        }
        let batch = match batch(&question, table, from, most) {
            Ok(batch) => batch,
            Err(seq) => return Some(Err(seq)),
        };
        after = Some(batch.seq);
        (!batch.changes.is_empty()).then_some(Ok(batch))
    };
    let batch = match question.watch(within, look).await {
        Some(Err(seq)) => {
            let what =
                "the changes since then are not known any more; find the rows, and go on after that answer's seq";
            return Err(question.refusal(Code::Reread, what.to_owned(), seq));
        }
        Some(Ok(batch)) => batch,
        // It has looked at least once.
        None => Batch { changes: Vec::new(), seq: after.unwrap_or_default() },
    };
    let mut text = question.head(batch.seq);
    // A change is written shorter than it is kept.
    text.reserve(batch.changes.iter().map(|(_, change)| change.size()).sum::<usize>() + 256);
    text.push_str(&format!(",\"keys\":{},\"changes\":[", json!(question.keys())));
    for (nth, (seq, change)) in batch.changes.iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        change.write(*seq, &mut text);
    }
    text.push(']');
    text.push_str(&question.not_live());
    text.push('}');
    Ok(Answer::Text(text))
}

/// As many changes as fit into an answer; an error has the number of the last. They are written when the table is free again.
fn batch(question: &Question<'_>, table: &Table, from: u64, most: usize) -> Result<Batch, u64> {
    let mut batch = Batch { changes: Vec::new(), seq: from };
    let (mut room, mut matcher) = (CHANGES_BYTES, question.asked.matcher(question.kind));
    for (seq, change) in table.changes(from).map_err(|_| table.seq())? {
        if matcher.matches(change.row()) {
            if batch.changes.len() >= most || room == 0 {
                break;
            }
            room = room.saturating_sub(change.size());
            batch.changes.push((seq, Arc::clone(change)));
        }
        batch.seq = seq;
    }
    Ok(batch)
}

/// `tables`: which there are, and how they stand.
pub(super) fn tables(running: &Running) -> Value {
    let shown = running.feeds.tables().venues().into_iter().flat_map(|venue| {
        let show = |report: TableReport| {
            json!({
                "venue": report.venue, "table": report.kind.as_str(), "keys": venue.shape(report.kind).keys(),
                "in_use": report.in_use, "seq": report.stats.seq, "rows": report.stats.rows, "bytes": report.stats.bytes,
                "evicted": report.stats.evicted, "skipped": report.stats.skipped, "rebuilds": report.rebuilds,
            })
        };
        venue.reports().into_iter().map(show).collect::<Vec<_>>()
    });
    json!({"epoch": running.epoch, "tables": shown.collect::<Vec<_>>()})
}
