import { describe, expect, it } from "vitest";
import { alignedBounds, allowedStep, autoStep, durationText, momentText, parseDuration, parseMoment, rateWindow, relative, shiftRange, widenRange } from "./range";

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

it("reads and writes durations", () => {
  for (const [text, seconds] of [["90s", 90], ["1h30m", 5_400], ["2w", 1_209_600], ["250ms", 0.25]] as const) expect(parseDuration(text)).toBe(seconds);
  for (const text of ["", "h", "5", "-5m", "1h 30m", "0s", "999999y", "toString"]) expect(parseDuration(text)).toBeNull();
  expect([90, 5_400, 86_400, 0.25, 0].map(durationText)).toEqual(["1m30s", "1h30m", "1d", "250ms", "0s"]);
});

it("reads moments in every form people paste", () => {
  expect(parseMoment("now", NOW)).toBe(NOW);
  expect(parseMoment(" now-1h30m ", NOW)).toBe(NOW - 5_400_000);
  expect(parseMoment("1763812800", NOW)).toBe(1_763_812_800_000);
  expect(parseMoment("1763812800123", NOW)).toBe(1_763_812_800_123);
  expect(parseMoment("2026-11-22T12:00:00Z", NOW)).toBe(NOW);
  expect(parseMoment("2026-11-22 13:00+01:00", NOW)).toBe(NOW);
  expect(parseMoment(momentText(NOW), NOW)).toBe(NOW);
  for (const text of ["", "yesterday", "now-", "now-x", "2026-13-40", "12"]) expect(parseMoment(text, NOW)).toBeNull();
});

it("shifts and widens", () => {
  expect(shiftRange({ kind: "relative", name: "1h", seconds: 3_600 }, -0.5, NOW)).toEqual({ kind: "absolute", fromMs: NOW - 5_400_000, toMs: NOW - 1_800_000 });
  expect(widenRange({ kind: "relative", name: "1h", seconds: 3_600 }, NOW)).toEqual(relative("2h"));
  expect(widenRange({ kind: "absolute", fromMs: NOW - 10_000, toMs: NOW - 5_000 }, NOW)).toEqual({ kind: "absolute", fromMs: NOW - 12_500, toMs: NOW - 2_500 });
});

describe("steps", () => {
  it("follow width and range, in round numbers", () => {
    expect(autoStep(900, 1_000)).toBe(5);
    expect(autoStep(3_600, 1_000)).toBe(15);
    expect(autoStep(30 * 86_400, 1_000)).toBe(14_400);
  });

  it("never ask for more points than the API gives", () => {
    expect(allowedStep(1, 3_600)).toBe(1);
    expect(86_400 / allowedStep(1, 86_400)).toBeLessThan(11_000);
  });

  it("keep points where they are from one refresh to the next", () => {
    const range = { kind: "relative" as const, name: "1m", seconds: 60 };
    const bounds = alignedBounds(range, 15, NOW + 7_000);
    expect(bounds).toEqual({ start: NOW / 1000 - 60, end: NOW / 1000 });
    expect(alignedBounds(range, 15, NOW + 14_999)).toEqual(bounds);
  });

  it("give rate() a window of four scrapes", () => {
    expect(rateWindow(15, 0)).toBe("1m");
    expect(rateWindow(60, 0)).toBe("5m");
    expect(rateWindow(null, 0)).toBe("5m");
    expect(rateWindow(15, 900)).toBe("15m");
  });
});
