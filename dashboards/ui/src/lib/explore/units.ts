/**
 * What the numbers of an expression probably are, read off the metric's name and the functions around it, and how to
 * write them. A guess: where names say nothing, or several units meet, the numbers stay plain.
 */

import { formatBytes, formatDuration, formatPercent, formatShort } from "../format";
import { findSelectors } from "../promql/selectors";
import { tokenize, type Token } from "../promql/tokens";

export type Unit = "plain" | "bytes" | "seconds" | "milliseconds" | "ratio" | "percent" | "timestamp" | "bytes/s" | "/s" | "s/s" | "celsius" | "hertz" | "volts";

const NAME_UNITS: [RegExp, Unit][] = [
  [/(^|_)(timestamp_seconds|(start|boot|expiry|expire|modified|mtime|creation)_(time|timestamp)?_?seconds|time_seconds)$|_expiry$/, "timestamp"],
  [/_(milliseconds|ms)$/, "milliseconds"],
  [/_seconds$/, "seconds"],
  [/_bytes$/, "bytes"],
  [/_ratio$/, "ratio"],
  [/_(percent|percentage)$/, "percent"],
  [/_celsius$/, "celsius"],
  [/_hertz$/, "hertz"],
  [/_volts$/, "volts"],
];

/** The unit a metric's name ends in, under the endings of counters and histograms. */
export function metricUnit(name: string): Unit {
  if (/_(count|info)$/.test(name)) return "plain";
  const base = name.replace(/_(total|bucket|sum)$/, "");
  return NAME_UNITS.find(([pattern]) => pattern.test(base))?.[1] ?? "plain";
}

const COUNTS = /^(count|count_values|group|count_over_time|changes|resets|absent|absent_over_time|present_over_time|histogram_count|histogram_fraction|sgn|vector|scalar_plain)$/;
const PER_SECOND: Partial<Record<Unit, Unit>> = { bytes: "bytes/s", seconds: "s/s", plain: "/s" };
const OVER_TIME = /^(timestamp|time|ts_of_\w+)$/;

/** The unit of an expression's value. */
export function guessUnit(expr: string): Unit {
  const tokens = tokenize(expr).filter((token) => token.kind !== "comment");
  return unitOf(tokens, expr);
}

function unitOf(tokens: Token[], text: string): Unit {
  const inner = stripParens(tokens);
  for (const operators of [/^(or|and|unless)$/i, /^(==|!=|<=|>=|<|>)$/, /^[+-]$/, /^[*/%]$/]) {
    const at = topLevelOperator(inner, operators);
    if (at > 0) return combine(inner[at].text.toLowerCase(), inner.slice(0, at), inner.slice(at + 1), text);
  }
  return unitOfCall(inner, text);
}

function combine(operator: string, left: Token[], right: Token[], text: string): Unit {
  if (right[0]?.text.toLowerCase() === "bool") return "plain";
  const a = unitOf(left, text);
  const rest = afterMatching(right);
  const isNumber = rest.length === 1 && rest[0].kind === "number";
  if (operator === "*") {
    if (isNumber && rest[0].text === "100") return a === "ratio" || a === "s/s" || a === "plain" ? "percent" : a;
    return "plain";
  }
  if (operator === "/" || operator === "%") {
    if (isNumber || operator === "%") return "plain";
    const b = unitOf(rest, text);
    if (a === b) return a === "plain" && !findSelectors(textOf(left, text)).length ? "plain" : "ratio";
    const isPerEvent = (a === "s/s" || a === "bytes/s") && b === "/s";
    if (isPerEvent) return a === "s/s" ? "seconds" : "bytes";
    return b === "plain" ? a : "plain";
  }
  if (operator === "-" && (a === "timestamp" || rest[0]?.text === "time")) {
    const b = rest[0]?.text === "time" ? "timestamp" : unitOf(rest, text);
    return a === "timestamp" && b === "timestamp" ? "seconds" : a;
  }
  if (isNumber || operator !== "+") return a === "plain" && left.every((token) => token.kind === "number") ? unitOf(rest, text) : a;
  return a === unitOf(rest, text) ? a : "plain";
}

function unitOfCall(tokens: Token[], text: string): Unit {
  const head = tokens[0];
  if (!head) return "plain";
  if (head.kind === "operator") return unitOf(tokens.slice(1), text);
  if (head.kind === "function" || head.kind === "aggregation") {
    const inside = argumentsOf(tokens);
    const name = head.text.toLowerCase();
    if (OVER_TIME.test(name)) return "timestamp";
    if (COUNTS.test(name)) return "plain";
    const parts = splitArguments(inside);
    const vector = parts.find((part) => part.some((token) => token.kind === "metric" || token.text === "{")) ?? parts[0] ?? [];
    if (/^histogram_(quantile|quantiles|avg|sum|stddev)$/.test(name)) return metricUnit(findSelectors(textOf(vector, text))[0]?.name ?? "");
    const unit = unitOf(vector, text);
    if (/^(rate|irate|deriv)$/.test(name)) return PER_SECOND[unit] ?? "plain";
    return unit;
  }
  const selector = findSelectors(textOf(tokens, text))[0];
  return selector ? metricUnit(selector.name) : "plain";
}

function textOf(tokens: Token[], text: string): string {
  const last = tokens.at(-1);
  return last ? text.slice(tokens[0].from, last.to) : "";
}

/** `on (…) group_left (…)` after an operator. */
function afterMatching(tokens: Token[]): Token[] {
  let rest = tokens;
  while (/^(on|ignoring|group_left|group_right)$/i.test(rest[0]?.text ?? "")) {
    const hasList = rest[1]?.text === "(";
    rest = rest.slice(hasList ? closing(rest, 1) + 1 : 1);
  }
  return rest;
}

const OPENING: Record<string, string> = { "(": ")", "{": "}", "[": "]" };

function closing(tokens: Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i].kind !== "bracket") continue;
    depth += tokens[i].text in OPENING ? 1 : -1;
    if (depth === 0) return i;
  }
  return tokens.length - 1;
}

function stripParens(tokens: Token[]): Token[] {
  let inner = tokens;
  while (inner[0]?.text === "(" && closing(inner, 0) === inner.length - 1) inner = inner.slice(1, -1);
  return inner;
}

/** The last binary operator of this kind outside all brackets, or -1. */
function topLevelOperator(tokens: Token[], pattern: RegExp): number {
  let depth = 0;
  for (let i = tokens.length - 1; i > 0; i--) {
    const token = tokens[i];
    if (token.kind === "bracket") depth += token.text in OPENING ? -1 : 1;
    else if (depth === 0 && (token.kind === "operator" || token.kind === "keyword") && pattern.test(token.text) && !["operator", "keyword"].includes(tokens[i - 1].kind)) return i;
  }
  return -1;
}

/** What stands between the parentheses of a call, which may come after `by (…)`. */
function argumentsOf(tokens: Token[]): Token[] {
  let open = 1;
  if (/^(by|without)$/i.test(tokens[1]?.text ?? "")) open = closing(tokens, 2) + 1;
  return tokens[open]?.text === "(" ? tokens.slice(open + 1, closing(tokens, open)) : [];
}

function splitArguments(tokens: Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === "bracket") depth += token.text in OPENING ? 1 : -1;
    if (depth === 0 && token.text === "," && token.kind === "operator") parts.push([]);
    else parts[parts.length - 1].push(token);
  }
  return parts;
}

/** Rates go without: the graph says its unit once. */
const SUFFIXES: Partial<Record<Unit, string>> = { celsius: " °C", hertz: " Hz", volts: " V" };

/** A value of this unit as people read it. */
export function formatUnit(unit: Unit): (value: number | null | undefined) => string {
  switch (unit) {
    case "bytes":
      return formatBytes;
    case "bytes/s":
      return (value) => withSuffix(formatBytes(value), "/s");
    case "seconds":
      return formatDuration;
    case "milliseconds":
      return (value) => formatDuration(value === null || value === undefined ? value : value / 1000);
    case "ratio":
      return (value) => formatPercent(value === null || value === undefined ? value : value * 100);
    case "percent":
      return formatPercent;
    case "timestamp":
      return (value) => (value === null || value === undefined || !Number.isFinite(value) || Math.abs(value) > 1e11 ? formatShort(value) : new Date(value * 1000).toISOString().slice(0, 19).replace("T", " "));
    default:
      return (value) => withSuffix(formatShort(value), SUFFIXES[unit] ?? "");
  }
}

const withSuffix = (text: string, suffix: string) => (text === "–" ? text : text + suffix);

export const UNIT_NAMES: Record<Unit, string> = {
  plain: "", bytes: "bytes", seconds: "seconds", milliseconds: "milliseconds", ratio: "ratio, in percent", percent: "percent", timestamp: "time, UTC",
  "bytes/s": "bytes a second", "/s": "a second", "s/s": "seconds a second", celsius: "°C", hertz: "hertz", volts: "volts",
};
