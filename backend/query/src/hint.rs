//! Words for error messages: near names by edit distance, short lists, sizes.

/// Most names a list in a message shows.
const LIST_MAX: usize = 20;

/// "did you mean `x`", where one of `names` is close to `wanted`.
pub(crate) fn did_you_mean<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(wanted, names).map(|name| format!("did you mean `{name}`"))
}

/// The name nearest to `wanted`, if it is near enough to be a slip of the finger.
pub(crate) fn closest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(wanted.len()) <= 2 * allowed)
        .map(|name| (edit_distance(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| name)
}

/// Edits of one character, or swaps of two neighbours, that lead from one text to the other (optimal string
/// alignment distance; Damerau 1964, by Wagner and Fischer's table of which three rows are kept).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substituted = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substituted.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// The first names, comma-separated, with `…` where there are more.
pub(crate) fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(LIST_MAX)].join(", ");
    if names.len() > LIST_MAX { format!("{shown}, …") } else { shown }
}

/// A size in the largest unit that keeps it whole.
pub(crate) fn bytes(count: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if count >= 1 << shift && count.is_multiple_of(1 << shift) {
            return format!("{} {unit}", count >> shift);
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names =
            ["metrics", "series", "logs", "log_streams", "probes", "histograms", "start_times", "exemplars"];
        let check =
            |wanted: &str, expect: Option<&str>| assert_eq!(closest(wanted, names), expect, "{wanted}");
        check("metrcs", Some("metrics"));
        check("METRICS", Some("metrics"));
        check("log_stream", Some("log_streams"));
        check("log", Some("logs"));
        check("users", None);
        check("", None);
    }

    #[test]
    fn distances() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("valeu", "value"), 1);
        assert_eq!(edit_distance("größe", "große"), 1);
    }

    #[test]
    fn sizes_keep_whole() {
        assert_eq!(bytes(512 << 20), "512 MiB");
        assert_eq!(bytes(1 << 30), "1 GiB");
        assert_eq!(bytes(1500), "1500 bytes");
    }
}
