/**
 * PromQL as tokens: text in, kinds and positions out. Good enough for colours, completion and finding selectors while
 * somebody is still typing; whether a query is right is for the server to say. Knows names of functions, nothing of data.
 */

import { AGGREGATIONS, FUNCTIONS } from "./functions";

export type TokenKind = "comment" | "string" | "number" | "duration" | "metric" | "label" | "function" | "aggregation" | "keyword" | "operator" | "bracket" | "invalid";

export interface Token {
  kind: TokenKind;
  text: string;
  from: number;
  to: number;
  /** A string whose closing quote is missing. */
  open?: boolean;
}

/** What the scanner remembers from one token to the next; an editor keeps one a line. */
export interface ScanState {
  /** Inside `{…}`: names are labels. */
  braces: boolean;
  /** After `by`, `on` and their like: 1 before the parenthesis, 2 inside it. */
  grouping: 0 | 1 | 2;
  /** Inside a back-quoted string that began on an earlier line. */
  raw: boolean;
}

const GROUPING = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
export const KEYWORDS = ["by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "and", "or", "unless", "atan2", "start", "end", "inf", "nan"];
const KEYWORD_SET = new Set(KEYWORDS);

const SPACE = /\s+/y;
const COMMENT = /#[^\n]*/y;
const STRING = /"(?:[^"\\\n]|\\.)*("?)|'(?:[^'\\\n]|\\.)*('?)|`[^`]*(`?)/y;
const RAW_REST = /[^`]*(`?)/y;
const DURATION = /(?:\d+(?:ms|[smhdwy]))+(?![\w.])/y;
const NUMBER = /0[xX][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_:][\w:]*/y;
const OPERATOR = /=~|!~|==|!=|<=|>=|[-+*/%^<>=@,:]/y;
const BRACKET = /[(){}[\]]/y;

export function startState(): ScanState {
  return { braces: false, grouping: 0, raw: false };
}

/** The token at or after `from`, or `null` when only spaces are left. Changes `state`. */
export function nextToken(text: string, from: number, state: ScanState): Token | null {
  const match = (pattern: RegExp, at: number) => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  if (state.raw && from < text.length) {
    const rest = match(RAW_REST, from) as RegExpExecArray;
    state.raw = rest[1] === "";
    return token("string", rest[0], from, state.raw);
  }
  const at = from + (match(SPACE, from)?.[0].length ?? 0);
  if (at >= text.length) return null;
  // `group_left` may stand without a list: what follows is then no label.
  if (state.grouping === 1 && text[at] !== "(") state.grouping = 0;
  const comment = match(COMMENT, at);
  if (comment) return token("comment", comment[0], at);
  const string = match(STRING, at);
  if (string) {
    const isOpen = (string[1] ?? string[2] ?? string[3]) === "";
    state.raw = isOpen && string[0].startsWith("`");
    return token("string", string[0], at, isOpen);
  }
  const duration = match(DURATION, at);
  if (duration) return token("duration", duration[0], at);
  const number = match(NUMBER, at);
  if (number) return token("number", number[0], at);
  const name = match(NAME, at);
  if (name) return token(nameKind(name[0], text, at + name[0].length, state), name[0], at);
  const bracket = match(BRACKET, at);
  if (bracket) {
    track(bracket[0], state);
    return token("bracket", bracket[0], at);
  }
  const operator = match(OPERATOR, at);
  if (operator) return token("operator", operator[0], at);
  return token("invalid", text[at], at);
}

function token(kind: TokenKind, text: string, from: number, open = false): Token {
  return { kind, text, from, to: from + text.length, ...(open ? { open } : {}) };
}

function nameKind(name: string, text: string, after: number, state: ScanState): TokenKind {
  if (state.braces || state.grouping === 2) return "label";
  const word = name.toLowerCase();
  const isCalled = /^\s*\(/.test(text.slice(after, after + 40));
  if (AGGREGATIONS.has(word) && (isCalled || /^\s*(by|without)\b/i.test(text.slice(after, after + 40)))) return "aggregation";
  if (FUNCTIONS.has(name) && isCalled) return "function";
  if (KEYWORD_SET.has(word)) {
    if (GROUPING.has(word)) state.grouping = 1;
    return word === "inf" || word === "nan" ? "number" : "keyword";
  }
  return "metric";
}

function track(bracket: string, state: ScanState): void {
  if (bracket === "{") state.braces = true;
  else if (bracket === "}") state.braces = false;
  else if (bracket === "(") state.grouping = state.grouping === 1 ? 2 : 0;
  else if (bracket === ")") state.grouping = 0;
}

/** All tokens of a text. */
export function tokenize(text: string): Token[] {
  const state = startState();
  const tokens: Token[] = [];
  for (let at = 0; ; ) {
    const next = nextToken(text, at, state);
    if (!next) return tokens;
    tokens.push(next);
    at = Math.max(next.to, at + 1);
  }
}

/** The value of a string token: quotes off, escapes undone. */
export function unquote(text: string): string {
  const body = text.slice(1, text.length > 1 && text.endsWith(text[0]) ? -1 : undefined);
  if (text[0] === "`") return body;
  const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };
  return body.replace(/\\(?:u([\da-fA-F]{4})|x([\da-fA-F]{2})|(.))/gs, (_all, unicode?: string, hex?: string, char?: string) =>
    unicode || hex ? String.fromCharCode(parseInt((unicode ?? hex) as string, 16)) : (escapes[char as string] ?? (char as string)),
  );
}

/** A double-quoted PromQL string. */
export function quote(value: string): string {
  const escaped = value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r");
  return `"${escaped}"`;
}
