// What keys and buttons do to playing and to what is shown.
import { clamp } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Channel} Channel */
/** @typedef {import("./messages.js").Send} Send */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {import("./messages.js").View} View */
/** @typedef {View["mode"] | "none"} Mode */

export class Actions {
  /**
   * @param {Store} store
   * @param {Send} send
   */
  constructor(store, send) {
    this.store = store;
    this.send = send;
  }

  /** The last message from the program; only used once there is one. */
  get state() {
    return sure(this.store.state);
  }

  // --- playing ---

  playOrPause() {
    this.send(this.state.playing ? "pause" : "play");
  }

  /**
   * @param {number} steps
   * @param {boolean} fine
   */
  step(steps, fine) {
    this.send("step", { steps, fine });
  }

  /** @param {number} by steps in the list of speeds */
  faster(by) {
    const { speeds } = sure(this.store.facts);
    const now = speeds.findIndex((speed) => speed >= this.state.speed - 1e-9);
    this.send("set_speed", { speed: speeds[clamp(now + by, 0, speeds.length - 1)] });
  }

  loop() {
    const { part, span, loop } = this.state;
    const [start, stop] = part ? span : [null, null];
    this.send("loop", { on: !loop, start_us: start, stop_us: stop });
  }

  // --- what is shown ---

  /** @param {Partial<View>} values */
  show(values) {
    this.send("show", values);
  }

  /** @param {number} factor */
  decay(factor) {
    const [low, high] = sure(this.store.facts).span_us;
    this.show({ span_us: clamp(this.state.view.span_us * factor, low, high) });
  }

  polarity() {
    this.show({ polarity: !this.state.view.polarity });
  }

  tracks() {
    this.show({ tracks: !this.state.view.tracks });
  }

  /** @param {Mode} mode */
  useMode(mode) {
    this.show(mode === "none" ? { events: false, membrane: null } : { events: true, mode, membrane: null });
  }

  nextMode() {
    const { view } = this.state;
    /** @type {Record<Mode, Mode>} */
    const after = { surface: "accumulate", accumulate: "none", none: "surface" };
    this.useMode(after[view.membrane !== null || !view.events ? "none" : view.mode]);
  }

  nextMembrane() {
    const layer = this.state.channels.filter((c) => c.layer === 0).length;
    const now = this.state.view.membrane;
    const next = now === null ? 0 : now + 1;
    this.show({ membrane: next < layer || now === null ? next : null });
  }

  /**
   * Shows or hides the answers of a channel, or shows them alone.
   * @param {Channel} c
   */
  toggleChannel(c, alone = false) {
    const now = this.state.view.channels;
    const others = now.filter(([layer, channel]) => layer !== c.layer || channel !== c.channel);
    /** @type {View["channels"]} */
    const own = [[c.layer, c.channel]];
    if (alone) this.show({ channels: own, events: false, membrane: null });
    else this.show({ channels: others.length < now.length ? others : [...now, ...own] });
  }

  /** @param {number} number */
  toggleBand(number) {
    const c = this.state.channels.filter((channel) => channel.final)[number];
    if (c) this.toggleChannel(c);
  }
}
