import { expect, it } from "vitest";
import { Chords, type KeyPress } from "./keys";

const press = (key: string, timeMs = 0, extra: Partial<KeyPress> = {}): KeyPress => ({ key, timeMs, ctrlKey: false, metaKey: false, altKey: false, typing: false, ...extra });

it("knows single keys and chords", () => {
  const chords = new Chords();
  expect(chords.press(press("/"))).toBe("search");
  expect([chords.press(press("g")), chords.press(press("s", 100))]).toEqual([null, "go-sql"]);
  expect(chords.press(press("s", 200))).toBeNull();
});

it("forgets a chord that took too long, was broken or was typed", () => {
  const chords = new Chords();
  expect([chords.press(press("g")), chords.press(press("s", 5000))]).toEqual([null, null]);
  expect([chords.press(press("g")), chords.press(press("x", 10)), chords.press(press("s", 20))]).toEqual([null, null, null]);
  expect([chords.press(press("g")), chords.press(press("s", 10, { typing: true }))]).toEqual([null, null]);
  expect(chords.press(press("/", 0, { ctrlKey: true }))).toBeNull();
});
