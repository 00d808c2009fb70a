// The mouse in the picture: the wheel zooms; dragging pans or draws a region; a click selects or marks. By keyboard
// a cross does what the mouse does: arrow keys move it, Enter presses there.
import { place } from "./dom.js";
import { clamp } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Point} Point */
/** @typedef {import("./messages.js").Region} Region */
/** @typedef {import("./messages.js").Shown} Shown */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./stage.js").Tool} Tool */
/** @typedef {import("./transform.js").Transform} Transform */

/**
 * `from`: a point of the canvas, `start`: the same on the sensor. `centre`: what the picture looked at as the drag
 * began. `region`: as far as it is drawn.
 * @typedef {{ from: Point, start: Point, centre: Point, kind: Tool, moved: boolean, region: Region | null }} Drag
 */

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STRIDE = 10; // px, with Shift
const STILL = 3; // CSS px, up to which a drag is a click
const CLICKED = 14; // CSS px around an object's centre that are its own at least

export class Mouse {
  /**
   * @param {Stage} stage
   * @param {Ask} ask
   */
  constructor(stage, ask) {
    this.stage = stage;
    this.ask = ask;
    /** @type {Drag | null} */
    this.drag = null;
    /** @type {Point | null} a position on the sensor */
    this.hover = null;
    /** @type {Point | null} where the cross is, a position on the sensor */
    this.cross = null;
    this.canvas = stage.board.canvas;
    this.listen();
  }

  listen() {
    const { canvas, stage } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (stage.picture) stage.magnify(Math.exp(-event.deltaY * 0.0015), ...place(event, canvas));
    }, { passive: false });
    sure(canvas.parentElement).addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => {
      this.drag = null;
      stage.board.redraw();
    });
    canvas.addEventListener("pointerleave", () => {
      this.hover = null;
      stage.board.redraw();
    });
    canvas.addEventListener("dblclick", () => {
      if (stage.tool === "look") stage.fit();
    });
  }

  /** @param {PointerEvent} event */
  down(event) {
    const { stage, canvas } = this;
    if (!stage.picture || event.button !== 0) return;
    const from = place(event, canvas);
    this.cross = null;
    canvas.setPointerCapture(event.pointerId);
    const kind = event.shiftKey ? "region" : stage.tool;
    const start = stage.view().invert(from);
    this.drag = { from, start, centre: stage.looksAt(), kind, moved: false, region: null };
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { stage, drag } = this;
    if (!stage.picture) return;
    const at = place(event, this.canvas);
    this.hover = stage.view().invert(at);
    if (drag) {
      const [dx, dy] = [at[0] - drag.from[0], at[1] - drag.from[1]];
      drag.moved ||= Math.hypot(dx, dy) > STILL;
      if (drag.moved && drag.kind === "region") drag.region = this.regionTo(drag, at);
      if (drag.moved && drag.kind === "ruler") stage.ruler.lay([drag.start, this.hover]);
      if (drag.moved && drag.kind === "look") stage.pan(drag.centre, dx, dy);
    }
    stage.board.redraw();
  }

  /** @param {PointerEvent} event */
  up(event) {
    const { stage, drag } = this;
    this.drag = null;
    if (!drag || !stage.picture) return;
    this.finish(drag, place(event, this.canvas));
  }

  /**
   * @param {Drag} drag
   * @param {Point} at
   */
  finish(drag, at) {
    const { stage } = this;
    if (!stage.picture) return;
    if (drag.kind === "ruler") stage.ruler.update();
    else if (drag.kind === "region") this.ask.region(drag.moved ? this.regionTo(drag, at) : null);
    else if (drag.kind === "label" && !drag.moved) this.ask.mark(...stage.view().invert(at));
    else if (!drag.moved) this.ask.select(nearest(stage.view(), stage.picture.objects, at));
    stage.board.redraw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { stage, cross, drag } = this;
    if (stage.tool === "look" || !stage.picture || event.ctrlKey || event.metaKey) return;
    const by = ARROWS[event.key];
    if (by) this.moveCross(by, event.shiftKey ? STRIDE : 1);
    else if (event.key === "Enter" && cross) {
      const at = stage.view().apply(cross);
      this.drag = null;
      if (drag) this.finish({ ...drag, from: stage.view().apply(drag.start) }, at);
      else this.press(cross, at);
    } else return;
    event.preventDefault();
    event.stopPropagation(); // the arrows do not step in time meanwhile
    stage.board.redraw();
  }

  /**
   * Begins what Enter ends, or does at once what a click does.
   * @param {Point} start
   * @param {Point} from
   */
  press(start, from) {
    const kind = this.stage.tool;
    /** @type {Drag} */
    const drag = { from, start, centre: this.stage.looksAt(), kind, moved: kind !== "label", region: null };
    if (kind === "label") this.finish(drag, from);
    else this.drag = drag;
  }

  /**
   * @param {Point} by
   * @param {number} far
   */
  moveCross([dx, dy], far) {
    const { stage, drag } = this;
    const [width, height] = stage.size();
    const [x, y] = this.cross ?? stage.looksAt().map(Math.round);
    /** @type {Point} */
    const cross = [clamp(x + far * dx, 0, width - 1), clamp(y + far * dy, 0, height - 1)];
    this.cross = this.hover = cross;
    const [left, top] = stage.view().apply(cross);
    const { clientWidth, clientHeight } = this.canvas;
    if (left < 0 || top < 0 || left > clientWidth || top > clientHeight) stage.centre = cross;
    if (!drag) return;
    const view = stage.view();
    drag.from = view.apply(drag.start); // the picture may have moved
    if (drag.kind === "ruler") stage.ruler.lay([drag.start, cross]);
    if (drag.kind === "region") drag.region = this.regionTo(drag, view.apply(cross));
  }

  /**
   * @param {Drag} drag
   * @param {Point} to
   */
  regionTo(drag, to) {
    const view = this.stage.view();
    return regionBetween(view.invert(drag.from), view.invert(to), this.stage.size());
  }
}

/**
 * The whole pixels between two positions, inside the sensor and at least one.
 * @param {Point} a
 * @param {Point} b
 * @param {[number, number]} size
 * @returns {Region}
 */
function regionBetween(a, b, [width, height]) {
  const edge = (/** @type {number} */ value, /** @type {number} */ most) => clamp(Math.round(value + 0.5), 0, most);
  const x0 = edge(Math.min(a[0], b[0]), width - 1);
  const x1 = edge(Math.max(a[0], b[0]), width);
  const y0 = edge(Math.min(a[1], b[1]), height - 1);
  const y1 = edge(Math.max(a[1], b[1]), height);
  return [x0, y0, Math.max(x1 - x0, 1), Math.max(y1 - y0, 1)];
}

/**
 * The id of the object that is nearest to a point of the canvas, if it is near.
 * @param {Transform} view
 * @param {Shown[]} objects
 * @param {Point} at
 */
function nearest(view, objects, at) {
  /** @type {number | null} */
  let best = null;
  let distance = Infinity;
  for (const item of objects) {
    const [x, y] = view.apply([item.x, item.y]);
    const far = Math.hypot(x - at[0], y - at[1]);
    if (far < Math.max(item.radius * view.k + 6, CLICKED) && far < distance) [best, distance] = [item.id, far];
  }
  return best;
}
