// Numbers as people read them; knows nothing of the page.

/**
 * Microseconds from the start as seconds, with as many digits as the recording's length calls for.
 * @param {number} us
 */
export function seconds(us, digits = 3) {
  return (us / 1e6).toFixed(digits);
}

/**
 * A time constant or tick: 250 µs, 15 ms, 1.2 s.
 * @param {number} us
 */
export function span(us) {
  if (us < 1000) return `${short(us)} µs`;
  return us < 1e6 ? `${short(us / 1e3)} ms` : `${short(us / 1e6)} s`;
}

/**
 * Three significant digits, never in powers of ten.
 * @param {number} value
 */
export function short(value) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return String(Number(value.toFixed(Math.min(digits, 6))));
}

/**
 * How many, in short: 950, 12 k, 3.40 M.
 * @param {number} value
 */
export function count(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : String(Math.round(value));
}

/**
 * Rounded to three significant digits.
 * @param {number} value
 */
export function rounded(value) {
  return Number(value.toPrecision(3));
}

/**
 * The value, or the limit that it exceeds.
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * 1, 2 or 5 times a power of ten, at least `least`.
 * @param {number} least
 */
export function niceStep(least) {
  const decade = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  return [1, 2, 5].map((m) => m * decade).find((step) => step >= least) ?? 10 * decade;
}

/**
 * Digits behind the point that seconds need to tell steps of `us` apart.
 * @param {number} us
 */
export function digitsOf(us) {
  return Math.max(0, Math.ceil(-Math.log10(us / 1e6) - 1e-9));
}
