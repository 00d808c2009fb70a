// The table of objects and their paths against time.
import { $, Board, Layer, faint, ink, make, place, seconds } from "./draw.js";
import { niceStep } from "./timeline.js";

const LEFT = 34, BOTTOM = 20;

export class Table {
  /** ask: { jump(id), select(id), seek(t) } */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.sort = ["id", 1];
    this.hidden = new Set();
    this.axis = "x";
    this.paths = new Board($("paths"), (context, width, height) => this.draw(context, width, height));
    this.layer = new Layer(this.paths, (context, width, height) => this.drawPaths(context, width, height));
    $("filter").oninput = () => this.update();
    for (const head of document.querySelectorAll("th[data-sort]")) {
      head.onclick = () => {
        const name = head.dataset.sort;
        this.sort = [name, this.sort[0] === name ? -this.sort[1] : 1];
        this.update();
      };
    }
    for (const button of document.querySelectorAll("[data-axis]")) {
      button.onclick = () => {
        this.axis = button.dataset.axis;
        document.querySelectorAll("[data-axis]").forEach((other) => other.classList.toggle("on", other === button));
        $("plot-title").textContent = `${this.axis} against time`;
        this.paths.redraw();
      };
    }
    $("paths").addEventListener("click", (event) => this.pick(...place(event, $("paths"))));
  }

  band(number) {
    return this.store.state.bands[number] ?? { name: "outside", color: this.store.facts.colors.outside };
  }

  /** The objects that pass the filter, in order. */
  list() {
    const words = $("filter").value.trim().toLowerCase();
    const least = /^>\s*([\d.]+)/.exec(words), most = /^<\s*([\d.]+)/.exec(words);
    const keep = (item) => {
      if (this.hidden.has(item.band)) return false;
      if (least) return item.speed > Number(least[1]);
      if (most) return item.speed !== null && item.speed < Number(most[1]);
      return !words || String(item.id) === words.replace("#", "") || this.band(item.band).name.toLowerCase().includes(words);
    };
    const [name, way] = this.sort;
    return (this.store.results?.objects ?? []).filter(keep).sort((a, b) => way * ((a[name] ?? Infinity) - (b[name] ?? Infinity)) || a.id - b.id);
  }

  update() {
    const { store } = this;
    if (!store.state) return;
    const list = this.list(), all = store.results?.objects ?? [];
    const number = (value, digits) => (value === null ? "" : value.toFixed(digits));
    const cell = (text, right = true) => make("td", { className: right ? "n" : "" }, text);
    $("rows").replaceChildren(...list.slice(0, 500).map((item) => {
      const row = make("tr", { onclick: () => this.ask.jump(item.id), className: item.id === store.state.selected ? "on" : "" }, cell(`#${item.id}`, false));
      row.dataset.id = item.id;
      row.append(make("td", {}, make("i", { color: this.band(item.band).color }), this.band(item.band).name), this.speed(item), cell(number(item.radius, 1)));
      row.append(cell(seconds(item.from_us - store.facts.first_us, 2)), cell(seconds(item.to_us - store.facts.first_us, 2)));
      return row;
    }));
    $("count").textContent = all.length || "";
    for (const head of document.querySelectorAll("th[data-sort]")) {
      head.classList.toggle("up", this.sort[0] === head.dataset.sort && this.sort[1] > 0);
      head.classList.toggle("down", this.sort[0] === head.dataset.sort && this.sort[1] < 0);
    }
    this.explain(list, all);
    this.chips();
    this.paths.redraw();
  }

  /** Speed and its error, with a digit behind the point only where it says something. */
  speed(item) {
    if (item.speed === null) return make("td", { className: "n" });
    const digits = item.speed < 100 ? 1 : 0;
    const error = item.error === null ? "" : ` ±${item.error.toFixed(item.error < 9.95 ? 1 : 0)}`;
    return make("td", { className: "n" }, item.speed.toFixed(digits), make("small", {}, error));
  }

  explain(list, all) {
    const { state } = this.store;
    const box = $("nothing");
    box.hidden = list.length > 0;
    if (all.length) box.textContent = list.length ? "" : "No object passes the filter.";
    else if (!state.analysed?.complete) box.textContent = "Looking for objects …";
    else {
      const [low, high] = [state.settings.bands.edges[0], state.settings.bands.edges.at(-1)];
      box.textContent = `Nothing found that moves like a disk of radius ${state.settings.radius} px at ${low} to ${high} px/s. Try another radius, wider bands, or a lower threshold.`;
    }
  }

  chips() {
    const bands = [...this.store.state.bands.keys(), -1].filter((band) => (this.store.results?.objects ?? []).some((item) => item.band === band));
    $("band-filter").replaceChildren(...bands.map((band) => {
      const chip = make("button", { className: `chip${this.hidden.has(band) ? "" : " on"}`, color: this.band(band).color }, make("i"), this.band(band).name);
      chip.onclick = () => {
        if (!this.hidden.delete(band)) this.hidden.add(band);
        this.update();
      };
      return chip;
    }));
  }

  // --- paths ---

  scale(width, height) {
    const { start_us: start, stop_us: stop, size } = this.store.facts;
    const most = this.axis === "x" ? size[0] : size[1];
    return {
      across: (t) => LEFT + ((t - start) / Math.max(stop - start, 1)) * (width - LEFT - 6),
      down: (v) => 6 + ((this.axis === "x" ? most - v : v) / most) * (height - BOTTOM - 6),
      most,
    };
  }

  draw(context, width, height) {
    const { store } = this;
    if (!store.facts || !store.state) return;
    const { across } = this.scale(width, height);
    const shown = this.list().map((item) => item.id).join();
    this.layer.show(context, width, height, [store.results, shown, this.axis, store.state.selected, store.state.bands.length]);
    const now = across(store.now ?? store.state.t_us);
    context.strokeStyle = ink("strong");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(now, 6);
    context.lineTo(now, height - BOTTOM);
    context.stroke();
  }

  drawPaths(context, width, height) {
    const { store } = this;
    const { across, down, most } = this.scale(width, height);
    const { start_us: start, stop_us: stop, live } = store.facts;
    context.strokeStyle = ink("line");
    context.strokeRect(LEFT + 0.5, 6.5, width - LEFT - 7, height - BOTTOM - 7);
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let v = 0, step = niceStep(most / 5); v <= most; v += step) context.fillText(String(v), LEFT - 5, Math.min(Math.max(down(v), 10), height - BOTTOM - 4));
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = niceStep((stop - start) / 5), digits = Math.max(0, Math.ceil(-Math.log10(step / 1e6) - 1e-9));
    for (let t = 0; t <= stop - start; t += step) context.fillText(`${seconds(live ? start + t - stop : t, digits)}${t === 0 ? " s" : ""}`, Math.min(across(start + t), width - 16), height - BOTTOM + 5);
    const shown = new Set(this.list().map((item) => item.id));
    for (const path of store.results?.paths ?? []) {
      if (!shown.has(path.id)) continue;
      const chosen = path.id === store.state.selected;
      context.strokeStyle = faint(this.band(path.band).color, store.state.selected === null || chosen ? 1 : 0.35);
      context.lineWidth = chosen ? 3 : 1.6;
      context.beginPath();
      path.t.forEach((t, k) => context.lineTo(across(t), down(path[this.axis][k])));
      context.stroke();
    }
  }

  /** Selects the path that is nearest, and goes to that time. */
  pick(x, y) {
    const canvas = $("paths"), { across, down } = this.scale(canvas.clientWidth, canvas.clientHeight);
    let best = null, distance = 12;
    for (const path of this.store.results?.paths ?? []) {
      path.t.forEach((t, k) => {
        const far = Math.hypot(across(t) - x, down(path[this.axis][k]) - y);
        if (far < distance) [best, distance] = [path.id, far];
      });
    }
    this.ask.select(best);
    const { start_us: start, stop_us: stop } = this.store.facts;
    const share = (x - LEFT) / (canvas.clientWidth - LEFT - 6);
    if (share >= 0 && share <= 1) this.ask.seek(Math.round(start + share * (stop - start)));
  }
}
