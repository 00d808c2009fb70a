// The tab with the marks that were set by mouse.
import { $, make } from "./dom.js";
import { byObject } from "./marks.js";
import { seconds } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Mark} Mark */
/** @typedef {import("./messages.js").Store} Store */

export class Labels {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.idField = $("label-id", HTMLInputElement);
    this.radiusField = $("label-radius", HTMLInputElement);
    $("label-next").onclick = () => this.next();
    $("label-undo").onclick = () => ask.unmark({ undo: true });
    $("label-clear").onclick = () => ask.unmark({});
  }

  /** The object that the next mark is of. */
  id() {
    return Math.max(0, Math.round(Number(this.idField.value) || 0));
  }

  radius() {
    return Number(this.radiusField.value) || sure(this.store.state).settings.radius;
  }

  next() {
    this.idField.value = String(sure(this.store.state).next_label);
  }

  update() {
    const { labels, settings } = sure(this.store.state);
    if (!this.radiusField.value) this.radiusField.value = String(settings.radius);
    const objects = byObject(labels);
    $("marked").textContent = String(objects.size || "");
    if (!objects.size) {
      $("label-list").replaceChildren(make("p", { className: "empty" }, "Nothing is marked yet."));
      return;
    }
    const head = make("tr", {}, ...["object", "marks", "from", "to s"].map((text) => make("th", {}, text)), make("td"));
    const rows = [...objects].map(([id, marks]) => this.row(id, marks));
    $("label-list").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  /**
   * @param {number} id
   * @param {Mark[]} marks
   */
  row(id, marks) {
    const first = marks[0].t_us;
    const last = marks[marks.length - 1].t_us;
    const drop = make("button", { title: "Remove this object", "aria-label": `Remove object ${id}` }, "×");
    drop.onclick = (event) => {
      event.stopPropagation();
      this.ask.unmark({ id });
    };
    const row = make("tr");
    row.onclick = () => {
      this.idField.value = String(id);
      this.ask.seek(first);
    };
    const zero = sure(this.store.facts).first_us;
    const texts = [`#${id}`, String(marks.length), seconds(first - zero), seconds(last - zero)];
    const [name, ...rest] = texts.map((text) => make("td", {}, text));
    name.replaceChildren(make("button", { className: "bare", title: "Go to its first mark" }, `#${id}`));
    row.append(name, ...rest, make("td", { className: "n" }, drop));
    return row;
  }
}
