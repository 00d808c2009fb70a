// Colours: of the theme by name, of bands as text, as numbers.
import { isLight } from "./dom.js";

/** @typedef {import("./messages.js").Rgb} Rgb */

/** @type {Record<string, string>} */
let known = {};
document.addEventListener("theme", () => {
  known = {};
});

/**
 * A colour of the theme by the name of its CSS variable.
 * @param {string} name
 */
export function ink(name) {
  known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return known[name];
}

/**
 * Red, green and blue of #rrggbb, 0 to 255.
 * @param {string} hex
 * @returns {Rgb}
 */
export function rgb(hex) {
  const part = (/** @type {number} */ k) => parseInt(hex.slice(k, k + 2), 16);
  return [part(1), part(3), part(5)];
}

/** What lies behind the events. */
export function ground() {
  return isLight() ? "#ffffff" : "#0a0d11";
}

/**
 * A band's colour as text: nearer to white in the dark, nearer to black in the light.
 * @param {string} hex
 */
export function legible(hex, share = 0.32) {
  const light = isLight();
  return `rgb(${rgb(hex).map((v) => Math.round(light ? v * (1 - 0.7 * share) : v + (255 - v) * share)).join(" ")})`;
}

/**
 * The same colour, `alpha` of it.
 * @param {string} hex
 * @param {number} alpha
 */
export function faint(hex, alpha) {
  return `rgb(${rgb(hex).join(" ")} / ${alpha})`;
}
