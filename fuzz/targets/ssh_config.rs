//! See `windlass_fuzz::ssh_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fuzz::ssh_config::check(data));
