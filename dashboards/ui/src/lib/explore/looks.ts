/**
 * Ways to look at a metric: for each type the expressions that make a sensible first graph. A metric, its matchers and
 * a rate window in, expressions out.
 */

import type { Matcher } from "../promql/selectors";
import { selectorText } from "../promql/selectors";
import type { Metric } from "./metrics";

export interface Look {
  id: string;
  label: string;
  queries: { expr: string; legend: string }[];
}

const QUANTILES: [string, string][] = [["0.5", "p50"], ["0.95", "p95"], ["0.99", "p99"]];

/** The looks of a metric, the first being the one a click shows. */
export function looksOf(metric: Metric, matchers: Matcher[], window: string): Look[] {
  const named = (suffix: string) => selectorText(metric.name + suffix, matchers);
  const selector = named("");
  const rate = (of: string) => `rate(${of}[${window}])`;
  const look = (label: string, ...queries: (string | [string, string])[]): Look => ({
    id: label.toLowerCase(),
    label,
    queries: queries.map((query) => (typeof query === "string" ? { expr: query, legend: "" } : { expr: query[0], legend: query[1] })),
  });
  switch (metric.type) {
    case "counter":
      return [look("Rate", rate(selector)), look("Sum of rates", `sum(${rate(selector)})`), look("Increase", `increase(${selector}[${window}])`), look("Raw", selector)];
    case "histogram": {
      const buckets = `sum by (le) (${rate(named("_bucket"))})`;
      return [
        look("Quantiles", ...QUANTILES.map(([q, name]): [string, string] => [`histogram_quantile(${q}, ${buckets})`, name])),
        look("Buckets", [buckets, "≤ {{le}}"]),
        look("Average", [`sum(${rate(named("_sum"))}) / sum(${rate(named("_count"))})`, "average"]),
        look("Observations", [`sum(${rate(named("_count"))})`, "observations a second"]),
      ];
    }
    case "native histogram":
      return [
        look("Quantiles", ...QUANTILES.map(([q, name]): [string, string] => [`histogram_quantile(${q}, sum(${rate(selector)}))`, name])),
        look("Average", [`histogram_avg(sum(${rate(selector)}))`, "average"]),
        look("Observations", [`histogram_count(sum(${rate(selector)}))`, "observations a second"]),
        look("Raw", selector),
      ];
    case "summary":
      return [
        ...(metric.seriesNames.includes(metric.name) ? [look("Quantiles", selector)] : []),
        look("Average", `${rate(named("_sum"))} / ${rate(named("_count"))}`),
        look("Observations", rate(named("_count"))),
      ];
    case "info":
      return [look("As is", selector), look("Count", `count(${selector})`)];
    default:
      return [look("As is", selector), look("Sum", `sum(${selector})`), look("Average", `avg(${selector})`), look("Min and max", [`min(${selector})`, "min"], [`max(${selector})`, "max"])];
  }
}

/** The name whose series tell best which labels a metric has, without multiplying by buckets. */
export function facetName(metric: Metric): string {
  if (metric.type === "histogram") return metric.seriesNames.find((name) => name.endsWith("_count")) ?? metric.seriesNames[0];
  if (metric.type === "summary") return metric.seriesNames.includes(metric.name) ? metric.name : `${metric.name}_count`;
  return metric.name;
}
