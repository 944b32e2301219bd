// Images from anywhere, the square of them that the model sees, and the adversarial image's way out and in again.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { attackAfter, attacked, everything, notice, notices, pixels, png, probabilities, set, shipped, top } from './driver.mjs';
import { DIST, dropFiles, dropText, file, launch, pasteFile, pasteText, shoot, site, visit } from './harness.mjs';

const CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

let server, elsewhere, browser;
before(async () => { [server, elsewhere, browser] = [await site(), await foreign(), await launch('cpu', CAMERA)]; });
after(async () => { await browser?.close(); await elsewhere?.close(); await server?.close(); });

/** An image in one color. */
const plain = (color, side = 32) => png(side, side, () => color);
const RED = [200, 30, 40], GREEN = [20, 180, 60], BLUE = [30, 40, 220];

/** Another site, whose images may be read under /open/ and not elsewhere; `requests` are those that it got. */
async function foreign() {
  const requests = [];
  const http = createServer(async (request, response) => {
    requests.push({ method: request.method, path: request.url, headers: request.headers });
    if (request.url.startsWith('/open/')) response.setHeader('Access-Control-Allow-Origin', '*');
    const answer = (type, body) => response.writeHead(200, { 'Content-Type': type }).end(body);
    if (request.url.endsWith('/green.png')) return answer('image/png', plain(GREEN));
    if (request.url.endsWith('/page')) return answer('text/html; charset=utf-8', '<p>no image</p>');
    if (request.url.endsWith('/endless.png')) {
      response.writeHead(200, { 'Content-Type': 'image/png' });
      const more = () => { while (!response.destroyed && response.write(Buffer.alloc(1 << 20))); };
      response.on('drain', more).on('error', () => {});
      return more();
    }
    response.writeHead(404).end();
  });
  await new Promise((done) => http.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    requests,
    close: () => new Promise((done) => { http.close(done); http.closeAllConnections(); }),
  };
}

/** The page may ask that other site, and the browser may grumble about it. */
const grumbles = () => [new RegExp(elsewhere.url)];

/** The color in the middle of the image that the model sees. */
const color = async (page) => (await pixels(page, 'original')).slice(4 * (32 * 16 + 16), 4 * (32 * 16 + 16) + 3);
const caption = (page) => page.locator('.images figcaption').first().innerText();
const tray = (page) => page.locator('.thumbnail');

test('several files are all taken: the last image is shown, the others can be switched to, a model is used', async () => {
  await visit(browser, server, {}, async (page) => {
    await attacked(page);
    assert.ok(!await page.locator('.tray').isVisible());
    const files = [file('red.png', 'image/png', plain(RED)), file('mine.safetensors', '', await shipped('ce')), file('blue.png', 'image/png', plain(BLUE))];
    await dropFiles(page, 'body', ...files);
    await page.waitForFunction(() => /blue\.png/.test(document.querySelector('.images figcaption').innerText));
    await page.locator('.pick', { hasText: 'mine.safetensors' }).waitFor();
    await attacked(page);
    assert.deepEqual(await color(page), BLUE);
    assert.deepEqual(await tray(page).evaluateAll((list) => list.map((b) => [b.title, b.ariaPressed])), [['red.png', 'false'], ['blue.png', 'true']]);
    assert.ok(await tray(page).locator('img').evaluateAll((list) => list.every((img) => img.complete && img.naturalWidth === 32)));
    await attackAfter(page, () => tray(page).first().click());
    assert.deepEqual(await color(page), RED);
    // What cannot be read is not offered.
    await dropFiles(page, 'body', file('notes.png', 'image/png', Buffer.from('Dear diary')));
    await notice(page, /notes\.png.*is not an image/);
    assert.equal(await tray(page).count(), 2);
    // A sample, and back.
    await attackAfter(page, () => page.click('#sample'));
    await attackAfter(page, () => tray(page).nth(1).click());
    assert.deepEqual(await color(page), BLUE);
    // The file dialog.
    await attackAfter(page, () => page.setInputFiles('#pick-image', [{ name: 'picked.png', mimeType: 'image/png', buffer: plain(GREEN) }]));
    assert.deepEqual(await color(page), GREEN);
    assert.equal(await tray(page).count(), 3);
  });
});

describe('addresses', () => {
  test('the image is taken from the list, the HTML, the text or the address itself', async () => {
    await visit(browser, server, { allow: grumbles() }, async (page) => {
      await attacked(page);
      const green = `${elsewhere.url}/open/green.png`;
      const reset = () => attackAfter(page, () => page.click('#sample'));
      const brings = async (what, act, expected = GREEN) => {
        await reset();
        await attackAfter(page, act);
        assert.deepEqual(await color(page), expected, what);
      };
      elsewhere.requests.length = 0;
      await brings('list', () => dropText(page, 'body', { 'text/uri-list': `# dragged\r\n${green}` }));
      const [{ method, headers }] = elsewhere.requests;
      assert.deepEqual([method, headers.referer, headers.cookie, headers.origin], ['GET', undefined, undefined, 'null']);
      assert.match(await caption(page), /^.*green\.png/s);
      // The list leads to the page that the image was a link to.
      await brings('HTML', () => dropText(page, 'body', { 'text/uri-list': `${elsewhere.url}/open/page`, 'text/html': `<a><img alt="" src="${green}"></a>` }));
      await brings('text', () => dropText(page, 'body', { 'text/plain': green }));
      await brings('pasted', () => pasteText(page, 'body', { 'text/plain': green }));
      await brings('data', () => dropText(page, 'body', { 'text/html': `<img src="data:image/png;base64,${plain(BLUE).toString('base64')}">` }), BLUE);
      await brings('pasted file', () => pasteFile(page, 'body', file('pasted.png', 'image/png', plain(RED))), RED);
      await brings('file dropped on a text box', () => dropFiles(page, '#address', file('blue.png', 'image/png', plain(BLUE))), BLUE);
      await brings('typed', async () => { await page.fill('#address', green); await page.press('#address', 'Enter'); });
      assert.equal(await page.inputValue('#address'), '');
      assert.deepEqual(await notices(page), []);
    });
  });

  test('what cannot be had is told, with what to do, and changes nothing', async (t) => {
    await visit(browser, server, { allow: [...grumbles(), /Failed to load resource/] }, async (page) => {
      await attacked(page);
      const before = await everything(page);
      for (const [path, pattern] of [
        ['/closed/green.png', /does not allow other pages to read its images.*Save the image and drop.*copy the image and paste/],
        ['/open/nothing.png', /status 404/],
        ['/open/page', /text\/html, no image/],
        ['/open/endless.png', /larger than 64 MB/],
      ]) {
        await page.fill('#address', elsewhere.url + path);
        await page.click('#fetch');
        t.diagnostic(await notice(page, pattern));
      }
      await page.fill('#address', 'a cat');
      await page.click('#fetch');
      await notice(page, /Type the address of an image/);
      await page.fill('#address', '');
      await dropText(page, 'body', { 'text/plain': 'just words' });
      await notice(page, /neither a file nor an image with an address/);
      await dropText(page, 'body', { 'text/plain': 'data:image/png;base64,A*' });
      await notice(page, /damaged/);
      // Pasted words, and what is pasted into a text box, are nobody's business.
      elsewhere.requests.length = 0;
      await pasteText(page, 'body', { 'text/plain': 'just words' });
      await pasteText(page, '#address', { 'text/plain': `${elsewhere.url}/open/green.png` });
      await page.waitForTimeout(300);
      assert.deepEqual([await notices(page), elsewhere.requests], [[], []]);
      assert.equal(await everything(page), before);
    });
  });

  test('but for that, nothing can leave: the policy stops page and workers, and the frame cannot be reached into', async () => {
    await visit(browser, server, { allow: [...grumbles(), /Content Security Policy|Content-Security-Policy/, /Failed to load resource/] }, async (page) => {
      await attacked(page);
      await attackAfter(page, () => dropText(page, 'body', { 'text/plain': `${elsewhere.url}/open/green.png` }));
      elsewhere.requests.length = 0;
      const outcome = await page.evaluate(async (url) => {
        const tried = (promise) => promise.then(() => 'sent', () => 'stopped');
        const image = (src) => new Promise((done, failed) => Object.assign(new Image(), { onload: done, onerror: failed, src }));
        const worker = new Worker(URL.createObjectURL(new Blob([`fetch('${url}').then(() => postMessage('sent'), () => postMessage('stopped'))`])));
        const frame = document.getElementById('fetch-frame');
        return {
          fetch: await tried(fetch(url)),
          image: await tried(image(url)),
          beacon: navigator.sendBeacon(url, 'x') && 'tried',
          worker: await new Promise((done) => { worker.onmessage = (e) => done(e.data); }),
          frame: await tried((async () => frame.contentWindow.fetch(url))()),
          strange: frame.contentDocument === null,
        };
      }, `${elsewhere.url}/open/leak`);
      const [computing] = page.workers();
      outcome.computing = await computing.evaluate((url) => fetch(url).then(() => 'sent', () => 'stopped'), `${elsewhere.url}/open/leak`);
      await page.waitForTimeout(300);
      assert.deepEqual({ ...outcome, beacon: 0 }, { fetch: 'stopped', image: 'stopped', beacon: 0, worker: 'stopped', frame: 'stopped', computing: 'stopped', strange: true });
      assert.deepEqual(elsewhere.requests, []);
    });
  });

  test('from a host that does not isolate the page they are read too, on the first visit and later', async () => {
    const plainHost = await site({ isolated: false });
    try {
      await visit(browser, plainHost, { allow: grumbles() }, async (page) => {
        for (const isolated of [false, true]) {
          await attacked(page);
          assert.equal(await page.evaluate(() => crossOriginIsolated), isolated);
          await attackAfter(page, () => dropText(page, 'body', { 'text/plain': `${elsewhere.url}/open/green.png` }));
          assert.deepEqual(await color(page), GREEN);
          assert.ok(await page.evaluate(() => document.getElementById('fetch-frame').contentDocument === null));
          await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
          if (!isolated) await page.reload();
        }
      });
    } finally {
      await plainHost.close();
    }
  });

  test("the frame's policy names its script", async () => {
    const text = await readFile(join(DIST, 'public/fetch.html'), 'utf8');
    const script = text.match(/<script>([^]*)<\/script>/)[1];
    assert.ok(text.includes(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`), `the hash is ${createHash('sha256').update(script).digest('base64')}`);
  });
});

describe('the camera', () => {
  test('gives an image and is off again', async () => {
    await visit(browser, server, {}, async (page) => {
      await attacked(page);
      const off = () => page.waitForFunction(() => document.querySelector('dialog.camera video').srcObject.getTracks().every((track) => track.readyState === 'ended'));
      await page.click('#camera');
      await page.waitForFunction(() => document.querySelector('dialog.camera video').videoWidth > 0 && document.querySelector('dialog.camera').open);
      await shoot(page, 'camera', { fullPage: false });
      await attackAfter(page, () => page.click('#shoot'));
      assert.match(await caption(page), /camera\.png, \d+ × \d+ pixels/);
      assert.ok(!await page.locator('dialog.camera').isVisible());
      await off();
      // Away with the Escape key, without an image.
      const before = await everything(page);
      await page.click('#camera');
      await page.locator('dialog.camera').waitFor({ state: 'visible' });
      await page.keyboard.press('Escape');
      await off();
      assert.equal(await everything(page), before);
    });
  });

  test('is missing or refused: that is said', async (t) => {
    const without = await launch('cpu');
    try {
      await visit(without, server, {}, async (page) => {
        await attacked(page);
        await page.click('#camera');
        t.diagnostic(await notice(page, /The camera cannot be used: .*You can also open or drop an image/));
      });
    } finally {
      await without.close();
    }
  });
});

/** An image of 96 x 64 that tells in each pixel where it is. */
const MAP = png(96, 64, (x, y) => [2 * x + 20, 3 * y + 20, 128]);

/** Where the square is, once the model sees what is there: {side, x, y}. */
async function square(page, expected) {
  const place = async () => {
    const [, side, x, y] = (await page.innerText('#crop-place')).match(/^(\d+) × .* from \((\d+), (\d+)\)/).map(Number);
    return { side, x, y };
  };
  let now;
  for (let i = 0; i < 50; i++) {
    now = await place();
    const seen = await pixels(page, 'original');
    const off = [[4, 9], [16, 16], [27, 5]].map(([i, j]) => {
      const [x, y] = [now.x + (i + 0.5) * now.side / 32 - 0.5, now.y + (j + 0.5) * now.side / 32 - 0.5];
      const at = 4 * (32 * j + i);
      return Math.max(Math.abs(seen[at] - (2 * x + 20)), Math.abs(seen[at + 1] - (3 * y + 20)));
    });
    if (Math.max(...off) < 3 && (!expected || JSON.stringify(now) === JSON.stringify(expected))) {
      // The image in the middle is drawn a moment later.
      if (JSON.stringify(await pixels(page, 'original')) === JSON.stringify(seen)) return now;
    }
    await page.waitForTimeout(100);
  }
  assert.deepEqual(now, expected ?? 'what the model sees');
}

test('the square is moved and zoomed by mouse, wheel, keys and buttons, and the model sees it at once', async () => {
  await visit(browser, server, {}, async (page) => {
    await attacked(page);
    assert.equal(await page.locator('#whole').count(), 0);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP)));
    await square(page, { side: 64, x: 16, y: 0 });
    const sample = page.url().match(/sample=own/);
    assert.ok(sample);
    // Keys.
    await page.focus('#whole');
    assert.equal(await page.getAttribute('#whole', 'role'), 'application');
    await page.keyboard.press('ArrowLeft');
    await square(page, { side: 64, x: 12, y: 0 });
    for (let i = 0; i < 3; i++) await page.keyboard.press('+');
    const { side } = await square(page);
    assert.equal(side, 47);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const before = await square(page);
    await page.keyboard.press('-');
    assert.ok((await square(page)).side > side);
    await page.keyboard.press('0');
    await square(page, { side: 64, x: 16, y: 0 });
    // The mouse: a drag of a tenth of the width to the right, then a press beside the square brings it there.
    await page.click('#closer');
    await page.click('#closer');
    const start = await square(page);
    assert.equal(start.side, 52);
    const box = await page.locator('#whole').boundingBox();
    const at = (x, y) => [box.x + x / 96 * box.width, box.y + y / 64 * box.height];
    await page.mouse.move(...at(48, 32));
    await page.mouse.down();
    await page.mouse.move(...at(53, 32), { steps: 3 });
    await page.mouse.move(...at(58, 34), { steps: 3 });
    await page.mouse.up();
    await square(page, { side: 52, x: start.x + 10, y: start.y + 2 });
    await page.mouse.click(...at(3, 32));
    const left = await square(page);
    assert.equal(left.x, 0);
    // The wheel looks closer and wider, and scrolls the page where it cannot.
    await page.mouse.move(...at(20, 32));
    await page.mouse.wheel(0, -120);
    assert.ok((await square(page)).side < left.side);
    await page.mouse.wheel(0, 600);
    assert.equal((await square(page)).side, 64);
    // It is kept for the image, and is gone with a sample.
    await page.keyboard.press('0');
    await page.keyboard.press('ArrowRight');
    await square(page, { side: 64, x: 20, y: 0 });
    await page.waitForTimeout(300);
    await attacked(page);
    await shoot(page, 'square');
    await attackAfter(page, () => page.click('#sample'));
    assert.equal(await page.locator('#whole').count(), 0);
    await attackAfter(page, () => tray(page).first().click());
    await square(page, { side: 64, x: 20, y: 0 });
    assert.ok(before.y > 0);
  });
});

test('two fingers look closer', async () => {
  await visit(browser, server, { width: 360, height: 740, touch: true }, async (page) => {
    await attacked(page);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP)));
    await page.locator('#whole').scrollIntoViewIfNeeded();
    const box = await page.locator('#whole').boundingBox();
    const session = await page.context().newCDPSession(page);
    const fingers = (apart) => [-1, 1].map((side, id) => ({ x: box.x + box.width / 2 + side * apart / 2, y: box.y + box.height / 2, id }));
    await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: fingers(60) });
    for (const apart of [70, 80, 90, 100, 110, 120]) await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: fingers(apart) });
    await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    const { side } = await square(page);
    assert.ok(Math.abs(side - 32) <= 2, `twice as close should be 32, not ${side}`);
  });
});

/** Presses a button that saves a file: {name, bytes}. */
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** The bytes (RGBA) of an image file, as it is. */
const decoded = (page, bytes) => page.evaluate(async (base64) => {
  const blob = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: 'image/png' });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return [bitmap.width, bitmap.height, ...context.getImageData(0, 0, bitmap.width, bitmap.height).data];
}, bytes.toString('base64'));

test('the adversarial image, saved and dropped again, is the same to the byte and still fools the model', async (t) => {
  for (const path of ['#model=ce&sample=1&epsilon=8/255', '#model=ce&sample=2&attack=deepfool&norm=linf&epsilon=8/255', '#model=ce&sample=3&norm=l2&epsilon=1']) {
    await visit(browser, server, { path }, async (page) => {
      await attacked(page);
      const clean = top((await probabilities(page)).clean);
      const before = await pixels(page, 'original');
      const { name, bytes } = await saved(page, '#save');
      assert.equal(name, 'attacked.png');
      const said = await page.locator('#saved', { hasText: 'attacked.png' }).innerText();
      t.diagnostic(`${path}: ${said}`);
      assert.match(said, /still fools the model, which sees \w+ \(.* %\)/);
      const [width, height, ...after] = await decoded(page, bytes);
      assert.deepEqual([width, height], [32, 32]);

      const change = await saved(page, '#save-change');
      const factor = Number(change.name.match(/^change-x(\d+)\.png$/)[1]);
      const [, , ...gray] = await decoded(page, change.bytes);
      assert.deepEqual(before.map((v, i) => i % 4 === 3 ? v : v + (gray[i] - 128) / factor), after, 'the change undoes the attack');

      await attackAfter(page, () => dropFiles(page, 'body', file(name, 'image/png', bytes)));
      assert.deepEqual(await pixels(page, 'original'), after);
      assert.equal(await page.locator('#whole').count(), 0, 'there is nothing to choose');
      const again = top((await probabilities(page)).clean);
      assert.notEqual(again, clean);
      assert.ok(said.includes((await probabilities(page)).names[again]), `${said}, but the model sees ${(await probabilities(page)).names[again]}`);
    });
  }
});

test('all of it is reached by keyboard and looks right', async () => {
  await visit(browser, server, {}, async (page) => {
    await attacked(page);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP), file('wide.png', 'image/png', png(240, 60, (x, y) => [x, 4 * y, 200]))));
    await set(page, 'steps', '5');
    await attacked(page);
    await shoot(page, 'own');
    const reached = [];
    await page.focus('#sample');
    for (let i = 0; i < 30 && reached.at(-1) !== 'save-change'; i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.title));
    }
    for (const id of ['pick-image', 'camera', 'address', 'fetch', 'map.png', 'wide.png', 'whole', 'closer', 'wider', 'middle', 'save', 'save-change']) {
      assert.ok(reached.includes(id), `Tab does not reach ${id}, only ${reached}`);
    }
  });
});
