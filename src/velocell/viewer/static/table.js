// The table of objects: sorted, filtered, with their paths below.
import { $, all, make } from "./dom.js";
import { seconds, short } from "./numbers.js";
import { Paths } from "./paths.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Band} Band */
/** @typedef {import("./messages.js").Count} Count */
/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").ObjectRow} ObjectRow */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */

const MOST_ROWS = 500;

export class Table {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    /** @type {[column: keyof ObjectRow, way: number]} */
    this.sort = ["id", 1];
    /** @type {Set<number>} bands that are left out */
    this.hidden = new Set();
    this.filter = $("filter", HTMLInputElement);
    this.filter.oninput = () => this.update();
    this.heads = all("th[data-sort]");
    for (const head of this.heads) {
      head.onclick = () => {
        const name = columnOf(head);
        this.sort = [name, this.sort[0] === name ? -this.sort[1] : 1];
        this.update();
      };
    }
    this.paths = new Paths(store, ask, () => this.list(), (number) => this.band(number));
  }

  /**
   * @param {number} number
   * @returns {Band}
   */
  band(number) {
    const outside = { name: "outside", color: sure(this.store.facts).colors.outside };
    return sure(this.store.state).bands[number] ?? outside;
  }

  /** The objects that pass the filter, in order. */
  list() {
    const words = this.filter.value.trim().toLowerCase();
    const least = /^>\s*([\d.]+)/.exec(words);
    const most = /^<\s*([\d.]+)/.exec(words);
    const keep = (/** @type {ObjectRow} */ item) => {
      if (this.hidden.has(item.band)) return false;
      if (least) return item.speed !== null && item.speed > Number(least[1]);
      if (most) return item.speed !== null && item.speed < Number(most[1]);
      if (!words || String(item.id) === words.replace("#", "")) return true;
      return this.band(item.band).name.toLowerCase().includes(words);
    };
    const [name, way] = this.sort;
    const difference = (/** @type {ObjectRow} */ a, /** @type {ObjectRow} */ b) =>
      way * (Number(a[name] ?? Infinity) - Number(b[name] ?? Infinity));
    return (this.store.results?.objects ?? []).filter(keep).sort((a, b) => difference(a, b) || a.id - b.id);
  }

  update() {
    const { facts, state, results } = this.store;
    if (!state || !facts) return;
    const list = this.list();
    const found = results?.objects ?? [];
    $("rows").replaceChildren(...list.slice(0, MOST_ROWS).map((item) => this.row(item, state, facts)));
    $("count").textContent = String(found.length || "");
    for (const head of this.heads) {
      const sorted = this.sort[0] === columnOf(head);
      head.setAttribute("aria-sort", sorted ? (this.sort[1] > 0 ? "ascending" : "descending") : "none");
      head.classList.toggle("up", sorted && this.sort[1] > 0);
      head.classList.toggle("down", sorted && this.sort[1] < 0);
    }
    $("nothing").hidden = list.length > 0;
    $("nothing").textContent = explanation(list, found, state);
    this.chips(state, found);
    $("mm").hidden = !state.mm;
    this.counts(state.counts);
    this.paths.board.redraw();
  }

  /**
   * @param {ObjectRow} item
   * @param {State} state
   * @param {Facts} facts
   */
  row(item, state, { first_us: zero }) {
    const { mm } = state;
    const { name, color } = this.band(item.band);
    const row = make("tr", { className: item.id === state.selected ? "on" : "" });
    row.onclick = () => this.ask.jump(item.id);
    row.dataset.id = String(item.id);
    row.append(
      make("td", {}, make("button", { className: "bare", title: "Go to it" }, `#${item.id}`)),
      bandCell(item, name, color),
      speedCell(item),
      ...(mm ? [make("td", { className: "n" }, typeof item.speed_mm === "number" ? short(item.speed_mm) : "")] : []),
      make("td", { className: "n" }, item.radius === null ? "" : item.radius.toFixed(1)),
      make("td", { className: "n" }, seconds(item.from_us - zero, 2)),
      make("td", { className: "n" }, seconds(item.to_us - zero, 2)),
    );
    return row;
  }

  /**
   * Who crossed the lines: a row for each line and direction, what is zero left out of it.
   * @param {Count[]} counts
   */
  counts(counts) {
    $("crossings").hidden = counts.length === 0;
    /** @type {Map<string, Count[]>} */
    const ways = new Map();
    for (const count of counts) {
      const way = `line ${count.line}, ${count.direction.replace("_", " ")}`;
      ways.set(way, [...(ways.get(way) ?? []), count]);
    }
    $("crossings").replaceChildren(...[...ways].map(([way, each]) => {
      const sum = each.reduce((total, { crossings }) => total + crossings, 0);
      const row = make("div", {}, `${way} `, make("b", {}, String(sum)));
      for (const { band, crossings } of each.filter((count) => count.crossings > 0)) {
        const { name, color } = this.band(band);
        row.append(make("span", {}, make("i", { color }), `${name} ${crossings}`));
      }
      return row;
    }));
  }

  /**
   * One for each band that has objects, to leave them out.
   * @param {State} state
   * @param {ObjectRow[]} found
   */
  chips(state, found) {
    const bands = [...state.bands.keys(), -1].filter((band) => found.some((item) => item.band === band));
    $("band-filter").replaceChildren(...bands.map((band) => {
      const { name, color } = this.band(band);
      const on = !this.hidden.has(band);
      const chip = make("button", { className: `chip${on ? " on" : ""}`, color, "aria-pressed": on }, make("i"), name);
      chip.onclick = () => {
        if (!this.hidden.delete(band)) this.hidden.add(band);
        this.update();
      };
      return chip;
    }));
  }
}

/** @param {HTMLElement} head */
function columnOf(head) {
  return /** @type {keyof ObjectRow} */ (head.dataset.sort);
}

/**
 * @param {ObjectRow} item
 * @param {string} name
 * @param {string} color
 */
function bandCell({ off_band: off }, name, color) {
  const cell = make("td", {}, make("i", { color }), off ? `${name} ?` : name);
  if (off) cell.title = "The neurons answer for another band than that of the speed.";
  return cell;
}

/**
 * Speed and its error, with a digit behind the point only where it says something.
 * @param {ObjectRow} item
 */
function speedCell({ speed, error }) {
  const cell = make("td", { className: "n" });
  if (speed === null) return cell;
  const spread = error === null ? "" : ` ±${error.toFixed(error < 9.95 ? 1 : 0)}`;
  cell.append(speed.toFixed(speed < 100 ? 1 : 0), make("small", {}, spread));
  return cell;
}

/**
 * Why no object is listed.
 * @param {ObjectRow[]} list
 * @param {ObjectRow[]} found
 * @param {State} state
 */
function explanation(list, found, { analysed, settings, shape }) {
  if (list.length) return "";
  if (found.length) return "No object passes the filter.";
  if (!analysed?.complete) return "Looking for objects …";
  const { edges } = settings.bands;
  const what = shape ?? `a disk of radius ${settings.radius} px`;
  return `Nothing found that moves like ${what} at ${edges[0]} to ${edges.at(-1)} px/s. `
    + "Try another radius, wider bands, or a lower threshold.";
}
