// The view's transform against what it is meant to do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Transform } = await load("transform.js");

const VIEWS = [
  new Transform(1, [0, 0], [0, 0]),
  new Transform(7.31, [24.5, 24.5], [420.5, 301]),
  new Transform(0.37, [639.5, 359.5], [211, 97.25]),
  Transform.fit([346, 260], [861, 533], 0.985).scale(3.7, [12, 500]).translate(-40, 3.5),
];
const POINTS = [[0, 0], [-0.5, -0.5], [17, 203.25], [1279.5, 719.5], [1e-3, -4e3]];

function near(found, wanted, text) {
  found.forEach((value, k) => {
    const far = Math.abs(value - wanted[k]);
    assert.ok(far <= 1e-9 * (1 + Math.abs(wanted[k])), `${text}: ${found} instead of ${wanted}`);
  });
}

test("invert takes back what apply does, and the other way round", () => {
  for (const view of VIEWS) {
    for (const point of POINTS) {
      near(view.invert(view.apply(point)), point, "on the sensor");
      near(view.apply(view.invert(point)), point, "on the canvas");
    }
  }
});

test("apply is k times the way from the anchor", () => {
  assert.deepEqual(new Transform(4, [10, 20], [100, 50]).apply([12, 19]), [108, 46]);
  assert.deepEqual(new Transform(4, [10, 20], [100, 50]).invert([108, 46]), [12, 19]);
});

test("a zoom about a point keeps what is seen there, to the last bit, and makes all else larger", () => {
  for (const view of VIEWS) {
    for (const factor of [1.3, 1 / 1.3, 40]) {
      for (const about of [[0, 0], [333, 71.5], [861, 533]]) {
        const nearer = view.scale(factor, about);
        assert.deepEqual(nearer.invert(about), view.invert(about));
        const [x, y] = view.apply([3, 4]);
        const far = [about[0] + (x - about[0]) * factor, about[1] + (y - about[1]) * factor];
        near(nearer.apply([3, 4]), far, "away from it");
      }
    }
  }
});

test("a zoom back and forth ends where it began", () => {
  const view = VIEWS[1];
  const back = view.scale(2.5, [100, 200]).scale(1 / 2.5, [100, 200]);
  for (const point of POINTS) near(back.apply(point), view.apply(point), "back");
});

test("without a point the zoom is about the anchor", () => {
  for (const view of VIEWS) {
    const nearer = view.scale(2);
    assert.deepEqual(nearer.apply(view.from), view.to.slice());
    assert.equal(nearer.k, 2 * view.k);
  }
});

test("translate moves what is seen by CSS pixels", () => {
  for (const view of VIEWS) {
    for (const point of POINTS) {
      const [x, y] = view.apply(point);
      near(view.translate(5, -7.5).apply(point), [x + 5, y - 7.5], "moved");
    }
  }
});

test("lookAt brings a position to the anchor", () => {
  for (const view of VIEWS) assert.deepEqual(view.lookAt([3, 8]).apply([3, 8]), view.to.slice());
});

test("fit shows all of the sensor, in the middle, up to two edges", () => {
  for (const [sensor, canvas] of [[[346, 260], [800, 800]], [[50, 50], [866, 390]], [[1, 1000], [300, 20]]]) {
    const view = Transform.fit(sensor, canvas);
    const [left, top] = view.apply([-0.5, -0.5]);
    const [right, bottom] = view.apply([sensor[0] - 0.5, sensor[1] - 0.5]);
    near([left + right, top + bottom], canvas, "the middle");
    near([Math.min(left, top)], [0], "touches");
    near([(right - left) / (bottom - top)], [sensor[0] / sensor[1]], "its shape");
    const smaller = Transform.fit(sensor, canvas, 0.9);
    near([smaller.k], [0.9 * view.k], "a share of it");
    assert.deepEqual(smaller.apply(view.from), view.to.slice());
  }
});

test("a transform never changes", () => {
  const from = [1, 2];
  const view = new Transform(3, from, [4, 5]);
  from[0] = 100;
  assert.deepEqual(view.apply([1, 2]), [4, 5]);
  assert.throws(() => {
    view.k = 1;
  }, TypeError);
  assert.throws(() => {
    view.to[0] = 1;
  }, TypeError);
  view.scale(2, [0, 0]);
  view.translate(1, 1);
  view.lookAt([9, 9]);
  assert.deepEqual(view, new Transform(3, [1, 2], [4, 5]));
});
