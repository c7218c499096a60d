/**
 * A stand-in for the backend in browser tests: the documented endpoints with plausible data, the strict content policy,
 * and the built UI. Serves only tests. `node tests/mock-server.mjs [PORT]` runs it by hand; with `PROM_URL` the calls below
 * `/api/v1` go to that Prometheus instead.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { bool, columnFromArray, float64, int32, int64, int8, map, tableFromColumns, tableToIPC, timestamp, TimeUnit, utf8 } from "@uwdata/flechette";
import * as data from "./mock-data.mjs";
import { answerProm } from "./mock-prom.mjs";

export const POLICY = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; img-src 'self' data:; form-action 'self'";
const DIST = join(dirname(fileURLToPath(import.meta.url)), "../dist");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8" };
const MICROS = timestamp(TimeUnit.MICROSECOND, "UTC");

class SqlError extends Error {
  constructor(message, detail = {}) {
    super(message);
    this.detail = detail;
  }
}

/** Starts the mock on a free port; `state` is what tests look at and change. */
export async function startMock(port = 0) {
  const state = { startedMs: Date.now(), cancelled: 0, down: false, empty: false, queries: [] };
  const server = createServer((request, response) => {
    handle(request, response, state).catch((error) => {
      if (!response.headersSent) response.writeHead(error instanceof SqlError ? 400 : 500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: error.message, ...error.detail }));
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve)));
  return { url: `http://127.0.0.1:${server.address().port}`, state, close };
}

async function handle(request, response, state) {
  const url = new URL(request.url, "http://mock");
  if (state.down && url.pathname.startsWith("/api")) {
    response.writeHead(503).end("no backend");
    return;
  }
  const now = Date.now();
  const json = (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  const param = (name) => url.searchParams.get(name) ?? "";
  const path = url.pathname;
  if (path.startsWith("/api/v1/")) return prom(request, response, url, state);
  if (path === "/api/sql") return runSql(request, response, url, state, now);
  if (path === "/api/catalog") return json(state.empty ? { schemas: [{ name: "public", tables: [] }, { name: "prom", tables: [] }], functions: [] } : data.catalog(now));
  if (path.startsWith("/api/catalog/prom/")) return json(data.promTable(decodeURIComponent(path.slice("/api/catalog/prom/".length))));
  if (path === "/api/status") return json(data.status(state.startedMs, now));
  if (path === "/api/targets") return json(state.empty ? { targets: [] } : data.targets(now));
  if (path === "/api/objects/tables") return json(state.empty ? { tables: [] } : data.storedTables(now));
  if (path === "/api/objects") return json(state.empty ? { prefix: "", prefixes: [], objects: [] } : data.objects(param("prefix"), now));
  if (path === "/api/objects/parquet") {
    if (param("key").includes("missing")) return response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ error: `object \`${param("key")}\` does not exist` }));
    return json(data.parquet(param("key"), now));
  }
  if (path === "/api/objects/rows") return json(rowsAsJson(data.logRows(Number(param("limit") || 100), now)));
  if (path === "/api/objects/text") return response.writeHead(200, { "content-type": "text/plain" }).end(data.deltaLog(now));
  if (path.startsWith("/api/")) return response.writeHead(404, { "content-type": "application/json" }).end('{"error":"no such endpoint"}');
  return serveFile(path, response);
}

async function prom(request, response, url, state) {
  let body = "";
  for await (const chunk of request) body += chunk;
  if (process.env.PROM_URL) {
    const answer = await fetch(process.env.PROM_URL + url.pathname + url.search, { method: request.method, body: body || undefined, headers: { "content-type": request.headers["content-type"] ?? "text/plain" } });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" }).end(Buffer.from(await answer.arrayBuffer()));
    return;
  }
  const params = new URLSearchParams([...url.searchParams, ...new URLSearchParams(body)]);
  if (params.has("query")) state.queries.push(params.get("query"));
  const { status, json } = answerProm(url.pathname.slice("/api/v1".length), params, state);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
}

function rowsAsJson(rows) {
  const columns = [{ name: "ts", type: "timestamp" }, { name: "service", type: "string" }, { name: "stream_id", type: "bigint" }, { name: "body", type: "string" }];
  return {
    columns, row_count: rows.length, truncated: false, elapsed_ms: 3,
    rows: rows.map((row) => [new Date(row.ts).toISOString().replace("Z", "456Z"), row.service, String(row.stream_id), row.body]),
  };
}

async function runSql(request, response, url, state, now) {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { query, limit } = body.startsWith("{") ? JSON.parse(body) : { query: body };
  state.queries.push(query);
  if (/CROSS JOIN/i.test(query)) {
    // As slow as it gets: the answer never comes, and a closed connection is the cancellation.
    response.on("close", () => (state.cancelled += 1));
    return;
  }
  const table = answer(query, now, state);
  const count = Math.min(table.rows, limit ?? 1_000_000);
  const truncated = count < table.rows;
  const headers = truncated ? { "x-atl-truncated": "true" } : {};
  const format = url.searchParams.get("format");
  if (format && format !== "arrow") {
    const types = { csv: "text/csv", json: "application/json", ndjson: "application/x-ndjson", parquet: "application/vnd.apache.parquet" };
    response.writeHead(200, { ...headers, "content-type": types[format] }).end(format === "csv" ? "value\n1\n2\n3\n" : format === "parquet" ? "PAR1…PAR1" : '{"value":1}\n');
    return;
  }
  const bytes = tableToIPC(table.build(count), { format: "stream" });
  response.writeHead(200, { ...headers, "content-type": "application/vnd.apache.arrow.stream" });
  response.end(bytes);
}

/** The answer to the queries the UI and the tests send, told apart by their text. */
function answer(query, now, state) {
  const text = query.trim();
  if (/^SELEC\b/.test(text)) throw new SqlError("Expected: an SQL statement, found: SELEC", { line: 1, column: 1 });
  const nope = /\bnope\b/.exec(query);
  if (nope) {
    const before = query.slice(0, nope.index).split("\n");
    throw new SqlError("no field named `nope`", { line: before.length, column: before.at(-1).length + 1, hint: "did you mean `metric`?" });
  }
  const wave = /sin\(value[^)]*\) AS y FROM generate_series\(1, *(\d+)\)/.exec(query);
  if (wave) {
    const xs = Float64Array.from({ length: Number(wave[1]) }, (_, i) => i + 1);
    return { rows: xs.length, build: (count) => tableFromColumns([["x", columnFromArray(xs.subarray(0, count), float64())], ["y", columnFromArray(xs.subarray(0, count).map((x) => Math.sin(x / 500) + (x % 7) / 10), float64())]]) };
  }
  const series = /generate_series\(1, *(\d+)\)/.exec(query);
  if (series) {
    const rows = Number(series[1]);
    return { rows, build: (count) => tableFromColumns([["value", columnFromArray(BigInt64Array.from({ length: count }, (_, i) => BigInt(i + 1)), int64())]]) };
  }
  const literal = /^SELECT '((?:[^']|'')*)' AS name/.exec(text);
  if (literal) return objects([{ name: literal[1].replaceAll("''", "'") }], { name: utf8() });
  if (/FROM metrics WHERE metric = 'node_load1'/.test(query)) {
    const rows = state.empty ? [] : [{ job: "host", instance: "atlas", last_ts: now }, { job: "node", instance: "web1:9100", last_ts: now - 4000 }];
    return objects(rows, { job: utf8(), instance: utf8(), last_ts: MICROS });
  }
  if (/date_bin\(interval '(\d+) seconds'/.test(query)) return hostAnswer(query, now);
  if (/FROM probes WHERE ts/.test(query) && /row_number/.test(query)) {
    const rows = state.empty ? [] : data.probeRows(now);
    return objects(rows, { probe: utf8(), location: utf8(), target: utf8(), kind: utf8(), ts: MICROS, success: bool(), reason: utf8(), duration_seconds: float64(), status_code: int32(), cert_not_after: MICROS });
  }
  if (/prom\.node_load1/.test(query)) {
    const rows = ["atlas", "web1:9100", "db1:9100"].flatMap((instance, h) => Array.from({ length: 240 }, (_, i) => ({ ts: now - (240 - i) * 15_000, instance, value: 1 + h + Math.sin(i / 20 + h) })));
    return objects(rows, { ts: MICROS, instance: utf8(), value: float64() });
  }
  if (/GROUP BY service/.test(query)) {
    return objects(["nginx", "keycloak", "prosody", "postgres", data.HOSTILE].map((service, i) => ({ service, lines: 4200 - i * 800 })), { service: utf8(), lines: int32() });
  }
  if (/huge/.test(query)) return objects([{ body: "x".repeat(1_500_000) }], { body: utf8() });
  return objects(data.logRows(2_000, now), { ts: MICROS, service: utf8(), host: utf8(), severity: int8(), stream_id: int64(), body: utf8(), attributes: map(utf8(), utf8()), trace_id: utf8() });
}

function hostAnswer(query, now) {
  const stepMs = Number(/date_bin\(interval '(\d+) seconds'/.exec(query)[1]) * 1000;
  const relative = /now\(\) - interval '(\d+) seconds'/.exec(query);
  const fixed = Array.from(query.matchAll(/TIMESTAMP '([^']+)'/g), (match) => Date.parse(match[1]));
  const [fromMs, toMs] = relative ? [now - Number(relative[1]) * 1000, now] : fixed;
  const metric = /FROM prom\.(\w+)/.exec(query)?.[1] ?? "gauges";
  const rows = data.hostRows(metric, fromMs, toMs, Math.max(stepMs, 15_000));
  const labels = Object.keys(rows[0] ?? {}).filter((name) => name !== "ts" && name !== "value");
  return objects(rows, { ...Object.fromEntries(labels.map((name) => [name, utf8()])), ts: MICROS, value: float64() });
}

function objects(rows, types) {
  const build = (count) => tableFromColumns(Object.entries(types).map(([name, type]) => [name, columnFromArray(rows.slice(0, count).map((row) => row[name]), type, { useBigInt: true })]));
  return { rows: rows.length, build };
}

async function serveFile(path, response) {
  const headers = { "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" };
  const file = normalize(path).replace(/^(\.\.[/\\])+/, "");
  const isAsset = extname(file) !== "" && file !== "/index.html";
  try {
    const body = await readFile(join(DIST, isAsset ? file : "index.html"));
    response.writeHead(200, { ...headers, "content-type": TYPES[isAsset ? extname(file) : ".html"] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404, headers).end("not found");
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock(Number(process.argv[2] ?? 8787));
  process.stdout.write(`mock backend on ${mock.url}\n`);
}
