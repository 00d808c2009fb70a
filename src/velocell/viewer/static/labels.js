// The marks that were set by mouse.
import { $, make, seconds } from "./draw.js";

export class Marks {
  /** ask: { unmark(values), seek(t) } */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    $("label-next").onclick = () => this.next();
    $("label-undo").onclick = () => ask.unmark({ undo: true });
    $("label-clear").onclick = () => ask.unmark({});
  }

  id() {
    return Math.max(0, Math.round(Number($("label-id").value) || 0));
  }

  radius() {
    return Number($("label-radius").value) || this.store.state.settings.radius;
  }

  next() {
    $("label-id").value = this.store.state.next_label;
  }

  update() {
    const { state, facts } = this.store;
    if (!$("label-radius").value) $("label-radius").value = state.settings.radius;
    const objects = new Map();
    for (const mark of state.labels) objects.set(mark.id, [...(objects.get(mark.id) ?? []), mark]);
    $("marked").textContent = objects.size || "";
    const head = make("tr", {}, ...["object", "marks", "from", "to s", ""].map((text) => make("th", {}, text)));
    const rows = [...objects].map(([id, marks]) => {
      const drop = make("button", { title: "Forget this object" }, "×");
      drop.onclick = (event) => { event.stopPropagation(); this.ask.unmark({ id }); };
      const row = make("tr", { onclick: () => { $("label-id").value = id; this.ask.seek(marks[0].t_us); } });
      row.append(...[`#${id}`, String(marks.length), seconds(marks[0].t_us - facts.first_us), seconds(marks.at(-1).t_us - facts.first_us)].map((text) => make("td", {}, text)), make("td", { className: "n" }, drop));
      return row;
    });
    $("label-list").replaceChildren(rows.length ? make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)) : make("p", { className: "empty" }, "Nothing is marked yet."));
  }
}
