/**
 * The answers of the query API, as its JSON has them, and what the page draws from them: lines on a common time grid.
 * Samples that are missing, not a number or infinite become gaps; the latter two are counted, so that the page can say so.
 */

import type { Labels } from "./facets";
import { histogramQuantile, type HistogramValue } from "./histograms";

export type Sample = [seconds: number, value: string];
export type HistogramSample = [seconds: number, value: HistogramValue];

export interface RangeSeries {
  metric: Labels;
  values?: Sample[];
  histograms?: HistogramSample[];
}

export interface InstantSeries {
  metric: Labels;
  value?: Sample;
  histogram?: HistogramSample;
}

export type QueryData =
  | { resultType: "vector"; result: InstantSeries[] }
  | { resultType: "matrix"; result: RangeSeries[] }
  | { resultType: "scalar"; result: Sample }
  | { resultType: "string"; result: Sample };

export interface Grid {
  start: number;
  end: number;
  step: number;
}

/** A line of the graph. */
export interface GraphLine {
  /** Which query and which series: stays the same from one refresh to the next. */
  key: string;
  name: string;
  labels: Labels;
  query: number;
  values: (number | null)[];
}

export interface GraphData {
  times: number[];
  lines: GraphLine[];
  /** Samples not drawn because they are NaN or infinite. */
  unusable: number;
  /** Series that are native histograms, drawn as quantiles. */
  histograms: number;
}

/** A number of the API's text form: `NaN`, `+Inf`, `-Inf` or digits. */
export function sampleNumber(text: string): number {
  if (text === "+Inf" || text === "Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return Number(text);
}

/** Every moment of the grid, seconds. */
export function gridTimes(grid: Grid): number[] {
  const count = Math.floor((grid.end - grid.start) / grid.step + 1e-9) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => grid.start + i * grid.step);
}

const SUMMARY_QUANTILES: [number, string][] = [[0.5, "p50"], [0.95, "p95"], [0.99, "p99"]];

/** How the lines of a query are called. */
export interface LineNames {
  query: number;
  letter: string;
  expr: string;
  /** See `seriesName`. */
  legend: string;
  /** Labels to leave out of names, because all have them. */
  common?: Labels;
}

/** The lines of one query's range answer. */
export function rangeLines(series: RangeSeries[], grid: Grid, { query, letter, expr, legend, common = {} }: LineNames): { lines: GraphLine[]; unusable: number; histograms: number } {
  const length = gridTimes(grid).length;
  const lines: GraphLine[] = [];
  let unusable = 0;
  let histograms = 0;
  const slot = (seconds: number) => Math.round((seconds - grid.start) / grid.step);
  for (const one of series) {
    const telling = Object.fromEntries(Object.entries(one.metric).filter(([label]) => !(label in common)));
    const name = legend === "" && Object.keys(telling).length > 0 ? labelsText(telling) : seriesName(one.metric, legend, expr);
    const key = `${letter} ${labelsText(one.metric)}`;
    if (one.values) {
      const values = new Array<number | null>(length).fill(null);
      for (const [seconds, text] of one.values) {
        const value = sampleNumber(text);
        const at = slot(seconds);
        if (!Number.isFinite(value)) unusable += 1;
        else if (at >= 0 && at < length) values[at] = value;
      }
      lines.push({ key, name, labels: one.metric, query, values });
    }
    if (!one.histograms) continue;
    histograms += 1;
    for (const [quantile, label] of SUMMARY_QUANTILES) {
      const values = new Array<number | null>(length).fill(null);
      for (const [seconds, histogram] of one.histograms) {
        const value = histogramQuantile(quantile, histogram);
        const at = slot(seconds);
        if (at >= 0 && at < length) values[at] = value !== null && Number.isFinite(value) ? value : null;
      }
      lines.push({ key: `${key} ${label}`, name: `${label} of ${name}`, labels: one.metric, query, values });
    }
  }
  return { lines, unusable, histograms };
}

/** `{a="b", c="d"}` with the metric's name before it: unambiguous, and the same for the same labels. */
export function labelsText(labels: Labels): string {
  const names = Object.keys(labels).filter((name) => name !== "__name__").sort();
  const inside = names.map((name) => `${name}="${labels[name].replace(/[\\"]/g, "\\$&")}"`).join(", ");
  return `${labels.__name__ ?? ""}${inside || !labels.__name__ ? `{${inside}}` : ""}`;
}

/** The labels that all series have with the same value; none for a single series. */
export function commonLabels(series: { metric: Labels }[]): Labels {
  if (series.length < 2) return {};
  const [first, ...others] = series;
  return Object.fromEntries(Object.entries(first.metric).filter(([name, value]) => others.every(({ metric }) => metric[name] === value)));
}

/** The name of a series: the legend with its `{{label}}` filled in, else its labels, else the expression. */
export function seriesName(labels: Labels, legend: string, expr: string): string {
  if (legend !== "") return legend.replace(/\{\{\s*([^{}\s]+)\s*\}\}/g, (_all, name: string) => labels[name] ?? "");
  if (Object.keys(labels).length === 0) return expr.replace(/\s+/g, " ").trim();
  return labelsText(labels);
}
