import { expect, it } from "vitest";
import { align, stack, summarise } from "./series";

it("puts series scraped at different moments on one axis", () => {
  const aligned = align(
    [
      { name: "a", times: [1000, 16_000], values: [1, 2] },
      { name: "b", times: [3000, 18_000, 33_000], values: [10, null, 30] },
    ],
    15_000,
  );
  expect(aligned.times).toEqual([0, 15, 30]);
  expect(aligned.columns).toEqual([
    [1, 2, undefined],
    [10, null, 30],
  ]);
});

it("keeps exact times without a bucket, in order", () => {
  const aligned = align([{ name: "a", times: [2, 1500], values: [1, 2] }, { name: "b", times: [700], values: [3] }]);
  expect(aligned.times).toEqual([0.002, 0.7, 1.5]);
});

it("stacks, counting gaps as nothing", () => {
  const stacked = stack({ names: ["a", "b"], times: [0, 1], columns: [[1, null], [2, 3]] });
  expect(stacked.columns).toEqual([[1, 0], [3, 3]]);
});

it("summarises what is there", () => {
  expect(summarise([null, 4, 2, undefined, 6])).toEqual({ last: 6, min: 2, mean: 4, max: 6 });
  expect(summarise([null, NaN])).toBeNull();
});
