#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, u8, &[u8])| {
    let (message_size, messages, body) = input;
    sockeye::fuzz::payload(message_size, messages, body);
});
