// A stream: whether the picture follows it, what it lost, how long it has been silent.
import { $, count, seconds } from "./draw.js";

const SILENT_S = 1;
export const AHEAD = 2; // pictures that are asked for before one has come
const EVERY_MS = 28; // every second frame of the screen

export class Live {
  /** ask: { follow() } */
  constructor(store, ask) {
    this.store = store;
    $("live").addEventListener("click", () => ask.follow());
  }

  /** The facts of a stream that change come again and again. */
  timeline(changed) {
    const { facts } = this.store;
    Object.assign(facts, changed);
    facts.first_us ??= facts.start_us;
    for (const id of ["live", "stream", "losses"]) $(id).hidden = !facts.live;
    $("first").hidden = Boolean(facts.live);
  }

  /** Whether a new picture is to be asked for, `ms` after the last. Pictures of a stream are not asked for ahead of
   * time, and not more than the analysis leaves time for. */
  due(waiting, ms) {
    const { playing, live } = this.store.state;
    if (!playing || !live?.following) return playing && waiting < AHEAD;
    return waiting === 0 && ms >= EVERY_MS && live.silent_s < SILENT_S;
  }

  update() {
    const { live, t_us: at } = this.store.state;
    if (!live) return;
    $("live").classList.toggle("on", live.following);
    $("live").disabled = !live.growing;
    $("live").textContent = live.growing ? "Live" : "Ended";
    $("live").title = live.growing ? "To the newest events, and along with them (End)" : "The stream has ended; what is held can still be looked at";
    $("stream").textContent = this.sentence(live, this.store.now ?? at);
    $("stream").classList.toggle("warn", live.growing && live.begun && live.silent_s > SILENT_S);
    const dropped = live.dropped ? [`${count(live.dropped)} events not analysed, the program was too slow`] : [];
    $("losses").textContent = [...dropped, ...live.notes].join(" · ");
    $("losses").classList.toggle("warn", live.dropped > 0 || live.late > 0);
  }

  sentence(live, at) {
    if (!live.begun) return "";
    if (!live.growing) return "the stream has ended";
    if (live.silent_s > SILENT_S) return `no events for ${Math.floor(live.silent_s)} s`;
    if (!live.following) return `${seconds(live.newest_us - at, 1)} s ago`;
    const { rate } = this.store.facts;
    return `${count(rate.at(-2) ?? 0)} ev/s`;
  }
}
