//! Which message a request carries, by its headers.

use thiserror::Error;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// 1.0, message `prometheus.WriteRequest`.
    V1,
    /// 2.0, message `io.prometheus.write.v2.Request`.
    V2,
}

/// Headers that no version of the protocol has: status 415.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unsupported {
    /// Another media type, or another message.
    #[error(
        "content type `{0}` is not supported; send `application/x-protobuf` with the message \
         `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`"
    )]
    ContentType(String),
    /// Another compression.
    #[error("content encoding `{0}` is not supported; send `snappy`")]
    ContentEncoding(String),
}

/// Tells the version from the headers `content-type` and `content-encoding`. Without them it is 1.0 in snappy,
/// as old senders mean it.
pub fn negotiate(content_type: Option<&str>, content_encoding: Option<&str>) -> Result<Version, Unsupported> {
    if let Some(encoding) = content_encoding
        && !encoding.trim().eq_ignore_ascii_case("snappy")
        && !encoding.trim().is_empty()
    {
        return Err(Unsupported::ContentEncoding(short(encoding)));
    }
    let Some(content_type) = content_type.filter(|text| !text.trim().is_empty()) else {
        return Ok(Version::V1);
    };
    let unsupported = || Unsupported::ContentType(short(content_type));
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/x-protobuf")) {
        return Err(unsupported());
    }
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or_else(unsupported)?;
        if name.trim().eq_ignore_ascii_case("proto") {
            return match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Ok(Version::V1),
                "io.prometheus.write.v2.Request" => Ok(Version::V2),
                _ => Err(unsupported()),
            };
        }
    }
    Ok(Version::V1)
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
