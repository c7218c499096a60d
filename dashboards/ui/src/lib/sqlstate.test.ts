import { expect, it } from "vitest";
import { parseSqlState, queryHref, sqlStateToHref, type SqlState } from "./sqlstate";

const roundTrip = (state: SqlState) => {
  const url = new URL(sqlStateToHref(state), "http://localhost");
  return parseSqlState(url.searchParams, url.hash);
};

it("goes round with everything set", () => {
  const state: SqlState = {
    query: "SELECT '&#+ %41 ü' -- \n FROM \"<b>\"",
    view: "chart",
    sort: { column: "-odd name", descending: true },
    limit: 1_000_000,
    chart: { x: "ts", y: ["a", "b"], by: ["host"] },
    cell: { row: 41, column: 2 },
  };
  expect(roundTrip(state)).toEqual(state);
});

it("keeps defaults out of the URL", () => expect(queryHref("SELECT 1")).toBe("/sql#q=SELECT+1"));

it("falls back on nonsense", () => {
  const state = parseSqlState(new URLSearchParams("limit=7&view=x&cell=a.b"), "");
  expect(state).toEqual({ query: "", view: "table", sort: null, limit: 10_000, chart: null, cell: null });
});
