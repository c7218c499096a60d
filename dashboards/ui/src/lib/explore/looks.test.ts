import { expect, it } from "vitest";
import { facetName, looksOf } from "./looks";
import { buildMetrics } from "./metrics";
import { startsFor } from "./starts";

const metrics = buildMetrics(["c_total", "g", "h_bucket", "h_sum", "h_count", "dotted.name"], { c: [{ type: "counter", help: "", unit: "" }], g: [{ type: "gauge", help: "", unit: "" }] });
const metric = (name: string) => metrics.find((candidate) => candidate.name === name)!;
const first = (name: string, matchers: Parameters<typeof looksOf>[1] = []) => looksOf(metric(name), matchers, "1m")[0].queries;

it("draws each type as it asks for", () => {
  expect(first("c_total")).toEqual([{ expr: "rate(c_total[1m])", legend: "" }]);
  expect(first("g")).toEqual([{ expr: "g", legend: "" }]);
  expect(first("h", [{ label: "a", op: "=", value: '"' }])[2]).toEqual({ expr: 'histogram_quantile(0.99, sum by (le) (rate(h_bucket{a="\\""}[1m])))', legend: "p99" });
  expect(first("dotted.name")[0].expr).toBe('{"dotted.name"}');
});

it("counts series without multiplying them by buckets", () => expect(facetName(metric("h"))).toBe("h_count"));

it("offers only questions that can be answered", () => {
  expect(startsFor(new Set(["up"]), "1m").map(({ expr }) => expr)).toEqual(["up == 0"]);
  expect(startsFor(new Set(), "1m")).toEqual([]);
});
