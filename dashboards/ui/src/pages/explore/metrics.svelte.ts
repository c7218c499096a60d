/**
 * What the server knows by name: metrics with type and help, labels, values. Loaded once a visit and kept; label lookups
 * are remembered by what was asked, so that typing does not ask twice.
 */

import { fetchLabelNames, fetchLabelValues, fetchMetadata } from "../../api/prom";
import { isAbort } from "../../api/http";
import type { PromNames } from "../../components/editor/promql";
import { buildMetrics, type Metric } from "../../lib/explore/metrics";

/** Completion looks no further back than this; older names are rarely meant. */
const LOOKBACK_SECONDS = 6 * 3_600;
const VALUES_MAX = 2_000;
const REMEMBERED_MAX = 200;

export class MetricNames implements PromNames {
  list = $state.raw<Metric[]>([]);
  labelNames = $state.raw<string[]>([]);
  loading = $state(true);
  error = $state<string | null>(null);
  private readonly asked = new Map<string, Promise<string[]>>();

  async load(signal?: AbortSignal): Promise<void> {
    this.loading = true;
    this.asked.clear();
    try {
      // Metadata is an extra: without it types are guessed from names.
      const [names, metadata, labels] = await Promise.all([
        fetchLabelValues("__name__", {}, signal),
        fetchMetadata(signal).catch((error: unknown) => (isAbort(error) ? Promise.reject(error) : {})),
        fetchLabelNames({}, signal).catch((error: unknown) => (isAbort(error) ? Promise.reject(error) : [])),
      ]);
      this.list = buildMetrics(names, metadata);
      this.labelNames = labels.filter((label) => label !== "__name__");
      this.error = null;
    } catch (error) {
      if (!isAbort(error)) this.error = (error as Error).message;
    }
    this.loading = false;
  }

  metrics(): Metric[] {
    return this.list;
  }

  find(name: string): Metric | null {
    return this.list.find((metric) => metric.name === name) ?? null;
  }

  labels(selector: string | null): Promise<string[]> {
    return this.remember(`labels ${selector}`, () => fetchLabelNames({ match: selector ?? undefined, ...this.recent() }));
  }

  values(label: string, selector: string | null): Promise<string[]> {
    return this.remember(`values ${label} ${selector}`, () => fetchLabelValues(label, { match: selector ?? undefined, limit: VALUES_MAX, ...this.recent() }));
  }

  /** Names of the metrics with series that fit a selector. */
  having(selector: string, signal: AbortSignal): Promise<string[]> {
    return fetchLabelValues("__name__", { match: selector, ...this.recent() }, signal);
  }

  private recent(): { start: number; end: number } {
    const end = Math.ceil(Date.now() / 1000);
    return { start: end - LOOKBACK_SECONDS, end };
  }

  private remember(key: string, ask: () => Promise<string[]>): Promise<string[]> {
    const known = this.asked.get(key);
    if (known) return known;
    if (this.asked.size >= REMEMBERED_MAX) this.asked.clear();
    const work = ask().catch(() => {
      this.asked.delete(key);
      return [];
    });
    this.asked.set(key, work);
    return work;
  }
}
