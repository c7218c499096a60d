/**
 * The selectors of a PromQL text: which metrics it names, with which matchers, and the same text with a matcher set or
 * taken away. Works on tokens, so it leaves everything it does not know as it stands.
 */

import { quote, tokenize, unquote, type Token } from "./tokens";

export type MatchOp = "=" | "!=" | "=~" | "!~";

export interface Matcher {
  label: string;
  op: MatchOp;
  value: string;
}

export interface Selector {
  /** The metric's name; empty when only matchers select. */
  name: string;
  matchers: Matcher[];
  from: number;
  to: number;
  /** Where the braces begin, or `null` without braces. */
  braces: number | null;
}

const PLAIN_METRIC = /^[A-Za-z_:][\w:]*$/;
const PLAIN_LABEL = /^[A-Za-z_]\w*$/;
const MATCH_OPS = new Set(["=", "!=", "=~", "!~"]);

/** A selector as PromQL wants it; names outside the old alphabet go into the braces, quoted. */
export function selectorText(name: string, matchers: Matcher[]): string {
  const isPlain = PLAIN_METRIC.test(name);
  const inside = [...(name !== "" && !isPlain ? [quote(name)] : []), ...matchers.map(matcherText)];
  return `${isPlain ? name : ""}${inside.length > 0 || !isPlain ? `{${inside.join(", ")}}` : ""}`;
}

function matcherText({ label, op, value }: Matcher): string {
  return `${PLAIN_LABEL.test(label) ? label : quote(label)}${op}${quote(value)}`;
}

/** A label as it may stand after `by (`. */
export function labelText(label: string): string {
  return PLAIN_LABEL.test(label) ? label : quote(label);
}

/** Every selector of the text, in order. */
export function findSelectors(text: string): Selector[] {
  const tokens = tokenize(text).filter((token) => token.kind !== "comment");
  const found: Selector[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const isBrace = token.text === "{" && token.kind === "bracket";
    if (token.kind !== "metric" && !isBrace) continue;
    const selector: Selector = { name: isBrace ? "" : token.text, matchers: [], from: token.from, to: token.to, braces: null };
    const start = isBrace ? i : i + 1;
    if (tokens[start]?.text === "{" && tokens[start].kind === "bracket") {
      selector.braces = tokens[start].from;
      i = readBraces(tokens, start + 1, selector);
    }
    found.push(selector);
  }
  return found;
}

/** Reads matchers up to the closing brace; returns the index of the last token it took. */
function readBraces(tokens: Token[], start: number, selector: Selector): number {
  let i = start;
  for (; i < tokens.length && tokens[i].text !== "}"; i++) {
    const [label, op, value] = tokens.slice(i, i + 3);
    const isName = label.kind === "label" || label.kind === "string";
    if (isName && op?.kind === "operator" && MATCH_OPS.has(op.text) && value?.kind === "string") {
      const name = label.kind === "string" ? unquote(label.text) : label.text;
      if (name === "__name__" && op.text === "=") selector.name = unquote(value.text);
      else selector.matchers.push({ label: name, op: op.text as MatchOp, value: unquote(value.text) });
      i += 2;
    } else if (label.kind === "string" && !label.open) {
      selector.name = unquote(label.text);
    }
  }
  selector.to = tokens[Math.min(i, tokens.length - 1)].to;
  return Math.min(i, tokens.length - 1);
}

/**
 * The text with the matchers on `label` of every selector of one of `names` replaced by the given ones (none: removed).
 * Other matchers keep their order.
 */
export function setMatchers(text: string, names: string[], label: string, matchers: Matcher[]): string {
  let result = text;
  for (const selector of findSelectors(text).toReversed()) {
    if (!names.includes(selector.name)) continue;
    const kept = selector.matchers.filter((matcher) => matcher.label !== label);
    result = result.slice(0, selector.from) + selectorText(selector.name, [...kept, ...matchers]) + result.slice(selector.to);
  }
  return result;
}

const REGEX_SPECIAL = /[\\^$.*+?()[\]{}|]/g;
export const escapeRegex = (value: string): string => value.replace(REGEX_SPECIAL, "\\$&");

/** Matchers that let through exactly these values of a label, or all but these. */
export function matchersFor(label: string, values: string[], exclude = false): Matcher[] {
  if (values.length === 0) return [];
  if (values.length === 1) return [{ label, op: exclude ? "!=" : "=", value: values[0] }];
  return [{ label, op: exclude ? "!~" : "=~", value: values.map(escapeRegex).join("|") }];
}

/** The values a matcher names one by one, or `null` when it is a pattern. */
export function matcherValues(matcher: Matcher): string[] | null {
  if (matcher.op === "=" || matcher.op === "!=") return [matcher.value];
  const parts = splitAlternatives(matcher.value);
  const isPlain = (part: string) => !/[\\^$.*+?()[\]{}]/.test(part.replace(/\\[^\w\s]/g, ""));
  return parts.every(isPlain) ? parts.map((part) => part.replace(/\\(.)/g, "$1")) : null;
}

function splitAlternatives(pattern: string): string[] {
  const parts = [""];
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === "\\" && i + 1 < pattern.length) parts[parts.length - 1] += pattern[i] + pattern[++i];
    else if (pattern[i] === "|") parts.push("");
    else parts[parts.length - 1] += pattern[i];
  }
  return parts;
}

/** Whether a series with these labels passes the matcher; a pattern that is no regular expression here lets all through. */
export function matches(matcher: Matcher, labels: Record<string, string>): boolean {
  const value = labels[matcher.label] ?? "";
  if (matcher.op === "=") return value === matcher.value;
  if (matcher.op === "!=") return value !== matcher.value;
  try {
    return new RegExp(`^(?:${matcher.value})$`, "s").test(value) === (matcher.op === "=~");
  } catch {
    return true;
  }
}
