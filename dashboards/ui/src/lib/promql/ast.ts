/**
 * The syntax tree of `/api/v1/parse_query`, and how its nodes read: one line a node, the text of any part of the tree,
 * and the selectors in it. Knows no network.
 */

import { durationText } from "../explore/range";
import { quote } from "./tokens";
import { labelText, selectorText, type Matcher, type MatchOp } from "./selectors";

interface Modifiers {
  offset?: number;
  timestamp?: number | null;
  startOrEnd?: "start" | "end" | null;
}

export interface VectorSelector extends Modifiers {
  type: "vectorSelector" | "matrixSelector";
  name: string;
  /** Milliseconds, of a `matrixSelector`. */
  range?: number;
  matchers: { type: MatchOp; name: string; value: string }[];
}

export type AstNode =
  | { type: "aggregation"; op: string; expr: AstNode; param: AstNode | null; grouping: string[] | null; without: boolean }
  | { type: "binaryExpr"; op: string; lhs: AstNode; rhs: AstNode; matching: Matching | null; bool: boolean }
  | { type: "call"; func: { name: string; returnType?: string }; args: AstNode[] }
  | VectorSelector
  | ({ type: "subquery"; expr: AstNode; range: number; step: number } & Modifiers)
  | { type: "numberLiteral"; val: string }
  | { type: "stringLiteral"; val: string }
  | { type: "parenExpr"; expr: AstNode }
  | { type: "unaryExpr"; op: string; expr: AstNode }
  | { type: "placeholder"; children?: AstNode[] };

interface Matching {
  card: string;
  labels: string[] | null;
  on: boolean;
  include: string[] | null;
}

export function childrenOf(node: AstNode): AstNode[] {
  switch (node.type) {
    case "aggregation":
      return node.param ? [node.param, node.expr] : [node.expr];
    case "binaryExpr":
      return [node.lhs, node.rhs];
    case "call":
      return node.args ?? [];
    case "subquery":
    case "parenExpr":
    case "unaryExpr":
      return [node.expr];
    case "placeholder":
      return node.children ?? [];
    default:
      return [];
  }
}

function matchersOf(node: VectorSelector): Matcher[] {
  return node.matchers.filter((matcher) => !(matcher.name === "__name__" && matcher.type === "=" && matcher.value === node.name)).map((matcher) => ({ label: matcher.name, op: matcher.type, value: matcher.value }));
}

/** The selector without range and modifiers: what the series API takes as `match[]`. */
export function bareSelector(node: VectorSelector): string {
  return selectorText(node.name, matchersOf(node));
}

const ms = (milliseconds: number) => durationText(Math.abs(milliseconds) / 1000);

function modifiersText({ offset, timestamp, startOrEnd }: Modifiers): string {
  const at = startOrEnd ? ` @ ${startOrEnd}()` : timestamp !== null && timestamp !== undefined ? ` @ ${(timestamp / 1000).toFixed(3)}` : "";
  return at + (offset ? ` offset ${offset < 0 ? "-" : ""}${ms(offset)}` : "");
}

const list = (labels: string[] | null) => `(${(labels ?? []).map(labelText).join(", ")})`;

function matchingText(matching: Matching | null): string {
  if (!matching) return "";
  const hasLabels = matching.on || (matching.labels ?? []).length > 0;
  const group = matching.card === "many-to-one" ? ` group_left ${list(matching.include)}` : matching.card === "one-to-many" ? ` group_right ${list(matching.include)}` : "";
  return (hasLabels ? ` ${matching.on ? "on" : "ignoring"} ${list(matching.labels)}` : "") + group;
}

function groupingText(node: { grouping: string[] | null; without: boolean }): string {
  if ((node.grouping ?? []).length === 0 && !node.without) return "";
  return ` ${node.without ? "without" : "by"} ${list(node.grouping)}`;
}

/** What a node does, without its children. */
export function headOf(node: AstNode): { title: string; detail: string; kind: string } {
  switch (node.type) {
    case "aggregation":
      return { title: node.op + groupingText(node), detail: "aggregation", kind: "aggregation" };
    case "binaryExpr":
      return { title: node.op + (node.bool ? " bool" : "") + matchingText(node.matching), detail: node.matching && node.matching.card !== "one-to-one" ? node.matching.card : "binary", kind: "binary" };
    case "call":
      return { title: `${node.func.name}()`, detail: "function", kind: "function" };
    case "vectorSelector":
    case "matrixSelector":
      return { title: astText(node), detail: node.type === "matrixSelector" ? "range selector" : "selector", kind: "selector" };
    case "subquery":
      return { title: `[${ms(node.range)}:${node.step ? ms(node.step) : ""}]${modifiersText(node)}`, detail: "subquery", kind: "function" };
    case "numberLiteral":
    case "stringLiteral":
      return { title: astText(node), detail: node.type === "numberLiteral" ? "number" : "string", kind: "literal" };
    case "parenExpr":
      return { title: "( )", detail: "parentheses", kind: "literal" };
    case "unaryExpr":
      return { title: node.op, detail: "sign", kind: "binary" };
    default:
      return { title: "…", detail: node.type, kind: "literal" };
  }
}

/** The tree as PromQL. */
export function astText(node: AstNode): string {
  switch (node.type) {
    case "aggregation":
      return `${node.op}${groupingText(node)} (${childrenOf(node).map(astText).join(", ")})`;
    case "binaryExpr":
      return `${astText(node.lhs)} ${node.op}${node.bool ? " bool" : ""}${matchingText(node.matching)} ${astText(node.rhs)}`;
    case "call":
      return `${node.func.name}(${childrenOf(node).map(astText).join(", ")})`;
    case "vectorSelector":
      return bareSelector(node) + modifiersText(node);
    case "matrixSelector":
      return `${bareSelector(node)}[${ms(node.range ?? 0)}]${modifiersText(node)}`;
    case "subquery":
      return `${astText(node.expr)}[${ms(node.range)}:${node.step ? ms(node.step) : ""}]${modifiersText(node)}`;
    case "numberLiteral":
      return node.val;
    case "stringLiteral":
      return quote(node.val);
    case "parenExpr":
      return `(${astText(node.expr)})`;
    case "unaryExpr":
      return node.op + astText(node.expr);
    default:
      return "…";
  }
}

/** A query that counts the series a node yields, or `null` where that has no meaning (numbers, strings). */
export function countQuery(node: AstNode): string | null {
  switch (node.type) {
    case "numberLiteral":
    case "stringLiteral":
    case "placeholder":
      return null;
    case "matrixSelector":
      return `count(present_over_time(${astText(node)}))`;
    case "subquery":
      return `count(present_over_time(${astText(node)}))`;
    case "call":
      return node.func.returnType === "scalar" || ["time", "scalar", "pi"].includes(node.func.name) ? null : `count(${astText(node)})`;
    case "parenExpr":
    case "unaryExpr":
      return countQuery(node.expr) && `count(${astText(node)})`;
    case "binaryExpr":
      return countQuery(node.lhs) || countQuery(node.rhs) ? `count(${astText(node)})` : null;
    default:
      return `count(${astText(node)})`;
  }
}
