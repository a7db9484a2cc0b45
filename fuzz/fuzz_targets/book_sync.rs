//! Runs `targets::book_sync` under libFuzzer: `cargo +nightly fuzz run book_sync`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::book_sync(data));
