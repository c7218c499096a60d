//! `series`, `labels`, `label/NAME/values`: which series there are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;

use super::envelope::{Notes, PromError, success_limited, success_with};
use super::parameters::Parameters;
use super::values::write_labels;
use crate::app::App;

/// Label sets that match any of `match[]`.
pub(super) async fn series(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let sets = parameters.matcher_sets()?;
    if sets.is_empty() {
        return Err(PromError::bad_data("no match[] parameter provided"));
    }
    let ((start, end), limit) = (parameters.span()?, parameters.limit()?);
    let mut found = app.prom().series(app.store().snapshot(), &sets, start, end, one_more(limit)).await?;
    let mut notes = Notes::default();
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.warnings.push("results truncated due to limit".to_owned());
    }
    Ok(success_with(&notes, |out| {
        out.push('[');
        for (i, labels) in found.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_labels(out, labels);
        }
        out.push(']');
    }))
}

/// Names of labels.
pub(super) async fn names(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let sets = parameters.matcher_sets()?;
    let ((start, end), limit) = (parameters.span()?, parameters.limit()?);
    let names = app.prom().label_names(app.store().snapshot(), &sets, start, end, one_more(limit)).await?;
    Ok(success_limited(names, limit))
}

/// Values of a label.
pub(super) async fn values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let name = unescape(&name);
    if name.is_empty() {
        return Err(PromError::bad_data("invalid label name: \"\""));
    }
    let sets = parameters.matcher_sets()?;
    let ((start, end), limit) = (parameters.span()?, parameters.limit()?);
    let values =
        app.prom().label_values(app.store().snapshot(), &name, &sets, start, end, one_more(limit)).await?;
    Ok(success_limited(values, limit))
}

/// Tells a full list from a cut one.
fn one_more(limit: usize) -> Option<usize> {
    (limit > 0).then(|| limit.saturating_add(1))
}

/// Names outside of `[a-zA-Z0-9_]` come as `U__`, with `_hex_` for what does not fit and `__` for `_`
/// (Prometheus, "UTF-8 support": value encoding).
fn unescape(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = rest;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let decoded = rest.split_once('_').and_then(|(hex, after)| {
            let c = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)?;
            Some((c, after))
        });
        let Some((c, after)) = decoded else { return name.to_owned() };
        out.push(c);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escaped_names() {
        assert_eq!(unescape("job"), "job");
        assert_eq!(unescape("U__service_2e_name"), "service.name");
        assert_eq!(unescape("U__a__b_1f600_"), "a_b😀");
        assert_eq!(unescape("U__broken_zz"), "U__broken_zz");
    }
}
