/**
 * Counters to rates. Takes the samples of one series, returns increases a second at the later sample of each pair.
 * Knows what a reset and a stale marker are; knows nothing of queries, labels or charts.
 */

/** Samples of one series: `times` in milliseconds, strictly increasing; `values` of the same length. */
export interface Samples {
  times: number[];
  values: number[];
}

/** A gap longer than this many typical steps is drawn as a gap, not as a slow rate. */
const GAP_STEPS = 5;

/** Never call a pause shorter than this a gap: the default interval is 15 s and Prometheus looks back five minutes. */
const GAP_FLOOR_MS = 60_000;

/**
 * Rate a second between neighbouring samples. The first sample has no rate. A value below its predecessor is a reset:
 * the counter began again at zero, so the increase is the value itself. A NaN (a stale marker: the series ended) and a
 * long gap yield `null` and the next sample starts afresh.
 */
export function counterRates(samples: Samples): { times: number[]; rates: (number | null)[] } {
  const { times, values } = samples;
  const gapMs = Math.max(GAP_FLOOR_MS, GAP_STEPS * medianStep(times));
  const rates: (number | null)[] = [];
  let previous = -1;
  for (let i = 0; i < times.length; i++) {
    if (Number.isNaN(values[i])) {
      rates.push(null);
      previous = -1;
      continue;
    }
    const elapsedMs = previous < 0 ? 0 : times[i] - times[previous];
    if (elapsedMs <= 0 || elapsedMs > gapMs) {
      rates.push(null);
    } else {
      const increase = values[i] < values[previous] ? values[i] : values[i] - values[previous];
      rates.push((increase / elapsedMs) * 1000);
    }
    previous = i;
  }
  return { times: times.slice(), rates };
}

/** The median distance between neighbours, 0 for fewer than two times. */
export function medianStep(times: number[]): number {
  if (times.length < 2) return 0;
  const steps: number[] = [];
  for (let i = 1; i < times.length; i++) steps.push(times[i] - times[i - 1]);
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1];
}
