// The buttons, menus and tabs of the page: what they do, and how they show what holds.
import { $, all, around, isLight, press } from "./dom.js";
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
    this.listenGuide();
    const { store, send } = this.parts;
    on("reset", () => send("reset"));
    on("measure", () => send("measure_curves"));
    on("copy", () => copyCommand(sure(store.state).command));
    on("help", () => $("keys", HTMLDialogElement).showModal());
    on("theme", () => this.changeTheme());
    for (const tab of all("[data-tab]")) tab.onclick = () => this.openTab(tab.dataset.tab ?? "");
    walk($("tabs"), "[data-tab]", (tab) => tab.click());
  }

  /** Open until it was closed once. */
  listenGuide() {
    const guide = $("guide", HTMLDetailsElement);
    guide.open = localStorage.getItem("velocell-guide") === null;
    guide.addEventListener("toggle", () => {
      if (!guide.open) localStorage.setItem("velocell-guide", "read");
    });
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
    on("export", () => {
      menu($("export-menu").hidden);
      all("#export-menu button")[0].focus();
    });
    document.addEventListener("click", (event) => {
      if (!around(event, ".menu")) menu(false);
    });
    sure($("export").parentElement).addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("export-menu").hidden) return;
      event.stopPropagation(); // it clears neither region nor selection
      menu(false);
      $("export").focus();
    });
    walk($("export-menu"), "button", () => {});
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
    for (const button of all("[data-tool]")) press(button, button.dataset.tool === tool);
    $("ruler").hidden = tool !== "ruler";
    stage.ruler.update();
    $("picture").style.cursor = tool === "look" ? "default" : "crosshair";
    if (tool === "label") this.openTab("labels");
    stage.board.redraw();
  }

  /** @param {string} name */
  openTab(name) {
    for (const tab of all("[data-tab]")) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
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
    this.parts.stage.ruler.update();
    $("timeline").style.setProperty("--bands", String(state.bands.length));
    $("play").classList.toggle("on", state.playing);
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    press($("loop"), state.loop);
    press($("polarity"), view.polarity);
    press($("tracks"), view.tracks);
    this.speed.value = String(state.speed);
    const mode = view.events ? view.mode : "none";
    for (const button of all("[data-mode]")) {
      press(button, button.dataset.mode === mode && view.membrane === null);
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

/**
 * Arrow keys go from one to the next of what is shown.
 * @param {HTMLElement} group
 * @param {string} selector
 * @param {(reached: HTMLElement) => void} then
 */
function walk(group, selector, then) {
  group.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const each = all(`#${group.id} ${selector}`).filter((element) => !element.hidden);
    const now = each.findIndex((element) => element === document.activeElement);
    if (!by || now < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = each[(now + by + each.length) % each.length];
    next.focus();
    then(next);
  });
}
