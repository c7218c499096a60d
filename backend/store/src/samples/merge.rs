//! Samples that are decoded already, of one series or several, from one place or several.

use std::ops::Range;
use std::sync::Arc;

use crate::duplicates::wins;

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
        // The stable sort goes by runs, of which there are few and long ones.
        pairs.sort_by_key(|pair| pair.0);
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

/// Samples of several series from one place, one series behind the other: two columns for all of them, since a
/// column a series is more work to get and give back than its samples are to read.
#[derive(Clone, Debug, Default)]
pub(super) struct Strip {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    /// Which series, by its position among those asked for, and where its samples end.
    ends: Vec<(usize, usize)>,
}

impl Strip {
    /// Ends the samples of the series at `position`, which `fill` appends; without any nothing is noted.
    pub(super) fn add<E>(
        &mut self,
        position: usize,
        fill: impl FnOnce(&mut Vec<i64>, &mut Vec<f64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.timestamps.len();
        let filled = fill(&mut self.timestamps, &mut self.values);
        debug_assert!(filled.is_err() || self.timestamps.len() == self.values.len(), "columns of one length");
        filled?;
        if !self.timestamps[start..].is_sorted_by(|a, b| a < b) {
            let part = Part::of(self.timestamps.split_off(start), self.values.split_off(start));
            self.timestamps.extend(part.timestamps);
            self.values.extend(part.values);
        }
        if self.timestamps.len() > start {
            self.ends.push((position, self.timestamps.len()));
        }
        Ok(())
    }

    /// Adds a part.
    pub(super) fn add_part(&mut self, position: usize, part: &Part) {
        if !part.timestamps.is_empty() {
            self.timestamps.extend_from_slice(&part.timestamps);
            self.values.extend_from_slice(&part.values);
            self.ends.push((position, self.timestamps.len()));
        }
    }

    /// Its parts, by themselves.
    pub(super) fn into_parts(self) -> Vec<(usize, Part)> {
        let part = |piece: Piece<'_>| {
            let (timestamps, values) = (piece.timestamps.to_vec(), piece.values.to_vec());
            (piece.position, Part { timestamps, values })
        };
        self.pieces().map(part).collect()
    }

    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        self.ends.iter().zip(starts).map(|((position, end), start)| Piece {
            position: *position,
            timestamps: &self.timestamps[start..*end],
            values: &self.values[start..*end],
        })
    }
}

/// Samples of a part that is kept for others, too: the series' position, the part, which of its samples.
pub(super) type Cut = (usize, Arc<Part>, Range<usize>);

/// All that was found of some series: strips, and cuts of parts that are kept.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    strips: Vec<Strip>,
    kept: Vec<Cut>,
}

impl Gathered {
    /// Takes a strip in.
    pub(super) fn add_strip(&mut self, strip: Strip) {
        if !strip.ends.is_empty() {
            self.strips.push(strip);
        }
    }

    /// Takes samples of a part in that others use, too.
    pub(super) fn add_kept(&mut self, cut: Cut) {
        if !cut.2.is_empty() {
            self.kept.push(cut);
        }
    }

    /// Number of samples, repeated ones included.
    pub(super) fn samples(&self) -> usize {
        let strips: usize = self.strips.iter().map(|strip| strip.timestamps.len()).sum();
        strips + self.kept.iter().map(|(_, _, range)| range.len()).sum::<usize>()
    }

    /// What was found, by position and time.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let kept = self.kept.iter().map(|(position, part, range)| Piece {
            position: *position,
            timestamps: &part.timestamps[range.clone()],
            values: &part.values[range.clone()],
        });
        let mut pieces: Vec<Piece<'_>> = self.strips.iter().flat_map(Strip::pieces).chain(kept).collect();
        pieces.sort_unstable_by_key(|piece| (piece.position, piece.timestamps[0]));
        pieces
    }
}

/// Samples of one series from one place, by strictly increasing time; there is at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) position: usize,
    pub(super) timestamps: &'a [i64],
    pub(super) values: &'a [f64],
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
    fn pieces_of_strips_and_kept_parts_lie_by_series_and_time() {
        let mut late = Strip::default();
        late.add_part(7, &part(&[(5, 5.0), (6, 6.0)]));
        late.add_part(9, &part(&[]));
        let unsorted = |timestamps: &mut Vec<i64>, values: &mut Vec<f64>| {
            timestamps.extend([4, 3, 4]);
            values.extend([1.0, 3.0, 2.0]);
            Ok::<_, ()>(())
        };
        late.add(9, unsorted).unwrap();
        assert_eq!(late.clone().into_parts()[1], (9, part(&[(3, 3.0), (4, 2.0)])));
        let mut early = Strip::default();
        early.add_part(7, &part(&[(1, 1.0), (5, 4.0)]));
        let mut gathered = Gathered::default();
        gathered.add_strip(late);
        gathered.add_strip(early);
        gathered.add_kept((9, Arc::new(part(&[(0, 9.0), (1, 1.0), (2, 2.0)])), 1..3));
        assert_eq!(gathered.samples(), 8);
        let (pieces, samples): (Vec<_>, Vec<_>) = gathered
            .pieces()
            .iter()
            .map(|piece| ((piece.position, piece.timestamps[0]), piece.values.len()))
            .unzip();
        assert_eq!(pieces, [(7, 1), (7, 5), (9, 1), (9, 3)]);
        assert_eq!(samples, [2, 2, 2, 2]);
    }

    #[test]
    fn of_two_samples_of_one_time_the_winner_stays() {
        let parts = vec![part(&[(1, 1.0), (3, 9.0)]), part(&[(1, 2.0), (2, 0.0), (3, 3.0)])];
        let joined = part(&[(1, 2.0), (2, 0.0), (3, 9.0)]);
        assert_eq!(join(parts.clone()), joined);
        assert_eq!(join(parts.into_iter().rev().collect()), joined);
    }
}
