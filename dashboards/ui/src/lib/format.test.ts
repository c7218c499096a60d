import { describe, expect, it } from "vitest";
import { formatAgo, formatBytes, formatCount, formatDuration, formatPercent, formatShort, formatTimestampUtc } from "./format";

describe("formatShort", () => {
  it.each([
    [0, "0"],
    [12, "12"],
    [999, "999"],
    [1000, "1k"],
    [12_345, "12.3k"],
    [1.5e9, "1.5G"],
    [0.0421, "0.0421"],
    [0.00001, "1.0e-5"],
    [-2500, "-2.5k"],
    [Number.NaN, "–"],
    [Infinity, "+Inf"],
  ])("%d → %s", (value, text) => expect(formatShort(value)).toBe(text));
});

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [123 * 1024 * 1024, "123 MiB"],
    [1024 ** 4 * 2.5, "2.5 TiB"],
  ])("%d → %s", (value, text) => expect(formatBytes(value)).toBe(text));
});

describe("formatDuration", () => {
  it.each([
    [0, "0 s"],
    [0.00085, "850 µs"],
    [0.0123, "12.3 ms"],
    [3.2, "3.2 s"],
    [60, "1 min"],
    [250, "4 min 10 s"],
    [183_600, "2 d 3 h"],
    [86_401, "1 d"],
  ])("%d s → %s", (value, text) => expect(formatDuration(value)).toBe(text));
});

it("groups thousands", () => expect(formatCount(1234567)).toBe("1\u202f234\u202f567"));
it("shows percents", () => expect([formatPercent(0), formatPercent(12.34), formatPercent(100)]).toEqual(["0 %", "12.3 %", "100 %"]));

describe("formatTimestampUtc", () => {
  const base = Date.UTC(2026, 10, 22, 15, 4, 5);
  it.each([
    [base, "2026-11-22 15:04:05"],
    [base + 120, "2026-11-22 15:04:05.120"],
    [base + 120.25, "2026-11-22 15:04:05.120250"],
    [-1, "1969-12-31 23:59:59.999"],
  ])("%d", (value, text) => expect(formatTimestampUtc(value)).toBe(text));
});

it("tells how long ago", () => {
  expect(formatAgo(1000, 1500)).toBe("just now");
  expect(formatAgo(0, 42_000)).toBe("42 s ago");
  expect(formatAgo(86_400_000 * 3, 0)).toBe("in 3 d");
  expect(formatAgo(null, 0)).toBe("never");
});
