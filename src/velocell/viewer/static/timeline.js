// The timeline: event rate, activity of each band, what is analysed, the cursor; dragging scrubs.
import { Board, Layer } from "./board.js";
import { faint, ink } from "./colors.js";
import { $, place } from "./dom.js";
import { clamp, count, digitsOf, niceStep, seconds } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Band} Band */
/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {CanvasRenderingContext2D} Context */
/** @typedef {(t: number) => number} Across */

const LANE = 9; // height of a band, less where there are many
const RATE = 38; // height of the event rate, at least
const TIMES = 16; // height of the line of times below
const GREY = "#808a98";

export class Timeline {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.canvas = $("timeline", HTMLCanvasElement);
    this.board = new Board(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.layer = new Layer(this.board, (context, width, height) => this.drawActivity(context, width, height));
    /** @type {{ part: boolean, from: number, to: number | null } | null} `part`: of a part to loop over */
    this.drag = null;
    /** @type {number | null} */
    this.hover = null;
    this.listen();
  }

  // --- mouse ---

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.up());
    canvas.addEventListener("pointerleave", () => {
      this.hover = null;
      this.board.redraw();
    });
    canvas.addEventListener("dblclick", () => this.ask.loop(null, null));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (!this.store.facts || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const from = this.time(event, this.store.facts);
    this.drag = { part: event.shiftKey, from, to: null };
    if (!event.shiftKey) this.ask.seek(from);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.store.facts) return;
    this.hover = this.time(event, this.store.facts);
    if (this.drag?.part) this.drag.to = this.hover;
    else if (this.drag) this.ask.seek(this.hover);
    this.board.redraw();
  }

  up() {
    const part = this.dragged();
    this.drag = null;
    if (part && part[1] > part[0]) this.ask.loop(Math.round(part[0]), Math.round(part[1]));
    this.board.redraw();
  }

  /**
   * The part that is being drawn, as soon as the mouse has moved.
   * @returns {[number, number] | null}
   */
  dragged() {
    const { drag } = this;
    if (!drag?.part || drag.to === null) return null;
    return [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
  }

  /**
   * @param {PointerEvent} event
   * @param {Facts} facts
   */
  time(event, { start_us: start, stop_us: stop }) {
    const share = place(event, this.canvas)[0] / this.canvas.clientWidth;
    return Math.round(start + clamp(share, 0, 1) * (stop - start));
  }

  // --- drawing ---

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  draw(context, width, height) {
    const { facts, state, results } = this.store;
    if (!facts || !state) return;
    const colors = state.bands.map((band) => band.color).join();
    this.layer.show(context, width, height, [facts, facts.stop_us, results, colors]);
    const length = Math.max(facts.stop_us - facts.start_us, 1);
    const across = (/** @type {number} */ t) => ((t - facts.start_us) / length) * width;
    this.drawExtent(context, width, across, state);
    this.drawShades(context, width, height - TIMES, across, facts, state);
    this.drawTimes(context, width, height, across);
    this.drawHover(context, height - TIMES, across);
    drawCursor(context, Math.min(across(this.store.now ?? state.t_us), width), height);
  }

  /**
   * The line on top: what is analysed.
   * @param {Context} context
   * @param {number} width
   * @param {Across} across
   * @param {State} state
   */
  drawExtent(context, width, across, { analysed }) {
    if (!analysed) return;
    context.fillStyle = faint(GREY, 0.35);
    context.fillRect(0, 0, width, 2);
    context.fillStyle = ink("muted");
    context.fillRect(across(analysed.from_us), 0, across(analysed.until_us) - across(analysed.from_us), 2);
  }

  /**
   * Over what is no longer held of a stream, and over what lies outside the part that is played.
   * @param {Context} context
   * @param {number} width
   * @param {number} tall
   * @param {Across} across
   * @param {Facts} facts
   * @param {State} state
   */
  drawShades(context, width, tall, across, { start_us: start, held_us: held }, state) {
    if (held !== undefined && held > start) {
      context.fillStyle = faint(GREY, 0.16);
      context.fillRect(0, 0, across(held), tall);
    }
    if (!state.part && !this.drag?.part) return;
    const [from, to] = this.dragged() ?? state.span;
    context.fillStyle = faint(GREY, 0.32);
    context.fillRect(0, 0, across(from), tall);
    context.fillRect(across(to), 0, width - across(to), tall);
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  drawActivity(context, width, height) {
    const { results } = this.store;
    const { bands } = sure(this.store.state);
    const facts = sure(this.store.facts);
    const lane = Math.min(LANE, (height - TIMES - RATE) / bands.length);
    const tall = height - TIMES - bands.length * lane - 3;
    context.fillStyle = ink("panel");
    context.fillRect(0, 0, width, height - TIMES);
    drawRate(context, width, tall, facts.rate);
    const activity = facts.activity ?? results?.activity;
    if (activity) drawBands(context, width, tall + 3, lane, activity, bands);
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   * @param {Across} across
   */
  drawTimes(context, width, height, across) {
    const { start_us: start, stop_us: stop, live } = sure(this.store.facts);
    const step = niceStep((stop - start) / Math.max(width / 110, 1));
    const digits = Math.min(6, digitsOf(step));
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "bottom";
    for (let t = 0; t <= stop - start; t += step) {
      const x = across(start + t);
      context.textAlign = x < 20 ? "left" : x > width - 24 ? "right" : "center";
      context.fillText(`${seconds(live ? start + t - stop : t, digits)} s`, x, height);
    }
    context.textAlign = "left";
  }

  /**
   * @param {Context} context
   * @param {number} tall
   * @param {Across} across
   */
  drawHover(context, tall, across) {
    if (this.hover === null) return;
    const x = across(this.hover);
    context.strokeStyle = faint(GREY, 0.7);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, tall);
    context.stroke();
  }
}

/**
 * @param {Context} context
 * @param {number} x
 * @param {number} height
 */
function drawCursor(context, x, height) {
  context.strokeStyle = ink("strong");
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, height - 14);
  context.stroke();
  context.fillStyle = ink("strong");
  context.beginPath();
  context.moveTo(x - 5, 0);
  context.lineTo(x + 5, 0);
  context.lineTo(x, 6);
  context.fill();
}

/**
 * @param {Context} context
 * @param {number} width
 * @param {number} tall
 * @param {number[]} rate
 */
function drawRate(context, width, tall, rate) {
  // A single burst must not flatten all the rest: it leaves the scale at the top.
  const usual = [...rate].sort((a, b) => a - b)[Math.floor(0.98 * (rate.length - 1))];
  const most = Math.max(Math.min(1.5 * usual, Math.max(...rate)), 1);
  context.fillStyle = faint("#8b96a5", 0.42);
  context.beginPath();
  context.moveTo(0, tall);
  rate.forEach((value, k) => {
    const y = tall - Math.min(value / most, 1) * (tall - 20);
    context.lineTo((k / rate.length) * width, y);
    context.lineTo(((k + 1) / rate.length) * width, y);
  });
  context.lineTo(width, tall);
  context.fill();
  context.fillStyle = ink("muted");
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  context.textAlign = "left";
  context.fillText(`${count(most)} ev/s`, 6, 5);
}

/**
 * @param {Context} context
 * @param {number} width
 * @param {number} top
 * @param {number} lane height of each band
 * @param {number[][]} activity
 * @param {Band[]} bands
 */
function drawBands(context, width, top, lane, activity, bands) {
  const most = Math.max(1, ...activity.map((row) => Math.max(...row)));
  activity.slice(0, bands.length).forEach((row, band) => {
    const y = top + (bands.length - 1 - band) * lane;
    for (let k = 0; k < row.length; k++) {
      if (!row[k]) continue;
      context.fillStyle = faint(bands[band].color, 0.25 + 0.75 * Math.sqrt(row[k] / most));
      context.fillRect((k / row.length) * width, y, width / row.length + 0.4, lane > 5 ? lane - 2 : lane - 1);
    }
  });
}
