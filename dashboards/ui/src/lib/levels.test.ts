import { expect, test } from "vitest";
import { levelName, levelTexts } from "./levels";

test("levels have names, those of later versions a number", () => {
  expect([0, 1, 2, 3].map(levelName)).toEqual(["fresh", "hourly", "daily", "level 3"]);
});

test("files are told by level", () => {
  const level = (number: number, files: number) => ({ level: number, files, rows: 1, bytes: 1 });
  expect(levelTexts([level(0, 6), level(1, 3)])).toBe("6 fresh, 3 hourly files");
  expect(levelTexts([level(2, 1)])).toBe("1 daily file");
});
