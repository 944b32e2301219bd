// Invalid and unusual input, the URL, stopping an attack, and the keyboard.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { attackAfter, attackDone, pageState, fixture, expectNotice, notices, pixels, png, probabilities, safetensors, setControl, builtinModel, withOrientation, selectModel, withNaN } from './driver.mjs';
import { dropFiles, file, launchBrowser, serveSite, visit } from './harness.mjs';

let server;
let browser;
before(async () => { [server, browser] = [await serveSite(), await launchBrowser('cpu')]; });
after(async () => { await browser?.close(); await server?.close(); });

describe('invalid input gives a clear message and changes nothing', () => {
  const invalid = [
    ['a text file named like an image', 'notes.png', () => Buffer.from('Dear diary, '.repeat(20)), /notes\.png.*is not an image/],
    ['an empty file', 'empty.jpg', () => Buffer.alloc(0), /empty\.jpg.*is empty/],
    ['a truncated image', 'cut.png', () => png(64, 64, (x, y) => [x * y % 256, x, y]).subarray(0, 700), /cut\.png.*truncated/],
    ['an image of 12,000 x 12,000', 'huge.png', () => png(12_000, 12_000), /huge\.png.*12000 × 12000.*the limit is/],
    ['a truncated checkpoint', 'cut.safetensors', async () => (await builtinModel('ce')).subarray(0, 100_000), /cut\.safetensors.*not a complete safetensors file/],
    ['a checkpoint with NaN weights', 'diverged.safetensors', async () => withNaN(await builtinModel('ce'), 'conv1.weight'), /diverged\.safetensors.*conv1\.weight.*NaN/],
    ['a checkpoint of another architecture', 'vgg.safetensors', () => safetensors({ 'features.0.weight': { shape: [1, 3, 3, 3], values: Array(27).fill(0.1) } }), /vgg\.safetensors.*no supported network/],
    ['a truncated fixture', 'fixture.safetensors', async () => (await fixture('wrn10_1-c3-b3')).subarray(0, 400_000), /Not a complete safetensors file/],
  ];
  test(`${invalid.length} files`, async (t) => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      const before = await pageState(page);
      for (const [what, name, bytes, pattern] of invalid) {
        await dropFiles(page, 'body', file(name, '', await bytes()));
        const message = await expectNotice(page, pattern);
        t.diagnostic(`${what}: ${message}`);
        await attackDone(page);
        assert.equal(await pageState(page), before, `${what} changed something`);
      }
      // After dismissing notices by keyboard, the focus is on the verdict.
      await page.waitForFunction(() => document.activeElement.id === 'verdict');
      // The page still works.
      await attackAfter(page, () => page.click('#again'));
      assert.deepEqual(await notices(page), []);
    });
  });

  test('settings in the URL', async () => {
    for (const value of ['-1', 'abc']) {
      await visit(browser, server, { path: `#epsilon=${value}&steps=7&sample=2` }, async (page) => {
        await attackDone(page);
        const message = await expectNotice(page, `epsilon = “${value}”`);
        assert.match(message, /8\/255 is used instead/);
        assert.match(page.url(), /sample=2&.*epsilon=8\/255&.*steps=7&/);
      });
    }
  });

  test('settings in a text box', async () => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      const before = await pageState(page);
      await setControl(page, 'epsilon', '-1');
      assert.match(await page.innerText('#epsilon-problem'), /between 0 and 3072.*The value is still 8\/255/);
      assert.equal(await pageState(page), before);
      await attackAfter(page, () => setControl(page, 'epsilon', '4/255'));
      assert.equal(await page.innerText('#epsilon-problem'), '');
    });
  });
});

test('a transparent image, a rotated photo and a model are accepted, with a note on conversions', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    const facts = page.locator('figcaption').first();
    const at = async (x, y) => (await pixels(page, 'original')).slice(4 * (32 * y + x), 4 * (32 * y + x) + 3);

    const clear = png(32, 32, (x) => [200, 30, 40, x < 16 ? 0 : 255], true);
    await attackAfter(page, () => dropFiles(page, 'body', file('clear.png', 'image/png', clear)));
    assert.match(await facts.innerText(), /clear\.png.*transparent parts were put on white/);
    assert.deepEqual([await at(3, 9), await at(28, 9)], [[255, 255, 255], [200, 30, 40]]);

    // Red above, blue below; the EXIF orientation is a quarter turn clockwise.
    const jpeg = await page.evaluate(() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
      const context = canvas.getContext('2d');
      for (const [color, y] of [['#f00', 0], ['#00f', 32]]) { context.fillStyle = color; context.fillRect(0, y, 64, 32); }
      return canvas.toDataURL('image/jpeg', 0.95).split(',')[1];
    });
    const photo = withOrientation(Buffer.from(jpeg, 'base64'), 6);
    await attackAfter(page, () => dropFiles(page, 'body', file('photo.jpg', 'image/jpeg', photo)));
    assert.match(await facts.innerText(), /photo\.jpg.*64 × 64.*resized.*rotated upright/);
    const [left, right] = [await at(3, 16), await at(28, 16)];
    assert.ok(left[2] > 200 && left[0] < 50 && right[0] > 200 && right[2] < 50, `blue left, red right, but: ${left}, ${right}`);

    await attackAfter(page, async () => dropFiles(page, 'body', file('mine.safetensors', '', await builtinModel('ce'))));
    assert.match(page.url(), /model=own&sample=own/);
    await page.locator('.pick', { hasText: 'mine.safetensors' }).waitFor();
  });
});

test('the URL contains the whole state: a reload restores it', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    await selectModel(page, 'ce');
    for (let i = 0; i < 2; i++) await attackAfter(page, () => page.click('#sample'));
    for (const [key, value] of [['epsilon', '5/255'], ['step', '0.01'], ['steps', '7'], ['target', '4'], ['restarts', '2'], ['backend', 'cpu']]) {
      if (key === 'backend') await page.selectOption('#backend', value);
      else await attackAfter(page, () => setControl(page, key, value));
    }
    await attackAfter(page, () => page.click('#again'));
    const [url, before] = [page.url(), await pageState(page)];
    const settings = () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.controls :is(select, input[type=text]), #backend')].map((e) => [e.id, e.value])));
    const chosen = await settings();
    assert.deepEqual([chosen.epsilon, chosen.step, chosen.steps, chosen.target, chosen.restarts, chosen.seed, chosen.backend], ['5/255', '0.01', '7', '4', '2', '1', 'cpu']);
    await page.reload();
    await attackDone(page);
    assert.equal(page.url(), url);
    assert.deepEqual(await settings(), chosen);
    assert.equal(await pageState(page), before);
    // The user edits the URL.
    await page.evaluate(() => { location.hash = '#model=otjr&sample=6&attack=fgsm'; });
    // Image and model load one after the other, and each starts an attack.
    await page.waitForFunction(() => document.querySelector('#progress').innerText.startsWith('Attacked in 1 step,'));
    assert.match(page.url(), /model=otjr&sample=6&attack=fgsm&norm=linf&epsilon=8\/255/);
  });
});

test('stopping an attack shows the result so far', async (t) => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    await setControl(page, 'steps', '10000');
    await page.waitForSelector('.progress[data-phase=running]');
    await page.waitForTimeout(500);
    const start = Date.now();
    await page.click('#stop');
    await attackDone(page);
    t.diagnostic(`stopped after ${Date.now() - start} ms: ${await page.innerText('#progress')}`);
    assert.match(await page.innerText('#progress'), /^Stopped after \d{1,4} steps/);
    assert.ok((await probabilities(page)).attacked.every(Number.isFinite));
    assert.equal(await page.getAttribute('#stop', 'aria-disabled'), 'true');
    await attackAfter(page, () => setControl(page, 'steps', '3'));
    assert.match(await page.innerText('#progress'), /^Attacked in 3 steps/);
  });
});

test('the keyboard reaches every control and starts an attack', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    const reached = [];
    const focused = () => page.evaluate(() => { const e = document.activeElement; return e.id || e.value || e.nodeName; });
    for (let i = 0; i < 60 && reached.at(-1) !== 'SUMMARY'; i++) {
      await page.keyboard.press('Tab');
      reached.push(await focused());
    }
    for (const id of ['backend', 'otjr', 'pick-model', 'sample', 'pick-image', 'again', 'stop', 'save', 'attack', 'epsilon', 'steps', 'target', 'SUMMARY']) {
      assert.ok(reached.includes(id), `Tab does not reach ${id}, only ${reached}`);
    }
    while (await focused() !== 'again') await page.keyboard.press('Shift+Tab');
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(ring, 'none', 'the focus is not visible');
    await attackAfter(page, () => page.keyboard.press('Enter'));
    assert.match(page.url(), /seed=1/);
    while (await focused() !== 'otjr') await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => location.hash.includes('model=ce&'));
    await attackDone(page);
  });
});
