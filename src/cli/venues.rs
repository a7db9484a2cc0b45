//! `tickbus venues`: the venues, their markets and channels.

use std::fmt::Write;
use std::process::ExitCode;

use crate::venue::{VENUES, VenueDef};

/// Prints the table.
///
/// # Errors
/// stdout cannot be written.
pub fn run() -> anyhow::Result<ExitCode> {
    super::print(&table(VENUES))?;
    Ok(ExitCode::SUCCESS)
}

fn table(venues: &[&VenueDef]) -> String {
    let mut rows = vec![["VENUE", "MARKET", "SYMBOL", "URL", "CHANNELS"].map(str::to_owned)];
    for venue in venues {
        if venue.markets.is_empty() {
            let channels = (venue.channels)("").join(" ");
            rows.push([venue.id, "any name", "", "the feed's url", &channels].map(str::to_owned));
        }
        for market in venue.markets {
            let channels = (venue.channels)(market.id).join(" ");
            rows.push([venue.id, market.id, market.example, market.url, &channels].map(str::to_owned));
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for [venue, market, symbol, url, channels] in &rows {
        let [a, b, c, d] = widths;
        let line = format!("{venue:a$}  {market:b$}  {symbol:c$}  {url:d$}  {channels}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_per_market() {
        let text = table(VENUES);
        let markets: usize = VENUES.iter().map(|venue| venue.markets.len().max(1)).sum();
        assert_eq!(text.lines().count(), 1 + markets);
        assert!(text.lines().any(|line| line.starts_with("bybit  ")), "{text}");
    }
}
