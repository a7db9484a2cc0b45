//! Frames read as rows.

use serde_json::value::RawValue;

use super::row::{Row, RowWriter};
use super::{Shape, TableKind};
use crate::venue::kit::fields::Members;

/// What a frame says.
pub(super) enum Said {
    /// A row, and where among those of its topic it stands, if that is not behind all others.
    Row(Row, Option<u64>),
    /// The row is over; this is its last state.
    Over(Row),
    /// All rows of the topic.
    All(Vec<Row>),
}

/// Reads a frame's payload, as JSON text.
///
/// # Errors
/// It is no frame of this kind.
pub(super) fn read(shape: &Shape, payload: &str) -> Result<Said, serde_json::Error> {
    let members: Members<'_> = serde_json::from_str(payload)?;
    let kind = shape.kind();
    if kind == TableKind::Book {
        return levels(shape, &members).map(Said::All);
    }
    let row = Row::of(shape, &members);
    if row.is_over(kind) {
        return Ok(Said::Over(row));
    }
    let at = match kind {
        TableKind::Candle => row.field("open_time").and_then(|time| time.parse().ok()),
        _ => None,
    };
    Ok(Said::Row(row, at))
}

fn levels(shape: &Shape, members: &Members<'_>) -> Result<Vec<Row>, serde_json::Error> {
    let of = |name: &str| members.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let mut rows = Vec::new();
    for (name, side) in [("bids", "\"bid\""), ("asks", "\"ask\"")] {
        let Some(levels) = of(name) else { continue };
        let levels: Vec<[&RawValue; 2]> = serde_json::from_str(levels.get())?;
        for [price, size] in levels {
            let mut writer = RowWriter::default();
            for shared in ["market", "symbol"] {
                if let Some(value) = of(shared) {
                    writer.put(shared, value.get());
                }
            }
            for (name, json) in [("side", side), ("price", price.get()), ("size", size.get())] {
                writer.put(name, json);
            }
            rows.push(writer.finish(shape));
        }
    }
    Ok(rows)
}
