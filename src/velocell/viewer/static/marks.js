// Objects that were marked by mouse: where they are between their marks, and how the picture shows them.
import { ink } from "./colors.js";

/** @typedef {import("./messages.js").Mark} Mark */
/** @typedef {import("./messages.js").Point} Point */
/** @typedef {import("./transform.js").Transform} Transform */

/**
 * The marks of each object.
 * @param {Mark[]} marks by object and time
 */
export function byObject(marks) {
  /** @type {Map<number, Mark[]>} */
  const objects = new Map();
  for (const mark of marks) objects.set(mark.id, [...(objects.get(mark.id) ?? []), mark]);
  return objects;
}

/**
 * Where an object is that moves in straight lines from mark to mark, and how large; null before and after them.
 * @param {Mark[]} marks of one object, by time
 * @param {number} now
 * @returns {{ at: Point, radius: number } | null}
 */
export function between(marks, now) {
  const next = marks.findIndex((mark) => mark.t_us > now);
  if (next === 0) return null;
  const a = next < 0 ? marks[marks.length - 1] : marks[next - 1];
  const b = next < 0 ? a : marks[next];
  if (next < 0 && now > a.t_us) return null;
  const share = b.t_us > a.t_us ? (now - a.t_us) / (b.t_us - a.t_us) : 0;
  return { at: [a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)], radius: a.radius };
}

/**
 * The way of every object, and a dashed ring where it is now.
 * @param {CanvasRenderingContext2D} context
 * @param {Transform} view
 * @param {Mark[]} marks
 * @param {number} now
 */
export function drawMarks(context, view, marks, now) {
  context.font = "600 12px system-ui, sans-serif";
  for (const [id, own] of byObject(marks)) {
    context.strokeStyle = ink("strong");
    context.fillStyle = ink("strong");
    drawWay(context, own.map((mark) => view.apply([mark.x, mark.y])));
    const here = between(own, now);
    if (!here) continue;
    const [x, y] = view.apply(here.at);
    const reach = here.radius * view.k;
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.arc(x, y, reach, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.fillText(String(id), x + reach + 4, y);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Point[]} points
 */
function drawWay(context, points) {
  context.lineWidth = 1;
  context.globalAlpha = 0.7;
  context.setLineDash([3, 3]);
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
  for (const [x, y] of points) {
    context.beginPath();
    context.arc(x, y, 2.5, 0, 2 * Math.PI);
    context.fill();
  }
}
