// The sliders, from the program's own description of what can be tuned.
import { $, make } from "./dom.js";
import { clamp, rounded } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Slider} Slider */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */

/**
 * What a slider consists of on the page; `auto`: the button that leaves it to the recording.
 * @typedef {object} Row
 * @property {Slider} slider
 * @property {HTMLInputElement} range
 * @property {HTMLInputElement} field
 * @property {HTMLButtonElement | null} auto
 * @property {HTMLElement} row
 */

const STEPS = 1000; // of a slider
/** @type {Record<string, string>} */
const UNITS = { us: "µs", x: "×" };

export class Sliders {
  /**
   * @param {Store} store
   * @param {Ask} ask
   * @param {(field: HTMLInputElement, name: string) => void} refuse for a field without a number
   */
  constructor(store, ask, refuse) {
    this.store = store;
    this.ask = ask;
    this.refuse = refuse;
    /** @type {Row[]} */
    this.rows = [];
  }

  /** @param {Slider[]} sliders */
  build(sliders) {
    this.rows = sliders.map((slider) => this.row(slider));
    /** @type {Map<string, HTMLElement>} */
    const groups = new Map();
    for (const { slider, row } of this.rows) {
      const group = groups.get(slider.group) ?? make("details", { open: true }, make("summary", {}, slider.group));
      groups.set(slider.group, group);
      group.append(row);
    }
    $("sliders").replaceChildren(...groups.values());
  }

  /**
   * @param {Slider} slider
   * @returns {Row}
   */
  row(slider) {
    const { name, label, hint, unit } = slider;
    const limits = { type: "range", min: 0, max: STEPS, step: 1, title: hint, "aria-label": label };
    const range = make("input", limits);
    const field = make("input", { type: "number", step: "any", "aria-label": label, id: `slider-${name}` });
    const auto = slider.auto ? make("button", { className: "toggle", title: "Choose automatically" }, "auto") : null;
    const row = make("div", { className: `slider${auto ? " auto" : ""}`, title: hint }, make("span", {}, label));
    if (auto) {
      auto.onclick = () => {
        const { state } = this.store;
        this.ask.tune({ [name]: sure(state).settings[name] === null ? guess(slider, sure(state)) : null });
      };
      row.append(auto);
    }
    row.append(range, field, make("small", {}, UNITS[unit] ?? unit));
    range.oninput = () => {
      const value = fromSlider(slider, Number(range.value) / STEPS);
      this.ask.tune({ [name]: slider.whole ? Math.round(value) : rounded(value) });
    };
    range.ondblclick = () => this.ask.tune({ [name]: slider.default });
    field.onchange = () => {
      if (field.value === "") this.refuse(field, label);
      else this.ask.tune({ [name]: Number(field.value) });
    };
    return { slider, range, field, auto, row };
  }

  /**
   * Shows the current values; `all`: also in the field that is being edited.
   * @param {State} state
   * @param {boolean} all
   */
  update(state, all) {
    for (const { slider, range, field, auto, row } of this.rows) {
      const value = state.settings[slider.name];
      const shown = value ?? guess(slider, state);
      const share = toSlider(slider, shown);
      if (all || document.activeElement !== range) range.value = String(Math.round(STEPS * share));
      range.style.setProperty("--filled", `${share * 100}%`);
      // Where several radii or another shape are looked for, the slider of the radius says so until it is moved.
      const words = slider.name === "radius" ? state.shape : null;
      if (all || document.activeElement !== field) field.value = words === null ? fieldText(slider, value, shown) : "";
      field.placeholder = words ?? "";
      const fixed = state.fixed.includes(slider.name);
      range.disabled = fixed || value === null;
      field.disabled = fixed || value === null;
      row.classList.toggle("fixed", fixed);
      row.classList.toggle("worded", words !== null);
      if (auto) auto.classList.toggle("on", value === null);
      row.classList.toggle("changed", value !== slider.default && slider.name !== "radius");
    }
  }
}

/**
 * What an automatic value stands at, to begin from.
 * @param {Slider} slider
 * @param {State} state
 */
function guess({ name, low, high }, { network, measured }) {
  if (name === "dt_us") return network?.dt_us ?? 1000;
  return clamp(rounded((measured?.share ?? 1) * 3), low, high);
}

/**
 * The number, or nothing where it is automatic; an automatic tick is known all the same.
 * @param {Slider} slider
 * @param {number | null} value
 * @param {number} shown
 */
function fieldText({ name }, value, shown) {
  if (value !== null) return String(Number(value.toFixed(4)));
  return name === "dt_us" ? String(shown) : "";
}

/**
 * Position of a slider, 0 to 1.
 * @param {Slider} slider
 * @param {number} value
 */
function toSlider({ log, low, high }, value) {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

/**
 * @param {Slider} slider
 * @param {number} share
 */
function fromSlider({ log, low, high }, share) {
  return log ? low * (high / low) ** share : low + share * (high - low);
}
