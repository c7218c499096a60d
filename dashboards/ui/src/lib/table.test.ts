import { tableFromArrays, tableToIPC, timestamp, TimeUnit, utf8, map, int64, float64, columnFromArray, tableFromColumns, bool, dictionary, duration, interval, IntervalUnit, list, timeMicrosecond } from "@uwdata/flechette";
import { describe, expect, it } from "vitest";
import { cellPretty, cellPreview, cellText, shortType, tableFromArrow, tableFromJson } from "./table";

const encode = (table: ReturnType<typeof tableFromArrays>) => tableToIPC(table, { format: "stream" }) as Uint8Array;

describe("tableFromArrow", () => {
  const table = tableFromColumns([
    ["ts", columnFromArray([1_763_823_845_123.25, null], timestamp(TimeUnit.MICROSECOND, "UTC"))],
    ["value", columnFromArray([1.5, NaN], float64())],
    ["tsid", columnFromArray([-9_007_199_254_740_993n, 5n], int64(), { useBigInt: true })],
    ["host", columnFromArray(["<img src=x onerror=alert(1)>", "b"], dictionary(utf8()))],
    ["labels", columnFromArray([[["job", "node"]], null], map(utf8(), utf8()))],
    ["ok", columnFromArray([true, false], bool())],
  ]);
  const { table: result, complete } = tableFromArrow(encode(table));

  it("knows kinds and names", () => {
    expect(result.columns.map((c) => `${c.name}:${c.kind}:${c.type}`)).toEqual([
      "ts:time:timestamp µs",
      "value:number:float64",
      "tsid:integer:int64",
      "host:text:string",
      "labels:nested:map",
      "ok:boolean:bool",
    ]);
    expect(complete).toBe(true);
    expect(result.rowCount).toBe(2);
  });
  it("prints cells exactly", () => {
    const row = (i: number) => result.columns.map((c) => cellText(c.at(i), c.kind));
    expect(row(0)).toEqual(["2025-11-22 15:04:05.123250", "1.5", "-9007199254740993", "<img src=x onerror=alert(1)>", '{"job":"node"}', "true"]);
    expect(row(1)).toEqual(["", "NaN", "5", "b", "", "false"]);
  });
  it("reads what DataFusion's functions give: pairs, empty maps, durations, times, intervals", () => {
    const odd = tableFromColumns([
      ["pairs", columnFromArray([[["a", "b"]], []], list(list(utf8())))],
      ["map", columnFromArray([[], [["k", "v"]]], map(utf8(), utf8()))],
      ["took", columnFromArray([1500n, 0n], duration(TimeUnit.MILLISECOND))],
      ["at", columnFromArray([3_723_000_000n, 0n], timeMicrosecond())],
      ["every", columnFromArray([Float64Array.of(0, 1, 7.2e12), Float64Array.of(0, 0, 0)], interval(IntervalUnit.MONTH_DAY_NANO))],
    ]);
    const { table: read } = tableFromArrow(encode(odd));
    expect(read.columns.map((c) => [c.kind, cellText(c.at(0), c.kind), cellText(c.at(1), c.kind)])).toEqual([
      ["nested", '[["a","b"]]', "[]"],
      ["nested", "{}", '{"k":"v"}'],
      ["number", "1.5", "0"],
      ["text", "01:02:03", "00:00:00"],
      ["text", "1 d 7200 s", "0 s"],
    ]);
  });
  it("reads string views, the form in which DataFusion reads text from Parquet", () => {
    // One column `view` of type string_view, three rows, written by pyarrow.
    const bytes = Uint8Array.from(atob("/////3AAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQABAAAAAAAAEYEAAAABwAAAAEAAAAAAAAAAQAAAB2aWV3AAAAAAQABAAEAAAA/////7AAAAAUAAAAAAAAAAwAFgAGAAUACAAMAAwAAAAAAwQAHAAAAFAAAAAAAAAAAAAOABwAEAAEAAgAAAAMAA4AAABgAAAAJAAAABAAAAADAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAAAAAwAAAAAAAAAAAAAAAQAAAAAAAAAIAAAAAAAAADAAAAAAAAAAOAAAAAAAAAAYAAAAAAAAAAAAAAABAAAAAwAAAAAAAAABAAAAAAAAAAMAAAAAAAAABQAAAHNob3J0AAAAAAAAABgAAABsb25nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAbG9uZ2VyIHRoYW4gdHdlbHZlIGJ5dGVz/////wAAAAA="), (char) => char.charCodeAt(0));
    const [view] = tableFromArrow(bytes).table.columns;
    expect([view.type, view.at(0), view.at(1), view.at(2)]).toEqual(["string", "short", "longer than twelve bytes", null]);
  });
  it("tells a stream that was cut short", () => {
    expect(tableFromArrow(encode(table).slice(0, -8)).complete).toBe(false);
    expect(tableFromArrow(new Uint8Array())).toEqual({ table: { columns: [], rowCount: 0 }, complete: false });
  });
});

describe("tableFromJson", () => {
  const result = tableFromJson({
    columns: [
      { name: "ts", type: "Timestamp(Microsecond, Some(\"UTC\"))" },
      { name: "v", type: "Float64" },
      { name: "tsid", type: "Int64" },
      { name: "day", type: "Date32" },
      { name: "n", type: "bigint unsigned" },
      { name: "list", type: "array<string>" },
    ],
    rows: [
      ["2026-11-22T15:04:05.123456Z", "+Inf", "9007199254740993", "2026-11-22", "18446744073709551615", ["a"]],
      [null, 2, 7, null, 0, null],
    ],
    row_count: 2,
    truncated: false,
    elapsed_ms: 1,
  });
  it("reads the contract's forms of times, numbers and big integers", () => {
    expect(result.columns.map((c) => cellText(c.at(0), c.kind))).toEqual(["2026-11-22 15:04:05.123456", "+Inf", "9007199254740993", "2026-11-22", "18446744073709551615", '["a"]']);
    expect(result.columns.map((c) => c.at(1))).toEqual([null, 2, 7, null, 0, null]);
    expect(result.columns.map((c) => c.kind)).toEqual(["time", "number", "integer", "date", "integer", "nested"]);
  });
});

it("shortens types for lists", () => {
  const types = ['Timestamp(Microsecond, Some("UTC"))', "timestamp", "Map(Utf8, Utf8)", "Utf8View", "Dictionary(Int32, Utf8)", "List(Int64)", "Int64", "Date32", "map<string,string>"];
  expect(types.map(shortType)).toEqual(["timestamp µs", "timestamp", "map", "string", "string", "list", "int64", "date", "map"]);
});

it("clips previews to one line and keeps the whole for the panel", () => {
  expect(cellPreview("a\nb".padEnd(10_000, "x"), "text", 5)).toBe("a⏎bxx…");
  expect(cellPreview(null, "text")).toBe("null");
  expect(cellPretty('{"a":[1,2]}', "text")).toBe('{\n  "a": [\n    1,\n    2\n  ]\n}');
  expect(cellPretty("{not json", "text")).toBe("{not json");
  expect(cellPretty(null, "text")).toBe("null");
});
