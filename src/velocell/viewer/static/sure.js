// Values that are there by now.

/**
 * The value itself, where nothing else can be; a mistake of the page's own says so at once.
 * @template T
 * @param {T | null | undefined} value
 * @returns {T}
 */
export function sure(value) {
  if (value === null || value === undefined) throw new Error("the page used something before it was there");
  return value;
}
