//! A venue, a network and a subscriber in virtual time, all from one seed. Whatever the network does, a book that is
//! published as live is the venue's, and when it stops doing it, everything is live again.
//!
//! `TICKBUS_SEEDS=1000 cargo test --test simulation` runs more seeds; a failure names its seed, and
//! `TICKBUS_SEED=7` runs that one alone.

#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/subscriber.rs"]
mod subscriber;
#[path = "simulation/venue.rs"]
mod venue;
#[path = "simulation/world.rs"]
mod world;

use world::{Seen, World};

#[test]
fn a_live_book_is_the_venues_whatever_the_network_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("TICKBUS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TICKBUS_SEEDS").unwrap_or(300),
    };
    let (count, mut seen) = (seeds.end - seeds.start, Seen::default());
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        match run {
            Ok(found) => seen.add(&found),
            Err(_) => panic!("seed {seed} failed: TICKBUS_SEED={seed} runs it alone"),
        }
    }
    println!("{count} seeds: {seen:?}");
    if count >= 100 {
        seen.assert_all_reached();
    }
}
