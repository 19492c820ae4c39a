#![no_main]

libfuzzer_sys::fuzz_target!(|path: &str| sockeye::fuzz::route(path));
