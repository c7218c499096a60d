//! Fields of Prometheus that are known and not supported, and what to do instead.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};

/// What to do instead of a field of `scrape_configs`, for fields that are not supported.
pub(super) fn in_scrape_config(field: &str) -> Option<&'static str> {
    Some(match field {
        "static_configs" | "file_sd_configs" => return None,
        field if field.ends_with("_sd_configs") => {
            "list the targets in `static_configs`, or write them to a file named in `file_sd_configs`"
        }
        "oauth2" => "use `authorization` with `credentials_file` and let another program renew the token",
        "proxy_url" | "no_proxy" | "proxy_from_environment" | "proxy_connect_header" => {
            "targets are reached directly; run an agent on the other side instead"
        }
        "scrape_native_histograms"
        | "scrape_classic_histograms"
        | "always_scrape_classic_histograms"
        | "convert_classic_histograms_to_nhcb"
        | "native_histogram_bucket_limit"
        | "native_histogram_min_bucket_factor" => "native histograms are not read; remove the field",
        "scrape_failure_log_file" => "failures are in the log and on the targets page; remove the field",
        _ => return None,
    })
}

/// What to do instead of a field of `global`, for fields that are not supported.
pub(super) fn in_global(field: &str) -> Option<&'static str> {
    Some(match field {
        "query_log_file" | "scrape_failure_log_file" => "remove the field; the program writes one log",
        "runtime" => "it tunes Go's memory; remove the field",
        "rule_query_offset" => "rules are evaluated without an offset; remove the field",
        field => return in_scrape_config(field),
    })
}

/// A map that is read field by field, some fields being refused with an advice.
pub(super) trait Guarded<'de>: Sized {
    /// What to do instead of `field`, where it is not supported.
    fn refusal(field: &str) -> Option<&'static str>;

    /// Reads the map; all its keys were let through.
    fn read<D: Deserializer<'de>>(map: D) -> Result<Self, D::Error>;
}

/// Reads a guarded map.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Guarded<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(GuardVisitor(PhantomData))
}

struct GuardVisitor<T>(PhantomData<T>);

impl<'de, T: Guarded<'de>> Visitor<'de> for GuardVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read(MapAccessDeserializer::new(GuardedMap { map, refusal: T::refusal }))
    }
}

/// Looks at every key before it is read.
struct GuardedMap<A> {
    map: A,
    refusal: fn(&str) -> Option<&'static str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for GuardedMap<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.map.next_key::<String>()? else { return Ok(None) };
        if let Some(advice) = (self.refusal)(&key) {
            return Err(A::Error::custom(format_args!("`{key}` is not supported: {advice}")));
        }
        let key: StringDeserializer<A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
