/** The calls the pages make, one function each: typed answers in, `ApiError` thrown. */

import { tableFromArrow, tableFromJson, type JsonResult, type ResultTable } from "../lib/table";
import { readBytes, request, requestJson } from "./http";
import type { Catalog, ObjectListing, ParquetFile, PromTable, Status, StoredTable, Target } from "./types";

const ARROW = "application/vnd.apache.arrow.stream";

export interface SqlAnswer {
  table: ResultTable;
  /**
   * Whether the row limit cut the answer. A streamed answer starts before its end is known, so the server cannot always
   * say: as many rows as were asked for is `maybe`.
   */
  truncated: "yes" | "maybe" | "no";
  /** False when the stream ended before its end mark: rows are missing. */
  complete: boolean;
  bytes: number;
  /** Milliseconds: until the first byte of the answer, for the bytes, for decoding. */
  timing: { serverMs: number; transferMs: number; decodeMs: number };
  /** The server's clock when it answered, milliseconds since the epoch. */
  serverNowMs: number;
}

export interface SqlOptions {
  limit?: number;
  signal?: AbortSignal;
  onProgress?: (bytes: number) => void;
}

/** Runs a query. Aborting the signal closes the connection, which cancels the query on the server. */
export async function runSql(query: string, options: SqlOptions = {}): Promise<SqlAnswer> {
  const startMs = performance.now();
  const response = await request("/api/sql", {
    method: "POST",
    headers: { accept: ARROW, "content-type": "application/json" },
    body: JSON.stringify({ query, limit: options.limit }),
    signal: options.signal,
  });
  const answeredMs = performance.now();
  const bytes = await readBytes(response, options.onProgress);
  const receivedMs = performance.now();
  const isArrow = response.headers.get("content-type")?.startsWith(ARROW) ?? false;
  const decoded = isArrow ? { ...tableFromArrow(bytes), truncated: false } : tableFromJsonBytes(bytes);
  return {
    table: decoded.table,
    complete: decoded.complete,
    truncated: decoded.truncated || isTruncated(response) ? "yes" : options.limit !== undefined && decoded.table.rowCount >= options.limit ? "maybe" : "no",
    bytes: bytes.length,
    timing: { serverMs: answeredMs - startMs, transferMs: receivedMs - answeredMs, decodeMs: performance.now() - receivedMs },
    serverNowMs: Date.parse(response.headers.get("date") ?? "") || Date.now(),
  };
}

function isTruncated(response: Response): boolean {
  return response.headers.get("x-atl-truncated") === "true";
}

function tableFromJsonBytes(bytes: Uint8Array): { table: ResultTable; complete: boolean; truncated: boolean } {
  const result = JSON.parse(new TextDecoder().decode(bytes)) as JsonResult;
  return { table: tableFromJson(result), complete: true, truncated: result.truncated };
}

/** The formats the server writes, with the file ending and the type it answers to. */
export const EXPORT_FORMATS: { format: string; label: string; extension: string }[] = [
  { format: "csv", label: "CSV", extension: "csv" },
  { format: "json", label: "JSON", extension: "json" },
  { format: "ndjson", label: "NDJSON", extension: "ndjson" },
  { format: "parquet", label: "Parquet", extension: "parquet" },
  { format: "arrow", label: "Arrow IPC", extension: "arrows" },
];

/** The whole answer of a query as a file of the given format. */
export async function exportSql(query: string, format: string, options: SqlOptions = {}): Promise<{ blob: Blob; truncated: boolean }> {
  const response = await request(`/api/sql?format=${encodeURIComponent(format)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, limit: options.limit }),
    signal: options.signal,
  });
  const bytes = await readBytes(response, options.onProgress);
  const type = response.headers.get("content-type") ?? "application/octet-stream";
  return { blob: new Blob([bytes as Uint8Array<ArrayBuffer>], { type }), truncated: isTruncated(response) };
}

const get = <T>(path: string, params: Record<string, string> = {}, signal?: AbortSignal): Promise<T> => {
  const search = new URLSearchParams(params).toString();
  return requestJson<T>(search ? `${path}?${search}` : path, { signal });
};

export const fetchCatalog = (signal?: AbortSignal) => get<Catalog>("/api/catalog", {}, signal);
export const fetchPromTable = (metric: string) => get<PromTable>(`/api/catalog/prom/${encodeURIComponent(metric)}`);
export const fetchStatus = (signal?: AbortSignal) => get<Status>("/api/status", {}, signal);
export const fetchTargets = async (signal?: AbortSignal) => (await get<{ targets: Target[] }>("/api/targets", {}, signal)).targets;
export const fetchObjects = (prefix: string, signal?: AbortSignal) => get<ObjectListing>("/api/objects", { prefix }, signal);
export const fetchStoredTables = async (signal?: AbortSignal) => (await get<{ tables: StoredTable[] }>("/api/objects/tables", {}, signal)).tables;
export const fetchParquet = (key: string, signal?: AbortSignal) => get<ParquetFile>("/api/objects/parquet", { key }, signal);

export async function fetchObjectRows(key: string, limit: number, signal?: AbortSignal): Promise<ResultTable> {
  return tableFromJson(await get<JsonResult>("/api/objects/rows", { key, limit: String(limit) }, signal));
}

export async function fetchObjectText(key: string, signal?: AbortSignal): Promise<string> {
  const response = await request(`/api/objects/text?${new URLSearchParams({ key })}`, { signal });
  return response.text();
}
