//! Captures: recording what goes over connections, and playing recordings through the code that runs live.

use std::path::PathBuf;

use crate::io::tap::Kind;
use crate::venue::VenueDef;

pub mod capture;
pub mod pipelines;
pub mod player;
pub mod reader;
pub mod recorder;
pub mod report;

/// Lines looked at before giving up on finding out a recording's market.
const MARKET_LINES: usize = 10_000;

/// Which of the venue's markets a recording is of, if its first lines tell.
///
/// # Errors
/// A file cannot be opened.
pub fn find_market(paths: &[PathBuf], venue: &VenueDef) -> Result<Option<&'static str>, reader::CaptureError> {
    let mut captures = reader::Captures::open(paths)?;
    for _ in 0..MARKET_LINES {
        let Some(line) = captures.next() else { break };
        if line.kind == Kind::Send {
            continue;
        }
        let market = (venue.market_of)(line.url.as_deref(), &line.msg);
        if market.is_some() {
            return Ok(market);
        }
    }
    Ok(None)
}
