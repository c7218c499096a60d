import { expect, it } from "vitest";
import { rangeBetween, rangeSize, rangeText } from "./selection";
import type { ResultTable } from "./table";

const cells: unknown[][] = [
  ["a", 1],
  ['say "hi"\tthere', 2],
  [null, 3],
];
const table: ResultTable = {
  columns: [
    { name: "name", kind: "text", type: "string", at: (row) => cells[row][0] },
    { name: "n", kind: "integer", type: "int64", at: (row) => cells[row][1] },
  ],
  rowCount: 3,
};

it("copies a rectangle in the order shown", () => {
  const range = rangeBetween({ row: 2, column: 1 }, { row: 0, column: 0 });
  expect(rangeSize(range)).toBe(6);
  expect(rangeText(table, range, new Uint32Array([2, 1, 0]))).toBe('\t3\n"say ""hi""\tthere"\t2\na\t1');
  expect(rangeText(table, { top: 0, bottom: 0, left: 0, right: 1 }, null, true)).toBe("name\tn\na\t1");
});

it("copies one cell bare", () => expect(rangeText(table, { top: 1, bottom: 1, left: 0, right: 0 }, null)).toBe('say "hi"\tthere'));
