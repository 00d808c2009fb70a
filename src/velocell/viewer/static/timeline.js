// The timeline: event rate, activity of each band, what is analysed, the cursor; dragging scrubs.
import { $, Board, Layer, count, faint, ink, place, seconds } from "./draw.js";

const LANE = 9, RATE = 38; // heights: of a band, less where there are many, and at least of the event rate

export class Timeline {
  /** ask: { seek(t), loop(start, stop) } */
  constructor(store, ask) {
    this.store = store;
    this.ask = ask;
    this.board = new Board($("timeline"), (context, width, height) => this.draw(context, width, height));
    this.layer = new Layer(this.board, (context, width, height) => this.drawActivity(context, width, height));
    const canvas = $("timeline");
    canvas.addEventListener("pointerdown", (event) => {
      if (!store.facts || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = { part: event.shiftKey, from: this.time(event) };
      if (!event.shiftKey) ask.seek(this.drag.from);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!store.facts) return;
      this.hover = this.time(event);
      if (this.drag?.part) this.drag.to = this.hover;
      else if (this.drag) ask.seek(this.hover);
      this.board.redraw();
    });
    canvas.addEventListener("pointerup", () => {
      const { drag } = this;
      this.drag = null;
      if (drag?.part) {
        const [a, b] = [Math.min(drag.from, drag.to ?? drag.from), Math.max(drag.from, drag.to ?? drag.from)];
        if (b > a) ask.loop(Math.round(a), Math.round(b));
      }
      this.board.redraw();
    });
    canvas.addEventListener("pointerleave", () => { this.hover = null; this.board.redraw(); });
    canvas.addEventListener("dblclick", () => ask.loop(null, null));
  }

  time(event) {
    const { start_us: start, stop_us: stop } = this.store.facts;
    const share = place(event, $("timeline"))[0] / $("timeline").clientWidth;
    return Math.round(start + Math.min(Math.max(share, 0), 1) * (stop - start));
  }

  draw(context, width, height) {
    const { facts, state, results } = this.store;
    if (!facts || !state) return;
    this.layer.show(context, width, height, [facts, facts.stop_us, results, state.bands.map((band) => band.color).join()]);
    const across = (t) => ((t - facts.start_us) / Math.max(facts.stop_us - facts.start_us, 1)) * width;
    const done = state.analysed;
    if (done) {
      context.fillStyle = faint("#808a98", 0.35);
      context.fillRect(0, 0, width, 2);
      context.fillStyle = ink("muted");
      context.fillRect(across(done.from_us), 0, across(done.until_us) - across(done.from_us), 2);
    }
    if (facts.held_us > facts.start_us) {
      context.fillStyle = faint("#808a98", 0.16);
      context.fillRect(0, 0, across(facts.held_us), height - 16);
    }
    const part = this.drag?.part && this.drag.to !== undefined ? [this.drag.from, this.drag.to].sort((a, b) => a - b) : state.span;
    if (state.part || this.drag?.part) {
      context.fillStyle = faint("#808a98", 0.32);
      context.fillRect(0, 0, across(part[0]), height - 16);
      context.fillRect(across(part[1]), 0, width - across(part[1]), height - 16);
    }
    this.drawTimes(context, width, height, across);
    const now = Math.min(across(this.store.now ?? state.t_us), width);
    context.strokeStyle = ink("strong");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(now, 0);
    context.lineTo(now, height - 14);
    context.stroke();
    context.fillStyle = ink("strong");
    context.beginPath();
    context.moveTo(now - 5, 0);
    context.lineTo(now + 5, 0);
    context.lineTo(now, 6);
    context.fill();
  }

  drawActivity(context, width, height) {
    const { facts, results, state } = this.store;
    const lane = Math.min(LANE, (height - 16 - RATE) / state.bands.length);
    const tall = height - 16 - state.bands.length * lane - 3;
    context.fillStyle = ink("panel");
    context.fillRect(0, 0, width, height - 16);
    this.drawRate(context, width, tall);
    const activity = facts.activity ?? results?.activity;
    if (activity) this.drawBands(context, width, tall + 3, lane, activity, state.bands);
  }

  drawRate(context, width, tall) {
    const { rate } = this.store.facts;
    // A single burst must not flatten all the rest: it leaves the scale at the top.
    const usual = [...rate].sort((a, b) => a - b)[Math.floor(0.98 * (rate.length - 1))];
    const most = Math.max(Math.min(1.5 * usual, Math.max(...rate)), 1);
    context.fillStyle = faint("#8b96a5", 0.42);
    context.beginPath();
    context.moveTo(0, tall);
    rate.forEach((value, k) => {
      const y = tall - Math.min(value / most, 1) * (tall - 20);
      context.lineTo((k / rate.length) * width, y);
      context.lineTo(((k + 1) / rate.length) * width, y);
    });
    context.lineTo(width, tall);
    context.fill();
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText(`${count(most)} ev/s`, 6, 5);
  }

  drawBands(context, width, top, lane, activity, bands) {
    const most = Math.max(1, ...activity.map((row) => Math.max(...row)));
    activity.slice(0, bands.length).forEach((row, band) => {
      const y = top + (bands.length - 1 - band) * lane;
      for (let k = 0; k < row.length; k++) {
        if (!row[k]) continue;
        context.fillStyle = faint(bands[band].color, 0.25 + 0.75 * Math.sqrt(row[k] / most));
        context.fillRect((k / row.length) * width, y, width / row.length + 0.4, lane > 5 ? lane - 2 : lane - 1);
      }
    });
  }

  drawTimes(context, width, height, across) {
    const { start_us: start, stop_us: stop, live } = this.store.facts;
    const step = niceStep((stop - start) / Math.max(width / 110, 1));
    context.fillStyle = ink("muted");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "bottom";
    const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step / 1e6) - 1e-9)));
    for (let t = 0; t <= stop - start; t += step) {
      const x = across(start + t);
      context.textAlign = x < 20 ? "left" : x > width - 24 ? "right" : "center";
      context.fillText(`${seconds(live ? start + t - stop : t, digits)} s`, x, height);
    }
    if (this.hover !== null && this.hover !== undefined) {
      const x = across(this.hover);
      context.strokeStyle = faint("#808a98", 0.7);
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height - 16);
      context.stroke();
    }
    context.textAlign = "left";
  }
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least) {
  const decade = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  return [1, 2, 5, 10].map((m) => m * decade).find((step) => step >= least);
}
