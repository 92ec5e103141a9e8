#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nakivo_fuzz::bodies::payload(data));
