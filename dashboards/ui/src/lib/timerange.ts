/**
 * The stretch of time a page shows: the last N minutes, or two fixed moments. Text in the URL on one side, SQL
 * conditions on the other. Knows no clock: `now` is an argument.
 */

import { formatTimestampUtc } from "./format";

/** The choices of the range picker: name in the URL and seconds. */
export const RELATIVE_RANGES: Record<string, number> = { "15m": 900, "1h": 3_600, "6h": 21_600, "24h": 86_400 };

export const DEFAULT_RANGE = "15m";

export type TimeRange = { kind: "relative"; name: string; seconds: number } | { kind: "absolute"; fromMs: number; toMs: number };

/** Reads `range`, or `from` and `to` (epoch milliseconds), out of the URL; anything odd is the default range. */
export function parseTimeRange(params: URLSearchParams): TimeRange {
  const fromMs = Number(params.get("from") ?? Number.NaN);
  const toMs = Number(params.get("to") ?? Number.NaN);
  if (Number.isFinite(fromMs) && Number.isFinite(toMs) && toMs > fromMs) return { kind: "absolute", fromMs, toMs };
  const name = params.get("range") ?? DEFAULT_RANGE;
  return relativeRange(Object.hasOwn(RELATIVE_RANGES, name) ? name : DEFAULT_RANGE);
}

export function relativeRange(name: string): TimeRange {
  return { kind: "relative", name, seconds: RELATIVE_RANGES[name] };
}

/** The URL parameters of a range; the default has none. */
export function timeRangeParams(range: TimeRange): Record<string, string | null> {
  if (range.kind === "absolute") return { range: null, from: String(Math.round(range.fromMs)), to: String(Math.round(range.toMs)) };
  return { range: range.name === DEFAULT_RANGE ? null : range.name, from: null, to: null };
}

/** The two ends, milliseconds since the epoch. */
export function timeRangeBounds(range: TimeRange, nowMs: number): { fromMs: number; toMs: number } {
  if (range.kind === "absolute") return { fromMs: range.fromMs, toMs: range.toMs };
  return { fromMs: nowMs - range.seconds * 1000, toMs: nowMs };
}

/**
 * The range as a condition on the column `ts`. Relative ranges leave the clock to the server; `marginSeconds` reaches
 * back further, because the first rate in view needs a sample before it.
 */
export function timeRangeSql(range: TimeRange, marginSeconds = 0): string {
  if (range.kind === "relative") return `ts > now() - interval '${range.seconds + marginSeconds} seconds'`;
  const instant = (ms: number) => `TIMESTAMP '${formatTimestampUtc(ms).replace(" ", "T")}Z'`;
  return `ts >= ${instant(range.fromMs - marginSeconds * 1000)} AND ts <= ${instant(range.toMs)}`;
}

/** The resolution to ask for so that a chart gets a few hundred points, in whole seconds, never finer than a scrape. */
export function timeRangeStepSeconds(range: TimeRange, points = 300): number {
  const seconds = range.kind === "relative" ? range.seconds : (range.toMs - range.fromMs) / 1000;
  const steps = [5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400];
  return steps.find((step) => step >= seconds / points) ?? steps[steps.length - 1];
}
