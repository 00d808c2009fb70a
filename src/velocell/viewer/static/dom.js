// Elements of the page: found, made, and where the pointer lies in them.

/** @typedef {import("./messages.js").Point} Point */

/**
 * The element with this id, which is a `Kind`.
 * @template {HTMLElement} T
 * @overload
 * @param {string} id
 * @param {new () => T} Kind
 * @returns {T}
 */
/**
 * The element with this id.
 * @overload
 * @param {string} id
 * @returns {HTMLElement}
 */
/**
 * @param {string} id
 * @param {new () => HTMLElement} Kind
 */
export function $(id, Kind = HTMLElement) {
  const element = document.getElementById(id);
  if (!(element instanceof Kind)) throw new Error(`the page has no ${Kind.name} with the id ${id}`);
  return element;
}

/**
 * All elements that match, in the page or in a part of it.
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export function all(selector) {
  return [...document.querySelectorAll(selector)].filter((element) => element instanceof HTMLElement);
}

/**
 * An element with properties, attributes and children; `color` becomes the CSS variable --c.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "color") element.style.setProperty("--c", String(value));
    else if (name in element) Reflect.set(element, name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Where a pointer event lies in its element, in CSS pixels.
 * @param {MouseEvent} event
 * @param {Element} element
 * @returns {Point}
 */
export function place(event, element) {
  const box = element.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/**
 * The element around an event's target that matches, if there is one.
 * @param {Event} event
 * @param {string} selector
 */
export function around(event, selector) {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}

/**
 * Shows whether a button is on, to those who listen too.
 * @param {HTMLElement} button
 * @param {boolean} on
 */
export function press(button, on) {
  button.classList.toggle("on", on);
  button.setAttribute("aria-pressed", String(on));
}

/** Whether the page is light. */
export function isLight() {
  return document.documentElement.dataset.theme === "light";
}
