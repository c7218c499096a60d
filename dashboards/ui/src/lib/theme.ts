/** Light, dark or as the system says: kept in a `Storage`, applied to the root element. */

export type Theme = "auto" | "light" | "dark";

const KEY = "atl.theme";
const ORDER: Theme[] = ["auto", "light", "dark"];

export function loadTheme(storage: Pick<Storage, "getItem">): Theme {
  try {
    const stored = storage.getItem(KEY) as Theme | null;
    return stored && ORDER.includes(stored) ? stored : "auto";
  } catch {
    return "auto";
  }
}

export function nextTheme(theme: Theme): Theme {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
}

export function applyTheme(theme: Theme, root: HTMLElement, storage: Pick<Storage, "setItem">): void {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    storage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing still shows the chosen theme until it is closed.
  }
}
