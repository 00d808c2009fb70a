// Style sheet and page keep to the length of lines that eslint holds the scripts to.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { STATIC } from "./load.js";

const LONGEST = 120;

test(`no line is longer than ${LONGEST} characters`, async () => {
  const names = (await readdir(STATIC)).filter((name) => /\.(css|html)$/.test(name));
  assert.ok(names.length >= 2, "style sheet and page were not found");
  for (const name of names) {
    const lines = (await readFile(new URL(name, STATIC), "utf8")).split("\n");
    const long = lines.findIndex((line) => line.length > LONGEST);
    assert.equal(long, -1, `${name}, line ${long + 1} is longer than ${LONGEST} characters; break it`);
  }
});
