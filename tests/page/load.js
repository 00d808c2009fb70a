// A script of the page as a module, for the tests.
import { readFile } from "node:fs/promises";

export const STATIC = new URL("../../src/velocell/viewer/static/", import.meta.url);

/**
 * One that imports nothing. Read as text, since older Node takes a .js file outside of this folder for CommonJS.
 * @param {string} name
 */
export async function load(name) {
  const text = await readFile(new URL(name, STATIC), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
