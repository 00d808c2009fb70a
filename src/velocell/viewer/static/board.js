// Canvases that are as large as their elements, and are drawn once per frame at most.
import { sure } from "./sure.js";

/** @typedef {(context: CanvasRenderingContext2D, width: number, height: number) => void} Draw in CSS pixels */

/** A canvas that follows the size of its element. */
export class Board {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Draw} draw
   */
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.context = sure(canvas.getContext("2d"));
    this.paint = draw;
    this.waiting = false;
    this.scale = 1;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    document.addEventListener("theme", () => this.redraw());
  }

  /** With the next frame. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.now();
    });
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
  /**
   * @param {Board} board
   * @param {Draw} draw
   */
  constructor(board, draw) {
    this.board = board;
    this.paint = draw;
    this.canvas = document.createElement("canvas");
    /** @type {unknown[]} */
    this.keys = [];
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   * @param {unknown[]} keys
   */
  show(context, width, height, keys) {
    const { canvas } = this;
    const { scale } = this.board;
    const now = [...keys, width, height, scale, document.documentElement.dataset.theme];
    if (now.length !== this.keys.length || now.some((key, k) => key !== this.keys[k])) {
      this.keys = now;
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const inner = sure(canvas.getContext("2d"));
      inner.setTransform(scale, 0, 0, scale, 0, 0);
      this.paint(inner, width, height);
    }
    context.drawImage(canvas, 0, 0, width, height);
  }
}
