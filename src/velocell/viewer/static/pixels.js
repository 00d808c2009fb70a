// The plane of sensor pixels: events or a membrane as bytes, and spikes on top, into a canvas of the sensor's size.
import { ground, rgb } from "./colors.js";
import { isLight } from "./dom.js";
import { sure } from "./sure.js";

/** @typedef {import("./messages.js").Dots} Dots */
/** @typedef {import("./messages.js").EventColors} EventColors */
/** @typedef {import("./messages.js").Picture} Picture */
/** @typedef {import("./messages.js").Rgb} Rgb */
/** @typedef {import("./messages.js").State} State */

/**
 * Colours by byte, as 32-bit numbers.
 * @typedef {object} Palette
 * @property {number} ground where there is nothing
 * @property {Uint32Array} plain
 * @property {Uint32Array} polarity the highest bit is the polarity
 * @property {(color: string) => Uint32Array} membrane 128 is at rest
 */

const UNKNOWN = "#96a0ae"; // of a channel that is not known yet
const UNKNOWN_SPIKES = /** @type {Rgb} */ ([150, 155, 163]);

export class Pixels {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = sure(this.canvas.getContext("2d"));
    /** @type {ImageData | null} */
    this.image = null;
    this.words = new Uint32Array();
    /** @type {{ colors: EventColors, light: boolean, palette: Palette } | null} */
    this.known = null;
  }

  /**
   * @param {Picture} picture
   * @param {State} state
   * @param {EventColors} colors
   */
  compose(picture, state, colors) {
    const image = this.fitted(picture.size);
    const palette = this.palette(colors);
    if (picture.kind === "membrane") {
      const channel = state.channels.find((c) => c.layer === 0 && c.channel === state.view.membrane);
      const table = palette.membrane(channel ? channel.color : UNKNOWN);
      fill(this.words, picture, table, table[128]);
    } else {
      fill(this.words, picture, state.view.polarity ? palette.polarity : palette.plain, palette.ground);
    }
    stamp(image, picture.dots, state);
    this.context.putImageData(image, 0, 0);
  }

  /** @param {[number, number]} size */
  fitted([width, height]) {
    const { canvas, image } = this;
    if (image && canvas.width === width && canvas.height === height) return image;
    canvas.width = width;
    canvas.height = height;
    this.image = this.context.createImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
    return this.image;
  }

  /**
   * Made again for another recording and after a change of the theme.
   * @param {EventColors} colors
   */
  palette(colors) {
    const light = isLight();
    if (this.known?.colors !== colors || this.known.light !== light) {
      this.known = { colors, light, palette: paletteOf(colors, light) };
    }
    return this.known.palette;
  }
}

/**
 * @param {EventColors} colors
 * @param {boolean} light
 * @returns {Palette}
 */
function paletteOf({ event, on, off }, light) {
  const back = rgb(ground());
  const resting = light ? [150, 160, 175] : [58, 64, 76];
  /** @param {number[]} color */
  const pack = (color) => ((255 << 24) | (color[2] << 16) | (color[1] << 8) | color[0]) >>> 0;
  /** @type {(color: number[], share: number) => number[]} */
  const mix = (color, share) => back.map((b, k) => Math.round(b + (color[k] - b) * share));
  /** @param {Rgb} color */
  const strong = (color) => color.map((v) => Math.round(light ? v * 0.62 : Math.min(v * 1.28, 255)));
  /** @type {(color: Rgb, level: number) => number} */
  const shade = (color, level) => pack(mix(strong(color), (level / 127) ** 0.85));
  /** @param {(byte: number) => number} entry */
  const table = (entry) => Uint32Array.from({ length: 256 }, (_, byte) => entry(byte));
  return {
    ground: pack(back),
    plain: table((byte) => (byte === 0 ? pack(back) : shade(event, byte & 127))),
    polarity: table((byte) => (byte === 0 ? pack(back) : shade(byte & 128 ? on : off, byte & 127))),
    membrane: (color) => table((byte) => {
      const v = (byte - 128) / 127;
      return pack(v >= 0 ? mix(rgb(color), v ** 0.7) : mix(resting, Math.min(-v, 1) ** 0.6));
    }),
  };
}

/**
 * @param {Uint32Array} words
 * @param {Picture} picture
 * @param {Uint32Array} table
 * @param {number} empty
 */
function fill(words, { plane, n, pixels, levels }, table, empty) {
  if (plane === "dense" && levels) {
    for (let k = 0; k < words.length; k++) words[k] = table[levels[k]];
    return;
  }
  words.fill(empty);
  if (!pixels || !levels) return;
  for (let k = 0; k < n; k++) words[pixels[k]] = table[levels[k]];
}

/**
 * Spikes, three pixels across where the sensor is large enough.
 * @param {ImageData} image
 * @param {Dots} dots
 * @param {State} state
 */
function stamp({ width, height, data: bytes }, dots, state) {
  const shown = state.view.channels.map(([layer, channel]) =>
    state.channels.find((c) => c.layer === layer && c.channel === channel));
  const colors = shown.map((c) => (c ? rgb(c.color) : UNKNOWN_SPIKES));
  const strength = shown.map((c) => (c && !c.final ? 0.45 : 0.95));
  const fade = Float32Array.from({ length: 256 }, (_, age) => (1 - age / 255) ** 1.5);
  const last = bytes.length - 4;
  const around = Math.min(width, height) >= 160 ? [0, -4, 4, -4 * width, 4 * width] : [0];
  for (let k = 0; k < dots.n; k++) {
    const which = dots.index[k];
    if (which >= colors.length) continue; // the choice has changed since
    const [r, g, b] = colors[which];
    const alpha = strength[which] * fade[dots.age[k]];
    const x = dots.x[k];
    const middle = 4 * (dots.y[k] * width + x);
    for (const step of around) {
      const at = middle + step;
      if (at < 0 || at > last || (step === -4 && x === 0) || (step === 4 && x === width - 1)) continue;
      bytes[at] += (r - bytes[at]) * alpha;
      bytes[at + 1] += (g - bytes[at + 1]) * alpha;
      bytes[at + 2] += (b - bytes[at + 2]) * alpha;
    }
  }
}
