#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sockeye::fuzz::quote(text));
