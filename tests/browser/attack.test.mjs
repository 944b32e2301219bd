// Results computed in the browser: attacks stay within epsilon, both backends agree with PyTorch, the CPU backend agrees with
// the native program, and attacks fool the standard model but not the robust one.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { attackAfter, attackDone, duration, fixture, largestDifference, pixels, png, probabilities, setControl, builtinModel, checkEpsilon, top } from './driver.mjs';
import { dropFiles, file, launchBrowser, longestTask, pasteFile, serveSite, visit } from './harness.mjs';

/** SwiftShader emulates a GPU and is about a hundred times slower than one. */
const SLOW = 240_000;
/** File of the native program's results, written by tests/agreement/main.rs. */
const { AGREEMENT } = process.env;

let server;
before(async () => { server = await serveSite(); });
after(() => server?.close());

const color = (x, y) => [4 * x + 60, 255 - 5 * y, (13 * x * y) % 256];
const drawn = () => file('drawn.png', 'image/png', png(32, 32, color));

/** Largest error and number of groups of a check against a fixture. */
async function check(page, name, timeout) {
  await dropFiles(page, 'body', file(`${name}.safetensors`, '', await fixture(name)));
  const rows = page.locator('#check tbody tr');
  await rows.first().waitFor({ timeout });
  assert.match(await page.innerText('#check h2'), /compared with PyTorch/);
  const errors = await rows.evaluateAll((list) => list.map(({ dataset: d }) => [d.group, Number(d.error)]));
  const worst = Number(await page.getAttribute('#check', 'data-worst'));
  assert.equal(worst, Math.max(...errors.map(([, error]) => error)));
  return { worst, errors, summary: await page.innerText('#check p') };
}

describe('on the CPU', () => {
  let browser;
  before(async () => { browser = await launchBrowser('cpu'); });
  after(() => browser?.close());

  test('the user steps an attack back to the clean image and forward again', async () => {
    await visit(browser, server, { path: '#model=ce&view=none&backend=cpu' }, async (page) => {
      await attackDone(page);
      const [outcome, original] = [await pixels(page, 'attacked'), await pixels(page, 'original')];
      const seen = await probabilities(page);
      const moment = (words) => page.waitForFunction((words) => document.querySelector('#moment').innerText === words, words);
      await page.focus('#rewind');
      await page.keyboard.press('Home');
      await moment('before the attack');
      assert.deepEqual(await pixels(page, 'attacked'), original);
      const before = await probabilities(page);
      assert.ok(before.clean.every((p, i) => Math.abs(p - before.attacked[i]) < 1e-3), 'the prediction is that of the original');
      await page.keyboard.press('ArrowRight');
      await moment('at step 1 of 20');
      const start = await pixels(page, 'attacked');
      await page.keyboard.press('ArrowRight');
      await moment('at step 2 of 20');
      await checkEpsilon(page, 8);
      assert.notDeepEqual(await pixels(page, 'attacked'), start);
      assert.equal(await page.getAttribute('#save', 'aria-disabled'), 'true', 'only the final result can be saved');
      await page.keyboard.press('End');
      await moment('Rewind');
      assert.deepEqual([await pixels(page, 'attacked'), await probabilities(page)], [outcome, seen]);
      // The next attack shows its final result.
      await page.keyboard.press('Home');
      await moment('before the attack');
      await attackAfter(page, () => page.click('#again'));
      await moment('Rewind');
    });
  });

  test('a dropped image is attacked within epsilon', async (t) => {
    await visit(browser, server, { path: '#backend=cpu' }, async (page) => {
      await attackDone(page);
      await attackAfter(page, () => dropFiles(page, 'body', drawn()));
      const seen = await pixels(page, 'original');
      for (const [x, y] of [[0, 0], [31, 0], [5, 17]]) assert.deepEqual(seen.slice(4 * (32 * y + x), 4 * (32 * y + x) + 3), color(x, y));
      await checkEpsilon(page, 8);
      for (const [key, value, epsilon] of [['epsilon', '2/255', 2], ['attack', 'fgsm', 2], ['epsilon', '0.05', 12.75]]) {
        await attackAfter(page, () => setControl(page, key, value));
        t.diagnostic(`${key} = ${value}: largest change ${await checkEpsilon(page, epsilon)}/255`);
      }
      // The saved file equals the canvas, except where rounding to bytes would leave the epsilon ball (0.05 is 12.75/255).
      const download = page.waitForEvent('download');
      await page.click('#save');
      const saved = await readFile(await (await download).path());
      const after = await pixels(page, 'attacked');
      await attackAfter(page, () => pasteFile(page, 'body', file('pasted.png', 'image/png', saved)));
      assert.ok(largestDifference(await pixels(page, 'original'), after) <= 1);
      assert.equal(await longestTask(page) < 1000, true);
    });
  });

  test('the backend check agrees with PyTorch', async (t) => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      const { worst, errors, summary } = await check(page, 'wrn10_1-c3-b3', 60_000);
      t.diagnostic(summary);
      assert.equal(errors.length, 23);
      assert.ok(worst < 1e-4, `errors: ${JSON.stringify(errors)}`);
      await page.click('#check button');
      await page.waitForSelector('#check', { state: 'detached' });
    });
  });

  test('predictions and attacks agree with the native program', { skip: !existsSync(AGREEMENT ?? '') && 'the file AGREEMENT is missing: run tests/run' }, async (t) => {
    const { models } = JSON.parse(await readFile(AGREEMENT, 'utf8'));
    const twenty = []; // differences of PGD-20
    for (const { model, checksum, samples } of models) {
      const here = (await builtinModel(model)).reduce((sum, byte) => sum + byte, 0);
      assert.equal(here, checksum, `dist/ and ${AGREEMENT} have different models: run tests/run`);
      await visit(browser, server, { path: `#model=${model}` }, async (page) => {
        await attackDone(page);
        for (const { sample, attacks } of samples) {
          for (const { attack, clean, attacked: expected } of attacks) {
            await attackAfter(page, () => page.evaluate((hash) => { location.hash = hash; }, `#model=${model}&sample=${sample}&${attack}&backend=cpu`));
            assert.match(page.url(), new RegExp(`model=${model}&sample=${sample}&`));
            const found = await probabilities(page);
            const difference = [largestDifference(found.clean, clean), largestDifference(found.attacked, expected)];
            t.diagnostic(`${model}, sample ${sample}, ${attack}: difference: clean ${difference[0].toExponential(1)}, attacked ${difference[1].toExponential(1)}`);
            // The result of many sign steps can depend on rounding (see tests/agreement/main.rs), so PGD-20 may differ on a few samples.
            if (attack === 'attack=pgd') twenty.push(difference[1]);
            else assert.ok(difference[1] < (/norm=l2/.test(attack) ? 5e-3 : 1e-4), `${model}, sample ${sample}, ${attack}: difference ${difference[1]}`);
            assert.ok(difference[0] < 1e-4, `${model}, sample ${sample}: difference ${difference[0]}`);
          }
        }
      });
    }
    assert.ok(twenty.filter((d) => d < 1e-4).length >= 5, `PGD-20: differences ${twenty}`);
  });

  test('attacks fool the standard model but not the robust one', async (t) => {
    const fooled = { ce: 0, otjr: 0 };
    const right = { ce: 0, otjr: 0 };
    for (const model of Object.keys(fooled)) {
      await visit(browser, server, { path: `#model=${model}` }, async (page) => {
        await attackDone(page);
        for (let sample = 0; sample < 5; sample++) {
          if (sample > 0) await attackAfter(page, () => page.click('#sample'));
          assert.match(page.url(), new RegExp(`model=${model}&sample=${sample}&`));
          await checkEpsilon(page, 8);
          const found = await probabilities(page);
          const verdict = await page.innerText('#verdict');
          const changed = top(found.clean) !== top(found.attacked);
          fooled[model] += changed;
          const wrong = verdict.includes('though it is');
          right[model] += !wrong;
          assert.match(verdict, wrong ? /is wrong without an attack/ : changed ? /is fooled/ : /resists/);
          const { ms } = await duration(page);
          t.diagnostic(`${verdict} (${ms} ms)`);
        }
      });
    }
    t.diagnostic(`correct before the attack: standard ${right.ce} of 5, robust ${right.otjr}; fooled: standard ${fooled.ce}, robust ${fooled.otjr}`);
    assert.ok(right.ce >= 4 && right.otjr >= 3, 'a model misclassifies too many samples');
    assert.ok(fooled.ce >= 3, `the standard model was fooled ${fooled.ce} times of 5`);
    assert.ok(fooled.otjr <= 2, `the robust model was fooled ${fooled.otjr} times of 5`);
  });
});

describe('on WebGPU', () => {
  let browser;
  before(async () => { browser = await launchBrowser('webgpu'); });
  after(() => browser?.close());

  test('a dropped image is attacked within epsilon, with the same result as on the CPU', async (t) => {
    await visit(browser, server, { path: '#attack=fgsm&steps=2&backend=cpu' }, async (page) => {
      await attackDone(page);
      await attackAfter(page, () => dropFiles(page, 'body', drawn()));
      const [cpu, cpuPixels] = [await probabilities(page), await pixels(page, 'attacked')];
      const began = Date.now();
      // The same image on WebGPU.
      await attackAfter(page, async () => {
        await page.selectOption('#backend', 'gpu');
        await page.locator('#backend-line', { hasText: 'WebGPU on' }).waitFor({ timeout: SLOW });
        t.diagnostic(`WebGPU ready after ${Date.now() - began} ms: ${await page.innerText('#backend-line')}`);
      }, SLOW);
      t.diagnostic(`first attack done after ${Date.now() - began} ms, ${await page.innerText('#progress')}`);
      assert.match(await page.innerText('#backend-line'), /^WebGPU on .*, as selected/);
      await checkEpsilon(page, 8);
      const gpu = await probabilities(page);
      const difference = [largestDifference(gpu.clean, cpu.clean), largestDifference(gpu.attacked, cpu.attacked)];
      const gpuPixels = await pixels(page, 'attacked');
      const other = gpuPixels.filter((value, i) => value !== cpuPixels[i]).length;
      t.diagnostic(`CPU and WebGPU: difference: clean ${difference[0].toExponential(1)}, attacked ${difference[1].toExponential(1)}, ${other} of 3072 values differ`);
      assert.ok(difference[0] < 1e-4 && difference[1] < 1e-3 && other <= 30, `CPU and WebGPU differ by ${difference}, ${other} pixel values differ`);
      await attackAfter(page, () => setControl(page, 'attack', 'pgd'), SLOW);
      t.diagnostic(`two steps of PGD: ${await page.innerText('#progress')}`);
      await checkEpsilon(page, 8);
    });
  });

  // Takes about 4 minutes on SwiftShader, so it runs only on request. tests/core/gpu.rs runs the same check on wgpu.
  if (process.env.SLOW) test('the backend check agrees with PyTorch', async (t) => {
    await visit(browser, server, { path: '#attack=fgsm&backend=gpu' }, async (page) => {
      await attackDone(page, SLOW);
      const { worst, errors, summary } = await check(page, 'wrn10_1-c3-b3', 3 * SLOW);
      t.diagnostic(summary);
      assert.equal(errors.length, 23);
      assert.ok(worst < 1e-3, `errors: ${JSON.stringify(errors)}`);
    });
  });
});
