// What leaves the page: files, and the command line.
import { $, make } from "./dom.js";
import { notice } from "./notices.js";

export const SILENT = "The program does not answer; check that velocell view is still running.";
const KEPT_MS = 10000;

/**
 * A file that the program makes.
 * @param {string} what
 * @param {string} name
 */
export async function save(what, name) {
  $("doing").textContent = `saving ${name}`;
  try {
    const answer = await fetch(`save/${what}`);
    if (!answer.ok) throw new Error((await answer.json()).error);
    give(await answer.blob(), name);
  } catch (error) {
    notice(error instanceof TypeError ? SILENT : error instanceof Error ? error.message : String(error));
  }
}

/**
 * A file that is there.
 * @param {Blob} blob
 * @param {string} name
 */
export function give(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
  notice(`Saved ${name}`, true);
}

/** @param {string} command */
export async function copyCommand(command) {
  await navigator.clipboard.writeText(command);
  notice("Command line copied", true);
}
