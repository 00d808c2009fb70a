// Opening another recording: from the folder that was named at the start, or dropped on the page.
import { $, make } from "./dom.js";
import { notice } from "./notices.js";
import { SILENT } from "./saving.js";

/** @typedef {import("./messages.js").Opens} Opens */

export class Opening {
  constructor() {
    /** @type {Opens | null} */
    this.opens = null;
    this.dialog = $("others", HTMLDialogElement);
    $("open").onclick = () => this.dialog.showModal();
    document.addEventListener("dragover", (event) => {
      if (this.opens) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      if (!this.opens || !event.dataTransfer?.files.length) return;
      event.preventDefault();
      void this.drop(event.dataTransfer.files[0]);
    });
  }

  /** @param {Opens | undefined} opens */
  update(opens) {
    this.opens = opens ?? null;
    $("open").hidden = !opens;
    if (!opens) return;
    $("others-hint").textContent = `Or drop a file of at most ${megabytes(opens.most_bytes)} MB on the page.`;
    $("others-list").replaceChildren(...opens.files.map((name) => {
      const button = make("button", { className: "bare" }, name);
      button.onclick = () => {
        this.dialog.close();
        void this.ask(name, `open?name=${encodeURIComponent(name)}`);
      };
      return make("li", {}, button);
    }));
  }

  /** @param {File} file */
  async drop(file) {
    const most = this.opens?.most_bytes ?? 0;
    if (file.size > most) {
      notice(`${file.name} is larger than ${megabytes(most)} MB; put it into the folder given with --folder, or start `
        + "velocell view on it");
      return;
    }
    await this.ask(file.name, `open?dropped=1&name=${encodeURIComponent(file.name)}`, file);
  }

  /**
   * @param {string} name
   * @param {string} address
   * @param {File} [body]
   */
  async ask(name, address, body) {
    $("doing").textContent = `opening ${name}`;
    try {
      const answer = await fetch(address, { method: "POST", body });
      if (!answer.ok) throw new Error((await answer.json()).error);
    } catch (error) {
      $("doing").textContent = "";
      notice(error instanceof TypeError ? SILENT : error instanceof Error ? error.message : String(error));
    }
  }
}

/** @param {number} bytes */
function megabytes(bytes) {
  return Math.round(bytes / 2 ** 20);
}
