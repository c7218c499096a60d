import { expect, it } from "vitest";
import { hiddenKeys, isolate, legendRows, sortLegend } from "./legend";

const line = (name: string, values: (number | null)[]) => ({ key: name, name, labels: {}, query: 0, values });
const rows = legendRows([line("b10", [1, 9]), line("b2", [5, null]), line("a", [null, null])]);
const names = (column: string, descending = false) => sortLegend(rows, { column, descending }).map((row) => row.name);

it("sorts by any column; names by their numbers, what has no values last", () => {
  expect(names("name")).toEqual(["a", "b2", "b10"]);
  expect(names("last", true)).toEqual(["b10", "b2", "a"]);
  expect(names("min")).toEqual(["b10", "b2", "a"]);
  expect(names("mean")).toEqual(["b10", "b2", "a"]);
  expect(names("nonsense")).toEqual(["b10", "b2", "a"]);
  expect(rows[1]).toMatchObject({ last: 5, min: 5, max: 5, mean: 5, index: 1 });
});

it("isolates, adds and gives all back", () => {
  expect(isolate("x", [], false)).toEqual(["x"]);
  expect(isolate("x", ["x"], false)).toEqual([]);
  expect(isolate("y", ["x"], true)).toEqual(["x", "y"]);
  expect(hiddenKeys(["x", "y", "z"], ["y"], ["x"])).toEqual(new Set(["x", "z"]));
  expect(hiddenKeys(["x", "y"], ["gone"], ["x"])).toEqual(new Set(["x"]));
});
