//! Answers of the Prometheus API as text: a table of the samples of one time, a line with a small chart for every
//! series of a range, CSV of either.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::query::{cell, columns};

/// Columns a chart takes.
const CHART_WIDTH: usize = 48;
/// Heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Columns for people.
pub(super) fn table(data: &Value) -> String {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("matrix") => ranges(result),
        Some("vector") => {
            let rows = list(result).iter().map(|sample| {
                let value = if sample["value"].is_array() {
                    text(&sample["value"][1])
                } else {
                    histogram(&sample["histogram"][1])
                };
                vec![labels(&sample["metric"]), value]
            });
            columns(&["series", "value"], &rows.collect::<Vec<_>>(), &[false, true])
        }
        _ => format!("{}\n", text(&result[1])),
    }
}

fn ranges(result: &Value) -> String {
    let rows = list(result).iter().map(|series| {
        let values: Vec<f64> = list(&series["values"]).iter().filter_map(|pair| number(&pair[1])).collect();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let least = finite().fold(f64::INFINITY, f64::min);
        let most = finite().fold(f64::NEG_INFINITY, f64::max);
        let shown = |value: f64| if value.is_finite() { short(value) } else { String::new() };
        let last = values.last().map_or_else(String::new, |value| short(*value));
        vec![labels(&series["metric"]), chart(&values, least, most), shown(least), shown(most), last]
    });
    let names = ["series", "over time", "min", "max", "last"];
    columns(&names, &rows.collect::<Vec<_>>(), &[false, false, true, true, true])
}

/// One bar for a stretch of values: its greatest.
fn chart(values: &[f64], least: f64, most: f64) -> String {
    let width = values.len().min(CHART_WIDTH);
    let bar = |column: usize| {
        let stretch = &values[column * values.len() / width..(column + 1) * values.len() / width];
        let top = stretch.iter().copied().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        if !top.is_finite() {
            return ' ';
        }
        let share = if most > least { (top - least) / (most - least) } else { 0.5 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    (0..width).map(bar).collect()
}

/// A line a sample.
pub(super) fn csv(data: &Value) -> String {
    let result = &data["result"];
    let series = match data["resultType"].as_str() {
        Some("matrix" | "vector") => list(result),
        _ => return format!("timestamp,value\n{},{}\n", result[0], quoted(&text(&result[1]))),
    };
    let names: BTreeSet<&str> = series
        .iter()
        .filter_map(|series| series["metric"].as_object())
        .flat_map(|labels| labels.keys().map(String::as_str))
        .collect();
    let mut out = String::from("timestamp,value");
    for name in &names {
        out.push(',');
        out.push_str(&quoted(name));
    }
    out.push('\n');
    for series in series {
        let labels: String =
            names.iter().map(|name| format!(",{}", quoted(&text(&series["metric"][*name])))).collect();
        let single = series["value"].is_array().then_some(&series["value"]);
        for pair in single.into_iter().chain(list(&series["values"])) {
            out.push_str(&format!("{},{}{labels}\n", pair[0], quoted(&text(&pair[1]))));
        }
    }
    out
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn histogram(value: &Value) -> String {
    format!("histogram of {} observations, sum {}", text(&value["count"]), text(&value["sum"]))
}

fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e9).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let fixed = format!("{value:.3}");
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `up{job="a"}`.
fn labels(metric: &Value) -> String {
    let Some(labels) = metric.as_object() else { return String::new() };
    let name = metric["__name__"].as_str().unwrap_or_default();
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    let text = if pairs.is_empty() && !name.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", pairs.join(", "))
    };
    cell(&Value::String(text))
}

/// A field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instant_answers() {
        let data = json!({ "resultType": "vector", "result": [
            { "metric": { "__name__": "up", "job": "a" }, "value": [1.5, "1"] },
            { "metric": { "__name__": "up", "job": "b,c" }, "value": [1.5, "0"] },
        ] });
        assert_eq!(
            table(&data),
            "series         value\n─────────────  ─────\nup{job=\"a\"}        1\nup{job=\"b,c\"}      0\n"
        );
        assert_eq!(csv(&data), "timestamp,value,__name__,job\n1.5,1,up,a\n1.5,0,up,\"b,c\"\n");
        let scalar = json!({ "resultType": "scalar", "result": [1, "2.5"] });
        assert_eq!(
            (table(&scalar), csv(&scalar)),
            ("2.5\n".to_owned(), "timestamp,value\n1,2.5\n".to_owned())
        );
    }

    #[test]
    fn ranges_become_charts() {
        let data = json!({ "resultType": "matrix", "result": [
            { "metric": {}, "values": [[0, "0"], [1, "7"], [2, "NaN"], [3, "3"]] },
        ] });
        let text = table(&data);
        assert!(text.contains("▁█ ▄"), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.ends_with('3')), "{text}");
        assert_eq!(csv(&data).lines().count(), 5);
    }
}
