//! Whole days, written as a duration: `30d`, `2w`. Data is dropped a day at a time, so nothing finer would hold.

use collect::scrape::config::parse_duration;
use serde::{Deserialize, Deserializer, de};

const DAY_SECONDS: u64 = 86_400;

/// A number of days; 0 means forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(pub(crate) u32);

impl Days {
    /// The days, or `None` for forever.
    pub(crate) fn limit(self) -> Option<u32> {
        (self.0 > 0).then_some(self.0)
    }
}

pub(super) fn parse_days(text: &str) -> Result<u32, String> {
    let duration =
        parse_duration(text).map_err(|_| format!("`{text}` is not a number of days such as `30d`"))?;
    if !duration.as_secs().is_multiple_of(DAY_SECONDS) || duration.subsec_nanos() != 0 {
        return Err(format!("`{text}` is not a whole number of days; data is dropped a day at a time"));
    }
    u32::try_from(duration.as_secs() / DAY_SECONDS).map_err(|_| format!("`{text}` is too long"))
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Days, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_days(&text).map(Days).map_err(de::Error::custom)
    }
}
