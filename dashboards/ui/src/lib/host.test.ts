import { describe, expect, it } from "vitest";
import { chooseHost, cpuLines, filesystemLines, hostExpressions, HOST_QUERIES, loadLines, memoryLines, networkLines, readSamples, type LabelledSamples } from "./host";
import type { ResultTable } from "./table";
import { relativeRange } from "./timerange";

const STEP = 15_000;
const series = (labels: string[], values: number[], startMs = 0): LabelledSamples => ({ labels, values, times: values.map((_, i) => startMs + i * STEP) });
const gb = 1024 ** 3;

describe("chooseHost", () => {
  const hosts = [
    { job: "a", instance: "db1:9100" },
    { job: "b", instance: "web1" },
  ];
  it("takes the one asked for, else the server's, else the first", () => {
    expect(chooseHost(hosts, "web1", "db1")?.instance).toBe("web1");
    expect(chooseHost(hosts, null, "db1")?.instance).toBe("db1:9100");
    expect(chooseHost(hosts, null, "elsewhere")?.instance).toBe("db1:9100");
    expect(chooseHost([], null, null)).toBeNull();
  });
});

it("writes one query a chart, quoting what comes from data", () => {
  const sql = HOST_QUERIES.cpu({ job: "o'brien", instance: "h:1" }, relativeRange("1h"));
  expect(sql).toBe(
    "SELECT cpu, mode, max(ts) AS ts, last_value(value ORDER BY ts) AS value FROM prom.node_cpu_seconds_total " +
      "WHERE ts > now() - interval '3660 seconds' AND instance = 'h:1' AND job = 'o''brien' " +
      "GROUP BY cpu, mode, date_bin(interval '15 seconds', ts) ORDER BY cpu, mode, ts",
  );
});

it("groups rows by label", () => {
  const rows: [string, number, number][] = [["a", 1, 10], ["a", 2, 20], ["b", 1, 5]];
  const table: ResultTable = {
    rowCount: 3,
    columns: ["device", "ts", "value"].map((name, i) => ({ name, type: "", kind: "number", at: (row) => rows[row][i] })),
  };
  expect(readSamples(table, ["device"])).toEqual([
    { labels: ["a"], times: [1, 2], values: [10, 20] },
    { labels: ["b"], times: [1], values: [5] },
  ]);
});

it("shares CPU time among modes over all cores, cores read at different moments", () => {
  const samples = [series(["0", "idle"], [0, 12]), series(["0", "user"], [0, 3]), series(["1", "idle"], [0, 15], 400), series(["1", "user"], [0, 0], 400)];
  expect(cpuLines(samples, STEP)).toEqual([{ name: "user", times: [STEP], values: [10] }]);
});

it("survives a reboot: the counter restarts, the share stays below 100", () => {
  const line = cpuLines([series(["0", "idle"], [1000, 1012, 5, 17]), series(["0", "user"], [500, 503, 5, 8])], STEP)[0];
  expect(line.values).toEqual([20, 50, 20]);
});

it("subtracts available from total memory", () => {
  const lines = memoryLines([series(["node_memory_MemTotal_bytes"], [8 * gb, 8 * gb]), series(["node_memory_MemAvailable_bytes"], [6 * gb, NaN])], STEP);
  expect(lines[0]).toEqual({ name: "used", times: [0, STEP], values: [2 * gb, null] });
  expect(memoryLines([], STEP)).toEqual([]);
});

it("names the three loads", () => {
  expect(loadLines([series(["node_load1"], [1]), series(["node_load15"], [3])]).map((line) => line.name)).toEqual(["1 min", "15 min"]);
});

it("shows real file systems, the fullest first", () => {
  const sizes = [series(["/", "ext4"], [100]), series(["/run", "tmpfs"], [10]), series(["/data", "xfs"], [200])];
  const free = [series(["/", "ext4"], [80]), series(["/run", "tmpfs"], [1]), series(["/data", "xfs"], [20])];
  expect(filesystemLines(sizes, free, STEP).map((line) => [line.name, Math.round(line.values[0] as number)])).toEqual([["/data", 90], ["/", 20]]);
});

it("rates the busiest devices, without loopback", () => {
  const lines = networkLines([series(["lo"], [0, 1e9]), series(["eth0"], [0, 1500])], [series(["eth0"], [0, 150])]);
  expect(lines).toEqual([
    { name: "eth0 in", times: [0, STEP], values: [null, 100] },
    { name: "eth0 out", times: [0, STEP], values: [null, 10] },
  ]);
});

it("asks the same in PromQL, for this host alone", () => {
  const { cpu, memory, network } = hostExpressions({ job: "node", instance: 'we"b1' });
  expect(memory[1]).toEqual({ expr: 'node_memory_MemTotal_bytes{instance="we\\"b1", job="node"}', legend: "total" });
  expect(cpu[0].expr).toContain('mode!="idle"');
  expect(network.map(({ legend }) => legend)).toEqual(["{{device}} in", "{{device}} out"]);
  expect(hostExpressions({ job: null, instance: null }).load[0].expr).toBe("node_load1");
});
