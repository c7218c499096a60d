//! The worker's clocks. On Cloudflare both stand still between two awaits that do I/O, so durations are those of
//! the network, never of the CPU.

use std::time::Duration;

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn date_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    whole_ms(date_now())
}

/// A time that JavaScript tells as a number, in whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "times are whole milliseconds far below 2^53")]
pub(crate) fn whole_ms(number: f64) -> i64 {
    number as i64
}

/// A text nobody can guess.
pub(crate) fn nonce() -> String {
    random_uuid()
}

/// Measures from its making on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(f64);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(performance_now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_secs_f64((performance_now() - self.0).max(0.0) / 1000.0)
    }
}
