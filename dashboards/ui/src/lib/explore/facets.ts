/**
 * Labels of a metric with the number of series behind each value. A label's own matchers do not count against its
 * values, so that one sees what a further choice would bring. Label sets and matchers in, facets out.
 */

import { matches, matcherValues, type Matcher } from "../promql/selectors";

export type Labels = Record<string, string>;

export interface FacetValue {
  value: string;
  /** Series with this value that pass the matchers on all other labels. */
  count: number;
  state: "in" | "out" | "none";
}

export interface Facet {
  label: string;
  values: FacetValue[];
  /** A matcher on this label that names no single values, as text. */
  pattern: string | null;
}

/** Facets by the number of values, those that split the series most usefully first; labels with one value last. */
export function buildFacets(series: Labels[], matchers: Matcher[]): Facet[] {
  const names = new Set<string>();
  for (const labels of series) for (const name of Object.keys(labels)) if (name !== "__name__") names.add(name);
  for (const matcher of matchers) names.add(matcher.label);
  const facets = Array.from(names, (label) => buildFacet(label, series, matchers));
  return facets.sort((a, b) => Number(a.values.length <= 1) - Number(b.values.length <= 1) || (a.label < b.label ? -1 : 1));
}

function buildFacet(label: string, series: Labels[], matchers: Matcher[]): Facet {
  const own = matchers.filter((matcher) => matcher.label === label);
  const others = matchers.filter((matcher) => matcher.label !== label);
  const counts = new Map<string, number>();
  for (const labels of series) {
    const value = labels[label] ?? "";
    const passes = others.every((matcher) => matches(matcher, labels));
    counts.set(value, (counts.get(value) ?? 0) + Number(passes));
  }
  const stateOf = (value: string): FacetValue["state"] => {
    if (own.length === 0) return "none";
    const isNamed = own.some((matcher) => matcherValues(matcher)?.includes(value));
    if (!isNamed) return "none";
    return own.every((matcher) => matches(matcher, { [label]: value })) ? "in" : "out";
  };
  const values = Array.from(counts, ([value, count]) => ({ value, count, state: stateOf(value) }));
  values.sort((a, b) => b.count - a.count || compareText(a.value, b.value));
  const pattern = own.find((matcher) => matcherValues(matcher) === null);
  return { label, values, pattern: pattern ? `${pattern.op} ${pattern.value}` : null };
}

const collator = new Intl.Collator("en", { numeric: true });
const compareText = (a: string, b: string) => collator.compare(a, b);

/** The values in and out after a click on one: `exclude` asks for "not this one". */
export function toggleValue(facet: Facet, value: string, exclude: boolean): { values: string[]; exclude: boolean } {
  const wanted = exclude ? "out" : "in";
  const chosen = facet.values.filter((candidate) => candidate.state === wanted).map((candidate) => candidate.value);
  const next = chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value];
  return { values: next, exclude };
}

/** How many series pass all matchers. */
export function countSeries(series: Labels[], matchers: Matcher[]): number {
  return series.filter((labels) => matchers.every((matcher) => matches(matcher, labels))).length;
}
