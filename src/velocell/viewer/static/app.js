// The page: what it knows, its parts, and what they do when a message comes from the program.
import { Actions } from "./actions.js";
import * as address from "./address.js";
import { Pictures, Soon } from "./asking.js";
import { showChips, showWarnings } from "./chips.js";
import { Controls } from "./controls.js";
import { $, make } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { Labels } from "./labels.js";
import { Live } from "./live.js";
import { notice, showClock, showProgress, stateText, withdraw } from "./notices.js";
import { seconds } from "./numbers.js";
import { Opening } from "./opening.js";
import { Stage } from "./stage.js";
import { sure } from "./sure.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { Tuner } from "./tuner.js";
import { Wire } from "./wire.js";

/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").Picture} Picture */
/** @typedef {import("./messages.js").Send} Send */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {import("./messages.js").Incoming} Incoming */

const ADDRESS_MS = 400;
const LOST = "Connection to velocell lost. If the program was stopped, start it again; "
  + "the page reconnects by itself.";
const REFUSED = "No connection to the program. Behind a proxy that changes the Host header, start it with "
  + "--allow-host ";

/** @type {Store} */
const store = { facts: null, state: null, results: null, curves: null, now: null };
let met = false; // whether the program has let this page in
let refusals = 0; // before that

// --- parts ---

/** @type {Send} */
const send = (name, values) => wire.send(name, values);
const soon = new Soon(send);

/** @type {Ask} */
const ask = {
  seek: (t) => soon.ask("seek", { t_us: Math.round(t) }),
  tune: (values) => soon.ask("tune", values),
  loop: (start, stop) => send("loop", { on: true, start_us: start, stop_us: stop }),
  select: (id) => send("select", { id }),
  jump: (id) => send("jump", { id }),
  region: (region) => {
    send("tune", { region });
    if (region) controls.useTool("look");
  },
  mark: (x, y) => send("mark", { id: labels.id(), x, y, radius: labels.radius() }),
  unmark: (values) => send("unmark", values),
  follow: () => send("follow"),
  tell: (text) => notice(text),
};

const stage = new Stage(store, ask);
const timeline = new Timeline(store, ask);
const tuner = new Tuner(store, ask);
const table = new Table(store, ask);
const labels = new Labels(store, ask);
const live = new Live(store, ask);
const opening = new Opening();
const pictures = new Pictures(store, live, send);
const actions = new Actions(store, send);
const controls = new Controls({ store, ask, send, soon, actions, stage, opened, update });

/** What the address says is done once, when the page has been loaded or the address was edited. */
let asked = location.hash;
let writing = 0;
addEventListener("hashchange", () => {
  asked = location.hash;
  if (store.state) follow(store.state);
});

/** @param {State} state */
function follow(state) {
  const { t_us: t, tuned } = address.read(asked, state, sure(store.facts));
  asked = "";
  if (Object.keys(tuned).length) send("tune", tuned);
  if (t === null) return;
  send("pause");
  send("seek", { t_us: t });
}

/** Not with every message: browsers allow only so many changes. */
function keepAddress() {
  if (writing) return;
  writing = window.setTimeout(() => {
    writing = 0;
    if (store.state && store.facts) history.replaceState(null, "", `#${address.written(store.state, store.facts)}`);
  }, ADDRESS_MS);
}

function opened() {
  if (!store.state) return;
  tuner.update();
  table.update();
  stage.board.redraw();
}

// --- hearing ---

/** @type {{ [Kind in keyof Incoming]: (content: Incoming[Kind]) => void }} */
const hearers = {
  loading: ({ text }) => stateText(`${text} …`),
  failed: ({ text }) => stateText(text, true),
  facts: hearFacts,
  state: (state) => {
    store.state = state;
    if (asked) follow(state);
    keepAddress();
    if (!state.playing) store.now = state.t_us;
    pictures.stale = true;
    pictures.request();
    update();
  },
  results: (results) => {
    store.results = results;
    pictures.stale = true;
    if (store.state) update();
  },
  timeline: (span) => {
    live.timeline(span);
    timeline.board.redraw();
  },
  curves: (curves) => {
    store.curves = curves;
    tuner.update();
  },
  refused: ({ text }) => {
    notice(text);
    tuner.update(true);
  },
  unpainted: ({ text }) => {
    pictures.came();
    notice(text);
  },
};

/** @param {Facts} facts */
function hearFacts(facts) {
  store.facts = facts;
  store.state = store.results = store.curves = null;
  opening.update(facts.opens);
  shown.clear();
  live.timeline({});
  const us = facts.hold_us ?? facts.stop_us - facts.start_us;
  const length = seconds(us, us < 1e7 ? 2 : 0);
  const held = facts.live ? `at most ${length} s held` : `${length} s · ${facts.events.toLocaleString("en")} events`;
  $("facts").replaceChildren(make("b", { title: facts.file }, facts.title), `  ${facts.size.join("×")} px · ${held}`);
  $("facts").title = facts.notes.join("; ");
  document.title = `${facts.title} · Velocell`;
  controls.build(facts);
  tuner.build(facts.knobs);
  if (facts.live) stateText(`Waiting for events from ${facts.title} …`);
  else $("state").hidden = true;
}

/**
 * The message is of the kind that it says; that its content fits is for the tests of both ends.
 * @param {{ kind: keyof Incoming }} message
 */
function hear({ kind, ...content }) {
  met ||= kind !== "failed";
  const hearer = /** @type {(content: object) => void} */ (hearers[kind]);
  hearer(content);
}

/** @param {Picture} picture */
function see(picture) {
  pictures.came();
  store.now = picture.t_us;
  stage.show(picture);
  if (store.state?.live?.following) pictures.request(); // does not wait for the next frame
  showClock(store);
  timeline.board.redraw();
  if (!$("tab-objects").hidden) table.paths.board.redraw();
}

/** @param {boolean} up */
function connected(up) {
  pictures.restart();
  if (up) withdraw((text) => text === LOST);
  else if (met) notice(LOST);
  else if (++refusals === 2) stateText(REFUSED + location.host, true);
}

// --- showing ---

/** What was shown last, so that only what has changed is made anew. */
const shown = new Map();

/**
 * @param {string} name
 * @param {unknown} value
 */
function changed(name, value) {
  const before = shown.get(name);
  shown.set(name, value);
  return before !== value;
}

function update() {
  const state = sure(store.state);
  const { analysed, settings, view } = state;
  const { results } = store;
  if (state.live?.begun) $("state").hidden = true;
  live.update(state);
  controls.update(state, sure(store.facts));
  const chips = [
    state.channels, view.channels, view.membrane, settings.region, settings.contrast, state.measured?.too_sparse,
    state.measured?.camera, state.stamps, state.crowded, state.assumed,
    results?.objects.filter((item) => item.off_band).length,
    analysed?.complete, results?.objects.length,
  ];
  if (changed("chips", JSON.stringify(chips))) {
    showChips(state, results, actions, send);
    showWarnings(state, results);
  }
  showProgress(state, results);
  if (changed("error", state.error) && state.error) notice(state.error);
  if (changed("file", state.file) && state.file) notice(state.file);
  tuner.update();
  const listed = [state.selected, state.bands, analysed?.complete, state.counts, state.mm];
  const rows = changed("rows", JSON.stringify(listed));
  if (changed("results", results) || rows) table.update();
  if (changed("labels", JSON.stringify([state.labels, settings.radius]))) labels.update();
  showClock(store);
  timeline.board.redraw();
  stage.board.redraw();
}

// --- beginning ---

const light = matchMedia("(prefers-color-scheme: light)").matches;
document.documentElement.dataset.theme = localStorage.getItem("velocell-theme") ?? (light ? "light" : "dark");
controls.listen();
listenToKeys(controls, labels);
document.addEventListener("visibilitychange", () => {
  pictures.stale = true;
});
stateText("Connecting …");
const wire = new Wire(hear, see, connected);
requestAnimationFrame(() => pictures.begin());
// For tests and measurements: what arrived so far.
Object.assign(window, { velocell: { store, stage, tuner, timeline } });
