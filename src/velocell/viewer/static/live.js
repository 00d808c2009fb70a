// A stream: whether the picture follows it, what it lost, how long it has been silent.
import { $ } from "./dom.js";
import { count, seconds } from "./numbers.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").LiveState} LiveState */
/** @typedef {import("./messages.js").Span} Span */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */

const SILENT_S = 1;
export const AHEAD = 2; // pictures requested before one has come
const EVERY_MS = 28; // every second frame of the screen
const ENDED = "The stream has ended; its last part can still be viewed";

export class Live {
  /**
   * @param {Store} store
   * @param {Ask} ask
   */
  constructor(store, ask) {
    this.store = store;
    $("live").addEventListener("click", () => ask.follow());
  }

  /**
   * The facts of a stream that change come again and again.
   * @param {Partial<Span>} changed
   */
  timeline(changed) {
    const facts = sure(this.store.facts);
    Object.assign(facts, changed);
    facts.first_us ??= facts.start_us;
    for (const id of ["live", "stream", "losses"]) $(id).hidden = !facts.live;
    $("first").hidden = Boolean(facts.live);
  }

  /**
   * Whether to request a new picture, `ms` after the last. Pictures of a stream are not requested ahead of
   * time, and not more than the analysis leaves time for.
   * @param {State} state
   * @param {number} waiting
   * @param {number} ms
   */
  due({ playing, live }, waiting, ms) {
    if (!playing || !live?.following) return playing && waiting < AHEAD;
    return waiting === 0 && ms >= EVERY_MS && live.silent_s < SILENT_S;
  }

  /** @param {State} state */
  update({ live, t_us: at }) {
    if (!live) return;
    const button = $("live", HTMLButtonElement);
    button.classList.toggle("on", live.following);
    button.disabled = !live.growing;
    button.textContent = live.growing ? "Live" : "Ended";
    button.title = live.growing ? "Go to the newest events and follow them (End)" : ENDED;
    $("stream").textContent = this.sentence(live, this.store.now ?? at);
    $("stream").classList.toggle("warn", live.growing && live.begun && live.silent_s > SILENT_S);
    const dropped = live.dropped ? [`${count(live.dropped)} events not analysed, the program was too slow`] : [];
    $("losses").textContent = [...dropped, ...live.notes].join(" · ");
    $("losses").classList.toggle("warn", live.dropped > 0 || live.late > 0);
  }

  /**
   * @param {LiveState} live
   * @param {number} at
   */
  sentence(live, at) {
    if (!live.begun) return "";
    if (!live.growing) return "the stream has ended";
    if (live.silent_s > SILENT_S) return `no events for ${Math.floor(live.silent_s)} s`;
    if (!live.following) return `${seconds(live.newest_us - at, 1)} s ago`;
    return `${count(sure(this.store.facts).rate.at(-2) ?? 0)} ev/s`;
  }
}
