/**
 * What the explore page shows, as a URL. Expressions and what belongs to them go into the fragment, which stays out of
 * server logs and has no length limit on the way; everything else is a search parameter.
 */

import { parseSort, sortToText, type SortSpec } from "../sort-spec";
import type { TimeRange } from "../timerange";
import { DEFAULT_RANGE, parseDuration, relative } from "./range";

export interface ExploreQuery {
  expr: string;
  /** Kept on the page but not run. */
  off: boolean;
  /** Names of its series, with `{{label}}` for a label's value; empty: the labels themselves. */
  legend: string;
}

export type ExploreView = "graph" | "table" | "explain";

export interface ExploreState {
  queries: ExploreQuery[];
  view: ExploreView;
  range: TimeRange;
  /** Seconds between points; `null` follows the width of the graph. */
  stepSeconds: number | null;
  refreshSeconds: number | null;
  stacked: boolean;
  /** A graph for each query. */
  split: boolean;
  legendSort: SortSpec | null;
  tableSort: SortSpec | null;
  /** Series shown alone, or hidden, by their keys. */
  only: string[];
  hidden: string[];
  /** The metric open in the browser. */
  metric: string | null;
}

export const QUERIES_MAX = 10;
const LETTERS = "ABCDEFGHIJ";
export const letterOf = (index: number): string => LETTERS[index] ?? "?";

const VIEWS: ExploreView[] = ["graph", "table", "explain"];
const KEYS_MAX = 200;

export function emptyQuery(expr = "", legend = ""): ExploreQuery {
  return { expr, off: false, legend };
}

export function parseExploreState(params: URLSearchParams, hash: string): ExploreState {
  const fragment = new URLSearchParams(hash.replace(/^#/, ""));
  const exprs = fragment.getAll("q").slice(0, QUERIES_MAX);
  const off = fragment.get("off") ?? "";
  const queries = exprs.map((expr, i) => ({ expr, off: off.includes(letterOf(i)), legend: fragment.get(`legend${letterOf(i)}`) ?? "" }));
  const view = params.get("view") as ExploreView;
  return {
    queries: queries.length > 0 ? queries : [emptyQuery()],
    view: VIEWS.includes(view) ? view : "graph",
    range: parseRange(params),
    stepSeconds: parseDuration(params.get("step") ?? ""),
    refreshSeconds: parseDuration(params.get("refresh") ?? ""),
    stacked: params.has("stacked"),
    split: params.has("split"),
    legendSort: parseSort(params.get("legend")),
    tableSort: parseSort(params.get("sort")),
    only: fragment.getAll("only").slice(0, KEYS_MAX),
    hidden: fragment.getAll("hide").slice(0, KEYS_MAX),
    metric: params.get("metric") || null,
  };
}

function parseRange(params: URLSearchParams): TimeRange {
  const fromMs = Number(params.get("from") ?? Number.NaN);
  const toMs = Number(params.get("to") ?? Number.NaN);
  if (Number.isFinite(fromMs) && Number.isFinite(toMs) && toMs > fromMs) return { kind: "absolute", fromMs, toMs };
  return relative(params.get("range") ?? DEFAULT_RANGE) ?? (relative(DEFAULT_RANGE) as TimeRange);
}

export function exploreHref(state: ExploreState): string {
  const params = new URLSearchParams();
  const fragment = new URLSearchParams();
  const { range } = state;
  if (range.kind === "absolute") {
    params.set("from", String(Math.round(range.fromMs)));
    params.set("to", String(Math.round(range.toMs)));
  } else if (range.name !== DEFAULT_RANGE) params.set("range", range.name);
  if (state.view !== "graph") params.set("view", state.view);
  if (state.stepSeconds !== null) params.set("step", secondsText(state.stepSeconds));
  if (state.refreshSeconds !== null) params.set("refresh", secondsText(state.refreshSeconds));
  if (state.stacked) params.set("stacked", "1");
  if (state.split) params.set("split", "1");
  if (state.legendSort) params.set("legend", sortToText(state.legendSort) as string);
  if (state.tableSort) params.set("sort", sortToText(state.tableSort) as string);
  if (state.metric) params.set("metric", state.metric);
  const isBlank = state.queries.every((query) => query.expr === "" && query.legend === "");
  if (!isBlank) {
    for (const { expr } of state.queries) fragment.append("q", expr);
    const off = state.queries.map((query, i) => (query.off ? letterOf(i) : "")).join("");
    if (off) fragment.set("off", off);
    state.queries.forEach(({ legend }, i) => legend && fragment.set(`legend${letterOf(i)}`, legend));
    for (const key of state.only) fragment.append("only", key);
    for (const key of state.hidden) fragment.append("hide", key);
  }
  return `/explore${params.size > 0 ? `?${params}` : ""}${fragment.size > 0 ? `#${fragment}` : ""}`;
}

const secondsText = (seconds: number) => (Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1000)}ms`);

/** A link that opens the page on these expressions. */
export function exploreLink(exprs: (string | { expr: string; legend: string })[], range: TimeRange | null = null): string {
  const empty = parseExploreState(new URLSearchParams(), "");
  const queries = exprs.map((query) => (typeof query === "string" ? emptyQuery(query) : emptyQuery(query.expr, query.legend)));
  return exploreHref({ ...empty, queries, range: range ?? empty.range });
}
