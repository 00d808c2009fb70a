// The buttons, menus and tabs of the page: what they do, and how they show what holds.
import { $, all, around, isLight } from "./dom.js";
import { clamp, rounded, span } from "./numbers.js";
import { copyCommand, give, save } from "./saving.js";
import { sure } from "./sure.js";

/** @typedef {import("./actions.js").Actions} Actions */
/** @typedef {import("./actions.js").Mode} Mode */
/** @typedef {import("./asking.js").Soon} Soon */
/** @typedef {import("./messages.js").Ask} Ask */
/** @typedef {import("./messages.js").Facts} Facts */
/** @typedef {import("./messages.js").Send} Send */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Store} Store */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./stage.js").Tool} Tool */

/**
 * What the controls work on. `update`: shows everything anew.
 * @typedef {object} Parts
 * @property {Store} store
 * @property {Ask} ask
 * @property {Send} send
 * @property {Soon} soon
 * @property {Actions} actions
 * @property {Stage} stage
 * @property {() => void} opened after another tab was opened
 * @property {() => void} update
 */

const STEPS = 1000; // of the slider

export class Controls {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.decay = $("decay", HTMLInputElement);
    this.speed = $("speed", HTMLSelectElement);
  }

  /** To be called once, when all parts are there. */
  listen() {
    this.listenTransport();
    this.listenView();
    this.listenExport();
    const { store, send } = this.parts;
    on("reset", () => send("reset"));
    on("measure", () => send("measure_curves"));
    on("copy", () => copyCommand(sure(store.state).command));
    on("help", () => $("keys", HTMLDialogElement).showModal());
    on("theme", () => this.changeTheme());
    for (const tab of all("[data-tab]")) tab.onclick = () => this.openTab(tab.dataset.tab ?? "");
  }

  listenTransport() {
    const { store, ask, send, actions } = this.parts;
    on("play", () => actions.playOrPause());
    on("first", () => ask.seek(sure(store.facts).start_us));
    on("back", (event) => actions.step(-1, event.shiftKey));
    on("forth", (event) => actions.step(1, event.shiftKey));
    on("loop", () => actions.loop());
    this.speed.onchange = () => send("set_speed", { speed: Number(this.speed.value) });
  }

  listenView() {
    const { actions, soon, store } = this.parts;
    on("polarity", () => actions.polarity());
    on("tracks", () => actions.tracks());
    this.decay.oninput = () => {
      const [low, high] = sure(store.facts).span_us;
      const us = rounded(low * (high / low) ** (Number(this.decay.value) / STEPS));
      soon.ask("show", { span_us: clamp(us, low, high) });
    };
    for (const button of all("[data-mode]")) {
      button.onclick = () => actions.useMode(/** @type {Mode} */ (button.dataset.mode));
    }
    for (const button of all("[data-tool]")) {
      button.onclick = () => this.useTool(/** @type {Tool} */ (button.dataset.tool));
    }
  }

  listenExport() {
    const menu = (/** @type {boolean} */ open) => {
      $("export-menu").hidden = !open;
      $("export").setAttribute("aria-expanded", String(open));
    };
    on("export", () => menu($("export-menu").hidden));
    document.addEventListener("click", (event) => {
      if (!around(event, ".menu")) menu(false);
    });
    for (const button of all("[data-save]")) {
      const what = button.dataset.save ?? "";
      button.onclick = () => {
        menu(false);
        this.save(what, button.dataset.name ?? what);
      };
    }
  }

  // --- what they do ---

  /** @param {Tool} tool */
  useTool(tool) {
    const { stage } = this.parts;
    stage.tool = tool;
    for (const button of all("[data-tool]")) button.classList.toggle("on", button.dataset.tool === tool);
    $("picture").style.cursor = tool === "look" ? "default" : "crosshair";
    if (tool === "label") this.openTab("labels");
    stage.board.redraw();
  }

  /** @param {string} name */
  openTab(name) {
    for (const tab of all("[data-tab]")) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      $(`tab-${tab.dataset.tab}`).hidden = tab.dataset.tab !== name;
    }
    this.parts.opened();
  }

  changeTheme() {
    const theme = isLight() ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("velocell-theme", theme);
    document.dispatchEvent(new Event("theme"));
  }

  /**
   * @param {string} what
   * @param {string} name
   */
  async save(what, name) {
    if (what === "picture.png") {
      give(await this.parts.stage.png(), name);
      return;
    }
    await save(what, name);
    this.parts.update();
  }

  // --- how they show what holds ---

  /** @param {Facts} facts */
  build({ speeds, polarity, lines }) {
    this.speed.replaceChildren(...speeds.map((speed) => new Option(`${speed}×`, String(speed))));
    $("polarity").hidden = !polarity;
    $("save-counts").hidden = lines.length === 0;
  }

  /**
   * @param {State} state
   * @param {Facts} facts
   */
  update(state, facts) {
    const { view } = state;
    $("play").classList.toggle("on", state.playing);
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    $("loop").classList.toggle("on", state.loop);
    $("polarity").classList.toggle("on", view.polarity);
    $("tracks").classList.toggle("on", view.tracks);
    this.speed.value = String(state.speed);
    const mode = view.events ? view.mode : "none";
    for (const button of all("[data-mode]")) {
      button.classList.toggle("on", button.dataset.mode === mode && view.membrane === null);
    }
    const [low, high] = facts.span_us;
    const reach = Math.log(high / low);
    const at = Math.log(view.span_us / low);
    if (document.activeElement !== this.decay) this.decay.value = String(Math.round((STEPS * at) / reach));
    this.decay.style.setProperty("--filled", `${(100 * at) / reach}%`);
    $("decay-text").textContent = span(view.span_us);
  }
}

/**
 * @param {string} id
 * @param {(event: MouseEvent) => void} what
 */
function on(id, what) {
  $(id).addEventListener("click", what);
}
