// The picture: pixels, what is drawn over them, and which part of it is seen.
import { Board } from "./board.js";
import { ink } from "./colors.js";
import { $ } from "./dom.js";
import { drawMarks } from "./marks.js";
import { Mouse } from "./mouse.js";
import { clamp, short } from "./numbers.js";
import { drawCross, drawLines, drawObjects, drawRegion, drawRuler, drawScale } from "./overlay.js";
import { Pixels } from "./pixels.js";
import { Ruler } from "./ruler.js";
import { sure } from "./sure.js";
import { Transform } from "./transform.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Picture} Picture */
/** @typedef {import("./messages.js").Point} Point */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {"look" | "region" | "ruler" | "label"} Tool */

const FILLED = 0.985; // of the canvas, by the whole picture
const MOST_ZOOM = 40;

export class Stage {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    /** @type {Tool} */
    this.tool = "look";
    this.zoom = 1;
    /** @type {Point | null} the sensor position in the middle of the canvas; null: the sensor's own */
    this.centre = null;
    /** @type {Picture | null} */
    this.picture = null;
    /** @type {{ picture: Picture | null, count: number }} pictures that were seen, for tests and benchmarks */
    this.drawn = { picture: null, count: 0 };
    this.pixels = new Pixels();
    this.ruler = new Ruler(store, ask);
    this.board = new Board($("picture", HTMLCanvasElement), (context, width, height) => {
      this.draw(context, width, height);
    });
    this.mouse = new Mouse(this, ask);
    document.addEventListener("theme", () => this.compose());
  }

  /** The sensor's pixels as they are shown. */
  get image() {
    return this.pixels.image;
  }

  /** @param {Picture} picture */
  show(picture) {
    this.picture = picture;
    this.compose();
    this.board.redraw();
  }

  compose() {
    const { picture, store } = this;
    if (picture && store.state && store.facts) this.pixels.compose(picture, store.state, store.facts.colors);
  }

  // --- what is seen of it ---

  size() {
    return sure(this.store.facts).size;
  }

  /** @returns {Point} */
  looksAt() {
    const [width, height] = this.size();
    return this.centre ?? [(width - 1) / 2, (height - 1) / 2];
  }

  view(centre = this.looksAt()) {
    const { clientWidth, clientHeight } = this.board.canvas;
    return Transform.fit(this.size(), [clientWidth, clientHeight], FILLED).scale(this.zoom).lookAt(centre);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  toSensor(x, y) {
    return this.view().invert([x, y]);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  toCanvas(x, y) {
    return this.view().apply([x, y]);
  }

  fit() {
    this.zoom = 1;
    this.centre = null;
    this.board.redraw();
  }

  /**
   * Nearer by a factor, about a point of the canvas; the whole picture at least.
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  magnify(factor, x, y) {
    const before = this.view();
    const zoom = clamp(this.zoom * factor, 1, MOST_ZOOM);
    this.centre = zoom === 1 ? null : before.scale(zoom / this.zoom, [x, y]).invert(before.to);
    this.zoom = zoom;
    this.board.redraw();
  }

  /**
   * By so many CSS pixels from where the picture looked at `centre`; the whole picture stays.
   * @param {Point} centre
   * @param {number} dx
   * @param {number} dy
   */
  pan(centre, dx, dy) {
    if (this.zoom === 1) return;
    const view = this.view(centre);
    this.centre = view.translate(dx, dy).invert(view.to);
  }

  // --- drawing ---

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   */
  draw(context, width, height) {
    const { picture } = this;
    const { facts, state } = this.store;
    if (!facts || !picture || !state) return;
    if (picture !== this.drawn.picture) this.drawn = { picture, count: this.drawn.count + 1 };
    const view = this.view();
    this.drawPixels(context, view, picture);
    const region = this.mouse.drag?.region ?? state.settings.region;
    if (region) drawRegion(context, view, region, width, height);
    drawLines(context, view, facts.lines);
    if (state.view.tracks) drawObjects(context, view, picture, state, facts.colors.outside, width);
    if (this.tool === "label" || !$("tab-labels").hidden) drawMarks(context, view, state.labels, picture.t_us);
    drawScale(context, view, state.px_per_mm, height);
    if (this.tool === "ruler" && this.ruler.ends) drawRuler(context, view, this.ruler.ends, this.ruler.text());
    if (this.mouse.cross && this.tool !== "look") drawCross(context, view.apply(this.mouse.cross));
    $("where").textContent = this.where();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Transform} view
   * @param {Picture} picture
   */
  drawPixels(context, view, { size }) {
    const [left, top] = view.apply([-0.5, -0.5]);
    const [width, height] = [size[0] * view.k, size[1] * view.k];
    context.imageSmoothingEnabled = view.k < 1;
    context.drawImage(this.pixels.canvas, left, top, width, height);
    context.lineWidth = 1;
    context.strokeStyle = ink("line");
    context.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
  }

  /** Zoom, and the position below the mouse. */
  where() {
    const { hover } = this.mouse;
    const zoomed = this.zoom > 1 ? `${short(this.zoom)}×` : "";
    if (!hover) return zoomed && `${zoomed}  (F fits)`;
    const place = `x ${hover[0].toFixed(1)}  y ${hover[1].toFixed(1)} px`;
    const scale = this.store.state?.px_per_mm ?? null;
    const mm = scale === null ? "" : ` · ${(hover[0] / scale).toFixed(1)}, ${(hover[1] / scale).toFixed(1)} mm`;
    return `${zoomed && `${zoomed} · `}${place}${mm}`;
  }

  /**
   * The canvas as it is seen, as a PNG.
   * @returns {Promise<Blob>}
   */
  png() {
    return new Promise((done) => {
      this.board.now();
      const seen = this.board.canvas;
      const copy = document.createElement("canvas");
      copy.width = seen.width;
      copy.height = seen.height;
      const context = sure(copy.getContext("2d"));
      context.fillStyle = ink("bg");
      context.fillRect(0, 0, copy.width, copy.height);
      context.drawImage(seen, 0, 0);
      copy.toBlob((blob) => done(sure(blob)), "image/png");
    });
  }
}
