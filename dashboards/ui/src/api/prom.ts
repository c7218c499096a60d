/** The Prometheus HTTP API as the explore page calls it: one function a call, typed answers in, `ApiError` thrown. */

import type { QueryData, RangeSeries } from "../lib/explore/answers";
import type { Labels } from "../lib/explore/facets";
import type { Metadata } from "../lib/explore/metrics";
import type { AstNode } from "../lib/promql/ast";
import { ApiError, isAbort, request } from "./http";

interface Envelope<T> {
  status: "success" | "error";
  data: T;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

/** What the engine did for a query; `atl` is our server's own part. */
export interface QueryStats {
  timings?: Record<string, number>;
  samples?: { totalQueryableSamples?: number; peakSamples?: number; totalQueryableSamplesPerStep?: [number, number][] };
  atl?: Record<string, number | string>;
}

export interface PromAnswer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  /** Milliseconds from asking to the parsed answer, and the size of its text. */
  elapsedMs: number;
  bytes: number;
}

export interface PromOptions {
  signal?: AbortSignal;
  limit?: number;
  stats?: boolean;
}

const BASE = "/api/v1";

async function call<T>(path: string, init: RequestInit): Promise<PromAnswer<T>> {
  const startMs = performance.now();
  const response = await request(BASE + path, { ...init, headers: { accept: "application/json", ...init.headers } });
  const text = await response.text().catch((error: unknown) => {
    if (isAbort(error)) throw error;
    throw new ApiError("the connection broke before the whole answer had come", 0);
  });
  let body: Envelope<T>;
  try {
    body = JSON.parse(text) as Envelope<T>;
  } catch {
    throw new ApiError(`the answer of ${BASE}${path.split("?")[0]} is not JSON`, response.status);
  }
  if (body.status !== "success") throw new ApiError(body.error ?? "the server gave no data and no reason", response.status);
  return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [], elapsedMs: performance.now() - startMs, bytes: text.length };
}

type Fields = [string, string | number | undefined][];

function encode(fields: Fields): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of fields) if (value !== undefined && value !== "") params.append(name, String(value));
  return params;
}

function get<T>(path: string, fields: Fields, signal?: AbortSignal): Promise<PromAnswer<T>> {
  const params = encode(fields);
  return call<T>(params.size > 0 ? `${path}?${params}` : path, { signal });
}

/** Queries go as a form: their text may be longer than an address. */
function post<T>(path: string, fields: Fields, signal?: AbortSignal): Promise<PromAnswer<T>> {
  return call<T>(path, { method: "POST", body: encode(fields), signal });
}

/** The value of an expression at one moment, seconds since the epoch. */
export function instantQuery(query: string, time: number, options: PromOptions = {}): Promise<PromAnswer<QueryData & { stats?: QueryStats }>> {
  return post("/query", [["query", query], ["time", time], ["limit", options.limit], ["stats", options.stats ? "all" : undefined]], options.signal);
}

/** The values of an expression from `start` to `end`, every `step` seconds. */
export function rangeQuery(
  query: string,
  grid: { start: number; end: number; step: number },
  options: PromOptions = {},
): Promise<PromAnswer<{ resultType: "matrix"; result: RangeSeries[]; stats?: QueryStats }>> {
  return post("/query_range", [["query", query], ["start", grid.start], ["end", grid.end], ["step", grid.step], ["limit", options.limit], ["stats", options.stats ? "all" : undefined]], options.signal);
}

/** Where to look: a selector, a stretch of time in seconds, and how many answers at most. */
export interface Scope {
  match?: string;
  start?: number;
  end?: number;
  limit?: number;
}

const scopeFields = ({ match, start, end, limit }: Scope): Fields => [["match[]", match], ["start", start], ["end", end], ["limit", limit]];

export const fetchMetadata = async (signal?: AbortSignal) => (await get<Record<string, Metadata[]>>("/metadata", [], signal)).data;
export const fetchLabelNames = async (scope: Scope, signal?: AbortSignal) => (await get<string[]>("/labels", scopeFields(scope), signal)).data;
export const fetchSeries = (scope: Scope, signal?: AbortSignal) => get<Labels[]>("/series", scopeFields(scope), signal);
export const fetchSyntaxTree = async (query: string, signal?: AbortSignal) => (await post<AstNode>("/parse_query", [["query", query]], signal)).data;
export const formatQuery = async (query: string, signal?: AbortSignal) => (await post<string>("/format_query", [["query", query]], signal)).data;

export async function fetchLabelValues(label: string, scope: Scope, signal?: AbortSignal): Promise<string[]> {
  return (await get<string[]>(`/label/${encodeURIComponent(label)}/values`, scopeFields(scope), signal)).data;
}
