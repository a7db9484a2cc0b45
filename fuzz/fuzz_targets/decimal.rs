//! Runs `targets::decimal` under libFuzzer: `cargo +nightly fuzz run decimal`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::decimal(data));
