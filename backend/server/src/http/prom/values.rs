//! Query results as JSON, in the form of Prometheus (`web/api/v1/json_codec.go`, `util/jsonutil`): times in
//! seconds, values as strings. Written by hand, because results can be large.

use std::fmt::Write;

use model::Labels;
use promql::{Cell, Histogram, Sample, Series, Value};

/// Appends `"resultType":…,"result":…`, the result cut to `limit` series (0: all). Tells whether it was cut.
pub(super) fn write_result(out: &mut String, value: &Value, limit: usize) -> bool {
    let keep = |len: usize| if limit == 0 { len } else { len.min(limit) };
    match value {
        Value::Scalar(ms, value) => {
            out.push_str("\"resultType\":\"scalar\",\"result\":");
            write_point(out, *ms, *value);
            false
        }
        Value::String(ms, text) => {
            out.push_str("\"resultType\":\"string\",\"result\":[");
            write_time(out, *ms);
            out.push(',');
            write_string(out, text);
            out.push(']');
            false
        }
        Value::Vector(samples) => {
            out.push_str("\"resultType\":\"vector\",\"result\":");
            write_list(out, &samples[..keep(samples.len())], write_sample);
            keep(samples.len()) < samples.len()
        }
        Value::Matrix(series) => {
            out.push_str("\"resultType\":\"matrix\",\"result\":");
            write_list(out, &series[..keep(series.len())], write_series);
            keep(series.len()) < series.len()
        }
    }
}

pub(super) fn write_list<T>(out: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn write_sample(out: &mut String, sample: &Sample) {
    out.push_str("{\"metric\":");
    write_labels(out, &sample.labels);
    match &sample.value {
        Cell::Float(value) => {
            out.push_str(",\"value\":");
            write_point(out, sample.timestamp_ms, *value);
        }
        Cell::Histogram(histogram) => {
            out.push_str(",\"histogram\":");
            write_histogram_point(out, sample.timestamp_ms, histogram);
        }
    }
    out.push('}');
}

fn write_series(out: &mut String, series: &Series) {
    out.push_str("{\"metric\":");
    write_labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.push_str(",\"values\":");
        write_list(out, &series.floats, |out, (ms, value)| write_point(out, *ms, *value));
    }
    if !series.histograms.is_empty() {
        out.push_str(",\"histograms\":");
        write_list(out, &series.histograms, |out, (ms, histogram)| {
            write_histogram_point(out, *ms, histogram)
        });
    }
    out.push('}');
}

/// Labels as an object, in order of name.
pub(super) fn write_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_string(out, value);
    }
    out.push('}');
}

fn write_point(out: &mut String, ms: i64, value: f64) {
    out.push('[');
    write_time(out, ms);
    out.push_str(",\"");
    write_float(out, value);
    out.push_str("\"]");
}

fn write_histogram_point(out: &mut String, ms: i64, histogram: &Histogram) {
    out.push('[');
    write_time(out, ms);
    out.push_str(",{\"count\":\"");
    write_float(out, histogram.count);
    out.push_str("\",\"sum\":\"");
    write_float(out, histogram.sum);
    out.push('"');
    let buckets: Vec<_> = histogram.all_buckets().into_iter().filter(|b| b.count != 0.0).collect();
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        write_list(out, &buckets, |out, bucket| {
            let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => '0',
                (true, false) => '1',
                (false, false) => '2',
                (true, true) => '3',
            };
            out.push('[');
            out.push(rule);
            for number in [bucket.lower, bucket.upper, bucket.count] {
                out.push_str(",\"");
                write_float(out, number);
                out.push('"');
            }
            out.push(']');
        });
    }
    out.push_str("}]");
}

/// Milliseconds as seconds with as many decimals as it takes, three or none.
pub(super) fn write_time(out: &mut String, ms: i64) {
    let (sign, ms) = if ms < 0 { ("-", ms.unsigned_abs()) } else { ("", ms.unsigned_abs()) };
    // Writing to a string does not fail.
    let _ = match ms % 1000 {
        0 => write!(out, "{sign}{}", ms / 1000),
        rest => write!(out, "{sign}{}.{rest:03}", ms / 1000),
    };
}

/// The fewest digits that read back to the same float; an exponent only for very large and very small ones.
pub(super) fn write_float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
        return;
    }
    let _ = write!(out, "{value}");
}

/// A JSON string.
pub(super) fn write_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        return out.push('"');
    }
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = String::new();
        write_float(&mut out, value);
        out
    }

    #[test]
    fn floats_read_as_in_prometheus() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (-3.25e-300, "-3.25e-300"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn results_have_the_documented_shape() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b\n")]);
        let series =
            Series { labels, floats: vec![(1_435_781_430_078, 1.0), (-1_000, 0.5)], histograms: vec![] };
        let mut out = String::new();
        assert!(!write_result(&mut out, &Value::Matrix(vec![series.clone()]), 1));
        assert_eq!(
            out,
            r#""resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b\n"},"values":[[1435781430.078,"1"],[-1,"0.5"]]}]"#
        );
        assert!(write_result(&mut out, &Value::Matrix(vec![series.clone(), series]), 1));
    }

    #[test]
    fn histograms_list_their_buckets_with_their_borders() {
        let histogram = Histogram {
            count: 6.0,
            sum: 3.5,
            zero_count: 1.0,
            zero_threshold: 0.25,
            positive: vec![promql::Bucket { index: 1, count: 3.0 }, promql::Bucket { index: 2, count: 0.0 }],
            negative: vec![promql::Bucket { index: 0, count: 2.0 }],
            ..Histogram::default()
        };
        let mut out = String::new();
        write_histogram_point(&mut out, 0, &histogram);
        assert_eq!(
            out,
            r#"[0,{"count":"6","sum":"3.5","buckets":[[1,"-1","-0.5","2"],[3,"-0.25","0.25","1"],[0,"1","2","3"]]}]"#
        );
    }
}
