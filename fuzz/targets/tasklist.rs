//! See `windlass_fuzz::tasklist`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fuzz::tasklist::check(data));
