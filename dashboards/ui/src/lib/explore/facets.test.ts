import { expect, it } from "vitest";
import type { Matcher } from "../promql/selectors";
import { buildFacets, countSeries, toggleValue, type Labels } from "./facets";

const SERIES: Labels[] = [
  { __name__: "m", cpu: "0", mode: "idle" },
  { __name__: "m", cpu: "0", mode: "user" },
  { __name__: "m", cpu: "1", mode: "idle" },
  { __name__: "m", cpu: "10", mode: "idle", extra: "x" },
];
const is = (label: string, value: string): Matcher => ({ label, op: "=", value });
const facet = (matchers: Matcher[], label: string) => buildFacets(SERIES, matchers).find((candidate) => candidate.label === label)!;

it("counts series by value, a label's own matchers aside", () => {
  expect(facet([], "mode").values.map(({ value, count }) => [value, count])).toEqual([["idle", 3], ["user", 1]]);
  expect(facet([is("mode", "user")], "mode").values.map(({ value, count, state }) => [value, count, state])).toEqual([["idle", 3, "none"], ["user", 1, "in"]]);
  expect(facet([is("mode", "user")], "cpu").values.map(({ value, count }) => [value, count])).toEqual([["0", 1], ["1", 0], ["10", 0]]);
  expect(countSeries(SERIES, [is("cpu", "0")])).toBe(2);
});

it("shows what lacks the label, what is left out, and patterns as they are", () => {
  expect(facet([], "extra").values.map(({ value, count }) => [value, count])).toEqual([["", 3], ["x", 1]]);
  expect(facet([{ label: "mode", op: "!=", value: "idle" }], "mode").values[0]).toMatchObject({ value: "idle", state: "out" });
  expect(facet([{ label: "mode", op: "=~", value: "us.*" }], "mode")).toMatchObject({ pattern: "=~ us.*" });
  expect(facet([{ label: "mode", op: "=~", value: "idle|user" }], "mode")).toMatchObject({ pattern: null, values: [{ state: "in" }, { state: "in" }] });
});

it("adds and takes away values", () => {
  expect(toggleValue(facet([is("mode", "user")], "mode"), "idle", false)).toEqual({ values: ["user", "idle"], exclude: false });
  expect(toggleValue(facet([is("mode", "user")], "mode"), "user", false)).toEqual({ values: [], exclude: false });
  expect(toggleValue(facet([is("mode", "user")], "mode"), "idle", true)).toEqual({ values: ["idle"], exclude: true });
});
