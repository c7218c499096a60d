/**
 * SQL as text: quoting, and where in a text a server's line and column point. Knows no catalog and runs nothing.
 */

const PLAIN_IDENTIFIER = /^[a-z_][a-z0-9_]*$/;

/** Words that stand for themselves only in quotes. Short on purpose: quoting one word too many does no harm. */
const RESERVED = new Set(
  ("all and any as asc between both by case cast collate cross current_date current_time current_timestamp desc distinct else end except exists " +
    "extract false fetch filter for from full group having in inner intersect interval into is join lateral left like limit natural not null " +
    "offset on or order outer over partition position qualify right select set some substring table then to trim true union unnest user " +
    "using values when where window with").split(" "),
);

/** An identifier as SQL wants it. Unquoted names fold to lower case, so `node_memory_MemTotal_bytes` needs quotes. */
export function quoteIdentifier(name: string): string {
  if (PLAIN_IDENTIFIER.test(name) && !RESERVED.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The stretch of `text` that an error at `line` and `column` (both from 1) is about: the word there, or one character.
 * Columns count characters (code points), as the server's parser does. Positions outside the text end up at its last character.
 */
export function errorSpan(text: string, line: number, column: number): { from: number; to: number } {
  const lines = text.split("\n");
  const row = Math.min(Math.max(line, 1), lines.length) - 1;
  let start = 0;
  for (let i = 0; i < row; i++) start += lines[i].length + 1;
  const before = Array.from(lines[row]).slice(0, Math.max(column, 1) - 1).join("");
  let from = start + before.length;
  if (from >= text.length) from = Math.max(text.length - 1, 0);
  const word = /^[\p{L}\p{N}_$]+/u.exec(text.slice(from));
  return { from, to: Math.min(text.length, from + (word ? word[0].length : 1)) };
}
