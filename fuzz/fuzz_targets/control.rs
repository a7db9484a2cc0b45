//! Runs `control::control` under libFuzzer: `cargo +nightly fuzz run control`.
#![no_main]

#[path = "../src/control.rs"]
mod control;

libfuzzer_sys::fuzz_target!(|data: &[u8]| control::control(data));
