//! Text as Prometheus prints it: floats, quoted strings, positions. Comes in: values; goes out: strings that
//! users compare with what they know. Knows nothing of queries.

/// From this decimal exponent on, `%g` with the fewest digits prints an exponent (Go, `strconv`).
const EXPONENT_MIN: i32 = 6;

/// A float as Go prints it with `%g` and the fewest digits: exponents from 1e+06 up and below 1e-04.
pub(crate) fn float_g(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..EXPONENT_MIN).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A float in plain decimal notation with the fewest digits, as Go's `FormatFloat(f, 'f', -1, 64)`.
pub(crate) fn float_decimal(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// A float as OpenMetrics writes label values of quantiles and buckets: whole numbers keep a `.0`.
pub(crate) fn float_open_metrics(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let text = float_g(value);
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// A string in double quotes, as Go's `%q`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            // `\x` is a byte, which alone is no text from 0x80 on.
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `line:column` of a byte offset, both counted from one, columns in bytes.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
