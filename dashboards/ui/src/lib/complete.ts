/**
 * What may come next in a query. Takes the text, the cursor and the catalog; returns names to offer. Reads SQL only as
 * far as it must: strings, comments, dots and the tables after FROM and JOIN. Knows nothing of the editor.
 */

import { quoteIdentifier } from "./sqltext";
import { shortType } from "./table";

export interface CompletionCatalog {
  schemas: { name: string; tables: { name: string; columns?: { name: string; type: string }[] }[] }[];
  functions: string[];
}

export interface Suggestion {
  label: string;
  /** What goes into the text when it differs from the label. */
  insert: string;
  kind: "column" | "table" | "schema" | "function";
  detail: string;
}

export interface Completion {
  /** Where the typed word begins. */
  from: number;
  suggestions: Suggestion[];
  /** Tables of the schema `prom` used in the query whose columns the catalog does not hold yet. */
  missing: string[];
}

interface TableUse {
  schema: string | null;
  table: string;
  alias: string | null;
}

const SUGGESTIONS_MAX = 2_000;
const IDENTIFIER = String.raw`(?:"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)`;
const TABLE_USE = new RegExp(String.raw`\b(?:from|join)\s+(${IDENTIFIER})(?:\s*\.\s*(${IDENTIFIER}))?(?:\s+(?:as\s+)?(${IDENTIFIER}))?`, "giu");
const BEFORE_CURSOR = new RegExp(String.raw`(?:(${IDENTIFIER})\s*\.\s*)?("[^"]*|[\p{L}_][\p{L}\p{N}_$]*|)$`, "u");
const NOT_ALIASES = /^(where|group|order|limit|join|inner|left|right|full|cross|on|using|having|union|except|intersect|as|natural|qualify|window)$/i;

/** The completion at `position`, or `null` inside strings and comments. */
export function completeSql(text: string, position: number, catalog: CompletionCatalog): Completion | null {
  const masked = maskLiterals(text);
  if (masked.inside(position)) return null;
  const head = masked.text.slice(0, position);
  const match = BEFORE_CURSOR.exec(head);
  const qualifier = match?.[1] ? unquote(match[1]) : null;
  const from = position - (match?.[2].length ?? 0);
  const uses = tableUses(masked.text);
  const missing = uses.filter((use) => use.schema === "prom" && !columnsOf(catalog, use)).map((use) => use.table);
  const suggestions = qualifier === null ? unqualified(head.slice(0, from), uses, catalog) : qualified(qualifier, uses, catalog);
  return { from, suggestions: suggestions.slice(0, SUGGESTIONS_MAX), missing };
}

function qualified(qualifier: string, uses: TableUse[], catalog: CompletionCatalog): Suggestion[] {
  const schema = catalog.schemas.find((candidate) => candidate.name === qualifier);
  if (schema) return schema.tables.map((table) => tableSuggestion(table.name, qualifier));
  const use = uses.find((candidate) => (candidate.alias ?? candidate.table) === qualifier || candidate.table === qualifier);
  const columns = columnsOf(catalog, use ?? { schema: null, table: qualifier, alias: null });
  return (columns ?? []).map((column) => columnSuggestion(column, qualifier));
}

function unqualified(before: string, uses: TableUse[], catalog: CompletionCatalog): Suggestion[] {
  const tables = catalog.schemas.flatMap((schema) => (schema.name === "public" ? schema.tables.map((table) => tableSuggestion(table.name, "table")) : []));
  const schemas = catalog.schemas.map((schema): Suggestion => ({ label: schema.name, insert: schema.name, kind: "schema", detail: "schema" }));
  if (/\b(from|join)\s+$/i.test(before)) return [...tables, ...schemas];
  const known = uses.filter((use) => columnsOf(catalog, use));
  const sources = known.length > 0 ? known : publicTables(catalog);
  const columns = new Map<string, Suggestion>();
  for (const source of sources) {
    for (const column of columnsOf(catalog, source) ?? []) {
      const seen = columns.get(column.name);
      if (!seen) columns.set(column.name, columnSuggestion(column, source.alias ?? source.table));
    }
  }
  const functions = catalog.functions.map((name): Suggestion => ({ label: name, insert: `${name}(`, kind: "function", detail: "function" }));
  return [...columns.values(), ...tables, ...schemas, ...functions];
}

function publicTables(catalog: CompletionCatalog): TableUse[] {
  const schema = catalog.schemas.find((candidate) => candidate.name === "public");
  return (schema?.tables ?? []).map((table) => ({ schema: "public", table: table.name, alias: null }));
}

function columnsOf(catalog: CompletionCatalog, use: TableUse): { name: string; type: string }[] | undefined {
  const schema = catalog.schemas.find((candidate) => candidate.name === (use.schema ?? "public"));
  return schema?.tables.find((table) => table.name === use.table)?.columns;
}

function columnSuggestion(column: { name: string; type: string }, source: string): Suggestion {
  return { label: column.name, insert: quoteIdentifier(column.name), kind: "column", detail: `${shortType(column.type)} · ${source}` };
}

function tableSuggestion(name: string, detail: string): Suggestion {
  return { label: name, insert: quoteIdentifier(name), kind: "table", detail };
}

/** The tables named after FROM and JOIN anywhere in the text. */
export function tableUses(text: string): TableUse[] {
  const uses: TableUse[] = [];
  for (const match of text.matchAll(TABLE_USE)) {
    const [, first, second, alias] = match;
    uses.push({
      schema: second ? unquote(first) : null,
      table: unquote(second ?? first),
      alias: alias && !NOT_ALIASES.test(alias) ? unquote(alias) : null,
    });
  }
  return uses;
}

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier.toLowerCase();
}

/** The text with string contents and comments blanked, same length, and a test for being inside one. */
function maskLiterals(text: string): { text: string; inside(position: number): boolean } {
  const spans: [number, number, boolean][] = [];
  const pattern = /'(?:[^']|'')*('|$)|--[^\n]*|\/\*[\s\S]*?(\*\/|$)|"(?:[^"]|"")*"/g;
  let masked = "";
  let last = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0].startsWith('"')) continue;
    const end = match.index + match[0].length;
    const open = match[0].startsWith("--") || (match[0].startsWith("'") ? match[1] === "" : match[2] === "");
    spans.push([match.index, end, open]);
    masked += text.slice(last, match.index) + " ".repeat(match[0].length);
    last = end;
  }
  return {
    text: masked + text.slice(last),
    inside: (position) => spans.some(([start, end, open]) => position > start && (position < end || (open && position === end))),
  };
}
