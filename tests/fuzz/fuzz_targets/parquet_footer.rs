#![no_main]

use libfuzzer_sys::fuzz_target;

// The Parquet library may panic on damaged bytes, and the store turns that into an error: only what gets out of there
// counts. libFuzzer's own hook would end the process before.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |data: &[u8]| {
    if std::panic::catch_unwind(|| store::fuzzing::parquet_footer(data)).is_err() {
        std::process::abort();
    }
});
