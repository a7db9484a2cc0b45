//! Runs `targets::binance_session` under libFuzzer: `cargo +nightly fuzz run binance_session`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::binance_session(data));
