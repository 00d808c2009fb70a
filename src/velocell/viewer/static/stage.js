// The picture: events, spikes and objects; zoom, pan, region, marks.
import { $, Board, faint, ink, legible, place, rgb, short } from "./draw.js";

const DIM = 0.62;
const MANY = 80; // objects, from which on only the ids are written

export class Stage {
  /** ask: { select(id), region(list|null), mark(x, y), unregion() } */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.tool = "look";
    this.zoom = 1;
    this.centre = null;
    this.picture = null;
    this.drawn = { picture: null, count: 0 }; // pictures that were seen, for tests and benchmarks
    this.drag = null;
    this.pixels = document.createElement("canvas");
    this.board = new Board($("picture"), (context, width, height) => this.draw(context, width, height));
    document.addEventListener("theme", () => { this.tables = null; this.compose(); });
    this.listen();
  }

  show(picture) {
    this.picture = picture;
    this.compose();
    this.board.redraw();
  }

  fit() {
    this.zoom = 1;
    this.centre = null;
    this.board.redraw();
  }

  magnify(factor, x, y) {
    const before = this.toSensor(x, y);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), 40);
    if (this.zoom === 1) this.centre = null;
    else {
      this.centre ??= this.middle();
      const after = this.toSensor(x, y);
      this.centre = [this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]];
    }
    this.board.redraw();
  }

  middle() {
    const [width, height] = this.store.facts.size;
    return [(width - 1) / 2, (height - 1) / 2];
  }

  /** CSS pixels per sensor pixel, and the sensor position in the middle of the canvas. */
  view() {
    const canvas = $("picture");
    const [width, height] = this.store.facts.size;
    const fit = Math.min(canvas.clientWidth / width, canvas.clientHeight / height) * 0.985;
    return { k: fit * this.zoom, c: this.centre ?? this.middle(), w: canvas.clientWidth, h: canvas.clientHeight };
  }

  toSensor(x, y) {
    const { k, c, w, h } = this.view();
    return [(x - w / 2) / k + c[0], (y - h / 2) / k + c[1]];
  }

  toCanvas(x, y) {
    const { k, c, w, h } = this.view();
    return [(x - c[0]) * k + w / 2, (y - c[1]) * k + h / 2];
  }

  // --- pixels ---

  /** Colours by byte as 32-bit numbers; light and dark, with and without polarity, membranes. */
  lookup() {
    if (this.tables) return this.tables;
    const light = document.documentElement.dataset.theme === "light";
    const back = rgb(light ? "#ffffff" : "#0a0d11");
    const { event, on, off } = this.store.facts.colors;
    const pack = (color) => (255 << 24 | color[2] << 16 | color[1] << 8 | color[0]) >>> 0;
    const mix = (color, share) => back.map((b, k) => Math.round(b + (color[k] - b) * share));
    const strong = (color) => color.map((v) => Math.round(light ? v * 0.62 : Math.min(v * 1.28, 255)));
    const level = (color) => (byte) => pack(mix(strong(color), (byte / 127) ** 0.85));
    const table = (entry) => Uint32Array.from({ length: 256 }, (_, byte) => (byte === 0 ? pack(back) : entry(byte)));
    this.tables = {
      plain: table((byte) => level(event)(byte & 127)),
      polarity: table((byte) => level(byte & 128 ? on : off)(byte & 127)),
      membrane: (color) => Uint32Array.from({ length: 256 }, (_, byte) => {
        const v = (byte - 128) / 127;
        return pack(v >= 0 ? mix(rgb(color), v ** 0.7) : mix(light ? [150, 160, 175] : [58, 64, 76], Math.min(-v, 1) ** 0.6));
      }),
      back: pack(back),
    };
    return this.tables;
  }

  compose() {
    const { picture, store } = this;
    if (!picture || !store.state) return;
    const [width, height] = picture.size;
    if (this.pixels.width !== width || this.pixels.height !== height || !this.image) {
      this.pixels.width = width;
      this.pixels.height = height;
      this.image = this.pixels.getContext("2d").createImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    const tables = this.lookup();
    const { view } = store.state;
    const membrane = picture.kind === "membrane";
    const channel = membrane && store.state.channels.find((c) => c.layer === 0 && c.channel === view.membrane);
    const table = membrane ? tables.membrane(channel ? channel.color : "#96a0ae") : view.polarity ? tables.polarity : tables.plain;
    const { words } = this;
    if (picture.plane === "dense") for (let k = 0; k < words.length; k++) words[k] = table[picture.levels[k]];
    else {
      words.fill(membrane ? table[128] : tables.back);
      for (let k = 0; k < picture.n; k++) words[picture.pixels[k]] = table[picture.levels[k]];
    }
    this.stamp(picture.dots, width, height);
    this.pixels.getContext("2d").putImageData(this.image, 0, 0);
  }

  /** Spikes, three pixels across where the sensor is large enough. */
  stamp(dots, width, height) {
    const shown = this.store.state.view.channels.map(([layer, channel]) =>
      this.store.state.channels.find((c) => c.layer === layer && c.channel === channel));
    const colors = shown.map((c) => (c ? rgb(c.color) : [150, 155, 163]));
    const strength = shown.map((c) => (c && !c.final ? 0.45 : 0.95));
    const fade = Float32Array.from({ length: 256 }, (_, age) => (1 - age / 255) ** 1.5);
    const bytes = this.image.data, last = bytes.length - 4;
    const around = Math.min(width, height) >= 160 ? [0, -4, 4, -4 * width, 4 * width] : [0];
    for (let k = 0; k < dots.n; k++) {
      const which = dots.index[k];
      if (which >= colors.length) continue; // the choice has changed since
      const [r, g, b] = colors[which], alpha = strength[which] * fade[dots.age[k]];
      const x = dots.x[k], middle = 4 * (dots.y[k] * width + x);
      for (const step of around) {
        const at = middle + step;
        if (at < 0 || at > last || (step === -4 && x === 0) || (step === 4 && x === width - 1)) continue;
        bytes[at] += (r - bytes[at]) * alpha;
        bytes[at + 1] += (g - bytes[at + 1]) * alpha;
        bytes[at + 2] += (b - bytes[at + 2]) * alpha;
      }
    }
  }

  // --- drawing ---

  draw(context, width, height) {
    const { store, picture } = this;
    if (!store.facts || !picture || !store.state) return;
    if (picture !== this.drawn.picture) this.drawn = { picture, count: this.drawn.count + 1 };
    const { k } = this.view();
    const [left, top] = this.toCanvas(-0.5, -0.5);
    const [w, h] = [picture.size[0] * k, picture.size[1] * k];
    context.imageSmoothingEnabled = k < 1;
    context.drawImage(this.pixels, left, top, w, h);
    context.lineWidth = 1;
    context.strokeStyle = ink("line");
    context.strokeRect(left - 0.5, top - 0.5, w + 1, h + 1);
    this.drawRegion(context, width, height);
    if (store.state.view.tracks) this.drawObjects(context, picture.objects, k);
    if (this.tool === "label" || document.querySelector('[data-tab="labels"]').getAttribute("aria-selected") === "true") this.drawMarks(context, k);
    const note = this.zoom > 1 ? `${short(this.zoom)}× · ` : "";
    if (this.hover) $("where").textContent = `${note}x ${this.hover[0].toFixed(1)}  y ${this.hover[1].toFixed(1)} px`;
    else $("where").textContent = this.zoom > 1 ? `${short(this.zoom)}×  (F fits)` : "";
  }

  drawRegion(context, width, height) {
    const region = this.drag?.region ?? this.store.state.settings.region;
    if (!region) return;
    const [x0, y0] = this.toCanvas(region[0] - 0.5, region[1] - 0.5);
    const [x1, y1] = this.toCanvas(region[0] + region[2] - 0.5, region[1] + region[3] - 0.5);
    context.fillStyle = ink("bg");
    context.globalAlpha = DIM;
    context.fillRect(0, 0, width, y0);
    context.fillRect(0, y1, width, height - y1);
    context.fillRect(0, y0, x0, y1 - y0);
    context.fillRect(x1, y0, width - x1, y1 - y0);
    context.globalAlpha = 1;
    context.strokeStyle = ink("text");
    context.lineWidth = 1;
    context.setLineDash([5, 4]);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    context.setLineDash([]);
  }

  drawObjects(context, objects, k) {
    const { bands, selected } = this.store.state;
    const color = (band) => (bands[band] ? bands[band].color : this.store.facts.colors.outside);
    let at = 0;
    for (const item of objects) {
      this.drawTail(context, this.picture.tails.subarray(2 * at, 2 * (at + item.tail)), color(item.band), k);
      at += item.tail;
    }
    for (const item of objects) {
      const [x, y] = this.toCanvas(item.x, item.y);
      const reach = Math.max(item.radius * k, 4), chosen = item.id === selected;
      context.lineWidth = chosen ? 3 : 2;
      context.strokeStyle = legible(color(item.band), 0.12);
      context.beginPath();
      context.arc(x, y, reach, 0, 2 * Math.PI);
      context.stroke();
      if (!chosen) continue;
      context.lineWidth = 1.5;
      context.strokeStyle = ink("strong");
      context.beginPath();
      context.arc(x, y, reach + 5, 0, 2 * Math.PI);
      context.stroke();
    }
    const taken = [], first = [...objects].sort((a, b) => (b.id === selected) - (a.id === selected));
    const brief = objects.length > MANY;
    for (const item of first) this.drawName(context, item, color(item.band), k, taken, brief && item.id !== selected);
  }

  /** A wedge along the points, the newest first, that thins and fades. */
  drawTail(context, points, color, k) {
    const n = points.length / 2;
    if (n < 2) return;
    const at = (i) => this.toCanvas(points[2 * i], points[2 * i + 1]);
    const left = [], right = [], wide = Math.min(Math.max(0.32 * k * 2, 2), 4);
    let [px, py] = at(0), away = [0, 0];
    for (let i = 1; i < n; i++) {
      const [x, y] = at(i), far = Math.hypot(x - px, y - py);
      if (far > 0.3) away = [(y - py) / far, (px - x) / far];
      const half = wide * (1 - (i - 1) / (n - 1));
      left.push([px + away[0] * half, py + away[1] * half]);
      right.push([px - away[0] * half, py - away[1] * half]);
      [px, py] = [x, y];
    }
    const [x0, y0] = at(0), fade = context.createLinearGradient(x0, y0, px, py);
    fade.addColorStop(0, faint(color, 0.9));
    fade.addColorStop(1, faint(color, 0.08));
    context.fillStyle = fade;
    context.beginPath();
    for (const [x, y] of left) context.lineTo(x, y);
    context.lineTo(px, py);
    for (const [x, y] of right.reverse()) context.lineTo(x, y);
    context.fill();
  }

  /** Id and speed above the ring, or below; left out where another name is in the way of both. */
  drawName(context, item, color, k, taken, brief) {
    const [x, y] = this.toCanvas(item.x, item.y);
    const name = `#${item.id}`, rest = brief || item.speed === null ? "" : ` ${item.speed < 9.95 ? item.speed.toFixed(1) : Math.round(item.speed)} px/s`;
    const wide = 8 * name.length + 6.6 * rest.length; // near enough, and much faster than measuring
    const reach = Math.max(item.radius * k, 4) + 5;
    const left = Math.min(Math.max(x - wide / 2, 3), $("picture").clientWidth - wide - 3);
    for (const top of [y - reach - 15, y + reach]) {
      const box = [left - 2, top, left + wide + 2, top + 15];
      if (top < 0 || taken.some((o) => box[0] < o[2] && o[0] < box[2] && box[1] < o[3] && o[1] < box[3])) continue;
      taken.push(box);
      context.textBaseline = "middle";
      context.lineWidth = 3.5;
      context.lineJoin = "round";
      context.strokeStyle = faint(document.documentElement.dataset.theme === "light" ? "#ffffff" : "#0a0d11", 0.85);
      context.font = "600 12px system-ui, sans-serif";
      if (!brief) context.strokeText(name, left, top + 8);
      context.fillStyle = legible(color);
      context.fillText(name, left, top + 8);
      if (!rest) return;
      const right = left + context.measureText(name).width;
      context.font = "12px system-ui, sans-serif";
      context.strokeText(rest, right, top + 8);
      context.fillStyle = ink("text");
      context.fillText(rest, right, top + 8);
      return;
    }
  }

  drawMarks(context, k) {
    const now = this.picture.t_us;
    const objects = new Map();
    for (const mark of this.store.state.labels) objects.set(mark.id, [...(objects.get(mark.id) ?? []), mark]);
    context.font = "600 12px system-ui, sans-serif";
    for (const [id, marks] of objects) {
      context.strokeStyle = context.fillStyle = ink("strong");
      context.lineWidth = 1;
      context.globalAlpha = 0.7;
      context.setLineDash([3, 3]);
      context.beginPath();
      for (const mark of marks) context.lineTo(...this.toCanvas(mark.x, mark.y));
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 1;
      for (const mark of marks) {
        const [x, y] = this.toCanvas(mark.x, mark.y);
        context.beginPath();
        context.arc(x, y, 2.5, 0, 2 * Math.PI);
        context.fill();
      }
      const next = marks.findIndex((mark) => mark.t_us > now);
      const [a, b] = next === 0 ? [] : next < 0 ? [marks.at(-1), marks.at(-1)] : [marks[next - 1], marks[next]];
      if (!a || (next < 0 && now > a.t_us)) continue;
      const share = b.t_us > a.t_us ? (now - a.t_us) / (b.t_us - a.t_us) : 0;
      const [x, y] = this.toCanvas(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y));
      context.lineWidth = 1.5;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.arc(x, y, a.radius * k, 0, 2 * Math.PI);
      context.stroke();
      context.setLineDash([]);
      context.fillText(String(id), x + a.radius * k + 4, y);
    }
  }

  // --- mouse ---

  listen() {
    const canvas = $("picture");
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.picture) this.magnify(Math.exp(-event.deltaY * 0.0015), ...place(event, canvas));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.board.redraw(); });
    canvas.addEventListener("pointerleave", () => { this.hover = null; this.board.redraw(); });
    canvas.addEventListener("dblclick", () => { if (this.tool === "look") this.fit(); });
  }

  down(event) {
    if (!this.picture || event.button !== 0) return;
    const at = place(event, $("picture"));
    $("picture").setPointerCapture(event.pointerId);
    this.drag = { from: at, centre: this.centre ?? this.middle(), kind: event.shiftKey || this.tool === "region" ? "region" : this.tool, moved: false };
  }

  move(event) {
    if (!this.picture) return;
    const at = place(event, $("picture"));
    this.hover = this.toSensor(...at);
    const { drag } = this;
    if (drag) {
      drag.moved ||= Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > 3;
      if (drag.moved && drag.kind === "region") drag.region = this.regionOf(drag.from, at);
      if (drag.moved && drag.kind === "look" && this.zoom > 1) {
        const { k } = this.view();
        this.centre = [drag.centre[0] - (at[0] - drag.from[0]) / k, drag.centre[1] - (at[1] - drag.from[1]) / k];
      }
    }
    this.board.redraw();
  }

  up(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    const at = place(event, $("picture"));
    if (drag.kind === "region") this.ask.region(drag.moved ? this.regionOf(drag.from, at) : null);
    else if (drag.kind === "label" && !drag.moved) this.ask.mark(...this.toSensor(...at));
    else if (!drag.moved) this.ask.select(this.nearest(at));
    this.board.redraw();
  }

  regionOf(from, to) {
    const [width, height] = this.store.facts.size;
    const [a, b] = [this.toSensor(...from), this.toSensor(...to)];
    const clamp = (value, most) => Math.min(Math.max(Math.round(value), 0), most);
    const [x0, x1] = [clamp(Math.min(a[0], b[0]) + 0.5, width - 1), clamp(Math.max(a[0], b[0]) + 0.5, width)];
    const [y0, y1] = [clamp(Math.min(a[1], b[1]) + 0.5, height - 1), clamp(Math.max(a[1], b[1]) + 0.5, height)];
    return [x0, y0, Math.max(x1 - x0, 1), Math.max(y1 - y0, 1)];
  }

  nearest(at) {
    const { k } = this.view();
    let best = null, distance = Infinity;
    for (const item of this.picture.objects) {
      const [x, y] = this.toCanvas(item.x, item.y);
      const far = Math.hypot(x - at[0], y - at[1]);
      if (far < Math.max(item.radius * k + 6, 14) && far < distance) [best, distance] = [item.id, far];
    }
    return best;
  }

  /** The canvas as it is seen, as a PNG. */
  png() {
    return new Promise((done) => {
      this.board.now();
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [$("picture").width, $("picture").height];
      const context = copy.getContext("2d");
      context.fillStyle = ink("bg");
      context.fillRect(0, 0, copy.width, copy.height);
      context.drawImage($("picture"), 0, 0);
      copy.toBlob(done, "image/png");
    });
  }
}
