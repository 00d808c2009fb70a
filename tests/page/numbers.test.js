// Numbers as people read them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { clamp, count, digitsOf, niceStep, rounded, seconds, short, span } = await load("numbers.js");

test("times and counts are short", () => {
  assert.deepEqual([250, 251.2, 15_000, 1_200_000].map(span), ["250 µs", "251 µs", "15 ms", "1.2 s"]);
  assert.deepEqual([950, 12_345, 3_400_000].map(count), ["950", "12 k", "3.40 M"]);
  assert.deepEqual([0, 0.826, 12.34, 123.4, 12_345].map(short), ["0", "0.826", "12.3", "123", "12345"]);
  assert.equal(seconds(300_000, 4), "0.3000");
  assert.deepEqual([rounded(177.4), rounded(0.012345)], [177, 0.0123]);
});

test("a step is 1, 2 or 5 times a power of ten, at least as large as asked and less than 2.5 times that", () => {
  for (let least = 0.0013; least < 1e7; least *= 1.37) {
    const step = niceStep(least);
    assert.ok(step >= least && step < 2.5 * least, `${step} for ${least}`);
    const lead = Number(step.toExponential(6).split("e")[0]);
    assert.ok([1, 2, 5].includes(lead), `${step} for ${least}`);
  }
});

test("seconds get the digits that tell steps apart", () => {
  assert.deepEqual([2e6, 1e6, 500_000, 100_000, 50_000, 1000].map(digitsOf), [0, 0, 1, 1, 2, 3]);
});

test("clamp stays within its limits", () => {
  assert.deepEqual([-1, 0.5, 9].map((value) => clamp(value, 0, 1)), [0, 0.5, 1]);
});
