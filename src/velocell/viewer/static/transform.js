// From the sensor to the canvas and back: a value that never changes, without any page.
//
// A scale, and one point that is known on both sides. Anchored there instead of at the sensor's corner, the point
// that a zoom is about goes over without any rounding.

/** @typedef {readonly [number, number]} Pair */

export class Transform {
  /**
   * @param {number} k CSS pixels per sensor pixel
   * @param {Pair} from a position on the sensor, px
   * @param {Pair} to where the canvas shows it, CSS px
   */
  constructor(k, from, to) {
    this.k = k;
    /** @type {Pair} */
    this.from = Object.freeze([from[0], from[1]]);
    /** @type {Pair} */
    this.to = Object.freeze([to[0], to[1]]);
    Object.freeze(this);
  }

  /**
   * All of a sensor in the middle of a canvas, as large as goes into `share` of it. Pixels reach half a pixel
   * beyond their centres, so the sensor's middle is at half its size less one.
   * @param {Pair} sensor width and height, px
   * @param {Pair} canvas width and height, CSS px
   */
  static fit([width, height], [wide, high], share = 1) {
    const k = Math.min(wide / width, high / height) * share;
    return new Transform(k, [(width - 1) / 2, (height - 1) / 2], [wide / 2, high / 2]);
  }

  /**
   * Where the canvas shows a position on the sensor.
   * @param {Pair} position
   * @returns {[number, number]}
   */
  apply([x, y]) {
    return [(x - this.from[0]) * this.k + this.to[0], (y - this.from[1]) * this.k + this.to[1]];
  }

  /**
   * Which position on the sensor the canvas shows at a point.
   * @param {Pair} point
   * @returns {[number, number]}
   */
  invert([x, y]) {
    return [(x - this.to[0]) / this.k + this.from[0], (y - this.to[1]) / this.k + this.from[1]];
  }

  /**
   * Larger by a factor, about a point of the canvas that stays; left out, the anchor stays.
   * @param {number} factor
   * @param {Pair} [about]
   */
  scale(factor, about) {
    if (!about) return new Transform(this.k * factor, this.from, this.to);
    return new Transform(this.k * factor, this.invert(about), about);
  }

  /**
   * Everything further right and down, CSS px.
   * @param {number} dx
   * @param {number} dy
   */
  translate(dx, dy) {
    return new Transform(this.k, this.from, [this.to[0] + dx, this.to[1] + dy]);
  }

  /**
   * As large, with another position on the sensor at the anchor.
   * @param {Pair} position
   */
  lookAt(position) {
    return new Transform(this.k, position, this.to);
  }
}
