//! Writes exposition pages: our own `/metrics` and what built-in exporters say.
//!
//! Comes in: families, samples. Goes out: a page that [`crate::exposition::Parser`] and Prometheus read back
//! unchanged. Does not check that names follow the conventions of a kind; the caller writes the `_total` of a
//! counter.

use std::fmt::Write;

use model::{METRIC_NAME, MetricKind};

use crate::exposition::Format;
use crate::exposition::lexer::{is_bare_label_name, is_bare_metric_name, is_plain};
use crate::{openmetrics, text};

/// `Content-Type` of a page in 0.0.4.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
/// `Content-Type` of a page in OpenMetrics.
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";

/// A page being written.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    page: String,
}

impl Writer {
    /// An empty page.
    pub fn new(format: Format) -> Writer {
        Writer { format, page: String::new() }
    }

    /// Value of the `Content-Type` header for this page.
    pub fn content_type(&self) -> &'static str {
        match self.format {
            Format::Text => TEXT_CONTENT_TYPE,
            Format::OpenMetrics => OPENMETRICS_CONTENT_TYPE,
        }
    }

    /// Opens a family with its help and type. In OpenMetrics a counter's family is written without `_total`.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> &mut Writer {
        let (name, kind_name, help) = match self.format {
            Format::Text => (name, text::kind_name(kind), text::escape_help(help)),
            Format::OpenMetrics => {
                let stem =
                    name.strip_suffix("_total").filter(|_| kind == MetricKind::Counter).unwrap_or(name);
                (stem, openmetrics::kind_name(kind), escape(help))
            }
        };
        for (keyword, text) in [("HELP", &*help), ("TYPE", kind_name)] {
            self.push(&["# ", keyword, " "]);
            self.metric_name(name);
            self.push(&[" ", text, "\n"]);
        }
        self
    }

    /// Writes one sample; the labels must not hold `__name__`.
    pub fn sample<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
    ) -> &mut Writer {
        self.sample_at(name, labels, value, None)
    }

    /// Writes one sample with its own timestamp, in milliseconds since the Unix epoch.
    pub fn sample_at<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
        timestamp_ms: Option<i64>,
    ) -> &mut Writer {
        let bare = is_bare_metric_name(name);
        let mut separator = "{";
        if bare {
            self.page.push_str(name);
        } else {
            self.push(&["{\"", &escape(name), "\""]);
            separator = ",";
        }
        for (name, value) in labels {
            let (name, value) = (name.as_ref(), value.as_ref());
            debug_assert_ne!(name, METRIC_NAME, "the name is an argument of its own");
            self.page.push_str(separator);
            separator = ",";
            self.label_name(name);
            self.push(&["=\"", &escape(value), "\""]);
        }
        if separator == "," {
            self.page.push('}');
        }
        self.page.push(' ');
        self.number(value);
        if let Some(timestamp_ms) = timestamp_ms {
            self.timestamp(timestamp_ms);
        }
        self.page.push('\n');
        self
    }

    /// The finished page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.page.push_str("# EOF\n");
        }
        self.page
    }

    fn push(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.page.push_str(piece);
        }
    }

    fn metric_name(&mut self, name: &str) {
        if is_bare_metric_name(name) {
            self.page.push_str(name);
        } else {
            self.push(&["\"", &escape(name), "\""]);
        }
    }

    fn label_name(&mut self, name: &str) {
        if is_bare_label_name(name) {
            self.page.push_str(name);
        } else {
            self.push(&["\"", &escape(name), "\""]);
        }
    }

    fn number(&mut self, value: f64) {
        if value.is_nan() {
            self.page.push_str("NaN");
        } else if value.is_infinite() {
            self.page.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        } else if value != 0.0 && !(1e-5..1e17).contains(&value.abs()) {
            // Display would write hundreds of zeros.
            let _ = write!(self.page, "{value:e}");
        } else {
            let _ = write!(self.page, "{value}");
        }
    }

    fn timestamp(&mut self, timestamp_ms: i64) {
        let _ = match self.format {
            Format::Text => write!(self.page, " {timestamp_ms}"),
            Format::OpenMetrics => {
                let sign = if timestamp_ms < 0 { "-" } else { "" };
                let (seconds, millis) =
                    (timestamp_ms.unsigned_abs() / 1000, timestamp_ms.unsigned_abs() % 1000);
                write!(self.page, " {sign}{seconds}.{millis:03}")
            }
        };
    }
}

/// Escapes a text for quotes.
fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    if is_plain(text) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
}

#[cfg(test)]
mod tests;
