/**
 * Stretches of time as people write them: `1h30m`, `now-2d`, `2026-11-22 15:04`, epoch numbers. Text in, seconds or
 * milliseconds out, and back. Knows no clock: `now` is an argument; dates without a zone are the reader's local time.
 */

import type { TimeRange } from "../timerange";

export const DEFAULT_RANGE = "1h";
export const QUICK_RANGES = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "2d", "7d", "14d", "30d"];
export const REFRESH_CHOICES = ["5s", "10s", "30s", "1m", "5m", "15m"];
export const STEP_CHOICES = ["1s", "5s", "15s", "30s", "1m", "5m", "15m", "1h", "6h", "1d"];

const UNIT_SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, y: 31_536_000 };
const RANGE_SECONDS_MAX = 20 * 31_536_000;

/** `1h30m` in seconds, or `null`. */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(?:ms|[smhdwy]))+$/.test(text)) return null;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) seconds += Number(count) * UNIT_SECONDS[unit];
  return seconds > 0 && seconds <= RANGE_SECONDS_MAX ? seconds : null;
}

/** Seconds as PromQL writes them: `1h30m`, `90s` → `1m30s`. */
export function durationText(seconds: number): string {
  let rest = Math.round(seconds * 1000);
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = UNIT_SECONDS[unit] * 1000;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text || "0s";
}

/** A moment: `now`, `now-1h`, epoch seconds or milliseconds, an ISO date with or without time. Milliseconds, or `null`. */
export function parseMoment(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  const relative = /^now(?:\s*([+-])\s*(\S+))?$/.exec(trimmed);
  if (relative) {
    if (!relative[1]) return nowMs;
    const seconds = parseDuration(relative[2]);
    return seconds === null ? null : nowMs + (relative[1] === "-" ? -1 : 1) * seconds * 1000;
  }
  if (/^\d{9,10}(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  if (/^\d{12,13}$/.test(trimmed)) return Number(trimmed);
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/i.exec(trimmed);
  if (!date) return null;
  const ms = Date.parse(`${date[1]}T${date[2] ?? "00:00"}${date[3]?.toUpperCase() ?? ""}`);
  return Number.isNaN(ms) ? null : ms;
}

/** `2026-11-22 15:04:05` on the reader's clock. */
export function momentText(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function relative(name: string): TimeRange | null {
  const seconds = parseDuration(name);
  return seconds === null ? null : { kind: "relative", name, seconds };
}

export function rangeSeconds(range: TimeRange): number {
  return range.kind === "relative" ? range.seconds : (range.toMs - range.fromMs) / 1000;
}

/** The range moved by a part of itself (−0.5: half its width back), or widened around its middle. Always absolute. */
export function shiftRange(range: TimeRange, share: number, nowMs: number): TimeRange {
  const { fromMs, toMs } = bounds(range, nowMs);
  const by = (toMs - fromMs) * share;
  return { kind: "absolute", fromMs: fromMs + by, toMs: toMs + by };
}

/** Twice as wide; a relative range stays one. */
export function widenRange(range: TimeRange, nowMs: number): TimeRange {
  if (range.kind === "relative") return relative(durationText(Math.min(range.seconds * 2, RANGE_SECONDS_MAX))) ?? range;
  const half = (range.toMs - range.fromMs) / 2;
  const toMs = Math.min(range.toMs + half, Math.max(nowMs, range.toMs));
  return { kind: "absolute", fromMs: toMs - 4 * half, toMs };
}

export function bounds(range: TimeRange, nowMs: number): { fromMs: number; toMs: number } {
  return range.kind === "absolute" ? { fromMs: range.fromMs, toMs: range.toMs } : { fromMs: nowMs - range.seconds * 1000, toMs: nowMs };
}

const NICE_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];
/** The API refuses more points a series than this. */
const POINTS_MAX = 11_000;

/** Seconds between points: a round number that gives a point every three pixels or so. */
export function autoStep(seconds: number, widthPx: number): number {
  const wanted = seconds / Math.max(60, widthPx / 3);
  return NICE_STEPS.find((step) => step >= wanted) ?? NICE_STEPS[NICE_STEPS.length - 1];
}

/** A step the API takes for this range: the asked one, or the least that stays within its limit. */
export function allowedStep(stepSeconds: number, seconds: number): number {
  return Math.max(stepSeconds, Math.ceil(seconds / (POINTS_MAX - 1)));
}

/** Both ends on multiples of the step, so that points keep their places from one refresh to the next. */
export function alignedBounds(range: TimeRange, stepSeconds: number, nowMs: number): { start: number; end: number } {
  const { fromMs, toMs } = bounds(range, nowMs);
  const down = (ms: number) => Math.floor(ms / 1000 / stepSeconds) * stepSeconds;
  return { start: down(fromMs), end: Math.max(down(fromMs), down(toMs)) };
}

/** The window of `rate()`: four scrapes, at least a minute and at least one step. */
export function rateWindow(scrapeSeconds: number | null, stepSeconds: number): string {
  const wanted = Math.max(60, 4 * (scrapeSeconds ?? 60), stepSeconds);
  return durationText(NICE_STEPS.find((step) => step >= wanted) ?? wanted);
}
