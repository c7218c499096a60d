import { expect, it } from "vitest";
import { parseTimeRange, relativeRange, timeRangeBounds, timeRangeParams, timeRangeSql, timeRangeStepSeconds } from "./timerange";

const parse = (query: string) => parseTimeRange(new URLSearchParams(query));

it("reads the URL and falls back to the default", () => {
  expect(parse("")).toEqual(relativeRange("15m"));
  expect(parse("range=6h")).toEqual({ kind: "relative", name: "6h", seconds: 21_600 });
  expect(parse("range=toString")).toEqual(relativeRange("15m"));
  expect(parse("from=1000&to=2000")).toEqual({ kind: "absolute", fromMs: 1000, toMs: 2000 });
  expect(parse("from=2000&to=1000")).toEqual(relativeRange("15m"));
});

it("goes round through the URL", () => {
  for (const query of ["range=24h", "from=1000&to=61000"]) {
    const params = new URLSearchParams();
    for (const [key, value] of Object.entries(timeRangeParams(parse(query)))) if (value !== null) params.set(key, value);
    expect(params.toString()).toBe(query);
  }
  expect(timeRangeParams(relativeRange("15m")).range).toBeNull();
});

it("writes SQL", () => {
  expect(timeRangeSql(parse("range=1h"))).toBe("ts > now() - interval '3600 seconds'");
  expect(timeRangeSql(parse("from=0&to=60000"), 30)).toBe("ts >= TIMESTAMP '1969-12-31T23:59:30Z' AND ts <= TIMESTAMP '1970-01-01T00:01:00Z'");
});

it("bounds and steps", () => {
  expect(timeRangeBounds(relativeRange("15m"), 1_000_000)).toEqual({ fromMs: 100_000, toMs: 1_000_000 });
  expect([timeRangeStepSeconds(relativeRange("15m")), timeRangeStepSeconds(relativeRange("24h"))]).toEqual([5, 300]);
});
