/**
 * A query result as columns. Takes an Arrow IPC stream or the JSON answer, returns `ResultTable`: random access by row
 * and column, never an object a row. Knows nothing of the network and nothing of the DOM.
 */

import { tableFromIPC, Type, TimeUnit } from "@uwdata/flechette";
import type { Column as ArrowColumn, DataType } from "@uwdata/flechette";
import { formatDateUtc, formatTimestampUtc } from "./format";

/**
 * What a cell holds, which decides how it is aligned, sorted, charted and printed.
 * `time` and `date` cells are milliseconds since the epoch; `integer` cells may be `bigint`.
 */
export type CellKind = "number" | "integer" | "time" | "date" | "boolean" | "text" | "nested" | "binary";

export interface ResultColumn {
  name: string;
  /** The type as the server or the Arrow schema calls it, for people. */
  type: string;
  kind: CellKind;
  /** The cell of a row; `null` for SQL NULL. */
  at(row: number): unknown;
}

export interface ResultTable {
  columns: ResultColumn[];
  rowCount: number;
}

/** The JSON shape of `/api/sql` and `/api/objects/rows`. */
export interface JsonResult {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  row_count: number;
  truncated: boolean;
  elapsed_ms: number;
}

const EMPTY: ResultTable = { columns: [], rowCount: 0 };

/** Decodes an Arrow IPC stream. `complete` is false when the end-of-stream mark is missing: the server stopped midway. */
export function tableFromArrow(bytes: Uint8Array): { table: ResultTable; complete: boolean } {
  if (bytes.length === 0) return { table: EMPTY, complete: false };
  const arrow = tableFromIPC(bytes, { useBigInt: true, useDate: false, useDecimalInt: false, useMap: true });
  const columns = arrow.schema.fields.map((field, i) => arrowColumn(field.name, field.type, arrow.children[i]));
  return { table: { columns, rowCount: arrow.numRows }, complete: endsWithMark(bytes) };
}

function endsWithMark(bytes: Uint8Array): boolean {
  const tail = bytes.subarray(-8);
  return tail.length === 8 && tail.subarray(0, 4).every((byte) => byte === 0xff) && tail.subarray(4).every((byte) => byte === 0);
}

function arrowColumn(name: string, type: DataType, column: ArrowColumn<unknown>): ResultColumn {
  const at = cellReader(type);
  return { name, type: arrowTypeName(type), kind: arrowKind(type), at: (row) => at(column.at(row) ?? null) };
}

const UNITS_A_SECOND = [1, 1e3, 1e6, 1e9];

/** What a raw Arrow value becomes: durations are seconds, times of day and intervals text; the rest stays as it is. */
function cellReader(type: DataType): (value: unknown) => unknown {
  const perSecond = UNITS_A_SECOND[(type as unknown as { unit?: number }).unit ?? 0];
  switch (type.typeId) {
    case Type.Duration:
      return (value) => (value === null ? null : Number(value) / perSecond);
    case Type.Time:
      return (value) => (value === null ? null : formatTimestampUtc((Number(value) / perSecond) * 1000).slice(11));
    case Type.Interval:
      return (value) => (value === null ? null : intervalText(value));
    default:
      return (value) => value;
  }
}

/** Months, days and nanoseconds (or days and milliseconds, or months alone) as `1 mon 2 d 7200 s`. */
function intervalText(value: unknown): string {
  const parts = typeof value === "number" ? [value] : Array.from(value as ArrayLike<number>);
  const named = parts.length === 3 ? [`${parts[0]} mon`, `${parts[1]} d`, `${parts[2] / 1e9} s`] : parts.length === 2 ? [`${parts[0]} d`, `${parts[1] / 1e3} s`] : [`${parts[0]} mon`];
  return named.filter((part) => !part.startsWith("0 ")).join(" ") || "0 s";
}

function arrowKind(type: DataType): CellKind {
  switch (type.typeId) {
    case Type.Int:
      return "integer";
    case Type.Float:
    case Type.Decimal:
    case Type.Duration:
      return "number";
    case Type.Timestamp:
      return "time";
    case Type.Date:
      return "date";
    case Type.Bool:
      return "boolean";
    case Type.Dictionary:
      return arrowKind((type as unknown as { dictionary: DataType }).dictionary);
    case Type.Binary:
    case Type.LargeBinary:
    case Type.BinaryView:
    case Type.FixedSizeBinary:
      return "binary";
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
    case Type.ListView:
    case Type.LargeListView:
    case Type.Map:
    case Type.Struct:
    case Type.Union:
      return "nested";
    default:
      return "text";
  }
}

function arrowTypeName(type: DataType): string {
  const detail = type as unknown as { bitWidth: number; signed: boolean; precision: number; scale: number; unit: number; dictionary: DataType };
  switch (type.typeId) {
    case Type.Int:
      return `${detail.signed ? "int" : "uint"}${detail.bitWidth}`;
    case Type.Float:
      return ["float16", "float32", "float64"][detail.precision] ?? "float";
    case Type.Decimal:
      return `decimal(${detail.precision}, ${detail.scale})`;
    case Type.Timestamp:
      return `timestamp ${{ [TimeUnit.SECOND]: "s", [TimeUnit.MILLISECOND]: "ms", [TimeUnit.MICROSECOND]: "µs" }[detail.unit] ?? "ns"}`;
    case Type.Duration:
      return "duration, s";
    case Type.Dictionary:
      return arrowTypeName(detail.dictionary);
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Utf8View:
      return "string";
    default:
      return (Object.keys(Type) as (keyof typeof Type)[]).find((name) => Type[name] === type.typeId)?.toLowerCase() ?? "unknown";
  }
}

const SHORT_TYPES: [RegExp, string][] = [
  [/^timestamp\(\s*(\w+).*$/i, "timestamp"],
  [/^(map|struct)\b.*$/i, "$1"],
  [/^(?:large|fixedsize)?list\b.*$/i, "list"],
  [/^(?:large)?utf8(?:view)?$/i, "string"],
  [/^dictionary\(.*,\s*(?:large)?utf8(?:view)?\s*\)$/i, "string"],
  [/^date(?:32|64)$/i, "date"],
];
const TIME_UNITS: Record<string, string> = { second: "s", millisecond: "ms", microsecond: "µs", nanosecond: "ns" };

/** A type as the server writes it, short enough for a list: `Timestamp(Microsecond, Some("UTC"))` is `timestamp µs`. */
export function shortType(type: string): string {
  const unit = TIME_UNITS[/^timestamp\(\s*(\w+)/i.exec(type)?.[1].toLowerCase() ?? ""];
  const found = SHORT_TYPES.find(([pattern]) => pattern.test(type));
  return (found ? type.replace(found[0], found[1]) : type).toLowerCase() + (unit ? ` ${unit}` : "");
}

/** Turns the row-wise JSON answer into columns. */
export function tableFromJson(result: JsonResult): ResultTable {
  const columns = result.columns.map((column, i): ResultColumn => {
    const kind = jsonKind(column.type);
    const cells = result.rows.map((row) => jsonCell(row[i], kind));
    return { name: column.name, type: shortType(column.type), kind, at: (row) => cells[row] ?? null };
  });
  return { columns, rowCount: result.rows.length };
}

function jsonKind(type: string): CellKind {
  const name = type.toLowerCase();
  if (/^(map|array|list|largelist|fixedsizelist|struct)\b|\[\]$/.test(name)) return "nested";
  if (name.startsWith("timestamp")) return "time";
  if (name.startsWith("date")) return "date";
  if (name.startsWith("bool")) return "boolean";
  if (/^(u?int\d*|u?bigint|long|integer|short|byte|u?smallint|u?tinyint)( unsigned)?$/.test(name)) return "integer";
  if (/^(float\d*|double|real|decimal|numeric)/.test(name)) return "number";
  if (name.includes("binary")) return "binary";
  return "text";
}

const SPECIAL_NUMBERS: Record<string, number> = { NaN: Number.NaN, "+Inf": Infinity, Inf: Infinity, "-Inf": -Infinity };

function jsonCell(value: unknown, kind: CellKind): unknown {
  if (typeof value !== "string") return value ?? null;
  if (kind === "time" || kind === "date") return parseTime(value);
  if (kind === "number") return SPECIAL_NUMBERS[value] ?? Number(value);
  if (kind === "integer" && /^-?\d+$/.test(value)) return BigInt(value);
  return value;
}

/** RFC 3339 to milliseconds, keeping the microseconds `Date` would drop; the text itself when it is no time. */
function parseTime(text: string): number | string {
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`;
  const base = Date.parse(zoned.replace(/(\.\d{3})\d+/, "$1"));
  if (Number.isNaN(base)) return text;
  const fraction = /\.\d{3}(\d{1,6})/.exec(zoned);
  return fraction ? base + Number(`0.${fraction[1]}`) : base;
}

/** A cell as one line of text of at most `limit` characters; the table never lays out more than it can show. */
export function cellPreview(value: unknown, kind: CellKind, limit = 300): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return clip(value.length > limit ? value.slice(0, limit + 1) : value, limit);
  return clip(cellText(value, kind), limit);
}

function clip(text: string, limit: number): string {
  const line = text.replace(/[\r\n]+/g, "⏎");
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}

/** A cell as its whole text, for copying and the side panel. SQL NULL is the empty text. */
export function cellText(value: unknown, kind: CellKind): string {
  if (value === null || value === undefined) return "";
  switch (kind) {
    case "time":
      return typeof value === "number" ? formatTimestampUtc(value) : String(value);
    case "date":
      return typeof value === "number" ? formatDateUtc(value) : String(value);
    case "binary":
      return value instanceof Uint8Array ? hex(value) : String(value);
    case "nested":
      return typeof value === "string" ? value : JSON.stringify(plain(value));
    case "number":
      return typeof value === "number" ? numberText(value) : String(value);
    default:
      return String(value);
  }
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 65_536), (byte) => byte.toString(16).padStart(2, "0")).join("") + (bytes.length > 65_536 ? "…" : "");
}

/** Arrow's maps, typed arrays and big integers as values `JSON.stringify` can print. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, cell]) => [String(key), plain(cell)]));
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, cell]) => [key, plain(cell)]));
  return value;
}

/** The whole value laid out for reading: JSON indented, maps one key a line, anything else as it is. */
export function cellPretty(value: unknown, kind: CellKind): string {
  if (value === null || value === undefined) return "null";
  const text = cellText(value, kind);
  if (kind !== "nested" && !(kind === "text" && /^\s*[[{]/.test(text))) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A cell as a number for charts and sorting: times in milliseconds, booleans 0 and 1; NaN when it is none. */
export function cellNumber(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "boolean") return value ? 1 : 0;
  return Number.NaN;
}
