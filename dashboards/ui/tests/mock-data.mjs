/** Plausible answers for the mock server: a small team's hosts, targets, probes and bucket. Deterministic but for the clock. */

export const HOSTILE = '<img src=x onerror="window.__pwned=1">';

const DAY_MS = 86_400_000;
const iso = (ms) => new Date(ms).toISOString().replace("Z", "000Z");
const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);

const column = (name, type, nullable = false) => ({ name, type, nullable });
const TIME = "timestamp";

const TABLES = {
  metrics: [column("day", "date"), column("metric", "string"), column("tsid", "bigint"), column("ts", TIME), column("value", "double"), column("job", "string", true), column("instance", "string", true)],
  series: [column("day", "date"), column("tsid", "bigint"), column("metric", "string"), column("labels", "map<string, string>"), column("first_ts", TIME), column("last_ts", TIME)],
  logs: [column("day", "date"), column("ts", TIME), column("ts_ns", "smallint"), column("service", "string"), column("host", "string"), column("source", "string"), column("severity", "tinyint"), column("stream_id", "bigint"), column("body", "string"), column("attributes", "map<string, string>"), column("trace_id", "string", true), column("span_id", "string", true)],
  log_streams: [column("day", "date"), column("stream_id", "bigint"), column("service", "string"), column("labels", "map<string, string>"), column("first_ts", TIME), column("last_ts", TIME)],
  probes: [column("day", "date"), column("ts", TIME), column("probe", "string"), column("target", "string"), column("location", "string"), column("success", "boolean"), column("reason", "string", true), column("duration_seconds", "double")],
};
const SIZES = { metrics: [48_213_990, 31_200_450, 212], series: [31_044, 1_840_221, 31], logs: [9_120_331, 410_223_100, 96], log_streams: [840, 50_120, 31], probes: [86_400, 4_120_000, 31] };

export const METRICS = [
  "up", "node_load1", "node_load5", "node_load15", "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes",
  "node_filesystem_size_bytes", "node_filesystem_avail_bytes", "node_network_receive_bytes_total", "node_network_transmit_bytes_total",
  "probe_success", "probe_duration_seconds", "pg_stat_activity_count", "redis_connected_clients", "mysql_global_status_threads_running",
  HOSTILE,
  ...Array.from({ length: 400 }, (_, i) => `app_requests_${i}_total`),
];

export function catalog(nowMs) {
  const tables = Object.entries(TABLES).map(([name, columns]) => {
    const [rows, bytes, files] = SIZES[name];
    return { name, columns, rows, bytes, files, min_ts: iso(nowMs - 30 * DAY_MS), max_ts: iso(nowMs) };
  });
  return { schemas: [{ name: "public", tables }, { name: "prom", tables: METRICS.map((name) => ({ name })) }], functions: ["date_bin", "date_trunc", "approx_percentile_cont", "regexp_match", "read_file"] };
}

export function promTable(metric) {
  const labels = metric.startsWith("node_cpu") ? ["cpu", "mode"] : metric.startsWith("node_network") ? ["device"] : [];
  return { name: metric, columns: [column("day", "date"), column("ts", TIME), column("value", "double"), ...["job", "instance", ...labels].map((name) => column(name, "string", true))] };
}

export function status(startedMs, nowMs) {
  const seconds = (nowMs - startedMs) / 1000;
  return {
    version: "0.1.0",
    started_at: iso(startedMs - 3 * DAY_MS),
    uptime_seconds: 3 * 86_400 + seconds,
    hostname: "atlas",
    store: { url: "s3://atl-metrics/prod", kind: "s3" },
    ingest: { points_total: 482_133_904 + Math.round(seconds * 1850), points_per_second: 1850.4, log_lines_total: 9_120_331, log_lines_per_second: 62.3, probe_results_total: 86_400, batches_total: 1_204_331, rejected_total: 0 },
    head: { series: 27_750, points: 3_120_000, log_lines: 220_310, probe_results: 410, bytes: 61_341_696 },
    wal: { segments: 3, bytes: 41_231_332 },
    commits_total: 864,
    last_commit_at: iso(nowMs - 132_000),
    memory_bytes: 96_468_992,
  };
}

export function targets(nowMs) {
  const up = (job, instance, samples, took, labels = {}) => ({ job, instance, url: `http://${instance}/metrics`, health: "up", last_scrape_at: iso(nowMs - 4_200), last_duration_seconds: took, samples, error: null, labels: { job, instance, ...labels }, interval_seconds: 15 });
  return {
    targets: [
      up("host", "atlas", 1412, 0.0042),
      up("node", "web1:9100", 1198, 0.0213, { role: "web" }),
      up("node", "db1:9100", 1240, 0.0198, { role: "database" }),
      up("postgres", "db1:9187", 642, 0.0351, { cluster: "main" }),
      up("valkey", "cache1:9121", 388, 0.0093),
      up("mariadb", "db2:9104", 711, 0.0412),
      up("nginx", "web1:9113", 24, 0.0021),
      up("keycloak", "auth1:9000", 903, 0.0822),
      up("minio", "s3.example.net:9000", 1822, 0.1043),
      { ...up("prosody", "chat1:5280", 0, 10.0), health: "down", error: "connect to `chat1:5280` timed out after 10s" },
      { ...up("sftpgo", "files1:8080", null, null), health: "unknown", last_scrape_at: null, labels: { job: "sftpgo", instance: "files1:8080", note: HOSTILE } },
    ],
  };
}

/** Rows of one host metric: the counters and gauges of a machine that works a little. */
export function hostRows(metric, fromMs, toMs, stepMs) {
  const rows = [];
  const times = [];
  for (let ms = Math.ceil(fromMs / stepMs) * stepMs; ms <= toMs; ms += stepMs) times.push(ms);
  const wave = (ms, period, phase = 0) => (Math.sin((ms / period) * 2 * Math.PI + phase) + 1) / 2;
  const each = (labels, value) => {
    let sum = 1e6;
    times.forEach((ms, i) => {
      const next = value(ms, i);
      sum += next;
      rows.push({ ...labels, ts: ms + 231, value: next, sum });
    });
  };
  if (metric === "node_cpu_seconds_total") {
    const seconds = stepMs / 1000;
    for (const cpu of ["0", "1", "2", "3"]) {
      const busy = (ms) => 0.08 + 0.3 * wave(ms, 420_000, Number(cpu)) + 0.12 * wave(ms, 97_000);
      const modes = { user: (b) => b * 0.62, system: (b) => b * 0.26, iowait: (b) => b * 0.12, idle: (b) => 1 - b };
      for (const [mode, share] of Object.entries(modes)) each({ cpu, mode }, (ms) => share(busy(ms)) * seconds);
    }
  }
  if (metric === "gauges") {
    const gb = 1024 ** 3;
    each({ metric: "node_load1" }, (ms) => 0.6 + 1.4 * wave(ms, 420_000));
    each({ metric: "node_load15" }, (ms) => 0.9 + 0.2 * wave(ms, 3_600_000));
    each({ metric: "node_load5" }, (ms) => 0.8 + 0.7 * wave(ms, 900_000));
    each({ metric: "node_memory_MemAvailable_bytes" }, (ms) => (9.1 - 1.2 * wave(ms, 700_000)) * gb);
    each({ metric: "node_memory_MemTotal_bytes" }, () => 15.6 * gb);
  }
  if (metric.startsWith("node_filesystem")) {
    const isSize = metric.includes("size");
    for (const [mountpoint, fstype, gb, used] of [["/", "ext4", 80, 0.41], ["/var/lib/atl", "xfs", 400, 0.73], ["/run", "tmpfs", 2, 0.01]]) {
      each({ mountpoint, fstype }, (ms) => gb * 1e9 * (isSize ? 1 : 1 - used - 0.01 * wave(ms, 900_000)));
    }
  }
  if (metric.startsWith("node_network")) {
    const scale = metric.includes("receive") ? 2.4e6 : 8e5;
    for (const device of ["eth0", "lo", "wg0"]) each({ device }, (ms) => (stepMs / 1000) * scale * (device === "eth0" ? 1 : 0.12) * (0.3 + wave(ms, 260_000) + 0.3 * wave(ms, 61_000)));
  }
  const isCounter = metric.endsWith("_total");
  return rows.map(({ sum, ...row }) => ({ ...row, value: isCounter ? sum : row.value }));
}

export function probeRows(nowMs) {
  const probes = [
    ["website", "https://www.example.net/", "FRA", 0.083, 62],
    ["website", "https://www.example.net/", "AMS", 0.121, 62],
    ["login", "https://auth.example.net/health", "FRA", 0.211, 12],
    ["bucket", "https://s3.example.net/minio/health/live", "FRA", 0.048, 4],
    ["chat", "https://chat.example.net/", "FRA", 0.4, null],
    [HOSTILE, "https://x.example.net/", "FRA", 0.09, 80],
  ];
  return probes.flatMap(([probe, target, location, base, certDays]) =>
    Array.from({ length: 40 }, (_, i) => {
      const success = probe !== "chat" || i < 33;
      return {
        probe, location, target, kind: "http", ts: nowMs - (40 - i) * 60_000 + 10_000, success, reason: success ? null : "connect_timeout",
        duration_seconds: success ? base * (1 + 0.3 * Math.sin(i * 1.7) + (i % 13 === 0 ? 0.8 : 0)) : 10, status_code: success ? 200 : null, cert_not_after: certDays === null ? null : nowMs + certDays * DAY_MS,
      };
    }),
  );
}

export function storedTables(nowMs) {
  const level = (number, files, rows, bytes) => ({ level: number, files, rows, bytes });
  const day = (rows, bytes, i) => {
    const [dayRows, dayBytes] = [rows, bytes].map((whole) => Math.round((whole / 14) * (1 - 0.03 * i)));
    const levels = i === 0 ? [level(0, 6, dayRows / 3, dayBytes / 2), level(1, 3, (dayRows * 2) / 3, dayBytes / 2)] : [level(2, 2, dayRows, dayBytes)];
    return { day: dayOf(nowMs - i * DAY_MS), files: i === 0 ? 9 : 2, rows: dayRows, bytes: dayBytes, levels };
  };
  return {
    tables: Object.entries(SIZES).map(([name, [rows, bytes, files]]) => ({
      name, version: 864, files, rows, bytes,
      levels: [level(0, 6, rows / 50, bytes / 25), level(1, 3, rows / 25, bytes / 25), level(2, files - 9, rows * 0.94, bytes * 0.92)],
      days: Array.from({ length: 14 }, (_, i) => day(rows, bytes, i)),
    })),
  };
}

export function objects(prefix, nowMs) {
  const today = dayOf(nowMs);
  const file = (key, size, age) => ({ key, size, modified: iso(nowMs - age) });
  if (prefix === "") return { prefix, prefixes: [...Object.keys(SIZES).map((name) => `${name}/`), "_index/"], objects: [file(`${HOSTILE}.txt`, 12, 1000)] };
  const table = prefix.split("/")[0];
  if (prefix === `${table}/`) return { prefix, prefixes: [`${table}/_delta_log/`, ...Array.from({ length: 14 }, (_, i) => `${table}/day=${dayOf(nowMs - i * DAY_MS)}/`)], objects: [] };
  if (prefix.endsWith("/_delta_log/")) return { prefix, prefixes: [], objects: Array.from({ length: 12 }, (_, i) => file(`${prefix}${String(853 + i).padStart(20, "0")}.json`, 1_840, (12 - i) * 300_000)) };
  const isToday = prefix.includes(today);
  return { prefix, prefixes: [], objects: Array.from({ length: isToday ? 9 : 2 }, (_, i) => file(`${prefix}part-${String(i).padStart(5, "0")}-7c1e.parquet`, 1_200_331 * (i + 1), i * 300_000)) };
}

export function parquet(key, nowMs) {
  const chunk = (name, type, encodings, packed, plain, min, max, nulls = 0) => ({ name, type, encodings, compression: "ZSTD(3)", compressed_bytes: packed, uncompressed_bytes: plain, min, max, nulls });
  const columns = [
    chunk("metric", "BYTE_ARRAY (String)", ["PLAIN", "RLE_DICTIONARY"], 1_204, 4_010, "app_requests_0_total", HOSTILE),
    chunk("tsid", "INT64", ["DELTA_BINARY_PACKED"], 88_310, 240_122, "-9223001122334455667", "9222000011112222333"),
    chunk("ts", "INT64 (Timestamp µs)", ["DELTA_BINARY_PACKED"], 20_113, 40_310, iso(nowMs - 3_600_000), iso(nowMs)),
    chunk("value", "DOUBLE", ["BYTE_STREAM_SPLIT"], 640_221, 2_097_152, "-3.5", "9.81e11"),
    chunk("job", "BYTE_ARRAY (String)", ["RLE_DICTIONARY"], 310, 980, "host", "valkey", 12),
    chunk("instance", "BYTE_ARRAY (String)", ["RLE_DICTIONARY"], 402, 1_340, "atlas", "web1:9100", 12),
  ];
  const groups = Array.from({ length: 3 }, () => ({ rows: 262_144, bytes: columns.reduce((sum, c) => sum + c.compressed_bytes, 0), columns }));
  return {
    key, size: 2_263_044, rows: 786_432, created_by: "parquet-rs version 59.0.0", row_groups: groups,
    columns: columns.map((c) => ({ name: c.name, compressed_bytes: c.compressed_bytes * 3, uncompressed_bytes: c.uncompressed_bytes * 3 })),
    metadata: { "atl.format": "1", "atl.sort": "metric,tsid,ts", "ARROW:schema": "/////9gBAAAQAAAAAAAKAAwACgAJAAQACgAAABAAAAAAAQQACAAIAAAABAAIAAAABAAAAAYAAA".repeat(12) },
  };
}

export function deltaLog(nowMs) {
  const lines = [
    { commitInfo: { timestamp: Math.round(nowMs), operation: "WRITE", operationParameters: { mode: "Append" }, engineInfo: "atl/0.1.0" } },
    { txn: { appId: "atl-wal", version: 4_812_331, lastUpdated: Math.round(nowMs) } },
    { add: { path: `day=${dayOf(nowMs)}/part-00000-7c1e.parquet`, partitionValues: { day: dayOf(nowMs) }, size: 1_200_331, modificationTime: Math.round(nowMs), dataChange: true, stats: JSON.stringify({ numRecords: 262_144, minValues: { metric: "app_requests_0_total" }, maxValues: { metric: "up" }, nullCount: { job: 12 } }) } },
  ];
  return `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`;
}

export function logRows(count, nowMs) {
  const services = ["nginx", "keycloak", "prosody", "postgres", "sftpgo"];
  return Array.from({ length: count }, (_, i) => ({
    ts: nowMs - i * 137,
    service: services[i % services.length],
    host: ["web1", "auth1", "chat1", "db1"][i % 4],
    severity: 9 + (i % 3) * 4,
    stream_id: BigInt(i % 17) * 1_000_000_000_000_003n - 8_000_000_000_000_000_001n,
    body: i % 11 === 0 ? `{"level":"error","msg":"upstream timed out","upstream":"10.0.0.${i % 250}","request_id":"${(i * 7919).toString(16)}"}` : `GET /api/items/${i} 200 ${i % 90}ms ${i % 29 === 0 ? HOSTILE : "ok"}`,
    attributes: [["method", "GET"], ["status", "200"]],
    trace_id: i % 5 === 0 ? (i * 104_729).toString(16).padStart(32, "0") : null,
  }));
}
