import { expect, it } from "vitest";
import { emptyQuery, exploreHref, exploreLink, parseExploreState, QUERIES_MAX, type ExploreState } from "./state";

const parse = (href: string) => {
  const url = new URL(href, "http://localhost");
  return parseExploreState(url.searchParams, url.hash);
};

it("goes round with everything set", () => {
  const state: ExploreState = {
    queries: [
      { expr: 'rate(a{b="<&#+%41 ü>"}[5m])\n# note', off: false, legend: "{{b}} & more" },
      { expr: "", off: false, legend: "" },
      { expr: "sum(x)", off: true, legend: "" },
    ],
    view: "explain",
    range: { kind: "absolute", fromMs: 1_700_000_000_000, toMs: 1_700_000_600_000 },
    stepSeconds: 15,
    refreshSeconds: 30,
    stacked: true,
    split: true,
    legendSort: { column: "max", descending: true },
    tableSort: { column: "instance", descending: false },
    only: ['A {a="b"}', "C {}"],
    hidden: ["A x"],
    metric: "hostile<metric>",
  };
  expect(parse(exploreHref(state))).toEqual(state);
});

it("goes round with a relative range and a step of milliseconds", () => {
  const state = { ...parse("/explore"), range: { kind: "relative" as const, name: "2h30m", seconds: 9_000 }, stepSeconds: 0.5 };
  expect(parse(exploreHref(state))).toEqual(state);
});

it("keeps defaults out of the URL and expressions out of what servers log", () => {
  expect(exploreHref(parse("/explore"))).toBe("/explore");
  expect(exploreLink(["up"])).toBe("/explore#q=up");
  expect(exploreLink([{ expr: "up", legend: "{{job}}" }], { kind: "relative", name: "6h", seconds: 21_600 })).toBe("/explore?range=6h#q=up&legendA=%7B%7Bjob%7D%7D");
});

it("falls back on nonsense, and takes no endless list of queries", () => {
  const state = parse("/explore?view=x&range=toString&step=-1&refresh=often&from=9&to=3");
  expect(state).toMatchObject({ view: "graph", range: { name: "1h" }, stepSeconds: null, refreshSeconds: null, queries: [emptyQuery()] });
  expect(parse(`/explore#${"q=a&".repeat(50)}`).queries).toHaveLength(QUERIES_MAX);
});
