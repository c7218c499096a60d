//! One host's series over time: scrapes that come on time or not at all, load that goes up and down and takes the
//! host's counters along, a reboot here and there. Goes out: columns of values over the scrapes of a window; how the
//! time is cut into windows changes nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::chance::Chance;
use crate::model_file::{HistogramModel, Model, SeriesModel, Walk};

/// One scrape in so many is lost.
const LOST_ONE_IN: f64 = 500.0;
/// One host in so many goes down once.
const REBOOT_ONE_IN: u64 = 4;
/// Scrapes a reboot takes.
const REBOOT_SLOTS: usize = 8;
/// How long a gauge takes to forget where it was, seconds.
const GAUGE_MEMORY_S: f64 = 600.0;
/// Deviation of the logarithm of durations in histograms.
const DURATION_SPREAD: f64 = 1.1;

/// Which scrapes there are.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) slots: usize,
    /// Those that are written; the others only move the hosts on.
    pub(crate) written: Range<usize>,
}

impl Period {
    /// Slots up to the last one that is written, in windows of `seconds`, in order of time.
    pub(crate) fn windows(&self, seconds: i64) -> impl Iterator<Item = Range<usize>> {
        let slots = usize::try_from(seconds * 1_000 / self.interval_ms).unwrap_or(1).max(1);
        let last = self.slots.min(self.written.end);
        (0..last).step_by(slots).map(move |from| from..(from + slots).min(last))
    }
}

/// One scrape of a host.
#[derive(Clone, Copy, Debug)]
struct Slot {
    time_ms: i64,
    /// 1 on average.
    load: f64,
    is_lost: bool,
    is_reboot: bool,
}

/// What the scrapes of a window found: `columns[i][j]` is the value of series i at `times_ms[j]`.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) times_ms: Vec<i64>,
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Window {
    pub(crate) fn samples(&self) -> u64 {
        (self.times_ms.len() * self.columns.len()) as u64
    }
}

/// A host and where its series stand.
#[derive(Debug)]
pub(crate) struct Host {
    labels: Vec<BTreeMap<String, String>>,
    slots: Vec<Slot>,
    series: Vec<Walker>,
    histograms: Vec<Observed>,
    interval_s: f64,
}

#[derive(Debug)]
struct Walker {
    chance: Chance,
    value: f64,
    /// How busy this series is, beside the same one of other hosts.
    scale: f64,
}

#[derive(Debug)]
struct Observed {
    chance: Chance,
    /// How many in each bucket, not added up.
    counts: Vec<f64>,
    sum: f64,
    /// Share of observations in each bucket.
    shares: Vec<f64>,
    /// What an observation in each bucket adds to the sum.
    middles: Vec<f64>,
}

impl Host {
    pub(crate) fn new(model: &Model, number: u64, period: &Period) -> Host {
        let name = format!("host-{number:03}");
        let series = model.series.iter().enumerate().map(|(i, series)| Walker::new(series, number, i as u64));
        let first_histogram = model.series.len() as u64;
        let histograms = model.histograms.iter().zip(first_histogram..);
        Host {
            labels: labels_of(model, &name),
            slots: slots_of(number, period),
            series: series.collect(),
            histograms: histograms.map(|(histogram, i)| Observed::new(histogram, number, i)).collect(),
            interval_s: period.interval_ms as f64 / 1_000.0,
        }
    }

    /// Label sets in the order of a window's columns.
    pub(crate) fn labels(&self) -> &[BTreeMap<String, String>] {
        &self.labels
    }

    /// Walks on over `slots`, which must follow those of the last call.
    pub(crate) fn walk(&mut self, model: &Model, slots: Range<usize>, window: &mut Window) {
        let slots = &self.slots[slots];
        let seen = slots.iter().filter(|slot| !slot.is_lost);
        window.times_ms.clear();
        window.times_ms.extend(seen.map(|slot| slot.time_ms));
        window.columns.resize_with(self.labels.len(), Vec::new);
        window.columns.iter_mut().for_each(Vec::clear);
        let (plain, rest) = window.columns.split_at_mut(self.series.len());
        for ((walker, series), column) in self.series.iter_mut().zip(&model.series).zip(plain) {
            walker.walk(series, slots, self.interval_s, column);
        }
        let mut rest = rest;
        for (observed, histogram) in self.histograms.iter_mut().zip(&model.histograms) {
            let (columns, others) = rest.split_at_mut(histogram.bounds.len() + 3);
            observed.walk(histogram, slots, self.interval_s, columns);
            rest = others;
        }
    }
}

impl Walker {
    fn new(series: &SeriesModel, host: u64, number: u64) -> Walker {
        let mut chance = Chance::seeded(host, number);
        let scale = match series.walk {
            Walk::Counter => chance.between(0.4, 1.6),
            Walk::Gauge => chance.between(0.7, 1.0),
            Walk::Constant | Walk::Clock => 1.0,
        };
        Walker { chance, value: series.first * scale, scale }
    }

    fn walk(&mut self, series: &SeriesModel, slots: &[Slot], interval_s: f64, column: &mut Vec<f64>) {
        let changes = 1.0 - (-series.often * interval_s).exp();
        let forgotten = (interval_s / GAUGE_MEMORY_S).min(1.0);
        for slot in slots {
            match series.walk {
                Walk::Constant => {}
                Walk::Clock => self.value = slot.time_ms as f64 / 1_000.0,
                Walk::Counter => {
                    if slot.is_reboot {
                        self.value = 0.0;
                    } else if self.chance.unit() < changes {
                        let expected = series.pace * interval_s / changes * self.scale * slot.load;
                        self.value += expected * self.chance.between(0.4, 1.6);
                    }
                }
                Walk::Gauge => {
                    if self.chance.unit() < changes {
                        let target = series.mean * self.scale + series.spread * (slot.load - 1.0);
                        let noise = (2.0 * forgotten).sqrt() * series.spread * self.chance.normal();
                        self.value += forgotten * (target - self.value) + noise;
                        if series.mean >= 0.0 {
                            self.value = self.value.max(0.0);
                        }
                    }
                }
            }
            if slot.is_lost {
                continue;
            }
            column.push(match series.walk {
                Walk::Constant => series.first,
                _ => {
                    (self.value * series.per_unit / series.multiple).round() * series.multiple
                        / series.per_unit
                }
            });
        }
    }
}

impl Observed {
    fn new(histogram: &HistogramModel, host: u64, number: u64) -> Observed {
        let mut chance = Chance::seeded(host, number);
        let median = histogram.median * chance.between(0.5, 2.0);
        // The logistic curve stands in for the normal one.
        let below = |bound: f64| 1.0 / (1.0 + (-1.7 * (bound / median).ln() / DURATION_SPREAD).exp());
        let edges: Vec<f64> =
            histogram.bounds.iter().map(|&bound| below(bound)).chain(std::iter::once(1.0)).collect();
        let shares = edges.iter().scan(0.0, |last, &edge| Some(edge - std::mem::replace(last, edge)));
        let lower = std::iter::once(0.0).chain(histogram.bounds.iter().copied());
        let upper = histogram.bounds.iter().copied().chain(histogram.bounds.last().map(|last| last * 2.0));
        Observed {
            counts: vec![0.0; edges.len()],
            sum: 0.0,
            shares: shares.collect(),
            middles: lower.zip(upper).map(|(low, high)| f64::midpoint(low, high)).collect(),
            chance,
        }
    }

    /// Columns: the buckets, then the sum, then the count.
    fn walk(
        &mut self,
        histogram: &HistogramModel,
        slots: &[Slot],
        interval_s: f64,
        columns: &mut [Vec<f64>],
    ) {
        for slot in slots {
            if slot.is_reboot {
                self.counts.fill(0.0);
                self.sum = 0.0;
            }
            let expected = histogram.per_second * interval_s * slot.load;
            for ((count, share), middle) in self.counts.iter_mut().zip(&self.shares).zip(&self.middles) {
                let seen = self.chance.count(expected * share);
                *count += seen;
                self.sum += seen * middle * self.chance.between(0.9, 1.1);
            }
            if slot.is_lost {
                continue;
            }
            let mut total = 0.0;
            for (count, column) in self.counts.iter().zip(columns.iter_mut()) {
                total += count;
                column.push(total);
            }
            let (sum, count) = (self.counts.len(), self.counts.len() + 1);
            columns[sum].push(self.sum);
            columns[count].push(total);
        }
    }
}

fn labels_of(model: &Model, name: &str) -> Vec<BTreeMap<String, String>> {
    let of_host = |labels: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        labels.iter().map(|(key, value)| (key.clone(), value.replace("{host}", name))).collect()
    };
    let mut out: Vec<BTreeMap<String, String>> =
        model.series.iter().map(|series| of_host(&series.labels)).collect();
    for histogram in &model.histograms {
        let part = |ending: &str, le: Option<String>| {
            let mut labels = of_host(&histogram.labels);
            labels.entry("__name__".to_owned()).and_modify(|name| name.push_str(ending));
            labels.extend(le.map(|le| ("le".to_owned(), le)));
            labels
        };
        let bounds = histogram.bounds.iter().map(f64::to_string).chain(std::iter::once("+Inf".to_owned()));
        out.extend(bounds.map(|le| part("_bucket", Some(le))));
        out.extend([part("_sum", None), part("_count", None)]);
    }
    out
}

/// When the host is scraped and how busy it is.
fn slots_of(number: u64, period: &Period) -> Vec<Slot> {
    let mut chance = Chance::seeded(number, u64::MAX);
    let offset_ms = chance.between(0.0, period.interval_ms as f64 - 20.0) as i64 + 10;
    let reboots = number % REBOOT_ONE_IN == REBOOT_ONE_IN - 1;
    let reboot = if reboots { (chance.between(0.1, 0.9) * period.slots as f64) as usize } else { usize::MAX };
    let interval_s = period.interval_ms as f64 / 1_000.0;
    let forgotten = (interval_s / 1_800.0).min(1.0);
    let phase = chance.between(0.0, 2.0);
    let mut busy = 0.0;
    let slot = |i: usize| {
        let due_ms = period.start_ms + offset_ms + i as i64 * period.interval_ms;
        // One scrape in ten is some milliseconds off.
        let late_ms = if chance.unit() < 0.1 { chance.between(-9.0, 9.0) as i64 } else { 0 };
        busy += -forgotten * busy + (2.0 * forgotten).sqrt() * 0.5 * chance.normal();
        let day = ((due_ms as f64 / 86_400_000.0 + phase) * std::f64::consts::TAU).sin();
        let is_down = reboot.checked_sub(i).is_some_and(|ahead| ahead < REBOOT_SLOTS);
        Slot {
            time_ms: due_ms + late_ms,
            load: (busy + 0.3 * day).exp() / 1.13,
            is_lost: is_down || chance.unit() < 1.0 / LOST_ONE_IN,
            is_reboot: i == reboot,
        }
    };
    (0..period.slots).map(slot).collect()
}
