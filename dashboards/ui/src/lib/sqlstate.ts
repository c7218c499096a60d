/**
 * What the SQL page shows, as a URL. The query goes into the fragment: it stays out of server logs and has no length
 * limit on the way; everything else is a search parameter.
 */

import type { ChartChoice } from "./chartguess";
import { parseSort, sortToText, type SortSpec } from "./sort";

export interface SqlState {
  query: string;
  view: "table" | "chart";
  sort: SortSpec | null;
  limit: number;
  chart: ChartChoice | null;
  /** The cell open in the side panel. */
  cell: { row: number; column: number } | null;
}

export const ROW_LIMITS = [1_000, 10_000, 100_000, 1_000_000];
export const DEFAULT_LIMIT = 10_000;

export function parseSqlState(params: URLSearchParams, hash: string): SqlState {
  const fragment = new URLSearchParams(hash.replace(/^#/, ""));
  const limit = Number(params.get("limit") ?? DEFAULT_LIMIT);
  const x = params.get("x");
  const cell = /^(\d+)\.(\d+)$/.exec(params.get("cell") ?? "");
  return {
    query: fragment.get("q") ?? params.get("q") ?? "",
    view: params.get("view") === "chart" ? "chart" : "table",
    sort: parseSort(params.get("sort")),
    limit: ROW_LIMITS.includes(limit) ? limit : DEFAULT_LIMIT,
    chart: x ? { x, y: params.getAll("y"), by: params.getAll("by") } : null,
    cell: cell && { row: Number(cell[1]), column: Number(cell[2]) },
  };
}

export function sqlStateToHref(state: SqlState): string {
  const params = new URLSearchParams();
  if (state.view === "chart") params.set("view", "chart");
  const sort = sortToText(state.sort);
  if (sort) params.set("sort", sort);
  if (state.limit !== DEFAULT_LIMIT) params.set("limit", String(state.limit));
  if (state.chart) {
    params.set("x", state.chart.x);
    for (const name of state.chart.y) params.append("y", name);
    for (const name of state.chart.by) params.append("by", name);
  }
  if (state.cell) params.set("cell", `${state.cell.row}.${state.cell.column}`);
  const search = params.size > 0 ? `?${params}` : "";
  const fragment = state.query ? `#${new URLSearchParams({ q: state.query })}` : "";
  return `/sql${search}${fragment}`;
}

/** A link that opens the SQL page on a query and runs it. */
export function queryHref(query: string): string {
  return sqlStateToHref({ query, view: "table", sort: null, limit: DEFAULT_LIMIT, chart: null, cell: null });
}
