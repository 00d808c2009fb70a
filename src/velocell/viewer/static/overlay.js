// What is drawn over the pixels: the region, the lines, and rings, tails and names of the objects.
import { faint, ground, ink, legible } from "./colors.js";
import { clamp, niceStep, short } from "./numbers.js";

/** @typedef {import("./messages.js").Line} Line */
/** @typedef {import("./messages.js").Picture} Picture */
/** @typedef {import("./messages.js").Point} Point */
/** @typedef {import("./messages.js").Region} Region */
/** @typedef {import("./messages.js").Shown} Shown */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./transform.js").Transform} Transform */
/** @typedef {CanvasRenderingContext2D} Context */
/** @typedef {[left: number, top: number, right: number, bottom: number]} Box */

const DIM = 0.62;
const TICK = 8; // CSS px
const SCALE = 120; // CSS px that the scale is long at most
const MANY = 80; // objects, from which on only the ids are written
const NAME = "600 12px system-ui, sans-serif";
const SPEED = "12px system-ui, sans-serif";

/**
 * Where the keyboard is in the picture.
 * @param {Context} context
 * @param {[number, number]} at
 */
export function drawCross(context, [x, y]) {
  context.strokeStyle = ink("strong");
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 4 * dx, y + 4 * dy);
    context.lineTo(x + 12 * dx, y + 12 * dy);
  }
  context.stroke();
}

/**
 * A dashed frame, with everything else dimmed.
 * @param {Context} context
 * @param {Transform} view
 * @param {Region} region
 * @param {number} width
 * @param {number} height
 */
export function drawRegion(context, view, region, width, height) {
  const [x0, y0] = view.apply([region[0] - 0.5, region[1] - 0.5]);
  const [x1, y1] = view.apply([region[0] + region[2] - 0.5, region[1] + region[3] - 0.5]);
  context.fillStyle = ink("bg");
  context.globalAlpha = DIM;
  context.fillRect(0, 0, width, y0);
  context.fillRect(0, y1, width, height - y1);
  context.fillRect(0, y0, x0, y1 - y0);
  context.fillRect(x1, y0, width - x1, y1 - y0);
  context.globalAlpha = 1;
  context.strokeStyle = ink("text");
  context.lineWidth = 1;
  context.setLineDash([5, 4]);
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([]);
}

/**
 * The lines at which objects are counted, each with its number and a tick to its right.
 * @param {Context} context
 * @param {Transform} view
 * @param {Line[]} lines
 */
export function drawLines(context, view, lines) {
  context.lineWidth = 1.5;
  context.font = SPEED;
  context.textBaseline = "middle";
  lines.forEach(([x0, y0, x1, y1], number) => {
    const [ax, ay] = view.apply([x0, y0]);
    const [bx, by] = view.apply([x1, y1]);
    const [mx, my] = [(ax + bx) / 2, (ay + by) / 2];
    const far = Math.hypot(bx - ax, by - ay) || 1;
    const [rx, ry] = [(ay - by) / far, (bx - ax) / far]; // to the right of who walks along it
    context.strokeStyle = ink("strong");
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.moveTo(mx, my);
    context.lineTo(mx + TICK * rx, my + TICK * ry);
    context.stroke();
    context.fillStyle = ink("strong");
    context.fillText(String(number), mx - (TICK + 4) * rx - 3, my - (TICK + 4) * ry);
  });
}

/**
 * Tails below rings below names; the selected object's name comes first, so that it has room.
 * @param {Context} context
 * @param {Transform} view
 * @param {Picture} picture
 * @param {State} state
 * @param {string} outside colour of objects outside the bands
 * @param {number} width of the canvas
 */
export function drawObjects(context, view, { objects, tails }, { bands, selected }, outside, width) {
  const color = (/** @type {Shown} */ item) => bands[item.band]?.color ?? outside;
  let at = 0;
  for (const item of objects) {
    drawTail(context, view, tails.subarray(2 * at, 2 * (at + item.tail)), color(item));
    at += item.tail;
  }
  for (const item of objects) drawRing(context, view, item, color(item), item.id === selected);
  /** @type {Box[]} */
  const taken = [];
  const chosenFirst = [...objects].sort((a, b) => Number(b.id === selected) - Number(a.id === selected));
  for (const item of chosenFirst) {
    const brief = objects.length > MANY && item.id !== selected;
    drawName(context, view, item, color(item), { width, taken, brief });
  }
}

/**
 * CSS pixels from an object's centre to its ring.
 * @param {Transform} view
 * @param {Shown} item
 */
function reachOf(view, item) {
  return Math.max(item.radius * view.k, 4);
}

/**
 * @param {Context} context
 * @param {Transform} view
 * @param {Shown} item
 * @param {string} color
 * @param {boolean} chosen
 */
function drawRing(context, view, item, color, chosen) {
  const [x, y] = view.apply([item.x, item.y]);
  const reach = reachOf(view, item);
  context.lineWidth = chosen ? 3 : 2;
  context.strokeStyle = legible(color, 0.12);
  circle(context, x, y, reach);
  context.stroke();
  if (!chosen) return;
  context.lineWidth = 1.5;
  context.strokeStyle = ink("strong");
  circle(context, x, y, reach + 5);
  context.stroke();
}

/**
 * A wedge along the points, the newest first, that thins and fades.
 * @param {Context} context
 * @param {Transform} view
 * @param {Float32Array} points x and y in turn
 * @param {string} color
 */
function drawTail(context, view, points, color) {
  const n = points.length / 2;
  if (n < 2) return;
  const at = (/** @type {number} */ i) => view.apply([points[2 * i], points[2 * i + 1]]);
  const left = [];
  const right = [];
  const wide = clamp(0.32 * view.k * 2, 2, 4);
  const [x0, y0] = at(0);
  let [px, py] = [x0, y0];
  let away = [0, 0];
  for (let i = 1; i < n; i++) {
    const [x, y] = at(i);
    const far = Math.hypot(x - px, y - py);
    if (far > 0.3) away = [(y - py) / far, (px - x) / far];
    const half = wide * (1 - (i - 1) / (n - 1));
    left.push([px + away[0] * half, py + away[1] * half]);
    right.push([px - away[0] * half, py - away[1] * half]);
    [px, py] = [x, y];
  }
  const fade = context.createLinearGradient(x0, y0, px, py);
  fade.addColorStop(0, faint(color, 0.9));
  fade.addColorStop(1, faint(color, 0.08));
  context.fillStyle = fade;
  context.beginPath();
  for (const [x, y] of left) context.lineTo(x, y);
  context.lineTo(px, py);
  for (const [x, y] of right.reverse()) context.lineTo(x, y);
  context.fill();
}

/**
 * Id and speed above the ring, or below; left out where another name is in the way of both.
 * @param {Context} context
 * @param {Transform} view
 * @param {Shown} item
 * @param {string} color
 * @param {{ width: number, taken: Box[], brief: boolean }} room `brief`: the id alone
 */
function drawName(context, view, item, color, { width, taken, brief }) {
  const [x, y] = view.apply([item.x, item.y]);
  const name = `#${item.id}`;
  const mm = typeof item.speed_mm === "number" ? ` ${speedText(item.speed_mm)} mm/s` : "";
  const rest = brief || item.speed === null ? "" : ` ${speedText(item.speed)} px/s${mm}`;
  const wide = 8 * name.length + 6.6 * rest.length; // near enough, and much faster than measuring
  const reach = reachOf(view, item) + 5;
  const left = Math.min(Math.max(x - wide / 2, 3), width - wide - 3);
  /** @type {(top: number) => Box} */
  const boxAt = (top) => [left - 2, top, left + wide + 2, top + 15];
  const boxes = [boxAt(y - reach - 15), boxAt(y + reach)];
  const box = boxes.find((free) => free[1] >= 0 && !taken.some((other) => overlap(free, other)));
  if (!box) return;
  taken.push(box);
  const middle = box[1] + 8;
  context.textBaseline = "middle";
  context.lineWidth = 3.5;
  context.lineJoin = "round";
  context.strokeStyle = faint(ground(), 0.85);
  context.font = NAME;
  if (!brief) context.strokeText(name, left, middle);
  context.fillStyle = legible(color);
  context.fillText(name, left, middle);
  if (!rest) return;
  const right = left + context.measureText(name).width;
  context.font = SPEED;
  context.strokeText(rest, right, middle);
  context.fillStyle = ink("text");
  context.fillText(rest, right, middle);
}

/**
 * How long a round number of mm is, or of px where no scale is known, in the lower left corner.
 * @param {Context} context
 * @param {Transform} view
 * @param {number | null} scale px/mm
 * @param {number} height
 */
export function drawScale(context, view, scale, height) {
  const unit = scale === null ? view.k : view.k * scale; // CSS px of 1 px, or of 1 mm
  const length = niceStep(SCALE / 2 / unit);
  const wide = length * unit;
  const [left, bottom] = [12, height - 12];
  const text = `${short(length)} ${scale === null ? "px" : "mm"}`;
  context.font = SPEED;
  context.textBaseline = "alphabetic";
  context.lineJoin = "round";
  for (const [color, line] of /** @type {[string, number][]} */ ([[faint(ground(), 0.85), 5], [ink("text"), 1.5]])) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(left, bottom - 4);
    context.lineTo(left, bottom);
    context.lineTo(left + wide, bottom);
    context.lineTo(left + wide, bottom - 4);
    context.stroke();
    if (line > 2) context.strokeText(text, left, bottom - 8);
  }
  context.fillStyle = ink("text");
  context.fillText(text, left, bottom - 8);
}

/**
 * The ruler, with its length.
 * @param {Context} context
 * @param {Transform} view
 * @param {[Point, Point]} ends on the sensor
 * @param {string} text
 */
export function drawRuler(context, view, [from, to], text) {
  const [ax, ay] = view.apply(from);
  const [bx, by] = view.apply(to);
  const far = Math.hypot(bx - ax, by - ay) || 1;
  const [nx, ny] = [((ay - by) / far) * TICK, ((bx - ax) / far) * TICK];
  for (const [color, line] of /** @type {[string, number][]} */ ([[faint(ground(), 0.85), 5], [ink("strong"), 1.5]])) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    for (const [x, y] of [[ax, ay], [bx, by]]) {
      context.moveTo(x - nx, y - ny);
      context.lineTo(x + nx, y + ny);
    }
    context.stroke();
  }
  context.font = NAME;
  context.textBaseline = "middle";
  context.lineWidth = 3.5;
  context.strokeStyle = faint(ground(), 0.85);
  context.strokeText(text, bx + 12, by - 10);
  context.fillStyle = ink("strong");
  context.fillText(text, bx + 12, by - 10);
}

/** @param {number} speed */
function speedText(speed) {
  return speed < 9.95 ? speed.toFixed(1) : String(Math.round(speed));
}

/**
 * @param {Box} a
 * @param {Box} b
 */
function overlap(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

/**
 * @param {Context} context
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 */
function circle(context, x, y, reach) {
  context.beginPath();
  context.arc(x, y, reach, 0, 2 * Math.PI);
}
