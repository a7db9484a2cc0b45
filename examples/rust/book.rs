//! Keeps one order book with the library's own client, which joins, checks and heals by itself.
//!
//!     cargo run --example book -- book.bybit.linear.BTCUSDT. [CHANGES]
//!
//! Prints the best bid and ask after each change.

use anyhow::Context as _;
use tickbus::client::{Change, follow};
use tickbus::model::Level;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let topic = args.next().context("name a book's topic, as book.bybit.linear.BTCUSDT.")?;
    let mut left: u64 = args.next().map_or(Ok(0), |changes| changes.parse())?;
    let endpoint = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let bus = endpoint("TICKBUS_BUS", "tcp://127.0.0.1:5555");
    let snapshot = endpoint("TICKBUS_SNAPSHOT", "tcp://127.0.0.1:5556");
    let mut follower = follow(&bus, &snapshot, &topic)?;
    loop {
        match follower.next().await {
            Change::Live(book) => {
                let [bid, ask] = [book.bids().next(), book.asks().next()].map(text);
                println!("{:>8}  {bid}  |  {ask}", book.seq().1);
                if left == 1 {
                    return Ok(());
                }
                left = left.saturating_sub(1);
            }
            // Do not trade until it is live again.
            Change::Unknown { detail, .. } => eprintln!("book unknown: {detail}"),
        }
    }
}

fn text(level: Option<Level>) -> String {
    level.map_or_else(|| "none".to_owned(), |level| format!("{} x {}", level.price, level.size))
}
