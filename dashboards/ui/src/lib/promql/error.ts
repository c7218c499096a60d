/**
 * Where in a PromQL text the server found fault. Takes the message of the API (`1:5: parse error: …`), returns the
 * stretch to underline and the message without its position.
 */

import { errorSpan } from "../sqltext";

export interface PromError {
  message: string;
  /** `null` when the message names no place. */
  mark: { from: number; to: number } | null;
}

const POSITION = /(?:^|[:\s])(\d+):(\d+): (parse error: [\s\S]*)$/;

export function readPromError(text: string, message: string): PromError {
  const found = POSITION.exec(message);
  if (!found) return { message, mark: null };
  const line = Number(found[1]);
  const lineText = text.split("\n")[Math.max(line, 1) - 1] ?? "";
  return { message: found[3], mark: text === "" ? null : errorSpan(text, line, characterColumn(lineText, Number(found[2]))) };
}

/** Positions count bytes of UTF-8; ours count characters. */
function characterColumn(line: string, byteColumn: number): number {
  let bytes = 0;
  let column = 1;
  for (const character of line) {
    if (bytes >= byteColumn - 1) return column;
    const code = character.codePointAt(0) as number;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    column += 1;
  }
  return column + Math.max(0, byteColumn - 1 - bytes);
}
