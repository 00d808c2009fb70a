// What the canvases share: sizes in CSS pixels, colours of the theme, numbers as people read them.

/** A canvas that follows the size of its element; `draw(context, width, height)` runs once per frame at most. */
export class Board {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.paint = draw;
    this.waiting = false;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    document.addEventListener("theme", () => this.redraw());
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.now(); });
  }

  now() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    this.scale = scale;
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, height);
    this.paint(this.context, width, height);
  }
}

/** What a board shows for long, drawn once and kept until one of `keys` is another. */
export class Layer {
  constructor(board, draw) {
    this.board = board;
    this.paint = draw;
    this.canvas = document.createElement("canvas");
    this.keys = [];
  }

  show(context, width, height, keys) {
    const { canvas } = this, scale = this.board.scale;
    const now = [...keys, width, height, scale, document.documentElement.dataset.theme];
    if (now.length !== this.keys.length || now.some((key, k) => key !== this.keys[k])) {
      this.keys = now;
      [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
      const inner = canvas.getContext("2d");
      inner.setTransform(scale, 0, 0, scale, 0, 0);
      this.paint(inner, width, height);
    }
    context.drawImage(canvas, 0, 0, width, height);
  }
}

/** Where a pointer event lies in its element, in CSS pixels. */
export function place(event, element) {
  const box = element.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

let known = {};
document.addEventListener("theme", () => { known = {}; });

/** A colour of the theme by the name of its CSS variable. */
export function ink(name) {
  known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return known[name];
}

export function rgb(hex) {
  return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
}

/** A band's colour as text: nearer to white in the dark, nearer to black in the light. */
export function legible(hex, share = 0.32) {
  const light = document.documentElement.dataset.theme === "light";
  return `rgb(${rgb(hex).map((v) => Math.round(light ? v * (1 - 0.7 * share) : v + (255 - v) * share)).join(" ")})`;
}

/** The same colour, `alpha` of it. */
export function faint(hex, alpha) {
  return `rgb(${rgb(hex).join(" ")} / ${alpha})`;
}

/** Microseconds from the start as seconds, with as many digits as the recording's length calls for. */
export function seconds(us, digits = 3) {
  return (us / 1e6).toFixed(digits);
}

/** A time constant or tick: 250 µs, 15 ms, 1.2 s. */
export function span(us) {
  if (us < 1000) return `${short(us)} µs`;
  return us < 1e6 ? `${short(us / 1e3)} ms` : `${short(us / 1e6)} s`;
}

/** Three significant digits, never in powers of ten. */
export function short(value) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return String(Number(value.toFixed(Math.min(digits, 6))));
}

export function count(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : String(Math.round(value));
}

export function $(id) {
  return document.getElementById(id);
}

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "color") element.style.setProperty("--c", value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
