// The paths of the objects against time, on a canvas.
import { Board, Layer } from "./board.js";
import { faint, ink } from "./colors.js";
import { $, all, place, press } from "./dom.js";
import { digitsOf, niceStep, seconds } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Band} Band */
/** @typedef {import("./messages.js").ObjectRow} ObjectRow */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {CanvasRenderingContext2D} Context */

const LEFT = 34;
const RIGHT = 6;
const TOP = 6;
const BOTTOM = 20;
const NEAR = 12; // CSS px within which a click is on a path

export class Paths {
  /**
   * @param {Store} store
   * @param {Ask} ask
   * @param {() => ObjectRow[]} listed the objects whose paths are shown
   * @param {(number: number) => Band} band
   */
  constructor(store, ask, listed, band) {
    this.store = store;
    this.ask = ask;
    this.listed = listed;
    this.band = band;
    /** @type {"x" | "y"} */
    this.axis = "x";
    this.canvas = $("paths", HTMLCanvasElement);
    this.board = new Board(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.layer = new Layer(this.board, (context, width, height) => this.drawAll(context, width, height));
    const buttons = all("[data-axis]");
    for (const button of buttons) {
      button.onclick = () => {
        this.axis = button.dataset.axis === "y" ? "y" : "x";
        for (const other of buttons) press(other, other === button);
        $("plot-title").textContent = `${this.axis} against time`;
        this.board.redraw();
      };
    }
    this.canvas.addEventListener("click", (event) => this.pick(...place(event, this.canvas)));
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  scale(width, height) {
    const { start_us: start, stop_us: stop, size } = sure(this.store.facts);
    const upwards = this.axis === "x";
    const most = upwards ? size[0] : size[1];
    const length = Math.max(stop - start, 1);
    return {
      across: (/** @type {number} */ t) => LEFT + ((t - start) / length) * (width - LEFT - RIGHT),
      down: (/** @type {number} */ v) => TOP + ((upwards ? most - v : v) / most) * (height - BOTTOM - TOP),
      most,
    };
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  draw(context, width, height) {
    const { facts, state, results, now } = this.store;
    if (!facts || !state) return;
    const { across } = this.scale(width, height);
    const shown = this.listed().map((item) => item.id).join();
    this.layer.show(context, width, height, [results, shown, this.axis, state.selected, state.bands.length]);
    const x = across(now ?? state.t_us);
    context.strokeStyle = ink("strong");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, height - BOTTOM);
    context.stroke();
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  drawAll(context, width, height) {
    const { across, down } = this.scale(width, height);
    const { selected } = sure(this.store.state);
    this.drawAxes(context, width, height);
    const shown = new Set(this.listed().map((item) => item.id));
    for (const path of this.store.results?.paths ?? []) {
      if (!shown.has(path.id)) continue;
      const chosen = path.id === selected;
      context.strokeStyle = faint(this.band(path.band).color, selected === null || chosen ? 1 : 0.35);
      context.lineWidth = chosen ? 3 : 1.6;
      context.beginPath();
      path.t.forEach((t, k) => context.lineTo(across(t), down(path[this.axis][k])));
      context.stroke();
    }
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  drawAxes(context, width, height) {
    const { across, down, most } = this.scale(width, height);
    const { start_us: start, stop_us: stop, live } = sure(this.store.facts);
    context.strokeStyle = ink("line");
    context.strokeRect(LEFT + 0.5, TOP + 0.5, width - LEFT - RIGHT - 1, height - BOTTOM - TOP - 1);
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let v = 0, step = niceStep(most / 5); v <= most; v += step) {
      context.fillText(String(v), LEFT - 5, Math.min(Math.max(down(v), 10), height - BOTTOM - 4));
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = niceStep((stop - start) / 5);
    const digits = digitsOf(step);
    for (let t = 0; t <= stop - start; t += step) {
      const text = `${seconds(live ? start + t - stop : t, digits)}${t === 0 ? " s" : ""}`;
      context.fillText(text, Math.min(across(start + t), width - 16), height - BOTTOM + 5);
    }
  }

  /**
   * Selects the path that is nearest to a point, and goes to that time.
   * @param {number} x
   * @param {number} y
   */
  pick(x, y) {
    const { clientWidth, clientHeight } = this.canvas;
    const { across, down } = this.scale(clientWidth, clientHeight);
    /** @type {number | null} */
    let best = null;
    let distance = NEAR;
    for (const path of this.store.results?.paths ?? []) {
      path.t.forEach((t, k) => {
        const far = Math.hypot(across(t) - x, down(path[this.axis][k]) - y);
        if (far < distance) [best, distance] = [path.id, far];
      });
    }
    this.ask.select(best);
    const { start_us: start, stop_us: stop } = sure(this.store.facts);
    const share = (x - LEFT) / (clientWidth - LEFT - RIGHT);
    if (share >= 0 && share <= 1) this.ask.seek(Math.round(start + share * (stop - start)));
  }
}
