/**
 * Keyboard shortcuts: single keys and two-key chords (`g s`). Takes key events, returns the name of the action; knows
 * nothing of what the actions do.
 */

const CHORD_WAIT_MS = 1_200;

/** What the keys of the whole site mean. */
export const SHORTCUTS: { keys: string; action: string; what: string }[] = [
  { keys: "/", action: "search", what: "go to the editor or the search box" },
  { keys: "g h", action: "go-home", what: "home" },
  { keys: "g e", action: "go-explore", what: "explore metrics" },
  { keys: "g s", action: "go-sql", what: "SQL" },
  { keys: "g o", action: "go-objects", what: "objects" },
  { keys: "t", action: "theme", what: "light, dark, as the system" },
  { keys: "?", action: "help", what: "these shortcuts" },
];

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  timeMs: number;
  /** The key goes into a field where one types. */
  typing: boolean;
}

/** Remembers the first key of a chord. */
export class Chords {
  private pending: { key: string; timeMs: number } | null = null;

  /** The action of this key press, or `null`. */
  press(event: KeyPress): string | null {
    if (event.typing || event.ctrlKey || event.metaKey || event.altKey || event.key === "Shift") {
      this.pending = null;
      return null;
    }
    const first = this.pending && event.timeMs - this.pending.timeMs <= CHORD_WAIT_MS ? this.pending.key : null;
    this.pending = null;
    const keys = first ? `${first} ${event.key}` : event.key;
    const found = SHORTCUTS.find((shortcut) => shortcut.keys === keys);
    if (found) return found.action;
    if (SHORTCUTS.some((shortcut) => shortcut.keys.startsWith(`${event.key} `))) this.pending = { key: event.key, timeMs: event.timeMs };
    return null;
  }
}

/** Whether an element takes text. */
export function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName ?? ""));
}
