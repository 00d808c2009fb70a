// The keys, and the dialog that lists them.
import { $, around, make } from "./dom.js";
import { copyCommand } from "./saving.js";
import { sure } from "./sure.js";

/** @typedef {import("./controls.js").Controls} Controls */
/** @typedef {import("./labels.js").Labels} Labels */

/**
 * @typedef {object} Entry
 * @property {string[]} keys
 * @property {string} text what the dialog says
 * @property {(event: KeyboardEvent) => void} act
 */

/** @type {Record<string, string>} */
const SIGNS = {
  Space: "Space", Enter: "Enter", Home: "Home", End: "End", ArrowRight: "→", ArrowLeft: "←", Escape: "Esc",
};
const MOUSE = [
  ["Tab", "from one control to the next; arrow keys within a menu, a list of tabs, and a slider"],
  ["arrows, Enter", "in the picture, with Region, Ruler, Label: move a cross and press there; Shift: 10 px"],
  ["Shift + drag", "picture: a region; timeline: a part to loop over"],
  ["double click", "tuning curve: adds or removes an edge; slider: its default; picture: fits"],
];

/**
 * @param {Controls} controls
 * @param {Labels} labels
 */
export function listenToKeys(controls, labels) {
  const entries = [...playing(controls), ...showing(controls), ...using(controls, labels)];
  fillDialog(entries);
  document.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && controls.parts.store.state) press(event, entries);
  });
}

/**
 * @param {Controls} controls
 * @returns {Entry[]}
 */
function playing({ parts: { actions, ask, store } }) {
  const toEnd = () => {
    if (store.state?.live?.growing) ask.follow();
    else ask.seek(sure(store.facts).stop_us);
  };
  const toStart = () => {
    const { held_us: held, start_us: start } = sure(store.facts);
    ask.seek(held ?? start);
  };
  const part = (/** @type {0 | 1} */ end) => {
    const { span, t_us: at } = sure(store.state);
    const now = Math.round(store.now ?? at);
    ask.loop(end ? span[0] : now, end ? now : span[1]);
  };
  return [
    { keys: ["Space"], text: "play or pause", act: () => actions.playOrPause() },
    { keys: ["ArrowRight"], text: "one interval forward; Shift: one tick", act: (e) => actions.step(1, e.shiftKey) },
    { keys: ["ArrowLeft"], text: "one interval back; Shift: one tick", act: (e) => actions.step(-1, e.shiftKey) },
    { keys: ["Home"], text: "to the start, or to the oldest events kept of a stream", act: toStart },
    { keys: ["End"], text: "to the end, or follow a stream", act: toEnd },
    { keys: [","], text: "slower", act: () => actions.faster(-1) },
    { keys: ["."], text: "faster", act: () => actions.faster(1) },
    { keys: ["l"], text: "loop", act: () => actions.loop() },
    { keys: ["i"], text: "the part to loop over begins here", act: () => part(0) },
    { keys: ["o"], text: "the part to loop over ends here", act: () => part(1) },
    { keys: ["a"], text: "loop over all again", act: () => ask.loop(null, null) },
  ];
}

/**
 * @param {Controls} controls
 * @returns {Entry[]}
 */
function showing({ parts: { actions } }) {
  const numbers = ["1", "2", "3", "4", "5", "6", "7", "8"];
  return [
    { keys: ["["], text: "events fade faster", act: () => actions.decay(1 / 1.25) },
    { keys: ["]"], text: "events stay longer", act: () => actions.decay(1.25) },
    { keys: ["e"], text: "surface, counts or no events", act: () => actions.nextMode() },
    { keys: ["p"], text: "polarity in two colours", act: () => actions.polarity() },
    { keys: ["t"], text: "tracks", act: () => actions.tracks() },
    { keys: numbers, text: "answers of a band", act: (event) => actions.toggleBand(Number(event.key) - 1) },
    { keys: ["m"], text: "membrane of the next channel", act: () => actions.nextMembrane() },
  ];
}

/**
 * @param {Controls} controls
 * @param {Labels} labels
 * @returns {Entry[]}
 */
function using(controls, labels) {
  const { stage, send, store } = controls.parts;
  const magnify = (/** @type {number} */ factor) => {
    const { clientWidth: width, clientHeight: height } = stage.board.canvas;
    stage.magnify(factor, width / 2, height / 2);
  };
  const escape = () => {
    if (store.state?.settings.region) send("tune", { region: null });
    send("select", { id: null });
    controls.useTool("look");
  };
  return [
    { keys: ["v"], text: "look: pan, zoom, select", act: () => controls.useTool("look") },
    { keys: ["r"], text: "drag a region", act: () => controls.useTool("region") },
    { keys: ["u"], text: "ruler: measure a length", act: () => controls.useTool("ruler") },
    { keys: ["g"], text: "mark objects", act: () => controls.useTool("label") },
    { keys: ["n"], text: "mark the next object", act: () => labels.next() },
    { keys: ["+", "="], text: "zoom in", act: () => magnify(1.3) },
    { keys: ["-"], text: "zoom out", act: () => magnify(1 / 1.3) },
    { keys: ["f"], text: "fit the picture", act: () => stage.fit() },
    { keys: ["c"], text: "copy the command line", act: () => copyCommand(sure(store.state).command) },
    { keys: ["k"], text: "light or dark", act: () => controls.changeTheme() },
    { keys: ["Escape"], text: "clear region and selection", act: escape },
    { keys: ["Enter"], text: "press the button that has the focus", act: () => {} },
    { keys: ["?"], text: "this list", act: () => $("keys", HTMLDialogElement).showModal() },
  ];
}

/**
 * @param {KeyboardEvent} event
 * @param {Entry[]} entries
 */
function press(event, entries) {
  if ($("keys", HTMLDialogElement).open) return;
  const field = around(event, "input, select, textarea");
  const slides = field instanceof HTMLInputElement && field.type === "range";
  if (field && !(slides && !event.key.startsWith("Arrow"))) return;
  const key = nameOf(event.key);
  // Space would also press the button that was clicked last.
  if (key === "Space" && around(event, "button, summary") && event.target instanceof HTMLElement) event.target.blur();
  const entry = entries.find(({ keys }) => keys.includes(key));
  if (!entry || key === "Enter") return; // the browser itself presses the button
  event.preventDefault();
  entry.act(event);
}

/** @param {string} key */
function nameOf(key) {
  if (key === " ") return "Space";
  return key.length === 1 ? key.toLowerCase() : key;
}

/** @param {Entry[]} entries */
function fillDialog(entries) {
  const sign = (/** @type {string} */ key) => SIGNS[key] ?? key.toUpperCase();
  const signs = (/** @type {string[]} */ keys) =>
    keys.length > 2 ? `${keys[0]} … ${keys[keys.length - 1]}` : keys.map(sign).join("  ");
  $("keys").append(
    make("b", {}, "Keys"),
    list(entries.map(({ keys, text }) => [signs(keys), text])),
    list(MOUSE),
    make("form", { method: "dialog" }, make("button", {}, "Close")),
  );
}

/** @param {string[][]} rows */
function list(rows) {
  return make("dl", {}, ...rows.flatMap(([key, text]) =>
    [make("dt", {}, make("kbd", {}, key)), make("dd", {}, text)]));
}
