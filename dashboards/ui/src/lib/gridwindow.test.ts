import { describe, expect, it } from "vitest";
import { columnLefts, columnWindow, MAX_CONTENT_PX, rowWindow, scrollTopFor } from "./gridwindow";

describe("rowWindow", () => {
  it("draws what is seen and a little more", () => {
    expect(rowWindow(1000, 20, 2000, 400, 0, 2)).toEqual({ contentPx: 20_000, first: 98, end: 123, topPx: 1960 });
  });
  it("draws all of a short result", () => {
    expect(rowWindow(3, 20, 0, 400)).toEqual({ contentPx: 60, first: 0, end: 3, topPx: 0 });
  });
  it("is empty for nothing", () => expect(rowWindow(0, 20, 0, 400)).toEqual({ contentPx: 0, first: 0, end: 0, topPx: 0 }));
  it("reaches the very last of ten million rows, within what a browser can lay out", () => {
    const rows = 10_000_000;
    const bottom = rowWindow(rows, 24, MAX_CONTENT_PX - 500, 500);
    expect(bottom.contentPx).toBe(MAX_CONTENT_PX);
    expect(bottom.end).toBe(rows);
    expect(bottom.topPx + (bottom.end - bottom.first) * 24).toBeCloseTo(MAX_CONTENT_PX, 3);
    expect(rowWindow(rows, 24, 0, 500)).toMatchObject({ first: 0, topPx: 0 });
  });
});

it("scrolls a row into view and only then", () => {
  for (const rows of [1000, 10_000_000]) {
    for (const row of [0, 17, rows >> 1, rows - 1]) {
      const top = scrollTopFor(row, rows, 24, 12_345, 500, 28);
      const { first, end } = rowWindow(rows, 24, top, 500, 28, 0);
      expect(row).toBeGreaterThanOrEqual(first);
      expect(row).toBeLessThan(end);
      expect(scrollTopFor(row, rows, 24, top, 500, 28)).toBeCloseTo(top, 3);
    }
  }
});

it("finds the columns in view", () => {
  const lefts = columnLefts([100, 50, 200, 80]);
  expect(lefts).toEqual([0, 100, 150, 350, 430]);
  expect(columnWindow(lefts, 0, 120)).toEqual({ first: 0, end: 2 });
  expect(columnWindow(lefts, 149, 2)).toEqual({ first: 1, end: 3 });
  expect(columnWindow(lefts, 400, 500)).toEqual({ first: 3, end: 4 });
  expect(columnWindow([0], 0, 100)).toEqual({ first: 0, end: 0 });
});
