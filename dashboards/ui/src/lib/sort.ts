/**
 * Sorting a loaded result. Takes a column and a direction, returns the order of its rows; the data stays where it is.
 */

import { cellNumber, cellText, type ResultColumn } from "./table";

export { nextSort, parseSort, sortToText, type SortSpec } from "./sort-spec";

/** The row numbers in order. Stable; nulls and NaN come last in both directions. */
export function sortOrder(column: ResultColumn, rowCount: number, descending: boolean): Uint32Array {
  const sign = descending ? -1 : 1;
  const rows = new Uint32Array(rowCount);
  const missing: number[] = [];
  let present = 0;
  const numeric = column.kind !== "text" && column.kind !== "nested" && column.kind !== "binary";
  const numbers = numeric ? new Float64Array(rowCount) : null;
  const texts: string[] = numeric ? [] : new Array(rowCount);
  const big: bigint[] | null = column.kind === "integer" ? new Array(rowCount) : null;
  let needsBig = false;
  for (let row = 0; row < rowCount; row++) {
    const value = column.at(row);
    if (value === null || (numbers && Number.isNaN((numbers[row] = cellNumber(value))))) {
      missing.push(row);
      continue;
    }
    if (big && typeof value === "bigint") {
      big[row] = value;
      needsBig ||= !Number.isSafeInteger(numbers?.[row]);
    }
    if (!numbers) texts[row] = cellText(value, column.kind);
    rows[present++] = row;
  }
  const compare = numbers
    ? needsBig && big
      ? (a: number, b: number) => (big[a] < big[b] ? -sign : big[a] > big[b] ? sign : a - b)
      : (a: number, b: number) => (numbers[a] - numbers[b]) * sign || a - b
    : (a: number, b: number) => (texts[a] < texts[b] ? -sign : texts[a] > texts[b] ? sign : a - b);
  rows.subarray(0, present).sort(compare);
  rows.set(missing, present);
  return rows;
}
