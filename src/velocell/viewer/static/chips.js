// The chips above the picture: a channel's answers each, the membrane on show, the region, and what is to be said.
import { $, make } from "./dom.js";

/** @typedef {import("./actions.js").Actions} Actions */
/** @typedef {import("./messages.js").Channel} Channel */
/** @typedef {import("./messages.js").Send} Send */
/** @typedef {import("./messages.js").Results} Results */
/** @typedef {import("./messages.js").State} State */

const ASSUMED = "Nothing that is clearly a disk of this radius was followed, so contrast and radius are assumed; check "
  + "the radius (half of the width) and the bands.";

/**
 * Filled ones are the bands, open ones the channels of layer 1. Left alone while the membrane is being chosen.
 * @param {State} state
 * @param {Results | null} results
 * @param {Actions} actions
 * @param {Send} send
 */
export function showChips(state, results, actions, send) {
  if (document.activeElement?.id === "membrane") return;
  const { channels, settings, analysed } = state;
  const on = new Set(state.view.channels.map(String));
  /** @type {HTMLElement[]} */
  const nodes = channels.filter((c) => c.final).map((c) => chip(c, on, c.name, actions));
  if (channels.length) {
    nodes.push(make("span", { className: "gap" }));
    const early = channels.filter((c) => !c.final);
    nodes.push(...early.map((c) => chip(c, on, c.name.replace(" px/s", ""), actions)));
    nodes.push(membraneChoice(state, actions));
  }
  if (settings.region) {
    const size = settings.region.slice(2).join("×");
    const clear = make("button", { className: "chip on", title: "Remove the region (Esc)" }, `region ${size} ×`);
    clear.onclick = () => send("tune", { region: null });
    nodes.push(clear);
  }
  if (state.measured?.too_sparse && settings.contrast === null && analysed) {
    nodes.push(make("span", { className: "chip note", title: ASSUMED }, "contrast assumed"));
  }
  if (state.measured?.camera) {
    nodes.push(make("span", { className: "chip note", title: state.measured.camera }, "camera moves or noise"));
  }
  if (state.stamps) nodes.push(make("span", { className: "chip note", title: state.stamps }, "coarse stamps"));
  if (state.crowded) nodes.push(make("span", { className: "chip note", title: state.crowded }, "clutter"));
  if (analysed?.complete && results && !results.objects.length) {
    nodes.push(make("span", { className: "chip note" }, "no object found"));
  }
  $("chips").replaceChildren(...nodes);
}

/**
 * The same in whole sentences, above the tabs.
 * @param {State} state
 * @param {Results | null} results
 */
export function showWarnings(state, results) {
  const { measured, settings, analysed, assumed } = state;
  const objects = results?.objects ?? [];
  const doubtful = objects.filter((item) => item.off_band).length;
  const told = [
    assumed.length > 0 && `${DEFAULTS[assumed.join()]} of the demo, not yours: set them here, or give --bands and`
      + " --radius.",
    measured?.camera && sentence(measured.camera),
    measured?.too_sparse && settings.contrast === null && analysed && ASSUMED,
    doubtful > 0 && `The neurons of ${doubtful} of ${objects.length} objects answer for another band than that of the `
      + "speed, which is stated: an edge may lie among their speeds, or the radius be wrong.",
    state.stamps && sentence(state.stamps),
    state.crowded && sentence(state.crowded),
  ].filter((text) => typeof text === "string");
  $("warnings").hidden = told.length === 0;
  $("warnings").replaceChildren(...told.map((text) => make("li", {}, text)));
}

/** @type {Record<string, string>} */
const DEFAULTS = {
  "bands,radius": "Bands and radius are those", bands: "The bands are those", radius: "The radius is that",
};

/** @param {string} text */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/**
 * @param {Channel} c
 * @param {Set<string>} on
 * @param {string} text
 * @param {Actions} actions
 */
function chip(c, on, text, actions) {
  const key = String([c.layer, c.channel]);
  const what = c.final ? `answers of ${c.name}` : `layer 1, ${c.name}`;
  const className = `chip${on.has(key) ? " on" : ""}${c.final ? "" : " early"}`;
  const node = make("button", { className, color: c.color, title: `${what}; Alt-click: alone` }, make("i"), text);
  node.setAttribute("aria-pressed", String(on.has(key)));
  node.dataset.channel = key;
  node.onclick = (event) => actions.toggleChannel(c, event.altKey);
  return node;
}

/**
 * @param {State} state
 * @param {Actions} actions
 */
function membraneChoice({ channels, view }, actions) {
  const title = "Membrane potential of a channel of layer 1 (M)";
  const choice = make("select", { title, id: "membrane", "aria-label": "Membrane" });
  const first = channels.filter((c) => c.layer === 0);
  choice.append(
    make("option", { value: "" }, "membrane: off"),
    ...first.map((c) => make("option", { value: c.channel }, `membrane ${c.name}`)),
  );
  choice.value = String(view.membrane ?? "");
  choice.onchange = () => {
    choice.blur();
    actions.show({ membrane: choice.value === "" ? null : Number(choice.value) });
  };
  return choice;
}
