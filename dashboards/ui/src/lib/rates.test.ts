import { describe, expect, it } from "vitest";
import { counterRates, medianStep } from "./rates";

const every15s = (count: number) => Array.from({ length: count }, (_, i) => i * 15_000);
const check = (values: number[], expected: (number | null)[], times = every15s(values.length)) =>
  expect(counterRates({ times, values }).rates).toEqual(expected);

describe("counterRates", () => {
  it("divides the increase by the true distance", () => check([0, 30, 60], [null, 2, 1], [0, 15_000, 45_000]));
  it("takes a drop as a restart from zero", () => check([100, 130, 15, 45], [null, 2, 1, 2]));
  it("keeps an idle counter at zero", () => check([7, 7, 7], [null, 0, 0]));
  it("stops at a stale marker and starts afresh", () => check([0, 15, NaN, 1000, 1015], [null, 1, null, null, 1]));
  it("does not draw over a long gap", () => check([0, 15, 30, 45], [null, 1, null, 1], [0, 15_000, 915_000, 930_000]));
  it("takes a slow scrape interval for what it is", () => check([0, 300, 600], [null, 1, 1], [0, 300_000, 600_000]));
  it("ignores a sample written twice", () => check([0, 15, 15, 30], [null, 1, null, 1], [0, 15_000, 15_000, 30_000]));
  it("is empty for nothing", () => check([], []));
});

it("medianStep", () => expect([medianStep([]), medianStep([5]), medianStep([0, 10, 20, 500])]).toEqual([0, 0, 10]));
