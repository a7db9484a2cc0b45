//! What changed in a table, numbered, the last of it kept: whoever reads from it comes back with the last number it has.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Row;
use super::row::Difference;

/// What a change takes beside its texts.
const CHANGE_BYTES: usize = 96;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Changes.
    pub changes: usize,
    /// Bytes of them and of their rows.
    pub bytes: usize,
}

/// What happened to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It is new.
    Insert,
    /// It is otherwise than before.
    Update(Difference),
    /// It is no more.
    Delete,
    /// It is no more in the table, because newer ones of its symbol needed the room.
    Evict,
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    op: Op,
    /// The row after it; of a row that is gone, as it was last.
    row: Arc<Row>,
}

impl Change {
    /// The row after it; of a row that is gone, as it was last.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// What it takes, in bytes.
    pub fn size(&self) -> usize {
        let texts = match &self.op {
            Op::Update(difference) => difference.size(),
            Op::Insert | Op::Delete | Op::Evict => 0,
        };
        CHANGE_BYTES + self.row.size() + texts
    }

    /// Writes it as a JSON object.
    pub fn write(&self, seq: u64, out: &mut String) {
        let op = match self.op {
            Op::Insert => "insert",
            Op::Update(_) => "update",
            Op::Delete | Op::Evict => "delete",
        };
        let mut digits = itoa::Buffer::new();
        for part in ["{\"seq\":", digits.format(seq), ",\"op\":\"", op, "\",\"key\":[", self.row.key(), "]"] {
            out.push_str(part);
        }
        if let Op::Update(difference) = &self.op {
            self.row.write_difference(difference, out);
        }
        if self.op == Op::Evict {
            out.push_str(",\"evicted\":true");
        }
        for part in [",\"row\":", self.row.text(), "}"] {
            out.push_str(part);
        }
    }
}

/// The number that was asked from is too old, or not of this log: what happened since is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MustReread;

/// See the module.
#[derive(Debug)]
pub(super) struct Log {
    limits: LogLimits,
    /// The number of the last change; 0 before the first.
    last: u64,
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
}

impl Log {
    pub(super) fn new(limits: LogLimits) -> Self {
        Self { limits, last: 0, changes: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn push(&mut self, op: Op, row: Arc<Row>) {
        let change = Arc::new(Change { op, row });
        self.last += 1;
        self.bytes += change.size();
        self.changes.push_back(change);
        while self.changes.len() > self.limits.changes || self.bytes > self.limits.bytes {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// Changes happened that are not in the log: nobody can go on from a number before this.
    pub(super) fn cut(&mut self) {
        self.last += 1;
        self.changes = VecDeque::new();
        self.bytes = 0;
    }

    /// The changes after that number, each with its own.
    pub(super) fn after(&self, seq: u64) -> Result<impl Iterator<Item = (u64, &Arc<Change>)>, MustReread> {
        let before_first = self.last - self.changes.len() as u64;
        if seq > self.last || seq < before_first {
            return Err(MustReread);
        }
        let skipped = usize::try_from(seq - before_first).unwrap_or(usize::MAX);
        Ok((seq + 1..).zip(self.changes.range(skipped..)))
    }
}
