#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, u16, &[u8], &str)| {
    let (size, largest, bytes, text) = input;
    sockeye::fuzz::records(size, largest, bytes);
    sockeye::fuzz::write_records(text);
});
