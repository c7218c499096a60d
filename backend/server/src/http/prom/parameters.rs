//! Parameters of the Prometheus API. Comes in: the query string and, of a POST, the form. Goes out: times,
//! durations, limits and matchers, or Prometheus's own words about what is wrong with them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use chrono::DateTime;
use model::Matcher;
use promql::parse_selector;

use super::envelope::{ErrorType, PromError};

/// Times the API takes for "ever": what fits into the tables.
pub(super) const TIME_MIN_MS: i64 = -62_135_596_800_000;
/// The other end.
pub(super) const TIME_MAX_MS: i64 = 253_402_300_799_999;

const FORM: &str = "application/x-www-form-urlencoded";

/// Names and values in the order they came, the form's before the query string's.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = PromError;

    async fn from_request(request: Request, state: &S) -> Result<Parameters, PromError> {
        let in_url = request.uri().query().unwrap_or_default().to_owned();
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type.and_then(|value| value.to_str().ok()).is_some_and(|t| t.starts_with(FORM));
        let mut pairs = Vec::new();
        if is_form {
            let body = Bytes::from_request(request, state).await.map_err(|rejection| {
                let too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
                let text = if too_large { "the form is too large".to_owned() } else { rejection.body_text() };
                PromError::bad_data(text)
            })?;
            pairs.extend(url::form_urlencoded::parse(&body).into_owned());
        }
        pairs.extend(url::form_urlencoded::parse(in_url.as_bytes()).into_owned());
        Ok(Parameters(pairs))
    }
}

impl Parameters {
    /// The first value of `name`; empty ones count as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of `name`.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A time, or `default`.
    pub(super) fn time(&self, name: &'static str, default: i64) -> Result<i64, PromError> {
        self.get(name).map_or(Ok(default), |text| {
            parse_time(text)
                .ok_or_else(|| invalid(name, format!("cannot parse {text:?} to a valid timestamp")))
        })
    }

    /// A time that must be there.
    pub(super) fn required_time(&self, name: &'static str) -> Result<i64, PromError> {
        let text = self.get(name).unwrap_or_default();
        parse_time(text).ok_or_else(|| invalid(name, format!("cannot parse {text:?} to a valid timestamp")))
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&self, name: &'static str) -> Result<Option<i64>, PromError> {
        self.get(name)
            .map(|text| {
                parse_duration_ms(text)
                    .ok_or_else(|| invalid(name, format!("cannot parse {text:?} to a valid duration")))
            })
            .transpose()
    }

    /// A duration that is not negative.
    pub(super) fn duration(&self, name: &'static str) -> Result<Option<Duration>, PromError> {
        let Some(ms) = self.duration_ms(name)? else { return Ok(None) };
        match u64::try_from(ms) {
            Ok(ms) => Ok(Some(Duration::from_millis(ms))),
            Err(_) => Err(invalid(name, "must not be negative".to_owned())),
        }
    }

    /// Most items wanted; 0 or absent for all.
    pub(super) fn limit(&self) -> Result<usize, PromError> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        let number: i64 =
            text.parse().map_err(|_| invalid("limit", format!("cannot parse {text:?} to a valid limit")))?;
        usize::try_from(number).map_err(|_| invalid("limit", "limit must be non-negative".to_owned()))
    }

    /// The sets of matchers in `match[]`.
    pub(super) fn matcher_sets(&self) -> Result<Vec<Vec<Matcher>>, PromError> {
        self.all("match[]")
            .map(|text| {
                let selector = parse_selector(text).map_err(|error| invalid("match[]", error.to_string()))?;
                if selector.iter().all(|matcher| matcher.matches("")) {
                    let message = "match[] must contain at least one non-empty matcher";
                    return Err(PromError::bad_data(message));
                }
                Ok(selector)
            })
            .collect()
    }

    /// `start` and `end`, by default everything.
    pub(super) fn span(&self) -> Result<(i64, i64), PromError> {
        let (start, end) = (self.time("start", TIME_MIN_MS)?, self.time("end", TIME_MAX_MS)?);
        if end < start {
            return Err(invalid("end", "end timestamp must not be before start timestamp".to_owned()));
        }
        Ok((start, end))
    }
}

/// The error for a parameter.
pub(super) fn invalid(name: &str, message: String) -> PromError {
    PromError::new(ErrorType::BadData, format!("invalid parameter {name:?}: {message}"))
}

/// Seconds as a float, or RFC 3339.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range of i64")]
        return (ms.is_finite() && ms.abs() < 9.0e18).then(|| (ms as i64).clamp(TIME_MIN_MS, TIME_MAX_MS));
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// Seconds as a float, or `5m`.
fn parse_duration_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range of i64")]
        return (ms.is_finite() && ms.abs() < 9.0e15).then_some(ms as i64);
    }
    promql::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        assert_eq!(parse_time("1435781430.781"), Some(1_435_781_430_781));
        assert_eq!(parse_time("2015-07-01T20:10:30.781Z"), Some(1_435_781_430_781));
        assert_eq!(parse_time("2015-07-01T20:10:51+01:00"), Some(1_435_777_851_000));
        assert_eq!((parse_time("NaN"), parse_time("soon"), parse_time("")), (None, None, None));
        assert_eq!(parse_duration_ms("1.5"), Some(1_500));
        assert_eq!(parse_duration_ms("1h30m"), Some(5_400_000));
        assert_eq!((parse_duration_ms("Inf"), parse_duration_ms("x")), (None, None));
    }

    #[test]
    fn the_form_comes_before_the_query_string() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parameters = Parameters(vec![pair("query", "form"), pair("query", "url"), pair("match[]", "up")]);
        assert_eq!(parameters.get("query"), Some("form"));
        assert_eq!(parameters.all("query").count(), 2);
        assert_eq!(parameters.matcher_sets().expect("valid").len(), 1);
    }

    #[test]
    fn matchers_that_match_everything_are_refused() {
        let parameters = Parameters(vec![("match[]".to_owned(), "{job=~\".*\"}".to_owned())]);
        assert!(parameters.matcher_sets().is_err());
    }
}
