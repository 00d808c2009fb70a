// What the page says: a sentence over the picture, sentences that go away again, the pill at the top, the clock.
import { $, all, make } from "./dom.js";
import { seconds } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Results} Results */
/** @typedef {import("./messages.js").Store} Store */

const MOST = 4;
const STAYS_MS = 15000;
const GOOD_STAYS_MS = 3500;

/**
 * Instead of a picture.
 * @param {string} text
 */
export function stateText(text, failed = false) {
  $("state").hidden = false;
  $("state").classList.toggle("failed", failed);
  sure($("state").querySelector("p")).textContent = text;
}

/**
 * A sentence that stays until it is closed, or for a while. The same one is shown once.
 * @param {string} text
 */
export function notice(text, good = false) {
  const notices = $("notices");
  withdraw((other) => other === text);
  const box = make("div", { className: `notice${good ? " good" : ""}` }, make("span", {}, text));
  box.dataset.text = text;
  const close = make("button", { "aria-label": "Close" }, "×");
  close.onclick = () => box.remove();
  box.append(close);
  notices.append(box);
  while (notices.children.length > MOST) notices.children[0].remove();
  setTimeout(() => box.remove(), good ? GOOD_STAYS_MS : STAYS_MS);
}

/**
 * Takes back the sentences that are meant.
 * @param {(text: string) => boolean} meant
 */
export function withdraw(meant) {
  for (const box of all("#notices > *")) if (meant(box.dataset.text ?? "")) box.remove();
}

/**
 * What is being done, or what has come of it.
 * @param {State} state
 * @param {Results | null} results
 */
export function showProgress(state, results) {
  const busy = state.doing || (state.analysed && !state.analysed.current ? "applying the settings" : "");
  $("doing").textContent = busy || outcome(state, (results?.objects ?? []).length);
  $("doing").classList.toggle("busy", Boolean(busy));
}

/**
 * @param {State} state
 * @param {number} objects
 */
function outcome({ analysed, error, live }, objects) {
  if (analysed?.complete) return `${objects || "no"} object${objects === 1 ? "" : "s"}`;
  if (error) return "stopped";
  return analysed && !live ? "analysing" : "";
}

/** @param {Store} store */
export function showClock({ facts, now }) {
  if (!facts) return;
  const { start_us: start, stop_us: stop, first_us: first } = facts;
  const digits = stop - start < 1e7 ? 4 : 3;
  const whole = facts.live ? "s" : `/ ${seconds(stop - start, digits)} s`;
  const timeline = $("timeline");
  timeline.setAttribute("aria-valuemax", seconds(stop - first, digits));
  timeline.setAttribute("aria-valuenow", seconds((now ?? first) - first, digits));
  timeline.setAttribute("aria-valuetext", `${seconds((now ?? first) - first, digits)} s`);
  $("clock").replaceChildren(`${seconds((now ?? first) - first, digits)} `, make("small", {}, whole));
}
