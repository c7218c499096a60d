/** Object keys as a tree: breadcrumbs, short names, what kind of file a key is. Knows the layout of our tables, no data. */

import { quoteLiteral } from "./sqltext";

export type ObjectKind = "parquet" | "text" | "other";

/** Breadcrumbs of a prefix or key: `metrics/day=1/` → metrics, day=1. */
export function crumbs(path: string): { name: string; prefix: string }[] {
  const parts = path.split("/");
  const last = parts.pop();
  const found = parts.map((name, i) => ({ name, prefix: `${parts.slice(0, i + 1).join("/")}/` }));
  return last ? [...found, { name: last, prefix: path }] : found;
}

/** The last part of a key or prefix. */
export function baseName(path: string): string {
  return path.replace(/\/$/, "").split("/").pop() ?? path;
}

/** The prefix a key or prefix lies in; the empty text at the top. */
export function parentPrefix(path: string): string {
  const trimmed = path.replace(/\/$/, "");
  const cut = trimmed.lastIndexOf("/");
  return cut < 0 ? "" : trimmed.slice(0, cut + 1);
}

export function objectKind(key: string): ObjectKind {
  if (/\.parquet$/i.test(key)) return "parquet";
  if (/\.(json|ndjson|txt|crc|yaml|yml|csv|md)$/i.test(key) || /\/_last_checkpoint$/.test(key)) return "text";
  return "other";
}

/** The day of a partition, `2026-11-22`, when the path names one. */
export function partitionDay(path: string): string | null {
  return /(?:^|\/)day=(\d{4}-\d\d-\d\d)\//.exec(path)?.[1] ?? null;
}

export function readFileQuery(key: string): string {
  return `SELECT * FROM read_file(${quoteLiteral(key)}) LIMIT 100`;
}

/** One pretty document a line of a Delta log, with the name of its action; the text itself when it is no JSON. */
export function logActions(text: string): { action: string; pretty: string }[] {
  const whole = parse(text);
  if (whole !== undefined) return [{ action: actionName(whole), pretty: JSON.stringify(whole, null, 2) }];
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const value = parse(line);
      return value === undefined ? { action: "text", pretty: line } : { action: actionName(value), pretty: JSON.stringify(unfold(value), null, 2) };
    });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function actionName(value: unknown): string {
  const keys = value !== null && typeof value === "object" ? Object.keys(value) : [];
  return keys.length === 1 ? keys[0] : "object";
}

/** Delta keeps statistics and schemas as JSON inside JSON; opened up they can be read. */
function unfold(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unfold);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, cell]) => {
      const inner = (key === "stats" || key === "schemaString") && typeof cell === "string" ? parse(cell) : undefined;
      return [key, inner === undefined ? unfold(cell) : inner];
    }),
  );
}
