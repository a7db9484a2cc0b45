//! Which symbols a simulated venue can be told to list.

use super::Usage;
use crate::sim::binance;

/// Whether the symbols can be listed: every one has a name, and a number is not beyond what Binance is simulated with.
pub(super) fn check(venue: &str, symbols: &[String]) -> Result<(), Usage> {
    if symbols.iter().any(|symbol| symbol.trim().is_empty()) {
        return Err(Usage("--symbols: one of them is empty; write SYMBOL,SYMBOL".to_owned()));
    }
    let is_number = |symbol: &&String| venue == "binance" && symbol.bytes().all(|byte| byte.is_ascii_digit());
    let most = binance::MOST_SYMBOLS;
    let fits = |symbol: &String| symbol.parse::<usize>().is_ok_and(|count| (1..=most).contains(&count));
    match symbols.iter().filter(is_number).find(|symbol| !fits(symbol)) {
        Some(symbol) => Err(Usage(format!("--symbols: {symbol} are not made up; allowed: 1 to {most}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_that_cannot_be_listed_are_refused() {
        let check = |symbols: &str| {
            let symbols: Vec<String> = symbols.split(',').map(str::to_owned).collect();
            check("binance", &symbols)
        };
        assert!(check("BTCUSDT,20").is_ok() && check("5000").is_ok());
        for wrong in [",,", "BTCUSDT,", "99999999", "0", "99999999999999999999999"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert!(check("5001").unwrap_err().to_string().contains("allowed: 1 to 5000"));
    }
}
