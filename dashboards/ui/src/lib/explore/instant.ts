/**
 * Instant answers as a table: a column a label, then the value; native histograms bring count, sum, average and
 * quantiles. Several queries share one table, told apart by their letter.
 */

import type { CellKind, ResultColumn, ResultTable } from "../table";
import { sampleNumber, type QueryData } from "./answers";
import type { Labels } from "./facets";
import { histogramAverage, histogramQuantile, type HistogramValue } from "./histograms";

export interface InstantAnswer {
  letter: string;
  data: QueryData;
}

interface Row {
  letter: string;
  labels: Labels;
  value: number | string | null;
  timeMs: number | null;
  histogram: HistogramValue | null;
}

const VALUES_SHOWN_MAX = 100;

export function instantTable(answers: InstantAnswer[]): ResultTable {
  const rows = answers.flatMap(rowsOf);
  const labels = new Set<string>();
  for (const row of rows) for (const name of Object.keys(row.labels)) labels.add(name);
  const names = Array.from(labels).sort((a, b) => Number(b === "__name__") - Number(a === "__name__") || (a < b ? -1 : 1));
  const columns: ResultColumn[] = [];
  const add = (name: string, type: string, kind: CellKind, at: (row: Row) => unknown) => columns.push({ name, type, kind, at: (index) => at(rows[index]) ?? null });
  if (answers.length > 1) add("query", "letter", "text", (row) => row.letter);
  for (const name of names) add(name, "label", "text", (row) => row.labels[name] ?? null);
  const isText = rows.some((row) => typeof row.value === "string");
  if (rows.length === 0 || rows.some((row) => row.histogram === null)) add("value", isText ? "text" : "number", isText ? "text" : "number", (row) => (isText && typeof row.value === "number" ? String(row.value) : row.value));
  if (rows.some((row) => row.histogram !== null)) {
    const histogram = (read: (value: HistogramValue) => number | null) => (row: Row) => row.histogram && read(row.histogram);
    add("count", "histogram", "number", histogram((value) => Number(value.count)));
    add("sum", "histogram", "number", histogram((value) => Number(value.sum)));
    add("average", "histogram", "number", histogram(histogramAverage));
    for (const [quantile, name] of [[0.5, "p50"], [0.95, "p95"], [0.99, "p99"]] as [number, string][]) add(name, "from buckets", "number", histogram((value) => histogramQuantile(quantile, value)));
    add("buckets", "histogram", "number", histogram((value) => value.buckets?.length ?? 0));
  }
  if (rows.some((row) => row.timeMs !== null)) add("time", "timestamp", "time", (row) => row.timeMs);
  return { columns, rowCount: rows.length };
}

function rowsOf({ letter, data }: InstantAnswer): Row[] {
  const row = (part: Partial<Row>): Row => ({ letter, labels: {}, value: null, timeMs: null, histogram: null, ...part });
  switch (data.resultType) {
    case "vector":
      return data.result.map((series) => {
        const [seconds] = series.value ?? series.histogram ?? [0];
        return row({ labels: series.metric, value: series.value ? sampleNumber(series.value[1]) : null, histogram: series.histogram?.[1] ?? null, timeMs: seconds * 1000 });
      });
    case "matrix":
      return data.result.map((series) => row({ labels: series.metric, value: matrixText(series.values ?? [], series.histograms?.length ?? 0) }));
    case "scalar":
      return [row({ value: sampleNumber(data.result[1]), timeMs: data.result[0] * 1000 })];
    case "string":
      return [row({ value: data.result[1], timeMs: data.result[0] * 1000 })];
  }
}

/** The samples of a range selector in one cell: values with their moments. */
function matrixText(values: [number, string][], histograms: number): string {
  const shown = values.slice(-VALUES_SHOWN_MAX).map(([seconds, value]) => `${value} @${seconds}`);
  const left = values.length - shown.length;
  return `${left > 0 ? `${left} more … ` : ""}${shown.join("  ")}${histograms > 0 ? ` ${histograms} histograms` : ""}`;
}
