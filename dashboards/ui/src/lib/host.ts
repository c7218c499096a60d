/**
 * The host charts of the home page. Says which SQL to ask and turns the answers into lines: counters become rates,
 * sizes become shares. Metric names are node_exporter's. Knows nothing of the network or of drawing.
 */

import { selectorText, type Matcher } from "./promql/selectors";
import { counterRates, type Samples } from "./rates";
import type { Line } from "./series";
import { quoteIdentifier, quoteLiteral } from "./sqltext";
import { cellNumber, type ResultTable } from "./table";
import { timeRangeSql, timeRangeStepSeconds, type TimeRange } from "./timerange";

/** Whose metrics: the labels the scrape gave them. */
export interface Host {
  job: string | null;
  instance: string | null;
}

/** The metric every host exporter has, used to find hosts. */
const HOST_METRIC = "node_load1";

/** The hosts that reported lately, the freshest first. */
export const HOSTS_SQL =
  `SELECT job, instance, max(ts) AS last_ts FROM metrics WHERE metric = ${quoteLiteral(HOST_METRIC)} ` +
  "AND ts > now() - interval '1 day' GROUP BY job, instance ORDER BY last_ts DESC";

export function readHosts(table: ResultTable): Host[] {
  const text = (name: string, row: number) => (column(table, name)?.at(row) as string | null) ?? null;
  return Array.from({ length: table.rowCount }, (_, row) => ({ job: text("job", row), instance: text("instance", row) }));
}

/** The host to show: the one asked for, else the one the server runs on, else the first. */
export function chooseHost(hosts: Host[], wanted: string | null, serverHostname: string | null): Host | null {
  const bare = (instance: string | null) => (instance ?? "").replace(/:\d+$/, "");
  return (
    hosts.find((host) => wanted !== null && host.instance === wanted) ??
    hosts.find((host) => serverHostname !== null && bare(host.instance) === serverHostname) ??
    hosts.find((host) => ["localhost", "127.0.0.1"].includes(bare(host.instance))) ??
    hosts[0] ??
    null
  );
}

function hostSql(host: Host): string {
  const conditions = [];
  if (host.instance !== null) conditions.push(`instance = ${quoteLiteral(host.instance)}`);
  if (host.job !== null) conditions.push(`job = ${quoteLiteral(host.job)}`);
  return conditions.map((condition) => ` AND ${condition}`).join("");
}

/**
 * The last sample of each series in each step, with its own time: few rows however long the range, and exact rates
 * between neighbours. `from` is a table; `labels` the columns that tell its series apart.
 */
function stepSql(from: string, labels: string[], where: string, host: Host, range: TimeRange): string {
  const step = timeRangeStepSeconds(range);
  const columns = labels.map(quoteIdentifier).join(", ");
  return (
    `SELECT ${columns}, max(ts) AS ts, last_value(value ORDER BY ts) AS value FROM ${from} ` +
    `WHERE ${timeRangeSql(range, Math.max(60, 2 * step))}${where}${hostSql(host)} ` +
    `GROUP BY ${columns}, date_bin(interval '${step} seconds', ts) ORDER BY ${columns}, ts`
  );
}

/** The questions behind the charts; each is asked alone, so one missing metric empties one chart. */
export const HOST_QUERIES = {
  gauges: (host: Host, range: TimeRange) =>
    stepSql(
      "metrics",
      ["metric"],
      " AND metric IN ('node_memory_MemTotal_bytes', 'node_memory_MemAvailable_bytes', 'node_load1', 'node_load5', 'node_load15')",
      host,
      range,
    ),
  cpu: (host: Host, range: TimeRange) => stepSql("prom.node_cpu_seconds_total", ["cpu", "mode"], "", host, range),
  filesystemSize: (host: Host, range: TimeRange) => stepSql("prom.node_filesystem_size_bytes", ["mountpoint", "fstype"], "", host, range),
  filesystemFree: (host: Host, range: TimeRange) => stepSql("prom.node_filesystem_avail_bytes", ["mountpoint", "fstype"], "", host, range),
  received: (host: Host, range: TimeRange) => stepSql("prom.node_network_receive_bytes_total", ["device"], "", host, range),
  transmitted: (host: Host, range: TimeRange) => stepSql("prom.node_network_transmit_bytes_total", ["device"], "", host, range),
};

export type HostQuery = keyof typeof HOST_QUERIES;

/** The charts as PromQL, for the explore page. */
export function hostExpressions(host: Host): Record<"cpu" | "memory" | "load" | "filesystem" | "network", { expr: string; legend: string }[]> {
  const own: Matcher[] = (["instance", "job"] as const).flatMap((label) => (host[label] === null ? [] : [{ label, op: "=" as const, value: host[label] }]));
  const of = (metric: string, ...more: Matcher[]) => selectorText(metric, [...own, ...more]);
  const not = (label: string, value: string): Matcher => ({ label, op: "!~", value });
  const network = (metric: string) => `rate(${of(metric, not("device", "lo|veth.*|br-.*"))}[1m])`;
  return {
    cpu: [{ expr: `sum by (mode) (rate(${of("node_cpu_seconds_total", { label: "mode", op: "!=", value: "idle" })}[1m])) / scalar(count(${of("node_cpu_seconds_total", { label: "mode", op: "=", value: "idle" })}))`, legend: "{{mode}}" }],
    memory: [
      { expr: `${of("node_memory_MemTotal_bytes")} - ${of("node_memory_MemAvailable_bytes")}`, legend: "used" },
      { expr: of("node_memory_MemTotal_bytes"), legend: "total" },
    ],
    load: [["node_load1", "1 min"], ["node_load5", "5 min"], ["node_load15", "15 min"]].map(([metric, legend]) => ({ expr: of(metric), legend })),
    filesystem: [{ expr: `1 - ${of("node_filesystem_avail_bytes", not("fstype", "tmpfs|ramfs|overlay"))} / ${of("node_filesystem_size_bytes")}`, legend: "{{mountpoint}}" }],
    network: [
      { expr: network("node_network_receive_bytes_total"), legend: "{{device}} in" },
      { expr: network("node_network_transmit_bytes_total"), legend: "{{device}} out" },
    ],
  };
}

/** Samples grouped by the values of the label columns. */
export interface LabelledSamples extends Samples {
  labels: string[];
}

/** Reads an answer of `stepSql`: rows sorted by labels, then time. */
export function readSamples(table: ResultTable, labelNames: string[]): LabelledSamples[] {
  const labels = labelNames.map((name) => column(table, name));
  const times = column(table, "ts");
  const values = column(table, "value");
  const groups = new Map<string, LabelledSamples>();
  for (let row = 0; row < table.rowCount; row++) {
    const names = labels.map((label) => String(label?.at(row) ?? ""));
    const key = names.join("\0");
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { labels: names, times: [], values: [] }));
    group.times.push(cellNumber(times?.at(row)));
    group.values.push(cellNumber(values?.at(row)));
  }
  return Array.from(groups.values());
}

function column(table: ResultTable, name: string) {
  return table.columns.find((candidate) => candidate.name === name);
}

/** Modes in the order they are stacked; `idle` is what is left over and is not drawn. */
const CPU_MODES = ["user", "system", "iowait", "irq", "softirq", "nice", "steal"];

/** Percent of all CPU time by mode, without idle. `bucketMs` puts the cores on one axis. */
export function cpuLines(samples: LabelledSamples[], bucketMs: number): Line[] {
  const byMode = new Map<string, Map<number, number>>();
  const totals = new Map<number, number>();
  for (const core of samples) {
    const { times, rates } = counterRates(core);
    const mode = core.labels[1];
    const sums = byMode.get(mode) ?? new Map<number, number>();
    byMode.set(mode, sums);
    times.forEach((timeMs, i) => {
      const rate = rates[i];
      if (rate === null) return;
      const slot = Math.floor(timeMs / bucketMs) * bucketMs;
      sums.set(slot, (sums.get(slot) ?? 0) + rate);
      totals.set(slot, (totals.get(slot) ?? 0) + rate);
    });
  }
  const slots = Array.from(totals.keys()).sort((a, b) => a - b);
  return CPU_MODES.filter((mode) => byMode.has(mode)).map((mode) => ({
    name: mode,
    times: slots,
    values: slots.map((slot) => {
      const total = totals.get(slot) ?? 0;
      return total > 0 ? ((byMode.get(mode)?.get(slot) ?? 0) / total) * 100 : null;
    }),
  }));
}

function gauge(samples: LabelledSamples[], metric: string): LabelledSamples | undefined {
  return samples.find((sample) => sample.labels[0] === metric);
}

const present = (value: number) => (Number.isNaN(value) ? null : value);

/** Bytes in use and bytes there are. */
export function memoryLines(samples: LabelledSamples[], bucketMs: number): Line[] {
  const total = gauge(samples, "node_memory_MemTotal_bytes");
  const available = gauge(samples, "node_memory_MemAvailable_bytes");
  if (!total || !available) return [];
  const used = combine(available, total, bucketMs, (free, size) => size - free);
  return [
    { name: "used", ...used },
    { name: "total", times: total.times, values: total.values.map(present) },
  ];
}

export function loadLines(samples: LabelledSamples[]): Line[] {
  return [
    ["1 min", "node_load1"],
    ["5 min", "node_load5"],
    ["15 min", "node_load15"],
  ].flatMap(([name, metric]) => {
    const found = gauge(samples, metric);
    return found ? [{ name, times: found.times, values: found.values.map(present) }] : [];
  });
}

const PSEUDO_FILESYSTEMS = /^(tmpfs|devtmpfs|ramfs|overlay|squashfs|proc|sysfs|cgroup2?|autofs|nsfs|tracefs|debugfs|efivarfs|fuse\.lxcfs|rootfs)$/;
const FILESYSTEMS_MAX = 6;

/** Percent used of each real file system, the fullest first. */
export function filesystemLines(sizes: LabelledSamples[], free: LabelledSamples[], bucketMs: number): Line[] {
  const real = sizes.filter((size) => !PSEUDO_FILESYSTEMS.test(size.labels[1]));
  const shown = real.length > 0 ? real : sizes;
  const lines = shown.flatMap((size) => {
    const avail = free.find((candidate) => candidate.labels.join("\0") === size.labels.join("\0"));
    return avail ? [{ name: size.labels[0], ...combine(avail, size, bucketMs, (left, all) => (all > 0 ? (1 - left / all) * 100 : null)) }] : [];
  });
  lines.sort((a, b) => (b.values.at(-1) ?? 0) - (a.values.at(-1) ?? 0));
  return lines.slice(0, FILESYSTEMS_MAX);
}

const QUIET_DEVICES = /^(lo|veth.*|br-.*|virbr.*|dummy.*|ifb.*)$/;
const DEVICES_MAX = 4;

/** Bytes a second in and out of the busiest devices. */
export function networkLines(received: LabelledSamples[], transmitted: LabelledSamples[]): Line[] {
  const busy = received.filter((sample) => !QUIET_DEVICES.test(sample.labels[0]));
  const shown = busy.length > 0 ? busy : received;
  const volume = (sample: LabelledSamples) => (sample.values.at(-1) ?? 0) - (sample.values[0] ?? 0);
  const devices = shown.toSorted((a, b) => volume(b) - volume(a)).slice(0, DEVICES_MAX);
  return devices.flatMap((incoming) => {
    const device = incoming.labels[0];
    const outgoing = transmitted.find((sample) => sample.labels[0] === device);
    const line = (name: string, samples: Samples): Line => {
      const { times, rates } = counterRates(samples);
      return { name, times, values: rates };
    };
    return [line(`${device} in`, incoming), ...(outgoing ? [line(`${device} out`, outgoing)] : [])];
  });
}

/** One value from two gauges of the same scrape. */
function combine(a: Samples, b: Samples, bucketMs: number, how: (a: number, b: number) => number | null): { times: number[]; values: (number | null)[] } {
  const others = new Map(b.times.map((timeMs, i) => [Math.floor(timeMs / bucketMs), b.values[i]]));
  const times: number[] = [];
  const values: (number | null)[] = [];
  a.times.forEach((timeMs, i) => {
    const other = others.get(Math.floor(timeMs / bucketMs));
    if (other === undefined) return;
    const value = how(a.values[i], other);
    times.push(timeMs);
    values.push(value === null || Number.isNaN(value) ? null : value);
  });
  return { times, values };
}
