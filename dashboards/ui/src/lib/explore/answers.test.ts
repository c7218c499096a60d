import { expect, it } from "vitest";
import { commonLabels, gridTimes, labelsText, rangeLines, seriesName } from "./answers";
import { histogramAverage, histogramQuantile, type HistogramValue } from "./histograms";
import { instantTable } from "./instant";

const GRID = { start: 100, end: 130, step: 10 };
const NAMES = { query: 0, letter: "A", expr: "x", legend: "" };

it("puts samples on the grid; what is missing or no number is a gap", () => {
  expect(gridTimes(GRID)).toEqual([100, 110, 120, 130]);
  expect(gridTimes({ start: 0, end: 0.3, step: 0.1 })).toHaveLength(4);
  const { lines, unusable } = rangeLines([{ metric: { a: "1" }, values: [[100, "1.5"], [110, "NaN"], [130, "+Inf"]] }], GRID, NAMES);
  expect(lines[0].values).toEqual([1.5, null, null, null]);
  expect(unusable).toBe(2);
  expect(lines[0].key).toBe('A {a="1"}');
});

it("draws native histograms as quantiles and says how many", () => {
  const histogram: HistogramValue = { count: "4", sum: "10", buckets: [[0, "1", "2", "2"], [0, "2", "4", "2"]] };
  const { lines, histograms } = rangeLines([{ metric: {}, histograms: [[110, histogram]] }], GRID, NAMES);
  expect(histograms).toBe(1);
  expect(lines.map((line) => [line.name, line.values[1]])).toEqual([["p50 of x", 2], ["p95 of x", 3.8], ["p99 of x", 3.96]]);
});

it("names series by legend, labels or expression", () => {
  expect(seriesName({ a: "1" }, "{{a}} of {{ b }}!", "x")).toBe("1 of !");
  expect(seriesName({ __name__: "m", b: "2", a: 'q"' }, "", "x")).toBe('m{a="q\\"", b="2"}');
  expect(seriesName({}, "", "sum(\n  x)")).toBe("sum( x)");
  expect(labelsText({})).toBe("{}");
  const series = [{ metric: { job: "n", cpu: "0" } }, { metric: { job: "n", cpu: "1" } }];
  expect(commonLabels(series)).toEqual({ job: "n" });
  expect(commonLabels(series.slice(1))).toEqual({});
  expect(rangeLines(series.map((one) => ({ ...one, values: [] })), GRID, { ...NAMES, common: { job: "n" } }).lines[0].name).toBe('{cpu="0"}');
});

it("computes quantiles of native histograms within their buckets", () => {
  const histogram: HistogramValue = { count: "10", sum: "30", buckets: [[0, "-Inf", "0", "0"], [0, "0", "1", "5"], [0, "1", "3", "5"]] };
  expect([0.5, 0.75, 1].map((quantile) => histogramQuantile(quantile, histogram))).toEqual([1, 2, 3]);
  expect(histogramAverage(histogram)).toBe(3);
  expect(histogramQuantile(0.5, { count: "0", sum: "0" })).toBeNull();
  expect(histogramAverage({ count: "0", sum: "0" })).toBeNull();
});

it("makes one table of several instant answers", () => {
  const table = instantTable([
    { letter: "A", data: { resultType: "vector", result: [{ metric: { __name__: "up", job: "a" }, value: [5, "1"] }, { metric: { job: "b", zone: "z" }, value: [5, "NaN"] }] } },
    { letter: "B", data: { resultType: "scalar", result: [5, "2"] } },
  ]);
  expect(table.columns.map(({ name }) => name)).toEqual(["query", "__name__", "job", "zone", "value", "time"]);
  expect(table.columns.map((column) => column.at(0))).toEqual(["A", "up", "a", null, 1, 5_000]);
  expect(table.columns[4].at(1)).toBeNaN();
  expect(table.columns[0].at(2)).toBe("B");
});

it("shows native histograms and raw samples for what they are", () => {
  const histogram: HistogramValue = { count: "4", sum: "10", buckets: [[0, "1", "2", "4"]] };
  const table = instantTable([{ letter: "A", data: { resultType: "vector", result: [{ metric: {}, histogram: [5, histogram] }] } }]);
  expect(Object.fromEntries(table.columns.map((column) => [column.name, column.at(0)]))).toMatchObject({ count: 4, sum: 10, average: 2.5, p50: 1.5, buckets: 1 });
  const matrix = instantTable([{ letter: "A", data: { resultType: "matrix", result: [{ metric: { a: "1" }, values: [[1, "2"], [3, "4"]] }] } }]);
  expect(matrix.columns.at(-1)!.at(0)).toBe("2 @1  4 @3");
});
