//! See `windlass_fuzz::config_xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fuzz::config_xml::check(data));
