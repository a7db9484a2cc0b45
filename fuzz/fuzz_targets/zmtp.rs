//! Runs `targets::zmtp` under libFuzzer: `cargo +nightly fuzz run zmtp`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::zmtp(data));
