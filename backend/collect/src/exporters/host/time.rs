//! The machine's clock. The offset of the time zone is not told: everything here is in UTC.

use super::files::{names, read_trimmed};
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    #[expect(clippy::cast_precision_loss, reason = "a microsecond is enough")]
    let seconds = host.clock.now_ns() as f64 / 1e9;
    families.gauge("node_time_seconds", "System time in seconds since the unix epoch.", &[], seconds);
    let root = host.sys_path("devices/system/clocksource");
    for name in names(&root) {
        let Some(device) = name.strip_prefix("clocksource") else { continue };
        for (file, metric, help) in [
            ("available_clocksource", "node_time_clocksource_available_info", "Clock sources there are."),
            ("current_clocksource", "node_time_clocksource_current_info", "Clock source in use."),
        ] {
            let text = read_trimmed(&root.join(&name).join(file)).unwrap_or_default();
            for source in text.split_ascii_whitespace() {
                families.gauge(metric, help, &[("clocksource", source), ("device", device)], 1.0);
            }
        }
    }
    Ok(())
}
