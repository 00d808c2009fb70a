// Live tuning: curves, edges as numbers, sliders, the figures that follow, the command line.
import { Curves } from "./curves.js";
import { $, make } from "./dom.js";
import { Sliders } from "./sliders.js";
import { rounded, short, span } from "./numbers.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Slider} Slider */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */

export class Tuner {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.curves = new Curves(store, ask);
    this.sliders = new Sliders(store, ask, (field, name) => this.refuse(field, name));
    /** @type {HTMLInputElement[]} */
    this.edgeFields = [];
  }

  /** @param {Slider[]} sliders */
  build(sliders) {
    this.sliders.build(sliders);
  }

  /**
   * Where the curves show a speed, CSS px.
   * @param {number} speed
   * @param {number} width
   */
  across(speed, width) {
    return this.curves.across(speed, width);
  }

  /** Shows what holds; `all`: also in the field that is being typed in. */
  update(all = false) {
    const { state } = this.store;
    if (!state) return;
    this.sliders.update(state, all);
    this.showEdges(state.settings.bands.edges, all);
    $("figures").replaceChildren(...this.figures(state).map(([name, value]) =>
      make("span", {}, `${name} `, make("b", {}, String(value)))));
    $("command").textContent = state.command;
    this.curves.board.redraw();
  }

  /**
   * A field without a number goes back to what holds; said aloud only where something was typed.
   * @param {HTMLInputElement} field
   * @param {string} name
   */
  refuse(field, name) {
    if (field.validity.badInput) this.ask.tell(`${name} must be a number; type digits only`);
    this.update(true);
  }

  // --- edges ---

  /**
   * @param {number[]} edges
   * @param {boolean} all
   */
  showEdges(edges, all) {
    if (this.edgeFields.length !== edges.length) this.buildEdges(edges.length);
    this.edgeFields.forEach((field, k) => {
      if (all || document.activeElement !== field) field.value = String(edges[k]);
    });
  }

  /** @param {number} n */
  buildEdges(n) {
    this.edgeFields = Array.from({ length: n }, (_, k) =>
      make("input", { type: "number", step: "any", min: 0, "aria-label": `edge ${k} in px/s` }));
    for (const field of this.edgeFields) field.onchange = () => this.typed();
    const drop = make("button", { title: "Remove the last edge", disabled: n < 3 }, "−");
    drop.onclick = () => this.ask.tune({ edges: this.curves.edges().slice(0, -1) });
    const add = make("button", { title: "Split the widest band" }, "+");
    add.onclick = () => this.split();
    $("edges").replaceChildren(...this.edgeFields, drop, add);
  }

  typed() {
    const empty = this.edgeFields.find((field) => field.value === "");
    if (empty) this.refuse(empty, "an edge");
    else this.ask.tune({ edges: this.edgeFields.map((field) => Number(field.value)) });
  }

  split() {
    const edges = [...this.curves.edges()];
    const ratios = edges.slice(1).map((edge, k) => edge / edges[k]);
    const widest = ratios.indexOf(Math.max(...ratios));
    edges.splice(widest + 1, 0, rounded(Math.sqrt(edges[widest] * edges[widest + 1])));
    this.ask.tune({ edges });
  }

  // --- figures ---

  /**
   * Names and values of what follows from the settings.
   * @param {State} state
   * @returns {[string, string | number | null][]}
   */
  figures({ network, measured, settings, analysed, shape }) {
    /** @type {[string, string | number | null][]} */
    const parts = [];
    if (network) {
      parts.push(["tick", span(network.dt_us)]);
      parts.push(["kernel", `${network.kernel}×${network.kernel}`]);
      const { radii_px: radii } = network;
      const used = radii.length === 1 ? short(radii[0]) : `${radii.map(short).join(", ")}`;
      parts.push([radii.length === 1 ? "radius used" : "radii used", `${used} px`]);
      if (settings.contrast === null && measured && !settings.network_file) {
        const basis = measured.too_sparse ? "assumed" : "measured";
        parts.push([`crossing share, ${basis}`, short(measured.share)]);
      }
      parts.push(["τ", `${network.tau_us.map((tau) => short(tau / 1000)).join(", ")} ms`]);
    }
    if (shape !== null) parts.unshift(["looking for", shape]);
    if (settings.engine !== "native") parts.push(["engine", settings.engine]);
    if (settings.network_file) parts.push(["network", settings.network_file]);
    const curves = this.store.curves?.measured;
    if (curves) parts.push(["R² of the measured curves", curves.r2]);
    if (analysed?.seconds) parts.push(["result took", `${Math.round(analysed.seconds * 1000)} ms`]);
    return parts;
  }
}
