import { describe, expect, it } from "vitest";
import { buildChart, guessChart, LINES_MAX } from "./chartguess";
import type { CellKind, ResultTable } from "./table";

function table(spec: Record<string, [CellKind, unknown[]]>): ResultTable {
  const columns = Object.entries(spec).map(([name, [kind, cells]]) => ({ name, kind, type: kind, at: (row: number) => cells[row] }));
  return { columns, rowCount: Object.values(spec)[0]?.[1].length ?? 0 };
}

describe("guessChart", () => {
  it("time, number, text → lines by text", () => {
    const result = table({ ts: ["time", [1, 1, 2]], host: ["text", ["a", "b", "a"]], value: ["number", [1, 2, 3]], tsid: ["integer", [1, 2, 1]] });
    expect(guessChart(result)).toEqual({ x: "ts", y: ["value"], by: ["host"] });
  });
  it("leaves out a text that never changes, and ids", () => {
    const result = table({ ts: ["time", [1, 2]], metric: ["text", ["up", "up"]], value: ["number", [1, 0]], stream_id: ["integer", [5, 5]] });
    expect(guessChart(result)).toEqual({ x: "ts", y: ["value"], by: [] });
  });
  it("prefers the moment over the day", () => {
    expect(guessChart(table({ day: ["date", [0]], ts: ["time", [5]], n: ["integer", [1]] }))?.x).toBe("ts");
  });
  it("text and number → bars", () => {
    expect(guessChart(table({ service: ["text", ["a"]], lines: ["integer", [4]] }))).toEqual({ x: "service", y: ["lines"], by: [] });
  });
  it("finds nothing in texts alone", () => expect(guessChart(table({ a: ["text", ["x"]] }))).toBeNull());
});

describe("buildChart", () => {
  it("splits and sorts lines", () => {
    const result = table({ ts: ["time", [3000, 1000, 1000]], host: ["text", ["a", "b", "a"]], value: ["number", [3, 2, 1]] });
    const chart = buildChart(result, null);
    expect(chart).toMatchObject({ kind: "lines", note: null, data: { names: ["a", "b"], times: [1, 3], columns: [[1, 3], [2, undefined]] } });
  });
  it("says how many series it left out", () => {
    const hosts = Array.from({ length: 100 }, (_, i) => `h${i}`);
    const chart = buildChart(table({ ts: ["time", hosts.map(() => 1)], host: ["text", hosts], v: ["number", hosts.map(() => 1)] }), null);
    expect(chart.kind === "lines" && [chart.data.names.length, chart.note]).toEqual([LINES_MAX, "40 of 100 series drawn, the longest first"]);
  });
  it("draws bars in the order of the result", () => {
    const chart = buildChart(table({ s: ["text", ["b", "a"]], n: ["integer", [2n, null]] }), null);
    expect(chart).toMatchObject({ kind: "bars", labels: ["b", "a"], values: [2, null] });
  });
  it("says why there is nothing", () => {
    expect(buildChart(table({}), null).kind).toBe("none");
    expect(buildChart(table({ a: ["text", ["x"]] }), { x: "gone", y: ["a"], by: [] }).kind).toBe("none");
  });
  it("takes another number as the axis as it is", () => {
    const chart = buildChart(table({ le: ["number", [0.5, 1]], n: ["number", [1, 2]] }), { x: "le", y: ["n"], by: [] });
    expect(chart.kind === "lines" && chart.data.times).toEqual([0.5, 1]);
  });
});
