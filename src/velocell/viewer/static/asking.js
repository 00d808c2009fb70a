// When the page asks: for changes at most once per frame, for pictures as long as something moves or has changed.
import { AHEAD } from "./live.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./messages.js").Send} Send */
/** @typedef {import("./messages.js").Store} Store */

const LOST_MS = 5000; // a picture that has not come by then never will

/** Of many requests the first is sent at once, then the latest of each kind with every frame. */
export class Soon {
  /** @param {Send} send */
  constructor(send) {
    this.send = send;
    /** @type {Map<string, object>} */
    this.pending = new Map();
    this.busy = false;
  }

  /**
   * @param {string} name
   * @param {object} values of "tune", those of a frame add up
   */
  ask(name, values) {
    if (this.busy) {
      this.pending.set(name, name === "tune" ? { ...this.pending.get(name), ...values } : values);
      return;
    }
    this.busy = true;
    this.send(name, values);
    requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.busy = this.pending.size > 0;
    for (const [name, values] of this.pending) this.send(name, values);
    this.pending.clear();
    if (this.busy) requestAnimationFrame(() => this.flush());
  }
}

/** Asks for pictures, at most one for each frame of the screen. */
export class Pictures {
  /**
   * @param {Store} store
   * @param {Live} live
   * @param {Send} send
   */
  constructor(store, live, send) {
    this.store = store;
    this.live = live;
    this.send = send;
    this.waiting = 0;
    this.since = 0;
    this.stale = false; // whether what is seen has changed since the last request for a picture
  }

  /** With every frame from now on. */
  begin() {
    if (this.waiting > 0 && performance.now() - this.since > LOST_MS) this.waiting = 0;
    this.request();
    requestAnimationFrame(() => this.begin());
  }

  request() {
    if (!this.store.state || document.hidden) return;
    const due = this.live.due(this.store.state, this.waiting, performance.now() - this.since);
    if (!due && !(this.stale && this.waiting < AHEAD)) return;
    this.stale = false;
    this.waiting += 1;
    this.since = performance.now();
    this.send("picture");
  }

  /** One has come, or why it cannot. */
  came() {
    this.waiting = Math.max(0, this.waiting - 1);
  }

  /** The requested ones will not come any more. */
  restart() {
    this.waiting = 0;
    this.stale = true;
  }
}
