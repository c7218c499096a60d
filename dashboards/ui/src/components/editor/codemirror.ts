/**
 * The SQL editor proper, loaded after first paint. Lives in a shadow root: there CodeMirror puts its styles into
 * constructed style sheets, which a policy without `unsafe-inline` allows; in the document it would need <style> tags.
 */

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { keywordCompletionSource, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { dialect } from "./dialect";
import { completeSql, type CompletionCatalog } from "../../lib/complete";

export interface EditorHost {
  text: string;
  placeholder: string;
  onText(text: string): void;
  onRun(): void;
  catalog(): CompletionCatalog;
  /** Loads columns of metrics the query names; the editor asks again when they are there. */
  loadMetrics(metrics: string[]): Promise<void>;
}

export interface EditorMark {
  from: number;
  to: number;
  message: string;
}

export interface Editor {
  setText(text: string): void;
  insert(text: string): void;
  setMark(mark: EditorMark | null): void;
  focus(): void;
  destroy(): void;
}

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--c2)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--c3)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--c1)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--c6)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.operator, tags.punctuation], color: "var(--muted)" },
]);

const looks = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--panel)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--faint)", border: "none" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--sunken) 60%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-soft) !important" },
  ".cm-placeholder": { color: "var(--faint)" },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft) !important", outline: "1px solid var(--line-strong)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", boxShadow: "var(--shadow)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "16em", maxWidth: "min(560px, 90vw)" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px !important", display: "flex", gap: "12px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { marginLeft: "auto", fontStyle: "normal", opacity: "0.7" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)", fontFamily: "var(--sans)" },
});

/** Puts an editor into a shadow root under `element`. */
export function mountEditor(element: HTMLElement, host: EditorHost): Editor {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const view = new EditorView({ root, parent: root, state: EditorState.create({ doc: host.text, extensions: extensions(host) }) });
  return {
    setText: (text) => {
      if (text !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
    },
    insert: (text) => {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    setMark: (mark) => {
      const length = view.state.doc.length;
      const marks = mark && mark.from < length ? [{ from: mark.from, to: Math.min(mark.to, length), message: mark.message, severity: "error" as const }] : [];
      view.dispatch(setDiagnostics(view.state, marks));
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

function extensions(host: EditorHost) {
  const run = { key: "Mod-Enter", run: () => (host.onRun(), true) };
  const keywords = keywordCompletionSource(dialect, true);
  return [
    Prec.highest(keymap.of([run])),
    lineNumbers(),
    history(),
    drawSelection(),
    highlightActiveLine(),
    bracketMatching(),
    closeBrackets(),
    sql({ dialect }),
    syntaxHighlighting(highlight),
    autocompletion({ override: [(context) => catalogSource(context, host), keywords], icons: false, maxRenderedOptions: 60 }),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
    placeholder(host.placeholder),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": "SQL query", spellcheck: "false" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) host.onText(update.state.doc.toString());
    }),
    looks,
  ];
}

const BOOST = { column: 3, table: 2, schema: 1, function: 0 };

async function catalogSource(context: CompletionContext, host: EditorHost): Promise<CompletionResult | null> {
  const text = context.state.doc.toString();
  let found = completeSql(text, context.pos, host.catalog());
  if (found && found.missing.length > 0) {
    await host.loadMetrics(found.missing);
    if (context.aborted) return null;
    found = completeSql(text, context.pos, host.catalog());
  }
  if (!found || found.suggestions.length === 0) return null;
  const isAfterDot = text[found.from - 1] === ".";
  if (found.from === context.pos && !context.explicit && !isAfterDot) return null;
  return {
    from: found.from,
    options: found.suggestions.map((suggestion) => ({ label: suggestion.label, apply: suggestion.insert, detail: suggestion.detail, boost: BOOST[suggestion.kind] })),
    validFor: /^[\p{L}\p{N}_$]*$/u,
  };
}
