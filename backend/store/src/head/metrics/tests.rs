use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use model::Batch;
use proptest::prelude::*;

use super::*;
use crate::duplicates::wins;
use crate::head::generation::{Generation, Registries};
use crate::tables::Table;

fn labels(metric: u8, i: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("m{metric}")), ("i", i.to_string())])
}

/// Generations of these samples: (metric, series, time, value).
fn generations(parts: &[Vec<(u8, u8, i64, f64)>]) -> Vec<Arc<Generation>> {
    let mut registries = Registries::default();
    let mut last = Generation::new(1);
    let mut generations = Vec::new();
    for part in parts {
        let point = |(metric, i, timestamp_ms, value): &(u8, u8, i64, f64)| Point {
            labels: labels(*metric, *i),
            timestamp_ms: *timestamp_ms,
            value: *value,
        };
        let batch = Batch { points: part.iter().map(point).collect(), ..Batch::new("test") };
        let resolved = registries.resolve(&batch);
        last.append(1, 0, batch, &resolved, &mut registries);
        let next = last.successor();
        generations.push(Arc::new(std::mem::replace(&mut last, next)));
    }
    generations
}

fn by_series(head: &MetricsHead, names: &BTreeSet<String>) -> BTreeMap<i64, Vec<(i64, u64)>> {
    let mut all = BTreeMap::new();
    for name in names {
        for series in head.series_of(name, |series| series.labels.name() == name) {
            let samples: Vec<(i64, u64)> = series.chunk.iter().map(|(ms, v)| (ms, v.to_bits())).collect();
            assert_eq!(samples.len(), series.chunk.len());
            assert_eq!(samples.iter().map(|s| s.0).min(), Some(series.min_ms));
            assert_eq!(samples.iter().map(|s| s.0).max(), Some(series.max_ms));
            assert!(all.insert(series.tsid, samples).is_none());
        }
    }
    all
}

fn sample() -> impl Strategy<Value = (u8, u8, i64, f64)> {
    let value = prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, model::stale_nan(), 7.5]);
    let time = prop_oneof![-5i64..60, 86_399_990i64..86_400_010, Just(1i64 << 50)];
    (0u8..3, 0u8..5, time, value)
}

proptest! {
    #[test]
    fn packing_keeps_one_sample_a_time(parts in prop::collection::vec(prop::collection::vec(sample(), 0..60), 1..5)) {
        let mut expect: BTreeMap<i64, BTreeMap<i64, f64>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (metric, i, ms, value) in parts.iter().flatten() {
            names.insert(format!("m{metric}"));
            let id = labels(*metric, *i).hash64().cast_signed();
            let known = expect.entry(id).or_default().entry(*ms).or_insert(*value);
            *known = wins(*known, *value);
        }
        let packed = Generation::packed(Table::Metrics, &generations(&parts)).expect("small");
        let head = &packed.metrics;
        prop_assert_eq!(&head.metric_names(), &names);
        let bits = |samples: &BTreeMap<i64, f64>| samples.iter().map(|(ms, v)| (*ms, v.to_bits())).collect();
        let expect: BTreeMap<i64, Vec<(i64, u64)>> = expect.iter().map(|(id, s)| (*id, bits(s))).collect();
        prop_assert_eq!(&by_series(head, &names), &expect);
        let rows: usize = expect.values().map(Vec::len).sum();
        prop_assert_eq!(head.rows(), rows as u64);
        prop_assert_eq!(head.days().values().sum::<u64>(), rows as u64);
        prop_assert_eq!(head.series_count(), expect.len() as u64);
        // Packed once more it stays the same.
        let again = Generation::packed(Table::Metrics, &[Arc::new(packed)]).expect("small");
        prop_assert_eq!(by_series(&again.metrics, &names), expect);
    }

    #[test]
    fn ids_find_their_series(parts in prop::collection::vec(prop::collection::vec(sample(), 1..60), 1..3), pick in any::<u64>()) {
        let generations = generations(&parts);
        let packed = Arc::new(Generation::packed(Table::Metrics, &generations).expect("small"));
        for generation in generations.iter().chain([&packed]) {
            let names = generation.metrics.metric_names();
            let all: Vec<i64> = by_series(&generation.metrics, &names).into_keys().collect();
            let wanted: Vec<i64> = all.iter().copied().filter(|id| id.cast_unsigned() & pick != 0).collect();
            let asked: Vec<i64> = wanted.iter().copied().chain([1, -1]).collect();
            let found = generation.metrics.series_by_ids(&asked);
            let ids: HashSet<i64> = found.iter().map(|series| series.tsid).collect();
            prop_assert_eq!(ids.len(), found.len());
            prop_assert_eq!(ids, wanted.into_iter().collect::<HashSet<_>>());
            for series in found {
                let (all, some): (Vec<_>, Vec<_>) = (series.chunk.iter().collect(), series.samples(3, 40).collect());
                let expect: Vec<_> = all.into_iter().filter(|s| (3..=40).contains(&s.0)).collect();
                let bits = |samples: &[(i64, f64)]| samples.iter().map(|s| (s.0, s.1.to_bits())).collect::<Vec<_>>();
                prop_assert_eq!(bits(&some), bits(&expect));
            }
        }
    }
}
