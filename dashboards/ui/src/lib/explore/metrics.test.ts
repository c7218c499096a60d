import { expect, it } from "vitest";
import { buildMetrics, highlightRanges, parseMetricSearch, searchMetrics } from "./metrics";

const meta = (type: string, help = "") => [{ type, help, unit: "" }];

it("groups the parts of histograms and summaries, and nothing else", () => {
  const names = ["h_bucket", "h_sum", "h_count", "s", "s_sum", "s_count", "pool_count", "guess_bucket", "guess_sum", "guess_count", "native", "c_total", "build_info", "up", "odd"];
  const metrics = buildMetrics(names, { h: meta("histogram", "how long"), s: meta("summary"), native: meta("histogram"), c: meta("counter"), build_info: meta("gauge") });
  expect(metrics.map(({ name, type, isGuess }) => `${name} ${type}${isGuess ? "?" : ""}`)).toEqual([
    "build_info info", "c_total counter", "guess histogram?", "h histogram", "native native histogram", "odd unknown?", "pool_count counter?", "s summary", "up gauge",
  ]);
  expect(metrics.find(({ name }) => name === "h")).toMatchObject({ help: "how long", seriesNames: ["h_bucket", "h_sum", "h_count"] });
});

it("keeps a gauge that is only called like a part", () => {
  expect(buildMetrics(["x_bucket", "x"], { x_bucket: meta("gauge"), x: meta("gauge") }).map(({ type }) => type)).toEqual(["gauge", "gauge"]);
});

it("is not fooled by names that objects have", () => {
  expect(buildMetrics(["constructor", "toString"], {}).map(({ type }) => type)).toEqual(["unknown", "unknown"]);
});

it("tells words from labels", () => {
  expect(parseMetricSearch("cpu job=node mode=~us.* host: ")).toEqual({
    words: ["cpu"],
    labels: [{ label: "job", op: "=", value: "node" }, { label: "mode", op: "=~", value: "us.*" }, { label: "host", op: "=~", value: ".+" }],
  });
});

it("ranks names before help, beginnings before middles", () => {
  const metrics = buildMetrics(["node_cpu_seconds_total", "cpu", "process_cpu_seconds_total", "load", "cpu_count_x"], { load: meta("gauge", "Average load of the CPU.") });
  expect(searchMetrics(metrics, ["cpu"]).map(({ name }) => name)).toEqual(["cpu", "cpu_count_x", "node_cpu_seconds_total", "process_cpu_seconds_total", "load"]);
  expect(searchMetrics(metrics, ["cpu", "node"]).map(({ name }) => name)).toEqual(["node_cpu_seconds_total"]);
  expect(searchMetrics(metrics, ["ncst"]).map(({ name }) => name)).toEqual(["node_cpu_seconds_total"]);
  expect(searchMetrics(metrics, ["c.*("])).toEqual([]);
});

it("finds one of five thousand", () => {
  const metrics = buildMetrics(Array.from({ length: 5_000 }, (_, i) => `app_requests_${i}_total`), {});
  expect(searchMetrics(metrics, ["_4999_"])).toHaveLength(1);
});

it("marks what was found", () => {
  expect(highlightRanges("node_cpu", ["cpu", "od"])).toEqual([{ text: "n", hit: false }, { text: "od", hit: true }, { text: "e_", hit: false }, { text: "cpu", hit: true }]);
});
