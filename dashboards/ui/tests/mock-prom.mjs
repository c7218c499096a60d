/**
 * The Prometheus HTTP API of the mock server: a few metrics of every type with deterministic values, enough of PromQL to
 * tell the queries of the UI and its tests apart, errors and warnings as Prometheus words them.
 */

import { HOSTILE } from "./mock-data.mjs";

const MANY = 5_000;

const FAMILIES = {
  node_cpu_seconds_total: { type: "counter", help: "Seconds the CPUs spent in each mode.", series: () => ["0", "1", "2", "3"].flatMap((cpu) => ["idle", "user", "system", "iowait"].map((mode) => ({ cpu, mode, instance: cpu < "2" ? "atlas" : "web1:9100", job: "node" }))) },
  node_load1: { type: "gauge", help: "1m load average.", series: () => ["atlas", "web1:9100", "db1:9100"].map((instance) => ({ instance, job: "node" })) },
  node_memory_MemAvailable_bytes: { type: "gauge", help: "Memory information field MemAvailable_bytes.", series: () => ["atlas", "web1:9100"].map((instance) => ({ instance, job: "node" })) },
  http_request_duration_seconds: { type: "histogram", help: "How long requests took.", series: () => [{ handler: "/api", job: "atl" }] },
  rpc_latency_seconds: { type: "histogram", help: "Latency of calls, as a native histogram.", native: true, series: () => [{ method: "Get", job: "rpc" }] },
  go_gc_duration_seconds: { type: "summary", help: "A summary of pauses.", series: () => ["0", "0.5", "1"].map((quantile) => ({ quantile, job: "atl" })) },
  app_gappy: { type: "gauge", help: "Has gaps, and values that are no numbers.", series: () => [{ job: "odd" }] },
  hostile_gauge: { type: "gauge", help: HOSTILE, series: () => [{ note: HOSTILE, job: "odd" }] },
};

const expand = (name, family) => (family.type === "histogram" && !family.native ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : family.type === "summary" ? [name, `${name}_sum`, `${name}_count`] : [name]);
const NAMES = [...Object.entries(FAMILIES).flatMap(([name, family]) => expand(name, family)), ...Array.from({ length: MANY }, (_, i) => `bulk_${i}_total`)];

const LES = ["0.1", "0.5", "1", "+Inf"];

/** The label sets of a metric's series, with its name. */
function seriesOf(name) {
  const base = FAMILIES[name] ? name : name.replace(/_(bucket|sum|count)$/, "");
  const family = FAMILIES[base];
  if (!family) return NAMES.includes(name) ? [{ __name__: name, job: "bulk" }] : [];
  const sets = family.type === "summary" && name !== base ? [{ job: "atl" }] : family.series();
  return sets.flatMap((labels) => (name.endsWith("_bucket") ? LES.map((le) => ({ __name__: name, ...labels, le })) : [{ __name__: name, ...labels }]));
}

/** The series a selector picks. */
function select(selector) {
  const [, name, inside] = /^([\w:]*)(?:\{(.*)\})?$/s.exec(selector.trim()) ?? [];
  const matchers = Array.from((inside ?? "").matchAll(/(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"/g), ([, label, op, value]) => ({ label, op, value: value.replace(/\\(.)/g, "$1") }));
  const names = name ? [name] : NAMES;
  return names.flatMap(seriesOf).filter((labels) =>
    matchers.every(({ label, op, value }) => {
      const actual = labels[label] ?? "";
      const equal = op.length === 1 || op === "!=" ? actual === value : new RegExp(`^(?:${value})$`).test(actual);
      return equal === !op.startsWith("!");
    }),
  );
}

const hash = (text) => Array.from(text).reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 997, 7);

function valueAt(labels, seconds, expr) {
  const phase = hash(JSON.stringify(labels) + expr);
  const wave = (Math.sin(seconds / 300 + phase) + 1.2) / 2;
  if (/_bytes/.test(expr)) return wave * 8e9;
  return wave * (1 + (phase % 5));
}

function problem(query) {
  const stray = /\*\s*$/.exec(query.trim());
  if (stray) return `invalid parameter "query": 1:${query.trim().length}: parse error: unexpected <op:*>`;
  const unknown = /\b(ratee)\(/.exec(query);
  return unknown ? `invalid parameter "query": 1:${unknown.index + 1}: parse error: unknown function with name "ratee"` : null;
}

/** The label sets of an expression's answer. */
function evaluate(query) {
  const points = /^points\((\d+)\)$/.exec(query.trim());
  if (points) return Array.from({ length: Number(points[1]) }, (_, i) => ({ __name__: "points", line: String(i) }));
  const selector = /[A-Za-z_:][\w:]*\{[^}]*\}|\{[^}]*\}|\b(?:node|http|rpc|go|app|hostile|bulk|up)_?\w*/.exec(query)?.[0] ?? "";
  const found = select(selector);
  if (/^\s*(sum|count|max|min|avg|histogram_quantile)\b/.test(query)) {
    if (found.length === 0) return [];
    const by = /by \(le\)/.test(query) && !/histogram_quantile/.test(query) ? Array.from(new Set(found.map((labels) => labels.le)), (le) => ({ le })) : [{}];
    return by;
  }
  return /\b(rate|increase)\(/.test(query) ? found.map(({ __name__: _name, ...labels }) => labels) : found;
}

const histogram = (seconds) => [seconds, { count: "40", sum: "52.5", buckets: [[0, "0.5", "1", "10"], [0, "1", "2", "20"], [0, "2", "4", "10"]] }];
const isNative = (query) => /rpc_latency/.test(query) && !/histogram_/.test(query);

function instant(query, time) {
  if (/^\d+$/.test(query)) return { resultType: "scalar", result: [time, query] };
  const found = evaluate(query);
  const value = (labels) => (/^count\(/.test(query) ? String(Math.max(1, select(/[\w:]+(?:\{[^}]*\})?/.exec(query.slice(6))?.[0] ?? "").length)) : String(valueAt(labels, time, query)));
  return { resultType: "vector", result: found.map((metric) => (isNative(query) ? { metric, histogram: histogram(time) } : { metric, value: [time, value(metric)] })) };
}

function range(query, start, end, step) {
  const times = [];
  for (let t = start; t <= end + 1e-6; t += step) times.push(t);
  const odd = /app_gappy/.test(query);
  const result = evaluate(query).map((metric) => {
    if (isNative(query)) return { metric, histograms: times.map(histogram) };
    const values = times.map((t, i) => [t, odd && i % 17 === 3 ? "NaN" : String(valueAt(metric, t, query))]);
    return { metric, values: odd ? values.filter((_, i) => i % 40 < 25) : values };
  });
  return { resultType: "matrix", result };
}

const STATS = {
  timings: { evalTotalTime: 0.0123, resultSortTime: 0, queryPreparationTime: 0.0021, innerEvalTime: 0.0102, execQueueTime: 0.00001, execTotalTime: 0.0124 },
  samples: { totalQueryableSamples: 48_000, peakSamples: 1_600 },
  atl: { series: 16, files: 3, bytesRead: 412_330 },
};

/** The tree of the few expressions the tests explain. */
function tree(query) {
  const selector = { type: "matrixSelector", name: "node_cpu_seconds_total", range: 300_000, offset: 0, matchers: [{ type: "!=", name: "mode", value: "idle" }, { type: "=", name: "__name__", value: "node_cpu_seconds_total" }], timestamp: null, startOrEnd: null };
  const rate = { type: "call", func: { name: "rate", argTypes: ["matrix"], returnType: "vector", variadic: 0 }, args: [selector] };
  const sum = { type: "aggregation", op: "sum", expr: rate, param: null, grouping: ["instance"], without: false };
  const load = { type: "vectorSelector", name: "node_load1", offset: 0, matchers: [{ type: "=", name: "__name__", value: "node_load1" }], timestamp: null, startOrEnd: null };
  if (/^sum by/.test(query)) return { type: "binaryExpr", op: "/", lhs: sum, rhs: load, matching: { card: "one-to-one", labels: ["instance"], on: true, include: [] }, bool: false };
  return load;
}

/** Status and body of a call below `/api/v1`. */
export function answerProm(path, params, state) {
  const success = (data, more = {}) => ({ status: 200, json: { status: "success", data, ...more } });
  const failure = (error) => ({ status: 400, json: { status: "error", errorType: "bad_data", error } });
  const query = params.get("query") ?? "";
  const found = path.startsWith("/query") || path === "/parse_query" ? problem(query) : null;
  if (found) return failure(found);
  const limited = (list) => (params.has("limit") ? list.slice(0, Number(params.get("limit"))) : list);
  const stats = params.get("stats") === "all" ? { stats: STATS } : {};
  const notes = /^increase\(node_load1/.test(query) ? { infos: ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "node_load1" (1:10)'] } : {};
  const label = /^\/label\/([^/]+)\/values$/.exec(path)?.[1];
  const matching = () => (params.has("match[]") ? select(params.get("match[]")) : NAMES.flatMap(seriesOf));
  if (state.empty && !path.startsWith("/query")) return success(path === "/metadata" ? {} : []);
  if (path === "/query") return success({ ...instant(query, Number(params.get("time"))), ...stats }, notes);
  if (path === "/query_range") return success({ ...range(query, Number(params.get("start")), Number(params.get("end")), Number(params.get("step"))), ...stats }, notes);
  if (path === "/metadata") return success(Object.fromEntries(Object.entries(FAMILIES).map(([name, { type, help }]) => [name, [{ type, help, unit: "" }]])));
  if (path === "/series") return success(limited(matching()));
  if (path === "/labels") return success(Array.from(new Set(matching().flatMap(Object.keys))).sort());
  if (label) return success(limited(Array.from(new Set(matching().flatMap((labels) => (labels[label] === undefined ? [] : [labels[label]])))).sort()));
  if (path === "/parse_query") return success(tree(query));
  if (path === "/format_query") return success(query.replace(/\s+/g, " ").trim());
  return { status: 404, json: { status: "error", errorType: "not_found", error: "no such endpoint" } };
}
