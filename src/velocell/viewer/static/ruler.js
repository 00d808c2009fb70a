// The ruler: how far two points of the picture are from each other, and what that is used for.
import { $ } from "./dom.js";
import { rounded, short } from "./numbers.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Point} Point */
/** @typedef {import("./messages.js").Store} Store */

export class Ruler {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    /** @type {[Point, Point] | null} on the sensor */
    this.ends = null;
    this.mm = $("ruler-mm", HTMLInputElement);
    $("ruler-radius").onclick = () => ask.tune({ radius: rounded(this.length() / 2) });
    this.mm.onchange = () => {
      const mm = Number(this.mm.value);
      if (mm > 0 && this.length() > 0) ask.tune({ px_per_mm: Number((this.length() / mm).toPrecision(5)) });
      else ask.tell("draw along something with the ruler, and type how many mm that is");
    };
    $("ruler-clear").onclick = () => ask.tune({ px_per_mm: null });
  }

  /** In px. */
  length() {
    if (!this.ends) return 0;
    const [[ax, ay], [bx, by]] = this.ends;
    return Math.hypot(bx - ax, by - ay);
  }

  text() {
    const px = this.length();
    const scale = this.store.state?.px_per_mm ?? null;
    return scale === null ? `${short(px)} px` : `${short(px)} px = ${short(px / scale)} mm`;
  }

  /** @param {[Point, Point]} ends */
  lay(ends) {
    this.ends = ends;
    this.mm.value = "";
    this.update();
  }

  /** Shows what holds. */
  update() {
    const { state } = this.store;
    const there = this.length() > 0;
    $("ruler-text").textContent = there ? this.text() : "Drag along something in the picture.";
    for (const name of ["ruler-radius", "ruler-mm"]) $(name).toggleAttribute("disabled", !there);
    const scale = state?.px_per_mm ?? null;
    const none = state?.mm ? "by homography" : "no scale yet";
    $("ruler-scale").textContent = scale === null ? none : `${short(scale)} px/mm`;
    $("ruler-clear").hidden = !state?.mm;
  }
}
