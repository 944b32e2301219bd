// What the page promises of speed and memory; measure.mjs tells the rest.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, site } from './harness.mjs';
import { memoryOver, sliderMoves } from './measure.mjs';

let server, browser;
before(async () => { server = await site(); browser = await launch('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

test('a slider shows a first result within 300 ms', async (t) => {
  // The best of five counts: what else this machine does is no fault of the page.
  const moves = await sliderMoves(browser, server, 5);
  t.diagnostic(moves.map(({ first, last, view }) => `${first.toFixed()} / ${last.toFixed()} / ${view.toFixed()} ms`).join(', '));
  assert.ok(Math.min(...moves.map(({ first }) => first)) < 300);
});

test('fifty attacks leave memory as it was, within 10 %', async (t) => {
  const { before, after } = await memoryOver(browser, server, 50);
  t.diagnostic(JSON.stringify({ before, after }));
  const bytes = ({ worker, page, heap }) => worker + page + heap;
  assert.ok(bytes(after) <= 1.1 * bytes(before), `${bytes(before)} bytes became ${bytes(after)}`);
  assert.ok(after.nodes <= 1.1 * before.nodes, `${before.nodes} nodes became ${after.nodes}`);
});
