//! Order books: sorted sides, the book, the snapshot/delta state machine. Pure.

/// How a venue orders its book updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// Each update's `seq` is the one before plus one.
    Increment,
    /// `seq` rises but not by one, so a gap cannot be seen; older or equal ones are stale.
    Monotonic,
    /// Only snapshots; one that repeats the last `seq` says that nothing changed.
    SnapshotOnly,
    /// No numbers at all.
    Unsequenced,
}
