/**
 * From a result to a chart. Takes a table and, optionally, the reader's choice of columns; returns which columns make a
 * chart and the data to draw. Time and numbers become lines, a text and a number become bars.
 */

import { align, type Aligned, type Line } from "./series";
import { cellNumber, cellPreview, type ResultColumn, type ResultTable } from "./table";

/** More lines than this are noise; the rest is counted and named in a note. */
export const LINES_MAX = 40;
/** Bars beyond this are too thin to read. */
export const BARS_MAX = 60;
/** A text column with more values than this is not a legend. */
const LEGEND_VALUES_MAX = 400;
const ROWS_SAMPLED = 5_000;

/** The columns of a chart by name. */
export interface ChartChoice {
  x: string;
  y: string[];
  /** Text columns whose values name the lines. */
  by: string[];
}

export type Chart =
  | { kind: "lines"; choice: ChartChoice; data: Aligned; note: string | null }
  | { kind: "bars"; choice: ChartChoice; labels: string[]; values: (number | null)[]; note: string | null }
  | { kind: "none"; reason: string };

const IDENTIFIER_NAME = /(^|_)(tsid|id|pid|port|code|ts_ns|severity)$/;

function isMeasure(column: ResultColumn): boolean {
  return (column.kind === "number" || column.kind === "integer") && !IDENTIFIER_NAME.test(column.name);
}

/** Columns that may go on each axis, for the pickers. */
export function chartAxes(table: ResultTable): { x: string[]; y: string[]; by: string[] } {
  const names = (kinds: string[]) => table.columns.filter((column) => kinds.includes(column.kind)).map((column) => column.name);
  return { x: names(["time", "date", "text", "number", "integer"]), y: names(["number", "integer", "boolean"]), by: names(["text", "boolean"]) };
}

/** The chart the result suggests, or `null` when no column is worth drawing. */
export function guessChart(table: ResultTable): ChartChoice | null {
  const measures = table.columns.filter(isMeasure).map((column) => column.name);
  const time = table.columns.find((column) => column.kind === "time") ?? table.columns.find((column) => column.kind === "date");
  const texts = table.columns.filter((column) => column.kind === "text");
  const flags = table.columns.filter((column) => column.kind === "boolean").map((column) => column.name);
  if (time) {
    const y = measures.length > 0 ? measures : flags;
    if (y.length === 0) return null;
    const by = texts.filter((column) => varies(column, table.rowCount)).map((column) => column.name);
    return { x: time.name, y: by.length > 0 ? y.slice(0, 1) : y.slice(0, 8), by };
  }
  if (texts.length > 0 && measures.length > 0) return { x: texts[0].name, y: measures.slice(0, 1), by: [] };
  return null;
}

/** Whether a text column tells series apart: more than one value, and few enough for a legend. */
function varies(column: ResultColumn, rowCount: number): boolean {
  const seen = new Set<unknown>();
  const step = Math.max(1, Math.floor(rowCount / ROWS_SAMPLED));
  for (let row = 0; row < rowCount && seen.size <= LEGEND_VALUES_MAX; row += step) seen.add(column.at(row));
  return seen.size > 1 && seen.size <= LEGEND_VALUES_MAX;
}

/** Draws a choice of columns, the guess where none is given. */
export function buildChart(table: ResultTable, chosen: ChartChoice | null): Chart {
  if (table.rowCount === 0) return { kind: "none", reason: "The result has no rows." };
  const choice = chosen ?? guessChart(table);
  if (!choice) return { kind: "none", reason: "A chart needs a time or a text column, and a number. Pick the columns above, or add them to the query." };
  const find = (name: string) => table.columns.find((column) => column.name === name);
  const x = find(choice.x);
  const y = choice.y.map(find).filter((column) => column !== undefined);
  const by = choice.by.map(find).filter((column) => column !== undefined);
  if (!x || y.length === 0) return { kind: "none", reason: "The chosen columns are not in this result." };
  if (x.kind === "text" || x.kind === "boolean") return bars(table, choice, x, y[0]);
  return lines(table, choice, x, y, by);
}

function lines(table: ResultTable, choice: ChartChoice, x: ResultColumn, y: ResultColumn[], by: ResultColumn[]): Chart {
  const found = new Map<string, Line>();
  for (let row = 0; row < table.rowCount; row++) {
    const position = cellNumber(x.at(row));
    if (Number.isNaN(position)) continue;
    const group = by.map((column) => cellPreview(column.at(row), column.kind, 80)).join(" · ");
    for (const column of y) {
      const name = y.length === 1 ? group || column.name : [group, column.name].filter(Boolean).join(" · ");
      const value = cellNumber(column.at(row));
      let line = found.get(name);
      if (!line) found.set(name, (line = { name, times: [], values: [] }));
      line.times.push(position);
      line.values.push(Number.isFinite(value) ? value : null);
    }
  }
  const named = Array.from(found.values(), inOrder);
  named.sort((a, b) => b.times.length - a.times.length || (a.name < b.name ? -1 : 1));
  const note = named.length > LINES_MAX ? `${LINES_MAX} of ${named.length} series drawn, the longest first` : null;
  const data = align(named.slice(0, LINES_MAX));
  const isTime = x.kind === "time" || x.kind === "date";
  if (!isTime) data.times = data.times.map((seconds) => seconds * 1000);
  return { kind: "lines", choice, data, note };
}

/** The line with its points from left to right; most results come sorted and stay as they are. */
function inOrder(line: Line): Line {
  const { name, times, values } = line;
  if (times.every((time, i) => i === 0 || times[i - 1] <= time)) return line;
  const order = times.map((_, i) => i).sort((a, b) => times[a] - times[b]);
  return { name, times: order.map((i) => times[i]), values: order.map((i) => values[i]) };
}

function bars(table: ResultTable, choice: ChartChoice, x: ResultColumn, y: ResultColumn): Chart {
  const count = Math.min(table.rowCount, BARS_MAX);
  const labels: string[] = [];
  const values: (number | null)[] = [];
  for (let row = 0; row < count; row++) {
    const value = cellNumber(y.at(row));
    labels.push(cellPreview(x.at(row), x.kind, 60));
    values.push(Number.isFinite(value) ? value : null);
  }
  return { kind: "bars", choice, labels, values, note: table.rowCount > count ? `first ${count} of ${table.rowCount} rows drawn` : null };
}
