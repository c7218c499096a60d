/**
 * Numbers, bytes, durations and times as people read them. Takes plain values, returns text; knows no page and no
 * locale but the reader's clock where a function says so.
 */

const SI_STEPS: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

const DASH = "–";

/** A number short enough for an axis or a table of facts: `12.3k`, `0.042`, `–` for nothing. */
export function formatShort(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  for (const [step, suffix] of SI_STEPS) {
    if (size >= step * 0.99995) return trimZeros((value / step).toPrecision(3)) + suffix;
  }
  if (size === 0) return "0";
  if (size >= 100) return trimZeros(value.toFixed(1));
  if (size >= 0.001) return trimZeros(value.toPrecision(3));
  return value.toExponential(1);
}

/** A whole number with thin groups of thousands: `1 234 567`. */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const digits = Math.abs(Math.round(value)).toString();
  const grouped = digits.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return (value < 0 ? "-" : "") + grouped;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes in binary units: `1.5 MiB`. */
export function formatBytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 ? Math.round(size).toString() : trimZeros(size.toPrecision(size >= 100 ? 3 : 2 + Number(size >= 10)));
  return `${value < 0 ? "-" : ""}${digits} ${BYTE_UNITS[unit]}`;
}

/** Bytes a second. */
export function formatBytesPerSecond(value: number | null | undefined): string {
  const text = formatBytes(value);
  return text === DASH ? text : `${text}/s`;
}

/** A share of one hundred: `12.5 %`. */
export function formatPercent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const digits = Math.abs(value) >= 99.95 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} %`;
}

/** Seconds as one or two units: `850 µs`, `12 ms`, `3.2 s`, `4 min 10 s`, `2 d 3 h`. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  if (seconds < 0) return `-${formatDuration(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${trimZeros((seconds * 1e6).toPrecision(3))} µs`;
  if (seconds < 0.9995) return `${trimZeros((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 59.95) return `${trimZeros(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  let rest = whole;
  const words: string[] = [];
  for (const [size, unit] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) words.push(`${count} ${unit}`);
    else if (words.length > 0) break;
    if (words.length === 2) break;
  }
  return words.join(" ");
}

/** How long before `nowMs` something was: `12 s ago`, `just now`, `in 3 d` for the future. */
export function formatAgo(timeMs: number | null | undefined, nowMs: number): string {
  if (timeMs === null || timeMs === undefined || !Number.isFinite(timeMs)) return "never";
  const seconds = (nowMs - timeMs) / 1000;
  if (Math.abs(seconds) < 1.5) return "just now";
  const coarse = coarseDuration(Math.abs(seconds));
  return seconds > 0 ? `${coarse} ago` : `in ${coarse}`;
}

function coarseDuration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/**
 * A timestamp in UTC, `2026-11-22 15:04:05.123456`, without the zeros no source had.
 * `timeMs` may carry a fraction: stored timestamps are microseconds.
 */
export function formatTimestampUtc(timeMs: number): string {
  if (!Number.isFinite(timeMs)) return DASH;
  const wholeMs = Math.floor(timeMs);
  const date = new Date(wholeMs);
  if (Number.isNaN(date.getTime())) return `${timeMs} ms`;
  const iso = date.toISOString();
  const seconds = iso.slice(0, -5).replace("T", " ");
  const micros = Math.round((timeMs - wholeMs) * 1000) + (wholeMs - Math.floor(wholeMs / 1000) * 1000) * 1000;
  if (micros === 0) return seconds;
  const digits = micros.toString().padStart(6, "0");
  return `${seconds}.${digits.endsWith("000") ? digits.slice(0, 3) : digits}`;
}

/** A calendar day in UTC, `2026-11-22`. */
export function formatDateUtc(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? DASH : date.toISOString().slice(0, 10);
}

/** Clock time of the reader's zone, `15:04:05`, with the day when it is not today. */
export function formatClock(timeMs: number, nowMs: number): string {
  const date = new Date(timeMs);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
  const sameDay = new Date(nowMs).toDateString() === date.toDateString();
  const day = `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
  return sameDay ? clock : `${day} ${clock}`;
}

function trimZeros(text: string): string {
  if (text.includes("e")) return String(Number(text));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
