// Live tuning: the curves with their edges to drag, the knobs, the command line.
import { $, Board, faint, ink, make, place, short, span } from "./draw.js";

const LEFT = 30, RIGHT = 8, TOP = 20, GAP = 10, BOTTOM = 30, GRIP = 7;
const MOST_DRIVE = 2.5;

export class Tuner {
  /** ask: { tune(values), tell(text) } */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.domain = null;
    this.dragged = null;
    this.board = new Board($("curves"), (context, width, height) => this.draw(context, width, height));
    this.listen();
  }

  // --- curves ---

  edges() {
    return this.dragged?.edges ?? this.store.state.settings.bands.edges;
  }

  /** The speeds of the axis, kept while an edge is dragged. */
  span() {
    const edges = this.edges();
    const [low, high] = [edges[0], edges.at(-1)];
    const d = this.domain;
    if (!this.dragged && (!d || low < d[0] * 1.25 || high > d[1] / 1.25 || low > d[0] * 9 || high < d[1] / 9)) this.domain = [low / 3, high * 3];
    return this.domain;
  }

  across(speed, width) {
    const [low, high] = this.span();
    return LEFT + (Math.log(speed / low) / Math.log(high / low)) * (width - LEFT - RIGHT);
  }

  speed(x, width) {
    const [low, high] = this.span();
    return low * (high / low) ** ((x - LEFT) / (width - LEFT - RIGHT));
  }

  draw(context, width, height) {
    const { store } = this;
    if (!store.state) return;
    const edges = this.edges(), { bands } = store.state;
    const middle = TOP + (height - TOP - BOTTOM - GAP) * 0.62, base = height - BOTTOM;
    const color = (k) => (bands[Math.min(Math.max(k, 0), bands.length - 1)]?.color ?? "#969ba3");
    for (let k = 0; k + 1 < edges.length; k++) {
      const [x0, x1] = [this.across(edges[k], width), this.across(edges[k + 1], width)];
      context.fillStyle = faint(color(k), 0.1);
      context.fillRect(x0, TOP, x1 - x0, base - TOP);
      context.fillStyle = faint(color(k), 0.3);
      context.fillRect(x0, middle + GAP, x1 - x0, base - middle - GAP);
      this.name(context, bands[k]?.name ?? "", (x0 + x1) / 2, middle + GAP + 4, x1 - x0);
    }
    this.axes(context, width, height, middle, base);
    this.drive(context, width, middle, color);
    this.answers(context, width, middle + GAP, base, color);
    edges.forEach((edge, k) => this.handle(context, this.across(edge, width), base, k, edge));
  }

  name(context, text, x, y, wide) {
    context.font = "600 11px system-ui, sans-serif";
    if (context.measureText(text).width > wide - 4) return;
    context.fillStyle = ink("text");
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(text, x, y);
  }

  axes(context, width, height, middle, base) {
    context.strokeStyle = ink("line");
    context.lineWidth = 1;
    context.strokeRect(LEFT + 0.5, TOP + 0.5, width - LEFT - RIGHT - 1, middle - TOP - 1);
    context.strokeRect(LEFT + 0.5, middle + GAP + 0.5, width - LEFT - RIGHT - 1, base - middle - GAP - 1);
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    context.textAlign = "center";
    const [low, high] = this.span();
    const wide = Math.log10(high / low) * 70 < width;
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
      for (const m of wide ? [1, 2, 5] : [1]) {
        const v = m * 10 ** decade;
        if (v < low * 1.06 || v > high / 1.06) continue;
        const x = this.across(v, width);
        context.fillText(short(v), x, base + 4);
        context.fillRect(x, base, 1, 3);
      }
    }
    context.fillText("speed, px/s", (LEFT + width) / 2, base + 17);
    context.textAlign = "right";
    context.textBaseline = "middle";
    const one = middle - (middle - TOP) / MOST_DRIVE;
    context.fillText("1", LEFT - 4, one);
    context.fillText("0", LEFT - 4, middle - 4);
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(LEFT, one);
    context.lineTo(width - RIGHT, one);
    context.strokeStyle = ink("muted");
    context.stroke();
    context.setLineDash([]);
    for (const [text, y] of [["v / threshold", (TOP + middle) / 2], ["share", (middle + GAP + base) / 2]]) {
      context.save();
      context.translate(8, y);
      context.rotate(-Math.PI / 2);
      context.textAlign = "center";
      context.fillText(text, 0, 0);
      context.restore();
    }
  }

  /** Predicted peaks of layer 1 against their thresholds: where a curve crosses 1, its channel begins to fire. */
  drive(context, width, middle, color) {
    const { curves } = this.store;
    if (!curves?.drive) return;
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, width - LEFT - RIGHT, middle - TOP);
    context.clip();
    context.lineWidth = 1.8;
    curves.drive.forEach((row, channel) => {
      context.strokeStyle = color(channel);
      context.setLineDash(channel === curves.drive.length - 1 && curves.drive.length > this.store.state.bands.length ? [2, 3] : []);
      context.beginPath();
      row.forEach((value, k) => context.lineTo(this.across(curves.speeds[k], width), middle - (Math.min(value, 9) / MOST_DRIVE) * (middle - TOP)));
      context.stroke();
    });
    context.restore();
    context.setLineDash([]);
  }

  /** What the final channels answer: predicted (filled), measured (lines), and the objects that were found (ticks). */
  answers(context, width, top, base, color) {
    const { curves, results, state } = this.store;
    context.save();
    context.beginPath();
    context.rect(LEFT, top, width - LEFT - RIGHT, base - top);
    context.clip();
    for (const item of results?.objects ?? []) {
      if (item.speed === null) continue;
      const x = this.across(item.speed, width);
      const chosen = item.id === state.selected;
      context.fillStyle = item.band < 0 ? this.store.facts.colors.outside : chosen ? ink("strong") : color(item.band);
      context.fillRect(x - (chosen ? 1.5 : 1), base - (chosen ? 20 : 12), chosen ? 3 : 2, chosen ? 20 : 12);
    }
    if (curves?.measured) curves.measured.shares.forEach((row, band) => {
      context.strokeStyle = color(band);
      context.lineWidth = 1.8;
      context.beginPath();
      row.forEach((value, k) => context.lineTo(this.across(curves.measured.speeds[k], width), base - value * (base - top - 2) - 1));
      context.stroke();
    });
    context.restore();
  }

  handle(context, x, base, k, edge) {
    const held = this.dragged?.index === k || this.near === k;
    context.strokeStyle = ink(held ? "strong" : "text");
    context.lineWidth = held ? 2 : 1.25;
    context.beginPath();
    context.moveTo(x, TOP - 4);
    context.lineTo(x, base);
    context.stroke();
    context.fillStyle = ink(held ? "strong" : "text");
    context.beginPath();
    context.roundRect(x - 4, TOP - 8, 8, 14, 3);
    context.fill();
    if (held) {
      context.font = "600 11px system-ui, sans-serif";
      context.textBaseline = "alphabetic";
      const text = `${short(edge)} px/s`;
      const wide = context.measureText(text).width / 2;
      context.textAlign = "center";
      context.fillText(text, Math.min(Math.max(x, wide), $("curves").clientWidth - wide), TOP - 10);
    }
  }

  listen() {
    const canvas = $("curves");
    const at = (event) => {
      const [x] = place(event, canvas);
      const distances = this.edges().map((edge) => Math.abs(this.across(edge, canvas.clientWidth) - x));
      const nearest = distances.indexOf(Math.min(...distances));
      return [x, distances[nearest] <= GRIP ? nearest : null];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.store.state || event.button !== 0) return;
      const [, index] = at(event);
      if (index === null) return;
      canvas.setPointerCapture(event.pointerId);
      this.dragged = { index, edges: [...this.edges()] };
      this.board.redraw();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.store.state) return;
      const [x, near] = at(event);
      if (this.dragged) this.pull(x, canvas.clientWidth);
      this.near = near;
      canvas.style.cursor = near !== null || this.dragged ? "ew-resize" : "default";
      this.board.redraw();
    });
    const drop = () => { this.dragged = null; this.board.redraw(); };
    canvas.addEventListener("pointerup", drop);
    canvas.addEventListener("pointercancel", drop);
    canvas.addEventListener("pointerleave", () => { this.near = null; this.board.redraw(); });
    canvas.addEventListener("dblclick", (event) => {
      const [x, index] = at(event);
      const edges = [...this.edges()];
      if (index !== null) { if (edges.length > 2) edges.splice(index, 1); }
      else { edges.push(round(this.speed(x, canvas.clientWidth))); edges.sort((a, b) => a - b); }
      this.ask.tune({ edges });
    });
  }

  pull(x, width) {
    const { index, edges } = this.dragged;
    const low = index > 0 ? edges[index - 1] * 1.05 : 0.01, high = index + 1 < edges.length ? edges[index + 1] / 1.05 : 1e6;
    edges[index] = round(Math.min(Math.max(this.speed(x, width), low), high));
    this.ask.tune({ edges: [...edges] });
  }

  // --- knobs ---

  /** Sliders from the program's own description of what can be tuned. */
  build(knobs) {
    this.knobs = new Map();
    const groups = new Map();
    for (const knob of knobs) {
      if (!groups.has(knob.group)) groups.set(knob.group, make("details", { open: true }, make("summary", {}, knob.group)));
      groups.get(knob.group).append(this.knob(knob));
    }
    $("knobs").replaceChildren(...groups.values());
  }

  knob(knob) {
    const slider = make("input", { type: "range", min: 0, max: 1000, step: 1, title: knob.hint, "aria-label": knob.label });
    const field = make("input", { type: "number", step: "any", "aria-label": knob.label, id: `knob-${knob.name}` });
    const row = make("div", { className: `knob${knob.auto ? " auto" : ""}`, title: knob.hint }, make("span", {}, knob.label));
    const auto = knob.auto && make("button", { className: "toggle", title: "As measured" }, "auto");
    if (auto) {
      auto.onclick = () => this.ask.tune({ [knob.name]: this.store.state.settings[knob.name] === null ? this.guess(knob) : null });
      row.append(auto);
    }
    row.append(slider, field, make("small", {}, knob.unit === "us" ? "µs" : knob.unit === "x" ? "×" : knob.unit));
    const give = (value) => this.ask.tune({ [knob.name]: knob.whole ? Math.round(value) : round(value) });
    slider.oninput = () => give(fromSlider(knob, slider.value / 1000));
    slider.ondblclick = () => this.ask.tune({ [knob.name]: knob.default });
    field.onchange = () => {
      if (field.value === "") this.refuse(field, knob.label);
      else this.ask.tune({ [knob.name]: Number(field.value) });
    };
    this.knobs.set(knob.name, { knob, slider, field, row, auto });
    return row;
  }

  /** What an automatic value stands at, to begin from. */
  guess(knob) {
    const { network, measured } = this.store.state;
    if (knob.name === "dt_us") return network?.dt_us ?? 1000;
    return Math.min(Math.max(round((measured?.share ?? 1) * 3), knob.low), knob.high);
  }

  /** Shows what holds; `all`: also in the field that is being typed in. */
  update(all = false) {
    const { state } = this.store;
    if (!this.knobs || !state) return;
    for (const { knob, slider, field, row, auto } of this.knobs.values()) {
      const value = state.settings[knob.name];
      const shown = value ?? this.guess(knob);
      if (all || document.activeElement !== slider) slider.value = Math.round(1000 * toSlider(knob, shown));
      slider.style.setProperty("--filled", `${toSlider(knob, shown) * 100}%`);
      if (all || document.activeElement !== field) field.value = value === null ? (knob.name === "dt_us" ? shown : "") : Number(value.toFixed(4));
      slider.disabled = field.disabled = value === null;
      if (auto) auto.classList.toggle("on", value === null);
      row.classList.toggle("changed", value !== knob.default && !(knob.name === "radius"));
    }
    this.edgeFields(state.settings.bands.edges, all);
    this.figures(state);
    $("command").textContent = state.command;
    this.board.redraw();
  }

  /** A field without a number goes back to what holds; said aloud only where something was typed. */
  refuse(field, name) {
    if (field.validity.badInput) this.ask.tell(`${name} must be a number; type digits only`);
    this.update(true);
  }

  edgeFields(edges, all) {
    const box = $("edges");
    if (box.querySelectorAll("input").length !== edges.length) {
      const change = () => {
        const fields = [...box.querySelectorAll("input")], empty = fields.find((field) => field.value === "");
        if (empty) this.refuse(empty, "an edge");
        else this.ask.tune({ edges: fields.map((field) => Number(field.value)) });
      };
      const fields = edges.map((_, k) => make("input", { type: "number", step: "any", min: 0, onchange: change, "aria-label": `edge ${k} in px/s` }));
      const add = make("button", { title: "Split the widest band", onclick: () => this.split() }, "+");
      const drop = make("button", { title: "Remove the last edge", onclick: () => this.ask.tune({ edges: this.edges().slice(0, -1) }), disabled: edges.length < 3 }, "−");
      box.replaceChildren(...fields, drop, add);
    }
    box.querySelectorAll("input").forEach((field, k) => { if (all || document.activeElement !== field) field.value = edges[k]; });
  }

  split() {
    const edges = [...this.edges()];
    const ratios = edges.slice(1).map((edge, k) => edge / edges[k]);
    const widest = ratios.indexOf(Math.max(...ratios));
    edges.splice(widest + 1, 0, round(Math.sqrt(edges[widest] * edges[widest + 1])));
    this.ask.tune({ edges });
  }

  figures(state) {
    const { network, measured, settings, analysed } = state;
    const parts = [];
    if (network) {
      parts.push(["tick", span(network.dt_us)], ["kernel", `${network.kernel}×${network.kernel}`], ["radius used", `${short(network.radius_px)} px`]);
      if (settings.contrast === null && measured && !settings.network_file) parts.push([measured.too_sparse ? "share assumed" : "share measured", short(measured.share)]);
      parts.push(["τ", `${network.tau_us.map((tau) => short(tau / 1000)).join(", ")} ms`]);
    }
    if (settings.network_file) parts.push(["network", settings.network_file]);
    if (this.store.curves?.measured) parts.push(["R² of the measured curves", this.store.curves.measured.r2]);
    if (analysed?.seconds) parts.push(["result after", `${Math.round(analysed.seconds * 1000)} ms`]);
    $("figures").replaceChildren(...parts.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, String(value)))));
  }
}

function round(value) {
  return Number(value.toPrecision(3));
}

function toSlider(knob, value) {
  return knob.log ? Math.log(value / knob.low) / Math.log(knob.high / knob.low) : (value - knob.low) / (knob.high - knob.low);
}

function fromSlider(knob, share) {
  return knob.log ? knob.low * (knob.high / knob.low) ** share : knob.low + share * (knob.high - knob.low);
}
