//! Puts the parts of a series together.

use crate::duplicates::wins;
use crate::series_files::SeriesEntry;

use super::SeriesSamples;

/// Samples of one series from one place, by strictly increasing time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) timestamps: Vec<i64>,
    pub(super) values: Vec<f64>,
}

impl Part {
    /// A part of columns in any order, with repeated times.
    pub(super) fn of(timestamps: Vec<i64>, values: Vec<f64>) -> Part {
        let mut part = Part { timestamps, values };
        if !part.is_strictly_increasing() {
            part.sort();
        }
        part
    }

    fn is_strictly_increasing(&self) -> bool {
        self.timestamps.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Sorts by time; of samples with the same time the one that wins stays.
    fn sort(&mut self) {
        let mut pairs: Vec<(i64, f64)> =
            self.timestamps.iter().copied().zip(self.values.iter().copied()).collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = wins(kept.1, later.1);
            }
            same
        });
        self.timestamps.clear();
        self.values.clear();
        for (timestamp, value) in pairs {
            self.timestamps.push(timestamp);
            self.values.push(value);
        }
    }
}

/// Every series with its samples; `parts` has a list for each of `series`.
pub(super) fn assemble(series: &[SeriesEntry], parts: Vec<Vec<Part>>) -> Vec<SeriesSamples> {
    let joined = parts.into_iter().map(join);
    series
        .iter()
        .zip(joined)
        .map(|(entry, part)| SeriesSamples {
            tsid: entry.tsid,
            timestamps: part.timestamps,
            values: part.values,
        })
        .collect()
}

/// One part of several, whatever their order. A single one is handed on as it is.
pub(super) fn join(mut parts: Vec<Part>) -> Part {
    parts.retain(|part| !part.timestamps.is_empty());
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default();
    }
    parts.sort_unstable_by_key(|part| part.timestamps[0]);
    let total = parts.iter().map(|part| part.timestamps.len()).sum();
    let mut timestamps = Vec::with_capacity(total);
    let mut values = Vec::with_capacity(total);
    for part in parts {
        timestamps.extend_from_slice(&part.timestamps);
        values.extend_from_slice(&part.values);
    }
    Part::of(timestamps, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(samples: &[(i64, f64)]) -> Part {
        Part {
            timestamps: samples.iter().map(|s| s.0).collect(),
            values: samples.iter().map(|s| s.1).collect(),
        }
    }

    #[test]
    fn parts_come_together_by_time_whatever_their_order() {
        let parts = vec![part(&[(5, 5.0), (6, 6.0)]), part(&[]), part(&[(1, 1.0), (2, 2.0)])];
        assert_eq!(join(parts), part(&[(1, 1.0), (2, 2.0), (5, 5.0), (6, 6.0)]));
    }

    #[test]
    fn of_two_samples_of_one_time_the_winner_stays() {
        let parts = vec![part(&[(1, 1.0), (3, 9.0)]), part(&[(1, 2.0), (2, 0.0), (3, 3.0)])];
        let joined = part(&[(1, 2.0), (2, 0.0), (3, 9.0)]);
        assert_eq!(join(parts.clone()), joined);
        assert_eq!(join(parts.into_iter().rev().collect()), joined);
    }
}
