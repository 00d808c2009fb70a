// The sliders, from the program's own description of what can be tuned.
import { $, make } from "./dom.js";
import { clamp, rounded } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Knob} Knob */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */

/**
 * What a knob consists of on the page; `auto`: the button that leaves it to the recording.
 * @typedef {object} Row
 * @property {Knob} knob
 * @property {HTMLInputElement} slider
 * @property {HTMLInputElement} field
 * @property {HTMLButtonElement | null} auto
 * @property {HTMLElement} row
 */

const STEPS = 1000; // of a slider
/** @type {Record<string, string>} */
const UNITS = { us: "µs", x: "×" };

export class Knobs {
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

  /** @param {Knob[]} knobs */
  build(knobs) {
    this.rows = knobs.map((knob) => this.row(knob));
    /** @type {Map<string, HTMLElement>} */
    const groups = new Map();
    for (const { knob, row } of this.rows) {
      const group = groups.get(knob.group) ?? make("details", { open: true }, make("summary", {}, knob.group));
      groups.set(knob.group, group);
      group.append(row);
    }
    $("knobs").replaceChildren(...groups.values());
  }

  /**
   * @param {Knob} knob
   * @returns {Row}
   */
  row(knob) {
    const { name, label, hint, unit } = knob;
    const range = { type: "range", min: 0, max: STEPS, step: 1, title: hint, "aria-label": label };
    const slider = make("input", range);
    const field = make("input", { type: "number", step: "any", "aria-label": label, id: `knob-${name}` });
    const auto = knob.auto ? make("button", { className: "toggle", title: "As measured" }, "auto") : null;
    const row = make("div", { className: `knob${auto ? " auto" : ""}`, title: hint }, make("span", {}, label));
    if (auto) {
      auto.onclick = () => {
        const { state } = this.store;
        this.ask.tune({ [name]: sure(state).settings[name] === null ? guess(knob, sure(state)) : null });
      };
      row.append(auto);
    }
    row.append(slider, field, make("small", {}, UNITS[unit] ?? unit));
    slider.oninput = () => {
      const value = fromSlider(knob, Number(slider.value) / STEPS);
      this.ask.tune({ [name]: knob.whole ? Math.round(value) : rounded(value) });
    };
    slider.ondblclick = () => this.ask.tune({ [name]: knob.default });
    field.onchange = () => {
      if (field.value === "") this.refuse(field, label);
      else this.ask.tune({ [name]: Number(field.value) });
    };
    return { knob, slider, field, auto, row };
  }

  /**
   * Shows what holds; `all`: also where someone is at it.
   * @param {State} state
   * @param {boolean} all
   */
  update(state, all) {
    for (const { knob, slider, field, auto, row } of this.rows) {
      const value = state.settings[knob.name];
      const shown = value ?? guess(knob, state);
      const share = toSlider(knob, shown);
      if (all || document.activeElement !== slider) slider.value = String(Math.round(STEPS * share));
      slider.style.setProperty("--filled", `${share * 100}%`);
      // Where several radii or another shape are looked for, the radius' knob says so until it is moved.
      const words = knob.name === "radius" ? state.shape : null;
      if (all || document.activeElement !== field) field.value = words === null ? fieldText(knob, value, shown) : "";
      field.placeholder = words ?? "";
      const fixed = state.fixed.includes(knob.name);
      slider.disabled = fixed || value === null;
      field.disabled = fixed || value === null;
      row.classList.toggle("fixed", fixed);
      row.classList.toggle("worded", words !== null);
      if (auto) auto.classList.toggle("on", value === null);
      row.classList.toggle("changed", value !== knob.default && knob.name !== "radius");
    }
  }
}

/**
 * What an automatic value stands at, to begin from.
 * @param {Knob} knob
 * @param {State} state
 */
function guess({ name, low, high }, { network, measured }) {
  if (name === "dt_us") return network?.dt_us ?? 1000;
  return clamp(rounded((measured?.share ?? 1) * 3), low, high);
}

/**
 * The number, or nothing where it is automatic; an automatic tick is known all the same.
 * @param {Knob} knob
 * @param {number | null} value
 * @param {number} shown
 */
function fieldText({ name }, value, shown) {
  if (value !== null) return String(Number(value.toFixed(4)));
  return name === "dt_us" ? String(shown) : "";
}

/**
 * Which share of its way a slider stands at.
 * @param {Knob} knob
 * @param {number} value
 */
function toSlider({ log, low, high }, value) {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

/**
 * @param {Knob} knob
 * @param {number} share
 */
function fromSlider({ log, low, high }, share) {
  return log ? low * (high / low) ** share : low + share * (high - low);
}
