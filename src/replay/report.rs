//! The report of a replay: what became of every book, as JSON.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::feed::{BookReport, LastBook};
use crate::model::Level;

/// One object a symbol, keyed `venue.market.symbol`. `final` is there only if the book was live at the end.
pub fn report(venue: &str, books: &[(Arc<str>, BookReport)]) -> Value {
    let mut out = Map::new();
    for (market, book) in books {
        out.insert(format!("{venue}.{market}.{}", book.symbol), entry(book));
    }
    Value::Object(out)
}

fn entry(book: &BookReport) -> Value {
    let stats = book.stats;
    let mut fields = json!({
        "snapshots": stats.snapshots,
        "deltas": stats.deltas,
        "ignored": stats.ignored,
        "buffered": book.buffered,
        "gaps": stats.gaps,
        "crossed": stats.crossed,
        "invalid": stats.invalid,
        "resyncs": stats.resyncs,
        "checksum_ok": stats.checksum_ok,
        "checksum_bad": stats.checksum_bad,
        "pruned": stats.pruned,
        "differed": stats.differed,
        "trades": book.trades,
        "state": book.status.state.as_str(),
    });
    if let Some(reason) = book.status.reason {
        fields["reason"] = json!(reason.as_str());
    }
    if let Some(last) = &book.last {
        fields["final"] = last_book(last);
    }
    fields
}

fn last_book(book: &LastBook) -> Value {
    let levels = |levels: &[Level]| -> Vec<[String; 2]> {
        levels.iter().map(|level| [level.price.to_string(), level.size.to_string()]).collect()
    };
    json!({
        "venue_seq": Some(book.venue_seq).filter(|seq| *seq > 0),
        "bids": levels(&book.bids),
        "asks": levels(&book.asks),
        "n_bids": book.n_bids,
        "n_asks": book.n_asks,
        "crc25": book.crc25,
    })
}
