//! See `windlass_fuzz::index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fuzz::index::check(data));
