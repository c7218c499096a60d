import { describe, expect, it } from "vitest";
import { errorSpan, quoteIdentifier, quoteLiteral } from "./sqltext";

describe("quoteIdentifier", () => {
  it.each([
    ["up", "up"],
    ["node_memory_MemTotal_bytes", '"node_memory_MemTotal_bytes"'],
    ["job:rate5m", '"job:rate5m"'],
    ["order", '"order"'],
    ['a"b', '"a""b"'],
    ["<img src=x>", '"<img src=x>"'],
  ])("%s → %s", (name, quoted) => expect(quoteIdentifier(name)).toBe(quoted));
});

it("quotes literals", () => expect(quoteLiteral("it's")).toBe("'it''s'"));

describe("errorSpan", () => {
  const text = "SELECT ts,\n  nope\nFROM metrics";
  const at = (line: number, column: number) => {
    const span = errorSpan(text, line, column);
    return text.slice(span.from, span.to);
  };
  it("finds the word", () => expect(at(2, 3)).toBe("nope"));
  it("finds a sign", () => expect(at(1, 10)).toBe(","));
  it("stays inside", () => expect([at(99, 1), at(3, 99)]).toEqual(["FROM", "s"]));
  it("counts characters, not UTF-16 units", () => {
    const emoji = "SELECT '🙂', bad";
    const span = errorSpan(emoji, 1, 13);
    expect(emoji.slice(span.from, span.to)).toBe("bad");
  });
  it("survives an empty text", () => expect(errorSpan("", 1, 1)).toEqual({ from: 0, to: 0 }));
});
