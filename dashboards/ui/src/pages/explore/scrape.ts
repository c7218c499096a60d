/** How often a metric is written, which decides over what window `rate()` sees enough samples. */

import { instantQuery } from "../../api/prom";
import { sampleNumber } from "../../lib/explore/answers";
import { facetName } from "../../lib/explore/looks";
import type { Metric } from "../../lib/explore/metrics";
import { selectorText } from "../../lib/promql/selectors";

const WINDOW_SECONDS = 600;
const WAIT_MS = 1_500;

/** Seconds between samples of a metric's newest series, or `before` when that cannot be told in a moment. */
export async function measureScrape(metric: Metric, before: number | null): Promise<number | null> {
  if (metric.type === "gauge" || metric.type === "info" || metric.type === "unknown") return before;
  try {
    const query = `max(count_over_time(${selectorText(facetName(metric), [])}[${WINDOW_SECONDS}s]))`;
    const { data } = await instantQuery(query, Math.floor(Date.now() / 1000), { signal: AbortSignal.timeout(WAIT_MS) });
    const count = data.resultType === "vector" ? sampleNumber(data.result[0]?.value?.[1] ?? "NaN") : Number.NaN;
    return count >= 2 ? Math.max(1, Math.round(WINDOW_SECONDS / count)) : before;
  } catch {
    return before;
  }
}
