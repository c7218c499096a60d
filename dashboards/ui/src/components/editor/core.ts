/**
 * What the editors share, loaded after first paint: CodeMirror in a shadow root, its looks, and the handle the components
 * hold. In a shadow root CodeMirror puts its styles into constructed style sheets, which a policy without
 * `unsafe-inline` allows; in the document it would need <style> tags.
 */

import { closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder, type KeyBinding } from "@codemirror/view";
import { tags } from "@lezer/highlight";

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

export interface CoreOptions {
  text: string;
  placeholder: string;
  label: string;
  onText(text: string): void;
  /** Keys that win over all others, the one that runs the query first of all. */
  keys: KeyBinding[];
  extensions: Extension;
}

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--c2)", fontWeight: "600" },
  { tag: tags.function(tags.variableName), color: "var(--c6)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--c3)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--c1)" },
  { tag: tags.propertyName, color: "var(--c5)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--c6)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.operator, tags.punctuation], color: "var(--muted)" },
  { tag: tags.invalid, color: "var(--bad)" },
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
  ".cm-tooltip.cm-tooltip-autocomplete": { overflow: "visible" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "16em", maxWidth: "min(560px, 90vw)" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px !important", display: "flex", gap: "12px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { marginLeft: "auto", fontStyle: "normal", opacity: "0.7" },
  ".cm-tooltip.cm-completionInfo": { padding: "6px 10px", maxWidth: "340px", fontFamily: "var(--sans)", fontSize: "12px", lineHeight: "1.45" },
  ".cm-completionInfo .signature": { display: "block", marginBottom: "2px", fontFamily: "var(--mono)", color: "var(--c6)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)", fontFamily: "var(--sans)" },
});

/** Puts an editor into a shadow root under `element`. */
export function mountCore(element: HTMLElement, options: CoreOptions): Editor {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const view = new EditorView({ root, parent: root, state: EditorState.create({ doc: options.text, extensions: extensions(options) }) });
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

function extensions(options: CoreOptions): Extension {
  return [
    Prec.highest(keymap.of(options.keys)),
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    options.extensions,
    syntaxHighlighting(highlight),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
    placeholder(options.placeholder),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": options.label, spellcheck: "false" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) options.onText(update.state.doc.toString());
    }),
    looks,
  ];
}
