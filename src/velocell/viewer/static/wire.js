// The connection to the program: messages both ways, and pictures as velocell/viewer/wire.py packs them.

/** A picture message as header and typed arrays. */
export function unpack(buffer) {
  const bytes = new DataView(buffer);
  const length = bytes.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const take = (Kind, n) => {
    const values = new Kind(buffer, at, n);
    at += values.byteLength;
    return values;
  };
  const aligned = () => { at += (4 - (at % 4)) % 4; };
  const picture = { ...header, pixels: null, levels: null };
  if (header.plane === "sparse") picture.pixels = take(Uint32Array, header.n);
  if (header.plane !== "none") { picture.levels = take(Uint8Array, header.n); aligned(); }
  picture.tails = take(Float32Array, 2 * header.tails);
  const n = header.spikes;
  picture.dots = { n, x: take(Uint16Array, n), y: take(Uint16Array, n), index: take(Uint8Array, n), age: take(Uint8Array, n) };
  return picture;
}

/** Connects, and connects again when the connection is lost. `hear` gets every message, `state` whether it stands. */
export class Wire {
  constructor(hear, state) {
    this.hear = hear;
    this.state = state;
    this.pause = 300;
    this.open();
  }

  open() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.pause = 300; this.state(true); };
    this.socket.onmessage = (event) => this.hear(typeof event.data === "string" ? JSON.parse(event.data) : unpack(event.data));
    this.socket.onclose = () => {
      this.state(false);
      setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(2 * this.pause, 5000);
    };
  }

  send(name, values = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ do: name, ...values }));
  }
}
