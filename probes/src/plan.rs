//! Which probes are due in a scheduled minute, and how many requests they may make together.

use crate::ProbeSpec;

/// Length of the edge's tick.
const MINUTE_MS: i64 = 60_000;

/// The probes due in the minute that holds `scheduled_ms` (milliseconds since the Unix epoch).
///
/// A probe whose interval is a minute or less is due every minute. Longer intervals keep a grid of their own,
/// shifted by a digest of the name, so that the probes of one interval spread over its minutes; the grid
/// depends on nothing else, so a restart neither repeats nor skips a run. The order is that of the list,
/// rotated by the minute: where a budget cuts the end off, it is not always the same probe that suffers.
pub fn due(probes: &[ProbeSpec], scheduled_ms: i64) -> Vec<&ProbeSpec> {
    let minute = scheduled_ms.div_euclid(MINUTE_MS);
    let mut due: Vec<&ProbeSpec> = probes.iter().filter(|probe| is_due(probe, minute)).collect();
    if !due.is_empty() {
        let turn = usize::try_from(minute.rem_euclid(due.len() as i64)).unwrap_or(0);
        due.rotate_left(turn);
    }
    due
}

fn is_due(probe: &ProbeSpec, minute: i64) -> bool {
    let interval_ms = i64::from(probe.interval_seconds).max(1) * 1000;
    let begin_ms = minute * MINUTE_MS + phase_ms(&probe.name, interval_ms);
    // Due where a multiple of the interval lies in (begin - minute, begin].
    begin_ms.div_euclid(interval_ms) > (begin_ms - MINUTE_MS).div_euclid(interval_ms)
}

/// Whole minutes within the interval, chosen by the name (FNV-1a, 64 bits).
fn phase_ms(name: &str, interval_ms: i64) -> i64 {
    let minutes = (interval_ms / MINUTE_MS).max(1);
    let digest = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    i64::try_from(digest % minutes.unsigned_abs()).unwrap_or(0) * MINUTE_MS
}

/// The requests a tick may still make. Cloudflare allows a Worker on the free plan 50 in one run, and a redirect
/// is one more.
#[derive(Clone, Debug)]
pub struct Budget {
    left: u32,
    /// Probes of this tick that have not begun; a request is kept for each.
    waiting: u32,
}

impl Budget {
    /// `limit` requests for a whole tick, of which `reserved` are for other things than probes.
    pub fn new(limit: u32, reserved: u32) -> Budget {
        Budget { left: limit.saturating_sub(reserved), waiting: 0 }
    }

    /// Admits as many of `probes` as there are requests; returns how many. Each takes its first request by
    /// [`Budget::start`].
    pub fn admit(&mut self, probes: usize) -> usize {
        let admitted = u32::try_from(probes).unwrap_or(u32::MAX).min(self.left - self.waiting);
        self.waiting += admitted;
        admitted as usize
    }

    /// The first request of an admitted probe.
    pub fn start(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
    }

    /// A request for one redirect; false where the rest belongs to probes that have not begun.
    pub fn redirect(&mut self) -> bool {
        let free = self.left > self.waiting;
        if free {
            self.left -= 1;
        }
        free
    }

    /// Requests nobody has taken or reserved.
    pub fn left(&self) -> u32 {
        self.left - self.waiting
    }
}

#[cfg(test)]
mod tests;
