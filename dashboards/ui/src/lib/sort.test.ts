import { expect, it } from "vitest";
import { nextSort, parseSort, sortOrder, sortToText } from "./sort";
import type { CellKind, ResultColumn } from "./table";

const column = (kind: CellKind, cells: unknown[]): ResultColumn => ({ name: "c", type: kind, kind, at: (row) => cells[row] });
const order = (kind: CellKind, cells: unknown[], descending = false) => Array.from(sortOrder(column(kind, cells), cells.length, descending));

it("sorts numbers, nulls and NaN last both ways, ties in order", () => {
  const cells = [3, null, 1, NaN, 3, -Infinity];
  expect(order("number", cells)).toEqual([5, 2, 0, 4, 1, 3]);
  expect(order("number", cells, true)).toEqual([0, 4, 2, 5, 1, 3]);
});

it("sorts text by code unit and 64-bit integers beyond 2^53 exactly", () => {
  expect(order("text", ["b", "a", null, "C"])).toEqual([3, 1, 0, 2]);
  const ids = [9_223_372_036_854_775_807n, 9_223_372_036_854_775_806n, -9_223_372_036_854_775_808n];
  expect(order("integer", ids)).toEqual([2, 1, 0]);
});

it("cycles and goes round through the URL", () => {
  let sort = nextSort(null, "ts");
  expect(sortToText(sort)).toBe("ts");
  sort = nextSort(sort, "ts");
  expect(parseSort(sortToText(sort))).toEqual({ column: "ts", descending: true });
  expect(nextSort(sort, "ts")).toBeNull();
  expect(nextSort(sort, "other")).toEqual({ column: "other", descending: false });
});
