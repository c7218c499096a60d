/** The legend of a graph: last, least, greatest and mean value of each line, sorted, and which lines are drawn. */

import { summarise } from "../series";
import type { SortSpec } from "../sort-spec";
import type { GraphLine } from "./answers";

export interface LegendRow {
  /** Position of the line in the graph, which is its colour. */
  index: number;
  key: string;
  name: string;
  query: number;
  last: number | null;
  min: number | null;
  max: number | null;
  mean: number | null;
}

export const LEGEND_COLUMNS = ["name", "last", "min", "max", "mean"] as const;

export function legendRows(lines: GraphLine[]): LegendRow[] {
  return lines.map((line, index) => {
    const facts = summarise(line.values);
    return { index, key: line.key, name: line.name, query: line.query, last: facts?.last ?? null, min: facts?.min ?? null, max: facts?.max ?? null, mean: facts?.mean ?? null };
  });
}

const collator = new Intl.Collator("en", { numeric: true });

/** Rows in the order asked for; without values last, equal ones in the order of the answer. */
export function sortLegend(rows: LegendRow[], sort: SortSpec | null): LegendRow[] {
  const column = LEGEND_COLUMNS.find((name) => name === sort?.column);
  if (!sort || !column) return rows;
  const sign = sort.descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    if (column === "name") return sign * collator.compare(a.name, b.name);
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}

/** Which lines are not drawn: all but `only`, or those of `hidden`. Keys no line has are left over from before. */
export function hiddenKeys(keys: string[], only: string[], hidden: string[]): Set<string> {
  const alone = keys.filter((key) => only.includes(key));
  if (alone.length > 0) return new Set(keys.filter((key) => !only.includes(key)));
  return new Set(keys.filter((key) => hidden.includes(key)));
}

/** A click: the line alone, or all again when it is alone already. With `add` it joins or leaves those shown. */
export function isolate(key: string, only: string[], add: boolean): string[] {
  if (add) return only.includes(key) ? only.filter((other) => other !== key) : [...only, key];
  return only.length === 1 && only[0] === key ? [] : [key];
}
