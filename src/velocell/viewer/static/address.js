// The part of the address behind #: time and settings, so that a page can be kept and passed on.

/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Tuned} Tuned */
/** @typedef {import("./messages.js").SliderName} SliderName */

/**
 * What differs from the defaults, and the time in seconds from the start while nothing plays.
 * @param {State} state
 * @param {Pick<Facts, "knobs" | "first_us" | "live">} facts
 */
export function written(state, { knobs, first_us: zero, live }) {
  const { settings } = state;
  const words = new URLSearchParams();
  if (!state.playing && !live) words.set("t", String((state.t_us - zero) / 1e6));
  if (!settings.network_file) words.set("bands", settings.bands.edges.join(","));
  for (const { name, default: usual } of knobs) {
    const value = settings[name];
    if (settings.network_file || state.fixed.includes(name) || (name === "radius" && state.shape !== null)) continue;
    if (value !== usual || name === "radius") words.set(name, value === null ? "auto" : String(value));
  }
  if (settings.region) words.set("region", settings.region.join(","));
  if (state.px_per_mm !== null) words.set("px_per_mm", String(state.px_per_mm));
  return words.toString().replaceAll("%2C", ",");
}

/**
 * The time in microseconds of the recording's clock, and what is to be tuned; only what differs from what holds.
 * @param {string} text
 * @param {State} state
 * @param {Pick<Facts, "knobs" | "first_us">} facts
 * @returns {{ t_us: number | null, tuned: Tuned }}
 */
export function read(text, state, { knobs, first_us: zero }) {
  const words = new URLSearchParams(text.replace(/^#/, ""));
  const numbers = (/** @type {string} */ name) => (words.get(name) ?? "").split(",").map(Number);
  const now = new URLSearchParams(written(state, { knobs, first_us: zero }));
  const differs = (/** @type {string} */ name) => words.has(name) && words.get(name) !== now.get(name);
  /** @type {Tuned} */
  const tuned = {};
  if (differs("bands")) tuned.edges = numbers("bands");
  for (const { name } of knobs) {
    if (differs(name)) tuned[name] = words.get(name) === "auto" ? null : Number(words.get(name));
  }
  if (differs("region")) {
    const [x, y, width, height] = numbers("region");
    tuned.region = [x, y, width, height];
  }
  if (differs("px_per_mm")) tuned.px_per_mm = Number(words.get("px_per_mm"));
  const seconds = words.get("t");
  const known = seconds !== null && !Number.isNaN(Number(seconds));
  return { t_us: known ? Math.round(Number(seconds) * 1e6 + zero) : null, tuned };
}
