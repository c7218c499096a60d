/** How far files are merged, in words. Knows the levels of the store's format and nothing of pages. */

import type { StoredLevel } from "../api/types";

const NAMES = ["fresh", "hourly", "daily"];

/** `fresh`, `hourly`, `daily`; levels of later versions by number. */
export const levelName = (level: number): string => NAMES[level] ?? `level ${level}`;

/** `9 fresh, 2 daily files`. */
export function levelTexts(levels: StoredLevel[]): string {
  const files = levels.reduce((sum, level) => sum + level.files, 0);
  return `${levels.map((level) => `${level.files} ${levelName(level.level)}`).join(", ")} ${files === 1 ? "file" : "files"}`;
}
