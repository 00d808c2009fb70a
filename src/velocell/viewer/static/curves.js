// The tuning curves, with the edges of the bands to drag.
import { Board } from "./board.js";
import { faint, ink } from "./colors.js";
import { $, place } from "./dom.js";
import { clamp, rounded, short } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {CanvasRenderingContext2D} Context */

/**
 * Where the two plots lie in the canvas, in CSS px: drive from TOP to `middle`, bands from `top` to `base`.
 * @typedef {{ width: number, middle: number, top: number, base: number }} Layout
 */

const LEFT = 30;
const RIGHT = 8;
const TOP = 20;
const GAP = 10;
const BOTTOM = 30;
const GRIP = 7; // CSS px from an edge within which it is held
const MOST_DRIVE = 2.5;
const SMALL = "11px system-ui, sans-serif";

export class Curves {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    /** @type {[number, number]} speeds at the ends of the axis, once there are edges */
    this.domain = [0, 0];
    /** @type {{ index: number, edges: number[] } | null} */
    this.dragged = null;
    /** @type {number | null} the edge below the mouse */
    this.near = null;
    this.canvas = $("curves", HTMLCanvasElement);
    this.board = new Board(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.listen();
  }

  edges() {
    return this.dragged?.edges ?? sure(this.store.state).settings.bands.edges;
  }

  // --- scale ---

  /** The speeds of the axis, kept while an edge is dragged and as long as the edges lie well within. */
  span() {
    const edges = this.edges();
    const [low, high] = [edges[0], edges[edges.length - 1]];
    const [least, most] = this.domain;
    const outside = low < least * 1.25 || high > most / 1.25;
    const lost = low > least * 9 || high < most / 9;
    if (!this.dragged && (outside || lost)) this.domain = [low / 3, high * 3];
    return this.domain;
  }

  /**
   * @param {number} speed
   * @param {number} width
   */
  across(speed, width) {
    const [low, high] = this.span();
    return LEFT + (Math.log(speed / low) / Math.log(high / low)) * (width - LEFT - RIGHT);
  }

  /**
   * @param {number} x
   * @param {number} width
   */
  speed(x, width) {
    const [low, high] = this.span();
    return low * (high / low) ** ((x - LEFT) / (width - LEFT - RIGHT));
  }

  // --- drawing ---

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  draw(context, width, height) {
    const { state } = this.store;
    if (!state) return;
    const middle = TOP + (height - TOP - BOTTOM - GAP) * 0.62;
    const layout = { width, middle, top: middle + GAP, base: height - BOTTOM };
    this.drawBands(context, layout, state);
    this.drawAxes(context, layout);
    drawTitles(context, layout);
    this.drawDrive(context, layout, state);
    this.drawAnswers(context, layout, state);
    this.edges().forEach((edge, k) => this.drawHandle(context, this.across(edge, width), layout.base, k, edge));
  }

  /**
   * @param {Context} context
   * @param {Layout} layout
   * @param {State} state
   */
  drawBands(context, { width, top, base }, state) {
    const edges = this.edges();
    for (let k = 0; k + 1 < edges.length; k++) {
      const [x0, x1] = [this.across(edges[k], width), this.across(edges[k + 1], width)];
      context.fillStyle = faint(colorOf(state, k), 0.1);
      context.fillRect(x0, TOP, x1 - x0, base - TOP);
      context.fillStyle = faint(colorOf(state, k), 0.3);
      context.fillRect(x0, top, x1 - x0, base - top);
      drawName(context, state.bands[k]?.name ?? "", (x0 + x1) / 2, top + 4, x1 - x0);
    }
  }

  /**
   * @param {Context} context
   * @param {Layout} layout
   */
  drawAxes(context, { width, middle, top, base }) {
    context.strokeStyle = ink("line");
    context.lineWidth = 1;
    context.strokeRect(LEFT + 0.5, TOP + 0.5, width - LEFT - RIGHT - 1, middle - TOP - 1);
    context.strokeRect(LEFT + 0.5, top + 0.5, width - LEFT - RIGHT - 1, base - top - 1);
    context.fillStyle = ink("muted");
    context.font = SMALL;
    context.textBaseline = "top";
    context.textAlign = "center";
    const [low, high] = this.span();
    const wide = Math.log10(high / low) * 70 < width;
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
      for (const m of wide ? [1, 2, 5] : [1]) {
        const v = m * 10 ** decade;
        if (v < low * 1.06 || v > high / 1.06) continue;
        const x = this.across(v, width);
        context.fillText(short(v), x, base + 4);
        context.fillRect(x, base, 1, 3);
      }
    }
  }

  /**
   * Predicted peaks of layer 1 against their thresholds: where a curve crosses 1, its channel begins to fire.
   * @param {Context} context
   * @param {Layout} layout
   * @param {State} state
   */
  drawDrive(context, { width, middle }, state) {
    const { drive, speeds } = this.store.curves ?? {};
    if (!drive || !speeds) return;
    context.save();
    clip(context, width, TOP, middle);
    context.lineWidth = 1.8;
    const across = speeds.map((speed) => this.across(speed, width));
    const more = drive.length > state.bands.length; // the last channel is above all bands
    drive.forEach((row, channel) => {
      context.strokeStyle = colorOf(state, channel);
      context.setLineDash(more && channel === drive.length - 1 ? [2, 3] : []);
      context.beginPath();
      row.forEach((value, k) => {
        context.lineTo(across[k], middle - (Math.min(value, 9) / MOST_DRIVE) * (middle - TOP));
      });
      context.stroke();
    });
    context.restore();
    context.setLineDash([]);
  }

  /**
   * What the final channels answer, as measured (lines), and the objects that were found (ticks).
   * @param {Context} context
   * @param {Layout} layout
   * @param {State} state
   */
  drawAnswers(context, { width, top, base }, state) {
    const { curves, results } = this.store;
    const { outside } = sure(this.store.facts).colors;
    context.save();
    clip(context, width, top, base);
    for (const item of results?.objects ?? []) {
      if (item.speed === null) continue;
      const x = this.across(item.speed, width);
      const chosen = item.id === state.selected;
      const inside = chosen ? ink("strong") : colorOf(state, item.band);
      context.fillStyle = item.band < 0 ? outside : inside;
      context.fillRect(x - (chosen ? 1.5 : 1), base - (chosen ? 20 : 12), chosen ? 3 : 2, chosen ? 20 : 12);
    }
    const { shares, speeds } = curves?.measured ?? { shares: [], speeds: [] };
    const across = speeds.map((speed) => this.across(speed, width));
    shares.forEach((row, band) => {
      context.strokeStyle = colorOf(state, band);
      context.lineWidth = 1.8;
      context.beginPath();
      row.forEach((value, k) => context.lineTo(across[k], base - value * (base - top - 2) - 1));
      context.stroke();
    });
    context.restore();
  }

  /**
   * @param {Context} context
   * @param {number} x
   * @param {number} base
   * @param {number} k
   * @param {number} edge
   */
  drawHandle(context, x, base, k, edge) {
    const held = this.dragged?.index === k || this.near === k;
    context.strokeStyle = ink(held ? "strong" : "text");
    context.lineWidth = held ? 2 : 1.25;
    context.beginPath();
    context.moveTo(x, TOP - 4);
    context.lineTo(x, base);
    context.stroke();
    context.fillStyle = ink(held ? "strong" : "text");
    context.beginPath();
    context.roundRect(x - 4, TOP - 8, 8, 14, 3);
    context.fill();
    if (!held) return;
    context.font = `600 ${SMALL}`;
    context.textBaseline = "alphabetic";
    const text = `${short(edge)} px/s`;
    const half = context.measureText(text).width / 2;
    context.textAlign = "center";
    context.fillText(text, Math.min(Math.max(x, half), this.canvas.clientWidth - half), TOP - 10);
  }

  // --- mouse ---

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    const drop = () => {
      this.dragged = null;
      this.board.redraw();
    };
    canvas.addEventListener("pointerup", drop);
    canvas.addEventListener("pointercancel", drop);
    canvas.addEventListener("pointerleave", () => {
      this.near = null;
      this.board.redraw();
    });
    canvas.addEventListener("dblclick", (event) => this.addOrRemove(event));
  }

  /**
   * Where an event lies, and the edge that it is on.
   * @param {MouseEvent} event
   * @returns {[x: number, edge: number | null]}
   */
  at(event) {
    const [x] = place(event, this.canvas);
    const distances = this.edges().map((edge) => Math.abs(this.across(edge, this.canvas.clientWidth) - x));
    const nearest = distances.indexOf(Math.min(...distances));
    return [x, distances[nearest] <= GRIP ? nearest : null];
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (!this.store.state || event.button !== 0) return;
    const [, index] = this.at(event);
    if (index === null) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = { index, edges: [...this.edges()] };
    this.board.redraw();
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.store.state) return;
    const [x, near] = this.at(event);
    if (this.dragged) this.pull(this.dragged, x);
    this.near = near;
    this.canvas.style.cursor = near !== null || this.dragged ? "ew-resize" : "default";
    this.board.redraw();
  }

  /**
   * @param {{ index: number, edges: number[] }} dragged
   * @param {number} x
   */
  pull({ index, edges }, x) {
    const low = index > 0 ? edges[index - 1] * 1.05 : 0.01;
    const high = index + 1 < edges.length ? edges[index + 1] / 1.05 : 1e6;
    edges[index] = rounded(clamp(this.speed(x, this.canvas.clientWidth), low, high));
    this.ask.tune({ edges: [...edges] });
  }

  /** @param {MouseEvent} event */
  addOrRemove(event) {
    const [x, index] = this.at(event);
    const edges = [...this.edges()];
    if (index === null) {
      edges.push(rounded(this.speed(x, this.canvas.clientWidth)));
      edges.sort((a, b) => a - b);
    } else if (edges.length > 2) edges.splice(index, 1);
    this.ask.tune({ edges });
  }
}

/**
 * The colour of a band, or of the band that is nearest.
 * @param {State} state
 * @param {number} k
 */
function colorOf({ bands }, k) {
  return bands[clamp(k, 0, bands.length - 1)]?.color ?? "#969ba3";
}

/**
 * @param {Context} context
 * @param {number} width
 * @param {number} top
 * @param {number} bottom
 */
function clip(context, width, top, bottom) {
  context.beginPath();
  context.rect(LEFT, top, width - LEFT - RIGHT, bottom - top);
  context.clip();
}

/**
 * A band's name, where there is room for it.
 * @param {Context} context
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {number} wide
 */
function drawName(context, text, x, y, wide) {
  context.font = `600 ${SMALL}`;
  if (context.measureText(text).width > wide - 4) return;
  context.fillStyle = ink("text");
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillText(text, x, y);
}

/**
 * What the axes are of, and the line at the threshold.
 * @param {Context} context
 * @param {Layout} layout
 */
function drawTitles(context, { width, middle, top, base }) {
  context.fillText("speed, px/s", (LEFT + width) / 2, base + 17);
  context.textAlign = "right";
  context.textBaseline = "middle";
  const one = middle - (middle - TOP) / MOST_DRIVE;
  context.fillText("1", LEFT - 4, one);
  context.fillText("0", LEFT - 4, middle - 4);
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(LEFT, one);
  context.lineTo(width - RIGHT, one);
  context.strokeStyle = ink("muted");
  context.stroke();
  context.setLineDash([]);
  drawUpwards(context, "v / threshold", (TOP + middle) / 2);
  drawUpwards(context, "share", (top + base) / 2);
}

/**
 * @param {Context} context
 * @param {string} text
 * @param {number} y
 */
function drawUpwards(context, text, y) {
  context.save();
  context.translate(8, y);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(text, 0, 0);
  context.restore();
}
