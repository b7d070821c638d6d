#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixp2p_fuzz::run("outbox", data));
