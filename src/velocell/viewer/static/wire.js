// The connection to the program: messages both ways, and pictures as velocell/viewer/wire.py packs them.

/** @typedef {import("./messages.js").Picture} Picture */
/** @typedef {import("./messages.js").PictureHeader} PictureHeader */
/** @typedef {import("./messages.js").Incoming} Incoming */

/**
 * @template T
 * @typedef {{ new (buffer: ArrayBuffer, offset: number, length: number): T, BYTES_PER_ELEMENT: number }} ArrayKind
 */

/**
 * A picture message as header and typed arrays.
 * @param {ArrayBuffer} buffer
 * @returns {Picture}
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  /** @type {PictureHeader} */
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const { plane, n, spikes } = header;
  let at = 4 + length;
  /**
   * @template T
   * @param {ArrayKind<T>} Kind
   * @param {number} size
   */
  const take = (Kind, size) => {
    const values = new Kind(buffer, at, size);
    at += size * Kind.BYTES_PER_ELEMENT;
    return values;
  };
  const pixels = plane === "sparse" ? take(Uint32Array, n) : null;
  const levels = plane === "none" ? null : take(Uint8Array, n);
  at += (4 - (at % 4)) % 4;
  const tails = take(Float32Array, 2 * header.tails);
  const x = take(Uint16Array, spikes);
  const y = take(Uint16Array, spikes);
  const dots = { n: spikes, x, y, index: take(Uint8Array, spikes), age: take(Uint8Array, spikes) };
  return { t_us: header.t_us, size: header.size, kind: header.kind, objects: header.objects, plane, n,
    pixels, levels, tails, dots };
}

/** Connects, and connects again when the connection is lost. */
export class Wire {
  /**
   * @param {(message: { kind: keyof Incoming }) => void} heard
   * @param {(picture: Picture) => void} shown
   * @param {(up: boolean) => void} state whether the connection stands
   */
  constructor(heard, shown, state) {
    this.heard = heard;
    this.shown = shown;
    this.state = state;
    this.pause = 300;
    this.socket = this.open();
  }

  open() {
    const socket = new WebSocket(new URL("ws", location.href.replace(/^http/, "ws")));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.pause = 300;
      this.state(true);
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.heard(JSON.parse(data));
      else this.shown(unpack(data));
    };
    socket.onclose = () => {
      this.state(false);
      setTimeout(() => {
        this.socket = this.open();
      }, this.pause);
      this.pause = Math.min(2 * this.pause, 5000);
    };
    return socket;
  }

  /**
   * @param {string} name
   * @param {object} [values]
   */
  send(name, values = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ do: name, ...values }));
  }
}
