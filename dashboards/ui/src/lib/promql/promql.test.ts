import { describe, expect, it } from "vitest";
import { astText, bareSelector, countQuery, headOf, type AstNode } from "./ast";
import { durationOptions, promContext } from "./complete";
import { readPromError } from "./error";
import { findSelectors, matcherValues, matchersFor, selectorText, setMatchers } from "./selectors";
import { quote, tokenize, unquote } from "./tokens";

const kinds = (text: string) => tokenize(text).map((token) => `${token.kind}:${token.text}`).join(" ");

describe("tokens", () => {
  it("tell functions, labels, durations and numbers apart", () => {
    expect(kinds('sum by (job) (rate(m{a!~"x"}[5m1s] offset 1h)) > 1e-3')).toBe(
      'aggregation:sum keyword:by bracket:( label:job bracket:) bracket:( function:rate bracket:( metric:m bracket:{ label:a operator:!~ string:"x" bracket:} bracket:[ duration:5m1s bracket:] keyword:offset duration:1h bracket:) bracket:) operator:> number:1e-3',
    );
  });

  it("do not take what follows a bare group_left for labels", () => {
    expect(kinds("a / on () group_left sum(b)")).toContain("aggregation:sum bracket:( metric:b");
  });

  it("take functions only where they are called", () => expect(kinds("rate + sum + by")).toBe("metric:rate operator:+ metric:sum operator:+ keyword:by"));

  it("survive anything", () => {
    for (const text of ['"open', "`raw\nline", "{{{", "€ \u0000 §", "[5", "#c", "'a\\'b"]) expect(tokenize(text).map((token) => token.text).join("")).toBe(text.replace(/\s/g, (space) => (text.startsWith("`") ? space : "")));
  });

  it("quote and unquote", () => {
    for (const value of ['a"b', "a\\d+", "line\nbreak", "ü€"]) expect(unquote(quote(value))).toBe(value);
    expect(unquote("`a\\b`")).toBe("a\\b");
    expect(unquote('"\\u00fc\\x41"')).toBe("üA");
  });
});

describe("selectors", () => {
  it("are found with name and matchers", () => {
    const found = findSelectors('rate(a{x="1", y=~"b|c"}[5m]) / on (z) {__name__="q.r", t!=""} + {"dotted.name", u=\'v\'} + plain');
    expect(found.map(({ name, matchers }) => [name, matchers.map(({ label, op, value }) => label + op + value)])).toEqual([
      ["a", ["x=1", "y=~b|c"]],
      ["q.r", ["t!="]],
      ["dotted.name", ["u=v"]],
      ["plain", []],
    ]);
  });

  it("take matchers without touching the rest", () => {
    const text = 'sum(rate(m{a="1",b="2"}[5m])) / m_count # m\n + other{a="1"}';
    expect(setMatchers(text, ["m", "m_count"], "a", matchersFor("a", ["x", "y.z"]))).toBe('sum(rate(m{b="2", a=~"x|y\\\\.z"}[5m])) / m_count{a=~"x|y\\\\.z"} # m\n + other{a="1"}');
    expect(setMatchers('m{a="1"}', ["m"], "a", [])).toBe("m");
    expect(setMatchers('{"a.b", x="1"}', ["a.b"], "x", [])).toBe('{"a.b"}');
  });

  it("write hostile names and values so that they stay what they are", () => {
    const text = selectorText("evil\"} or vector(1)", [{ label: "odd label", op: "=", value: 'a"} or b{' }]);
    expect(findSelectors(text)).toMatchObject([{ name: 'evil"} or vector(1)', matchers: [{ label: "odd label", value: 'a"} or b{' }] }]);
  });

  it("know the values a matcher names", () => {
    expect(matcherValues(matchersFor("a", ["x|y", "1.5"])[0])).toEqual(["x|y", "1.5"]);
    expect(matcherValues({ label: "a", op: "=~", value: "x.*" })).toBeNull();
    expect(matcherValues({ label: "a", op: "=~", value: "\\d" })).toBeNull();
    expect(matcherValues({ label: "a", op: "!=", value: "x" })).toEqual(["x"]);
  });
});

describe("completion", () => {
  /** `|` is the cursor. */
  const at = (marked: string) => promContext(marked.replace("|", ""), marked.indexOf("|"));

  it("offers names where an expression may stand", () => {
    expect(at("rat|")).toEqual({ kind: "expression", from: 0, text: "rat" });
    expect(at("sum(nod|)")).toMatchObject({ kind: "expression", from: 4, text: "nod" });
    expect(at("a + |")).toMatchObject({ kind: "expression", from: 4, text: "" });
    expect(at("a # no|")).toBeNull();
    expect(at("12|")).toBeNull();
    expect(at('label_replace(a, "x|')).toBeNull();
  });

  it("offers labels of the metric, less those used", () => {
    expect(at('m{a="1", m|}')).toEqual({ kind: "label", from: 9, text: "m", metric: "m", matchers: [{ label: "a", op: "=", value: "1" }], used: ["a"] });
    expect(at("m{|")).toMatchObject({ kind: "label", metric: "m", text: "" });
    expect(at("m{a|")).toMatchObject({ kind: "label", text: "a", used: [] });
    expect(at('m{a="1"|}')).toBeNull();
    expect(at('{__name__="q", |}')).toMatchObject({ kind: "label", metric: "q" });
  });

  it("offers values of the label, under the other matchers", () => {
    expect(at('rate(m{a="1", mode=~"us|"}[5m])')).toEqual({ kind: "value", from: 21, to: 23, text: "us", metric: "m", label: "mode", matchers: [{ label: "a", op: "=", value: "1" }], isPattern: true, quote: '"' });
    expect(at('m{mode="|')).toMatchObject({ kind: "value", from: 8, to: 8, text: "", label: "mode" });
    expect(at('m{mode="id|le", x="y"}')).toMatchObject({ kind: "value", from: 8, to: 12, matchers: [{ label: "x", value: "y" }] });
  });

  it("offers labels in groupings", () => {
    expect(at("sum by (in|) (m) / other")).toMatchObject({ kind: "grouping", text: "in", metrics: ["m", "other"] });
    expect(at("a / on (|) b")).toMatchObject({ kind: "grouping", text: "" });
    expect(at("sum(m) by (job, |)")).toMatchObject({ kind: "grouping" });
  });

  it("offers durations", () => {
    expect(at("rate(m[|")).toMatchObject({ kind: "duration", text: "" });
    expect(at("rate(m[5|])")).toMatchObject({ kind: "duration", text: "5", from: 7 });
    expect(at("m offset 1|")).toMatchObject({ kind: "duration", text: "1" });
    expect(at("rate(m[5m]|)")).toMatchObject({ kind: "expression" });
    expect(durationOptions("5").map(({ label }) => label)).toContain("5m");
    expect(durationOptions("").map(({ label }) => label)).toContain("5m");
  });
});

describe("errors", () => {
  it("point at the place the server names", () => {
    const text = "sum(ratee(m[5m]))";
    const { message, mark } = readPromError(text, 'invalid parameter "query": 1:5: parse error: unknown function with name "ratee"');
    expect(message).toBe('parse error: unknown function with name "ratee"');
    expect(text.slice(mark!.from, mark!.to)).toBe("ratee");
  });

  it("count lines, bytes and the end of the text", () => {
    const text = 'm{a="ü€"}\n  + )';
    expect(readPromError(text, "2:5: parse error: unexpected right parenthesis").mark).toEqual({ from: 14, to: 15 });
    const wide = 'm{a="ü€"} )';
    const byteColumn = new TextEncoder().encode('m{a="ü€"} ').length + 1;
    expect(readPromError(wide, `1:${byteColumn}: parse error: x`).mark).toEqual({ from: 10, to: 11 });
    expect(readPromError("1 +", "1:4: parse error: unexpected end of input").mark).toEqual({ from: 2, to: 3 });
    expect(readPromError("", "1:1: parse error: no expression found in input").mark).toBeNull();
  });

  it("leave other messages as they are", () => expect(readPromError("x", "query timed out at 10:15:00")).toEqual({ message: "query timed out at 10:15:00", mark: null }));
});

describe("the tree", () => {
  const selector: AstNode = { type: "matrixSelector", name: "m", range: 300_000, offset: 60_000, timestamp: null, startOrEnd: null, matchers: [{ type: "=", name: "a", value: "1" }, { type: "=", name: "__name__", value: "m" }] };
  const rate: AstNode = { type: "call", func: { name: "rate", returnType: "vector" }, args: [selector] };
  const sum: AstNode = { type: "aggregation", op: "topk", expr: rate, param: { type: "numberLiteral", val: "5" }, grouping: ["job"], without: false };
  const binary: AstNode = { type: "binaryExpr", op: "/", lhs: sum, rhs: { type: "parenExpr", expr: { type: "unaryExpr", op: "-", expr: rate } }, matching: { card: "many-to-one", labels: ["job"], on: true, include: ["env"] }, bool: false };

  it("reads as PromQL again", () => {
    expect(astText(binary)).toBe('topk by (job) (5, rate(m{a="1"}[5m] offset 1m)) / on (job) group_left (env) (-rate(m{a="1"}[5m] offset 1m))');
    expect(astText({ type: "subquery", expr: rate, range: 3_600_000, step: 0, offset: 0, timestamp: 1_500, startOrEnd: null })).toBe('rate(m{a="1"}[5m] offset 1m)[1h:] @ 1.500');
    expect(bareSelector(selector)).toBe('m{a="1"}');
    expect(headOf(sum).title).toBe("topk by (job)");
  });

  it("counts what can be counted", () => {
    expect(countQuery(selector)).toBe('count(present_over_time(m{a="1"}[5m] offset 1m))');
    expect(countQuery({ type: "numberLiteral", val: "1" })).toBeNull();
    expect(countQuery({ type: "call", func: { name: "time", returnType: "scalar" }, args: [] })).toBeNull();
    expect(countQuery({ type: "binaryExpr", op: "+", lhs: { type: "numberLiteral", val: "1" }, rhs: { type: "numberLiteral", val: "2" }, matching: null, bool: false })).toBeNull();
    expect(countQuery(sum)).toMatch(/^count\(topk by/);
  });
});
