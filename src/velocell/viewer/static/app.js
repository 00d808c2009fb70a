// The page: what it knows, what it asks for, and how keys and buttons lead there.
import { $, make, seconds, span } from "./draw.js";
import { Marks } from "./labels.js";
import { AHEAD, Live } from "./live.js";
import { Stage } from "./stage.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { Tuner } from "./tuner.js";
import { Wire } from "./wire.js";

const store = { facts: null, state: null, results: null, curves: null, now: null };
const asked = { pictures: 0, since: 0, stale: false };
let wire;
let met = false; // whether the program has let this page in

// --- asking ---

const send = (name, values) => wire.send(name, values);

/** The first of many at once, then the latest of each kind, once per frame. */
const pending = new Map();
let busy = false;
function soon(name, values) {
  if (!busy) {
    busy = true;
    send(name, values);
    requestAnimationFrame(flush);
  } else pending.set(name, name === "tune" ? { ...pending.get(name), ...values } : values);
}

function flush() {
  busy = pending.size > 0;
  for (const [kind, what] of pending) send(kind, what);
  pending.clear();
  if (busy) requestAnimationFrame(flush);
}

const ask = {
  seek: (t) => soon("seek", { t_us: Math.round(t) }),
  tune: (values) => soon("tune", values),
  loop: (start, stop) => send("loop", { on: true, start_us: start, stop_us: stop }),
  select: (id) => send("select", { id }),
  jump: (id) => send("jump", { id }),
  region: (region) => { send("tune", { region }); if (region) useTool("look"); },
  mark: (x, y) => send("mark", { id: marks.id(), x, y, radius: marks.radius() }),
  unmark: (values) => send("unmark", values),
  follow: () => send("follow"),
  tell: (text) => notice(text),
};

const stage = new Stage(store, ask);
const timeline = new Timeline(store, ask);
const tuner = new Tuner(store, ask);
const table = new Table(store, ask);
const marks = new Marks(store, ask);
const live = new Live(store, ask);

function show(values) {
  send("show", values);
}

/** Asks for pictures as long as something moves or has changed, at most one for each frame of the screen. */
function pump() {
  if (asked.pictures > 0 && performance.now() - asked.since > 5000) asked.pictures = 0; // lost
  request();
  requestAnimationFrame(pump);
}

function request() {
  if (!store.state || document.hidden) return;
  if (!live.due(asked.pictures, performance.now() - asked.since) && !(asked.stale && asked.pictures < AHEAD)) return;
  asked.stale = false;
  asked.pictures += 1;
  asked.since = performance.now();
  send("picture");
}

// --- hearing ---

const hearers = {
  loading: ({ text }) => stateText(`${text} …`),
  failed: ({ text }) => stateText(text, true),
  facts: (facts) => {
    store.facts = facts;
    store.state = null;
    said = {};
    live.timeline({});
    const length = seconds(facts.stop_us - facts.start_us, facts.stop_us - facts.start_us < 1e7 ? 2 : 0);
    const held = facts.live ? `at most ${length} s held` : `${length} s · ${facts.events.toLocaleString("en")} events`;
    $("facts").replaceChildren(make("b", { title: facts.file }, facts.title), `  ${facts.size.join("×")} px · ${held}`);
    $("facts").title = facts.notes.join("; ");
    document.title = `${facts.title} · Velocell`;
    $("speed").replaceChildren(...facts.speeds.map((speed) => make("option", { value: speed }, `${speed}×`)));
    $("polarity").hidden = !facts.polarity;
    tuner.build(facts.knobs);
    stage.tables = null;
    if (facts.live) stateText(`Waiting for events from ${facts.title} …`);
    else $("state").hidden = true;
  },
  state: (state) => {
    store.state = state;
    if (!state.playing) store.now = state.t_us;
    asked.stale = true;
    request();
    update();
  },
  results: (results) => {
    store.results = results;
    asked.stale = true;
    if (store.state) update();
  },
  timeline: (changed) => { live.timeline(changed); timeline.board.redraw(); },
  curves: (curves) => { store.curves = curves; tuner.update(); },
  refused: ({ text }) => { notice(text); tuner.update(true); },
  unpainted: ({ text }) => { asked.pictures = Math.max(0, asked.pictures - 1); notice(text); },
};

function hear(message) {
  met ||= message.kind !== "failed";
  if (message.kind in hearers) {
    const { kind, ...content } = message;
    hearers[kind](content);
    return;
  }
  asked.pictures = Math.max(0, asked.pictures - 1);
  store.now = message.t_us;
  stage.show(message);
  if (store.state?.live?.following) request(); // does not wait for the next frame
  clock();
  timeline.board.redraw();
  if (!$("tab-objects").hidden) table.paths.redraw();
}

function stateText(text, failed = false) {
  $("state").hidden = false;
  $("state").classList.toggle("failed", failed);
  $("state").querySelector("p").textContent = text;
}

/** A sentence that stays until it is closed or, if it is no error, for a while. The same one is shown once. */
function notice(text, good = false) {
  for (const other of $("notices").children) if (other.dataset.text === text) other.remove();
  const box = make("div", { className: `notice${good ? " good" : ""}` }, make("span", {}, text));
  box.dataset.text = text;
  box.append(make("button", { onclick: () => box.remove(), "aria-label": "Close" }, "×"));
  $("notices").append(box);
  while ($("notices").children.length > 4) $("notices").firstChild.remove();
  setTimeout(() => box.remove(), good ? 3500 : 15000);
}

// --- showing ---

function clock() {
  if (!store.facts) return;
  const { start_us: start, stop_us: stop, first_us: first } = store.facts;
  const digits = stop - start < 1e7 ? 4 : 3;
  const whole = store.facts.live ? "s" : `/ ${seconds(stop - start, digits)} s`;
  $("clock").replaceChildren(`${seconds((store.now ?? first) - first, digits)} `, make("small", {}, whole));
}

// What was shown last, so that only what has changed is made anew.
let said = {};
function fresh(name, values) {
  const now = JSON.stringify(values);
  const changed = said[name] !== now;
  said[name] = now;
  return changed;
}

function update() {
  const { state } = store, { view } = state;
  if (state.live?.begun) $("state").hidden = true;
  live.update();
  $("play").classList.toggle("on", state.playing);
  $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  $("loop").classList.toggle("on", state.loop);
  $("polarity").classList.toggle("on", view.polarity);
  $("tracks").classList.toggle("on", view.tracks);
  $("speed").value = state.speed;
  const mode = view.events ? view.mode : "none";
  document.querySelectorAll("[data-mode]").forEach((button) => button.classList.toggle("on", button.dataset.mode === mode && view.membrane === null));
  const [low, high] = store.facts.span_us;
  if (document.activeElement !== $("decay")) $("decay").value = Math.round((1000 * Math.log(view.span_us / low)) / Math.log(high / low));
  $("decay").style.setProperty("--filled", `${(100 * Math.log(view.span_us / low)) / Math.log(high / low)}%`);
  $("decay-text").textContent = span(view.span_us);
  if (fresh("chips", [state.channels, view.channels, view.membrane, state.settings.region, state.settings.contrast, state.measured?.too_sparse, state.measured?.camera, state.stamps, state.analysed?.complete, store.results?.objects.length])) chips(state);
  const busy = state.doing || (state.analysed && !state.analysed.current ? "following the settings" : "");
  const objects = (store.results?.objects ?? []).length;
  const done = state.analysed?.complete ? `${objects || "no"} object${objects === 1 ? "" : "s"}` : state.error ? "stopped" : state.analysed && !state.live ? "analysing" : "";
  $("doing").textContent = busy || done;
  $("doing").classList.toggle("busy", Boolean(busy));
  for (const name of ["error", "file"]) {
    if (state[name] && state[name] !== said[name]) notice(state[name]);
    said[name] = state[name];
  }
  tuner.update();
  if (fresh("table", [state.selected, state.bands, state.analysed?.complete]) || said.results !== store.results) table.update();
  said.results = store.results;
  if (fresh("marks", [state.labels, state.settings.radius])) marks.update();
  clock();
  timeline.board.redraw();
  stage.board.redraw();
}

/** One chip per channel: filled ones are the bands, open ones the channels of layer 1. */
function chips(state) {
  const on = new Set(state.view.channels.map(String));
  const nodes = state.channels.filter((c) => c.final).map((c) => chip(c, on, c.name));
  if (state.channels.length) nodes.push(make("span", { className: "gap" }));
  nodes.push(...state.channels.filter((c) => !c.final).map((c) => chip(c, on, c.name.replace(" px/s", ""))));
  const membrane = make("select", { title: "Membrane potential of a channel of layer 1 (M)", id: "membrane", onchange: (event) => { event.target.blur(); show({ membrane: event.target.value === "" ? null : Number(event.target.value) }); } });
  membrane.append(make("option", { value: "" }, "membrane: off"), ...state.channels.filter((c) => c.layer === 0).map((c) => make("option", { value: c.channel }, `membrane ${c.name}`)));
  membrane.value = state.view.membrane ?? "";
  if (state.channels.length) nodes.push(membrane);
  if (state.settings.region) {
    const clear = make("button", { className: "chip on", title: "Everywhere again (Esc)", onclick: () => send("tune", { region: null }) }, `region ${state.settings.region.slice(2).join("×")} ×`);
    nodes.push(clear);
  }
  if (state.measured?.too_sparse && state.settings.contrast === null && state.analysed) nodes.push(make("span", { className: "chip note", title: "Nothing could be followed long enough to measure contrast and radius; check radius and bands." }, "contrast assumed"));
  if (state.measured?.camera) nodes.push(make("span", { className: "chip note", title: state.measured.camera }, "camera moves or noise"));
  if (state.stamps) nodes.push(make("span", { className: "chip note", title: state.stamps }, "coarse stamps"));
  if (state.analysed?.complete && store.results && !store.results.objects.length) nodes.push(make("span", { className: "chip note" }, "no object found"));
  if (document.activeElement?.id !== "membrane") $("chips").replaceChildren(...nodes);
}

function chip(c, on, text) {
  const key = String([c.layer, c.channel]);
  const node = make("button", { className: `chip${on.has(key) ? " on" : ""}${c.final ? "" : " early"}`, color: c.color, title: `${c.final ? `answers of ${c.name}` : `layer 1, ${c.name}`}; Alt-click: alone` }, make("i"), text);
  node.dataset.channel = key;
  node.onclick = (event) => toggleChannel(c, event.altKey);
  return node;
}

function toggleChannel(c, alone = false) {
  const now = store.state.view.channels;
  const isOn = now.some(([layer, channel]) => layer === c.layer && channel === c.channel);
  const channels = alone ? [[c.layer, c.channel]] : isOn ? now.filter(([layer, channel]) => layer !== c.layer || channel !== c.channel) : [...now, [c.layer, c.channel]];
  show(alone ? { channels, events: false, membrane: null } : { channels });
}

// --- buttons ---

function useTool(tool) {
  stage.tool = tool;
  document.querySelectorAll("[data-tool]").forEach((button) => button.classList.toggle("on", button.dataset.tool === tool));
  $("picture").style.cursor = tool === "look" ? "default" : "crosshair";
  if (tool === "label") openTab("labels");
  stage.board.redraw();
}

function openTab(name) {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    $(`tab-${tab.dataset.tab}`).hidden = tab.dataset.tab !== name;
  }
  if (store.state) { tuner.update(); table.update(); stage.board.redraw(); }
}

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("velocell-theme", theme);
  document.dispatchEvent(new Event("theme"));
}

async function save(what, name) {
  if (what === "picture.png") return give(await stage.png(), "picture.png");
  $("doing").textContent = `saving ${name}`;
  try {
    const answer = await fetch(`/save/${what}`);
    if (!answer.ok) throw new Error((await answer.json()).error);
    give(await answer.blob(), name);
  } catch (error) {
    notice(error instanceof TypeError ? "The program does not answer; see whether velocell view still runs." : error.message);
  }
  update();
}

function give(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  notice(`Saved ${name}`, true);
}

async function copy() {
  await navigator.clipboard.writeText(store.state.command);
  notice("The command line is in the clipboard", true);
}

function playOrPause() { send(store.state.playing ? "pause" : "play"); }

function faster(by) {
  const speeds = store.facts.speeds;
  const now = speeds.findIndex((speed) => speed >= store.state.speed - 1e-9);
  send("set_speed", { speed: speeds[Math.min(Math.max(now + by, 0), speeds.length - 1)] });
}

function decay(factor) {
  const [low, high] = store.facts.span_us;
  show({ span_us: Math.min(Math.max(store.state.view.span_us * factor, low), high) });
}

const nextMode = () => {
  const { view } = store.state;
  const now = view.membrane !== null || !view.events ? "none" : view.mode;
  useMode({ surface: "accumulate", accumulate: "none", none: "surface" }[now]);
};
const useMode = (mode) => show(mode === "none" ? { events: false, membrane: null } : { events: true, mode, membrane: null });
const nextMembrane = () => {
  const layer = store.state.channels.filter((c) => c.layer === 0).length, now = store.state.view.membrane;
  show({ membrane: now === null ? 0 : now + 1 < layer ? now + 1 : null });
};
const band = (number) => {
  const c = store.state.channels.filter((channel) => channel.final)[number];
  if (c) toggleChannel(c);
};

// [keys, what the dialog says, what it does]
const KEYS = [
  [["Space"], "play or pause", playOrPause],
  [["ArrowRight"], "one interval on; Shift: one tick", (e) => send("step", { steps: 1, fine: e.shiftKey })],
  [["ArrowLeft"], "one interval back; Shift: one tick", (e) => send("step", { steps: -1, fine: e.shiftKey })],
  [["Home"], "to the start, or to what is held of a stream", () => ask.seek(store.facts.held_us ?? store.facts.start_us)],
  [["End"], "to the end, or along with a stream", () => (store.state.live?.growing ? ask.follow() : ask.seek(store.facts.stop_us))],
  [[","], "slower", () => faster(-1)],
  [["."], "faster", () => faster(1)],
  [["l"], "loop", () => { const [from, to] = store.state.part ? store.state.span : [null, null]; send("loop", { on: !store.state.loop, start_us: from, stop_us: to }); }],
  [["["], "events fade faster", () => decay(1 / 1.25)],
  [["]"], "events stay longer", () => decay(1.25)],
  [["e"], "surface, counts or no events", nextMode],
  [["p"], "polarity in two colours", () => show({ polarity: !store.state.view.polarity })],
  [["t"], "tracks", () => show({ tracks: !store.state.view.tracks })],
  [["1", "2", "3", "4", "5", "6", "7", "8"], "answers of a band", (e) => band(Number(e.key) - 1)],
  [["m"], "membrane of the next channel", nextMembrane],
  [["v"], "look: pan, zoom, select", () => useTool("look")],
  [["r"], "drag a region", () => useTool("region")],
  [["g"], "mark objects", () => useTool("label")],
  [["n"], "mark the next object", () => marks.next()],
  [["+", "="], "zoom in", () => stage.magnify(1.3, $("picture").clientWidth / 2, $("picture").clientHeight / 2)],
  [["-"], "zoom out", () => stage.magnify(1 / 1.3, $("picture").clientWidth / 2, $("picture").clientHeight / 2)],
  [["f"], "fit the picture", () => stage.fit()],
  [["c"], "copy the command line", copy],
  [["k"], "light or dark", () => useTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light")],
  [["Escape"], "no region, no selection", () => { if (store.state.settings.region) send("tune", { region: null }); send("select", { id: null }); useTool("look"); }],
  [["?"], "this list", () => $("keys").showModal()],
];

function press(event) {
  const field = event.target.closest("input, select, textarea");
  if (event.ctrlKey || event.metaKey || !store.state || $("keys").open) return;
  if (field && !(field.type === "range" && !event.key.startsWith("Arrow"))) return;
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Space" && event.target.closest("button, summary")) event.target.blur();
  const entry = KEYS.find(([keys]) => keys.includes(key));
  if (!entry) return;
  event.preventDefault();
  entry[2](event);
}

function wireUp() {
  const label = (key) => ({ Space: "Space", ArrowRight: "→", ArrowLeft: "←", Escape: "Esc" })[key] ?? key.toUpperCase();
  const list = make("dl");
  for (const [keys, text] of KEYS) list.append(make("dt", {}, make("kbd", {}, keys.length > 2 ? `${keys[0]} … ${keys.at(-1)}` : keys.map(label).join("  "))), make("dd", {}, text));
  $("keys").append(make("b", {}, "Keys"), list, make("dl", {}, make("dt", {}, make("kbd", {}, "Shift + drag")), make("dd", {}, "picture: a region; timeline: a part to loop over"), make("dt", {}, make("kbd", {}, "double click")), make("dd", {}, "tuning curve: adds or removes an edge; slider: its default; picture: fits")), make("form", { method: "dialog" }, make("button", {}, "Close")));
  const on = (id, what) => $(id).addEventListener("click", what);
  on("play", playOrPause);
  on("first", () => ask.seek(store.facts.start_us));
  on("back", (e) => send("step", { steps: -1, fine: e.shiftKey }));
  on("forth", (e) => send("step", { steps: 1, fine: e.shiftKey }));
  on("loop", () => KEYS.find(([keys]) => keys.includes("l"))[2]());
  on("polarity", () => show({ polarity: !store.state.view.polarity }));
  on("tracks", () => show({ tracks: !store.state.view.tracks }));
  on("reset", () => send("reset"));
  on("measure", () => send("measure_curves"));
  on("copy", copy);
  on("help", () => $("keys").showModal());
  on("theme", () => useTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light"));
  $("speed").onchange = () => send("set_speed", { speed: Number($("speed").value) });
  $("decay").oninput = () => {
    const [low, high] = store.facts.span_us;
    soon("show", { span_us: Math.min(Math.max(Number((low * (high / low) ** ($("decay").value / 1000)).toPrecision(3)), low), high) });
  };
  document.querySelectorAll("[data-mode]").forEach((button) => { button.onclick = () => useMode(button.dataset.mode); });
  document.querySelectorAll("[data-tool]").forEach((button) => { button.onclick = () => useTool(button.dataset.tool); });
  document.querySelectorAll("[data-tab]").forEach((button) => { button.onclick = () => openTab(button.dataset.tab); });
  const menu = (open) => { $("export-menu").hidden = !open; $("export").setAttribute("aria-expanded", String(open)); };
  on("export", () => menu($("export-menu").hidden));
  document.addEventListener("click", (event) => { if (!event.target.closest(".menu")) menu(false); });
  document.querySelectorAll("[data-save]").forEach((button) => {
    button.onclick = () => { menu(false); save(button.dataset.save, button.dataset.name ?? button.dataset.save); };
  });
  document.addEventListener("keydown", press);
  document.addEventListener("visibilitychange", () => { asked.stale = true; });
}

const light = matchMedia("(prefers-color-scheme: light)").matches;
document.documentElement.dataset.theme = localStorage.getItem("velocell-theme") ?? (light ? "light" : "dark");
wireUp();
stateText("Connecting …");
wire = new Wire(hear, (up) => {
  asked.pictures = 0;
  asked.stale = true;
  if (up) {
    for (const box of [...$("notices").children]) if (box.dataset.text?.startsWith("The connection")) box.remove();
  } else if (met) notice("The connection to velocell is lost; if the program was stopped, start it again: the page reconnects by itself.");
});
requestAnimationFrame(pump);
// For tests and measurements: what arrived so far.
window.velocell = { store, stage, tuner, timeline };
