/**
 * Native histograms as the query API writes them: count, sum and buckets with their bounds. Quantiles by interpolation
 * within a bucket (linear, which for narrow exponential buckets is close to what the server computes).
 */

export interface HistogramValue {
  count: string;
  sum: string;
  /** Which bounds belong to the bucket (0: only the right, 1: only the left, 2: none, 3: both), left, right, count. */
  buckets?: [kind: number, left: string, right: string, count: string][];
}

/** The quantile, `null` for an empty histogram or one without buckets. */
export function histogramQuantile(quantile: number, histogram: HistogramValue): number | null {
  const buckets = (histogram.buckets ?? []).map(([, left, right, count]) => ({ left: Number(left), right: Number(right), count: Number(count) }));
  buckets.sort((a, b) => a.left - b.left);
  const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  if (!(total > 0)) return null;
  const rank = quantile * total;
  let below = 0;
  for (const bucket of buckets) {
    if (below + bucket.count >= rank && bucket.count > 0) return within(bucket, (rank - below) / bucket.count);
    below += bucket.count;
  }
  return buckets.at(-1)?.right ?? null;
}

function within({ left, right }: { left: number; right: number }, share: number): number {
  if (!Number.isFinite(right)) return left;
  if (!Number.isFinite(left)) return right;
  return left + (right - left) * share;
}

export function histogramAverage(histogram: HistogramValue): number | null {
  const count = Number(histogram.count);
  return count > 0 ? Number(histogram.sum) / count : null;
}
