//! See `windlass_fuzz::xmlrpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fuzz::xmlrpc::check(data));
