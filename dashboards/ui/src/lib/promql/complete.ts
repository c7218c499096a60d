/**
 * What may stand at the cursor of a PromQL text. Takes text and position, returns which kind of thing is asked for and
 * what the answer depends on; the editor fetches the names. Knows no network.
 */

import { findSelectors, type Matcher } from "./selectors";
import { tokenize, unquote, type Token } from "./tokens";

export type PromContext =
  | { kind: "expression"; from: number; text: string }
  | { kind: "label"; from: number; text: string; metric: string; matchers: Matcher[]; used: string[] }
  | { kind: "grouping"; from: number; text: string; metrics: string[] }
  | { kind: "value"; from: number; to: number; text: string; metric: string; label: string; matchers: Matcher[]; isPattern: boolean; quote: string }
  | { kind: "duration"; from: number; text: string };

/** The context at `pos`, or `null` where nothing can be offered (comments, plain strings, after a number). */
export function promContext(text: string, pos: number): PromContext | null {
  const before = tokenize(text.slice(0, pos));
  const current = before.at(-1);
  const touches = current !== undefined && current.to === pos;
  if (touches && current.kind === "comment") return null;
  const typed = touches && !["operator", "bracket", "string"].includes(current.kind) ? current : null;
  const done = typed ? before.slice(0, -1) : before;
  const from = typed?.from ?? pos;
  const word = typed?.text ?? "";

  const brace = openBrace(before);
  if (brace >= 0) return braceContext(text, pos, before, brace, done, from, word);
  if (current?.kind === "string" && current.open) return null;
  const last = done.at(-1);
  if (isInside(done, "[", "]") || (last?.kind === "keyword" && last.text.toLowerCase() === "offset")) {
    return typed && typed.kind !== "number" && typed.kind !== "duration" ? null : { kind: "duration", from, text: word };
  }
  if (typed && (typed.kind === "number" || typed.kind === "duration") && !/^(inf|nan)$/i.test(typed.text)) return null;
  if (isGrouping(done)) return { kind: "grouping", from, text: word, metrics: findSelectors(text).map((selector) => selector.name).filter(Boolean) };
  return { kind: "expression", from, text: word };
}

/** Index of the `{` the end of the tokens is inside of, or -1. */
function openBrace(tokens: Token[]): number {
  for (let i = tokens.length - 1; i >= 0; i--) {
    if (tokens[i].kind !== "bracket") continue;
    return tokens[i].text === "{" ? i : -1;
  }
  return -1;
}

function isInside(tokens: Token[], opening: string, closing: string): boolean {
  for (let i = tokens.length - 1; i >= 0; i--) {
    if (tokens[i].kind !== "bracket") continue;
    if (tokens[i].text === opening) return true;
    if (tokens[i].text === closing || tokens[i].text === "(") return false;
  }
  return false;
}

function isGrouping(tokens: Token[]): boolean {
  const open = tokens.findLastIndex((token) => token.kind === "bracket");
  return open > 0 && tokens[open].text === "(" && /^(by|without|on|ignoring|group_left|group_right)$/i.test(tokens[open - 1].text);
}

function braceContext(text: string, pos: number, tokens: Token[], brace: number, done: Token[], from: number, word: string): PromContext | null {
  const selector = findSelectors(text).find((candidate) => candidate.braces === tokens[brace].from);
  const metric = selector?.name ?? "";
  const others = (label: string) => (selector?.matchers ?? []).filter((matcher) => matcher.label !== label);
  const current = tokens.at(-1) as Token;
  if (current.kind === "string" && (current.open || current.to > pos - 1)) {
    const [label, op] = tokens.slice(-3, -1);
    if (!current.open || !label || op?.kind !== "operator" || tokens.length - brace < 4) return null;
    const name = label.kind === "string" ? unquote(label.text) : label.text;
    const rest = /^[^"'`\n,{}]*/.exec(text.slice(pos)) as RegExpExecArray;
    const to = text[pos + rest[0].length] === current.text[0] ? pos + rest[0].length : pos;
    return { kind: "value", from: current.from + 1, to, text: unquote(current.text), metric, label: name, matchers: others(name), isPattern: op.text.endsWith("~"), quote: current.text[0] };
  }
  const last = done.at(-1);
  if (last?.text !== "{" && last?.text !== ",") return null;
  return { kind: "label", from, text: word, metric, matchers: others(word), used: (selector?.matchers ?? []).map((matcher) => matcher.label).filter((label) => label !== word) };
}

const DURATIONS = ["1m", "5m", "10m", "15m", "30m", "1h", "6h", "12h", "1d", "7d"];
const UNITS: [string, string][] = [["s", "seconds"], ["m", "minutes"], ["h", "hours"], ["d", "days"], ["w", "weeks"], ["y", "years"], ["ms", "milliseconds"]];

/** Durations to offer: the usual ones, or the units for a number that stands there already. */
export function durationOptions(text: string): { label: string; detail: string }[] {
  const digits = /^\d+/.exec(text)?.[0];
  if (digits) return UNITS.map(([unit, name]) => ({ label: digits + unit, detail: name }));
  return DURATIONS.map((label) => ({ label, detail: "" }));
}
