// Choosing an image: files, URLs, the clipboard and the camera; the crop editor; saving and reloading an adversarial image.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { attackAfter, attackDone, pageState, expectNotice, notices, pixels, png, probabilities, setControl, builtinModel, top } from './driver.mjs';
import { DIST, dropFiles, dropText, file, launchBrowser, pasteFile, pasteText, takeScreenshots, serveSite, visit } from './harness.mjs';

const CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

let server, otherHost, browser;
before(async () => { [server, otherHost, browser] = [await serveSite(), await serveOtherHost(), await launchBrowser('cpu', CAMERA)]; });
after(async () => { await browser?.close(); await otherHost?.close(); await server?.close(); });

/** A PNG file with one color. */
const uniform = (color, side = 32) => png(side, side, () => color);
const RED = [200, 30, 40], GREEN = [20, 180, 60], BLUE = [30, 40, 220];

/** Serves images on another host. Other pages may read those under /open/ (CORS). `requests` lists all requests. */
async function serveOtherHost() {
  const requests = [];
  const http = createServer(async (request, response) => {
    requests.push({ method: request.method, path: request.url, headers: request.headers });
    if (request.url.startsWith('/open/')) response.setHeader('Access-Control-Allow-Origin', '*');
    const answer = (type, body) => response.writeHead(200, { 'Content-Type': type }).end(body);
    if (request.url.endsWith('/green.png')) return answer('image/png', uniform(GREEN));
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

/** Requests to the other host, and browser errors about them, are expected. */
const expectedErrors = () => [new RegExp(otherHost.url)];

/** The color in the center of the model input. */
const centerColor = async (page) => (await pixels(page, 'original')).slice(4 * (32 * 16 + 16), 4 * (32 * 16 + 16) + 3);
const caption = (page) => page.locator('.images figcaption').first().innerText();
const thumbnails = (page) => page.locator('.thumbnail');

test('the user drops several files: the last image is shown, the others get thumbnails, and the model is loaded', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    assert.ok(!await page.locator('.tray').isVisible());
    const files = [file('red.png', 'image/png', uniform(RED)), file('mine.safetensors', '', await builtinModel('ce')), file('blue.png', 'image/png', uniform(BLUE))];
    await dropFiles(page, 'body', ...files);
    await page.waitForFunction(() => /blue\.png/.test(document.querySelector('.images figcaption').innerText));
    await page.locator('.pick', { hasText: 'mine.safetensors' }).waitFor();
    await attackDone(page);
    assert.deepEqual(await centerColor(page), BLUE);
    assert.deepEqual(await thumbnails(page).evaluateAll((list) => list.map((b) => [b.title, b.ariaPressed])), [['red.png', 'false'], ['blue.png', 'true']]);
    assert.ok(await thumbnails(page).locator('img').evaluateAll((list) => list.every((img) => img.complete && img.naturalWidth === 32)));
    await attackAfter(page, () => thumbnails(page).first().click());
    assert.deepEqual(await centerColor(page), RED);
    // A file that is not an image gets no thumbnail.
    await dropFiles(page, 'body', file('notes.png', 'image/png', Buffer.from('Dear diary')));
    await expectNotice(page, /notes\.png.*is not an image/);
    assert.equal(await thumbnails(page).count(), 2);
    // Switch to a sample and back.
    await attackAfter(page, () => page.click('#sample'));
    await attackAfter(page, () => thumbnails(page).nth(1).click());
    assert.deepEqual(await centerColor(page), BLUE);
    // The file dialog.
    await attackAfter(page, () => page.setInputFiles('#pick-image', [{ name: 'picked.png', mimeType: 'image/png', buffer: uniform(GREEN) }]));
    assert.deepEqual(await centerColor(page), GREEN);
    assert.equal(await thumbnails(page).count(), 3);
  });
});

describe('image URLs', () => {
  test('an image URL is read from a dropped list, HTML or text, and from the URL box', async () => {
    await visit(browser, server, { allow: expectedErrors() }, async (page) => {
      await attackDone(page);
      const green = `${otherHost.url}/open/green.png`;
      const reset = () => attackAfter(page, () => page.click('#sample'));
      const loads = async (what, act, expected = GREEN) => {
        await reset();
        await attackAfter(page, act);
        assert.deepEqual(await centerColor(page), expected, what);
      };
      otherHost.requests.length = 0;
      await loads('list', () => dropText(page, 'body', { 'text/uri-list': `# dragged\r\n${green}` }));
      const [{ method, headers }] = otherHost.requests;
      assert.deepEqual([method, headers.referer, headers.cookie, headers.origin], ['GET', undefined, undefined, 'null']);
      assert.match(await caption(page), /^.*green\.png/s);
      // The list contains the link target; the image itself is in the HTML.
      await loads('HTML', () => dropText(page, 'body', { 'text/uri-list': `${otherHost.url}/open/page`, 'text/html': `<a><img alt="" src="${green}"></a>` }));
      await loads('text', () => dropText(page, 'body', { 'text/plain': green }));
      await loads('pasted', () => pasteText(page, 'body', { 'text/plain': green }));
      await loads('data', () => dropText(page, 'body', { 'text/html': `<img src="data:image/png;base64,${uniform(BLUE).toString('base64')}">` }), BLUE);
      await loads('pasted file', () => pasteFile(page, 'body', file('pasted.png', 'image/png', uniform(RED))), RED);
      await loads('file dropped on a text box', () => dropFiles(page, '#address', file('blue.png', 'image/png', uniform(BLUE))), BLUE);
      await loads('typed', async () => { await page.fill('#address', green); await page.press('#address', 'Enter'); });
      assert.equal(await page.inputValue('#address'), '');
      assert.deepEqual(await notices(page), []);
    });
  });

  test('a URL that cannot be loaded gives a message with a remedy and changes nothing', async (t) => {
    await visit(browser, server, { allow: [...expectedErrors(), /Failed to load resource/] }, async (page) => {
      await attackDone(page);
      const before = await pageState(page);
      for (const [path, pattern] of [
        ['/closed/green.png', /does not allow other pages to read its images.*Save the image and drop.*copy the image and paste/],
        ['/open/nothing.png', /status 404/],
        ['/open/page', /text\/html, not an image/],
        ['/open/endless.png', /larger than 64 MB/],
      ]) {
        await page.fill('#address', otherHost.url + path);
        await page.click('#fetch');
        t.diagnostic(await expectNotice(page, pattern));
      }
      await page.fill('#address', 'a cat');
      await page.click('#fetch');
      await expectNotice(page, /Type the URL of an image/);
      await page.fill('#address', '');
      await dropText(page, 'body', { 'text/plain': 'just words' });
      await expectNotice(page, /neither a file nor an image with a URL/);
      await dropText(page, 'body', { 'text/plain': 'data:image/png;base64,A*' });
      await expectNotice(page, /damaged/);
      // Pasted text that is not a URL, and text pasted into a text box, has no effect.
      otherHost.requests.length = 0;
      await pasteText(page, 'body', { 'text/plain': 'just words' });
      await pasteText(page, '#address', { 'text/plain': `${otherHost.url}/open/green.png` });
      await page.waitForTimeout(300);
      assert.deepEqual([await notices(page), otherHost.requests], [[], []]);
      assert.equal(await pageState(page), before);
    });
  });

  test('the content security policy blocks all other requests of page and workers, and the frame is isolated', async () => {
    await visit(browser, server, { allow: [...expectedErrors(), /Content Security Policy|Content-Security-Policy/, /Failed to load resource/] }, async (page) => {
      await attackDone(page);
      await attackAfter(page, () => dropText(page, 'body', { 'text/plain': `${otherHost.url}/open/green.png` }));
      otherHost.requests.length = 0;
      const outcome = await page.evaluate(async (url) => {
        const attempt = (promise) => promise.then(() => 'sent', () => 'blocked');
        const image = (src) => new Promise((done, failed) => Object.assign(new Image(), { onload: done, onerror: failed, src }));
        const worker = new Worker(URL.createObjectURL(new Blob([`fetch('${url}').then(() => postMessage('sent'), () => postMessage('blocked'))`])));
        const frame = document.getElementById('fetch-frame');
        return {
          fetch: await attempt(fetch(url)),
          image: await attempt(image(url)),
          beacon: navigator.sendBeacon(url, 'x') && 'queued',
          worker: await new Promise((done) => { worker.onmessage = (e) => done(e.data); }),
          frame: await attempt((async () => frame.contentWindow.fetch(url))()),
          isolated: frame.contentDocument === null,
        };
      }, `${otherHost.url}/open/leak`);
      const [worker] = page.workers();
      outcome.computeWorker = await worker.evaluate((url) => fetch(url).then(() => 'sent', () => 'blocked'), `${otherHost.url}/open/leak`);
      await page.waitForTimeout(300);
      assert.deepEqual({ ...outcome, beacon: 0 }, { fetch: 'blocked', image: 'blocked', beacon: 0, worker: 'blocked', frame: 'blocked', computeWorker: 'blocked', isolated: true });
      assert.deepEqual(otherHost.requests, []);
    });
  });

  test('image URLs also work on a host without isolation headers, on the first visit and later', async () => {
    const plainHost = await serveSite({ isolated: false });
    try {
      await visit(browser, plainHost, { allow: expectedErrors() }, async (page) => {
        for (const isolated of [false, true]) {
          await attackDone(page);
          assert.equal(await page.evaluate(() => crossOriginIsolated), isolated);
          await attackAfter(page, () => dropText(page, 'body', { 'text/plain': `${otherHost.url}/open/green.png` }));
          assert.deepEqual(await centerColor(page), GREEN);
          assert.ok(await page.evaluate(() => document.getElementById('fetch-frame').contentDocument === null));
          await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
          if (!isolated) await page.reload();
        }
      });
    } finally {
      await plainHost.close();
    }
  });

  test("the frame's content security policy contains the hash of its script", async () => {
    const text = await readFile(join(DIST, 'public/fetch.html'), 'utf8');
    const script = text.match(/<script>([^]*)<\/script>/)[1];
    assert.ok(text.includes(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`), `the hash is ${createHash('sha256').update(script).digest('base64')}`);
  });
});

describe('camera', () => {
  test('taking a photo loads it and turns the camera off', async () => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      const cameraOff = () => page.waitForFunction(() => document.querySelector('dialog.camera video').srcObject.getTracks().every((track) => track.readyState === 'ended'));
      await page.click('#camera');
      await page.waitForFunction(() => document.querySelector('dialog.camera video').videoWidth > 0 && document.querySelector('dialog.camera').open);
      await takeScreenshots(page, 'camera', { fullPage: false });
      await attackAfter(page, () => page.click('#shoot'));
      assert.match(await caption(page), /camera\.png, \d+ × \d+ pixels/);
      assert.ok(!await page.locator('dialog.camera').isVisible());
      await cameraOff();
      // The Escape key closes the dialog without an image.
      const before = await pageState(page);
      await page.click('#camera');
      await page.locator('dialog.camera').waitFor({ state: 'visible' });
      await page.keyboard.press('Escape');
      await cameraOff();
      assert.equal(await pageState(page), before);
    });
  });

  test('a missing or blocked camera gives a message', async (t) => {
    const noCamera = await launchBrowser('cpu');
    try {
      await visit(noCamera, server, {}, async (page) => {
        await attackDone(page);
        await page.click('#camera');
        t.diagnostic(await expectNotice(page, /The camera cannot be used: .*You can also open or drop an image/));
      });
    } finally {
      await noCamera.close();
    }
  });
});

/** An image of 96 x 64 whose colors encode the position of each pixel. */
const MAP = png(96, 64, (x, y) => [2 * x + 20, 3 * y + 20, 128]);

/** Waits until the model input shows the crop, and returns the crop: {side, x, y}. */
async function crop(page, expected) {
  const readCrop = async () => {
    const [, side, x, y] = (await page.innerText('#crop-place')).match(/^(\d+) × .* from \((\d+), (\d+)\)/).map(Number);
    return { side, x, y };
  };
  let now;
  for (let i = 0; i < 50; i++) {
    now = await readCrop();
    const seen = await pixels(page, 'original');
    const off = [[4, 9], [16, 16], [27, 5]].map(([i, j]) => {
      const [x, y] = [now.x + (i + 0.5) * now.side / 32 - 0.5, now.y + (j + 0.5) * now.side / 32 - 0.5];
      const at = 4 * (32 * j + i);
      return Math.max(Math.abs(seen[at] - (2 * x + 20)), Math.abs(seen[at + 1] - (3 * y + 20)));
    });
    if (Math.max(...off) < 3 && (!expected || JSON.stringify(now) === JSON.stringify(expected))) {
      // The adversarial image is drawn a little later.
      if (JSON.stringify(await pixels(page, 'original')) === JSON.stringify(seen)) return now;
    }
    await page.waitForTimeout(100);
  }
  assert.deepEqual(now, expected ?? 'the crop that the model input shows');
}

test('mouse, wheel, keys and buttons move and zoom the crop, and the model input follows', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    assert.equal(await page.locator('#whole').count(), 0);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP)));
    await crop(page, { side: 64, x: 16, y: 0 });
    const sample = page.url().match(/sample=own/);
    assert.ok(sample);
    // Keys.
    await page.focus('#whole');
    assert.equal(await page.getAttribute('#whole', 'role'), 'application');
    await page.keyboard.press('ArrowLeft');
    await crop(page, { side: 64, x: 12, y: 0 });
    for (let i = 0; i < 3; i++) await page.keyboard.press('+');
    const { side } = await crop(page);
    assert.equal(side, 47);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const before = await crop(page);
    await page.keyboard.press('-');
    assert.ok((await crop(page)).side > side);
    await page.keyboard.press('0');
    await crop(page, { side: 64, x: 16, y: 0 });
    // Mouse: drag by a tenth of the width to the right, then click outside the crop to move it there.
    await page.click('#closer');
    await page.click('#closer');
    const start = await crop(page);
    assert.equal(start.side, 52);
    const box = await page.locator('#whole').boundingBox();
    const at = (x, y) => [box.x + x / 96 * box.width, box.y + y / 64 * box.height];
    await page.mouse.move(...at(48, 32));
    await page.mouse.down();
    await page.mouse.move(...at(53, 32), { steps: 3 });
    await page.mouse.move(...at(58, 34), { steps: 3 });
    await page.mouse.up();
    await crop(page, { side: 52, x: start.x + 10, y: start.y + 2 });
    await page.mouse.click(...at(3, 32));
    const left = await crop(page);
    assert.equal(left.x, 0);
    // The wheel zooms in and out.
    await page.mouse.move(...at(20, 32));
    await page.mouse.wheel(0, -120);
    assert.ok((await crop(page)).side < left.side);
    await page.mouse.wheel(0, 600);
    assert.equal((await crop(page)).side, 64);
    // The crop is stored with the image; samples have none.
    await page.keyboard.press('0');
    await page.keyboard.press('ArrowRight');
    await crop(page, { side: 64, x: 20, y: 0 });
    await page.waitForTimeout(300);
    await attackDone(page);
    await takeScreenshots(page, 'square');
    await attackAfter(page, () => page.click('#sample'));
    assert.equal(await page.locator('#whole').count(), 0);
    await attackAfter(page, () => thumbnails(page).first().click());
    await crop(page, { side: 64, x: 20, y: 0 });
    assert.ok(before.y > 0);
  });
});

test('two fingers zoom in', async () => {
  await visit(browser, server, { width: 360, height: 740, touch: true }, async (page) => {
    await attackDone(page);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP)));
    await page.locator('#whole').scrollIntoViewIfNeeded();
    const box = await page.locator('#whole').boundingBox();
    const session = await page.context().newCDPSession(page);
    const fingers = (apart) => [-1, 1].map((side, id) => ({ x: box.x + box.width / 2 + side * apart / 2, y: box.y + box.height / 2, id }));
    await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: fingers(60) });
    for (const apart of [70, 80, 90, 100, 110, 120]) await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: fingers(apart) });
    await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    const { side } = await crop(page);
    assert.ok(Math.abs(side - 32) <= 2, `zooming in by two should give a side of 32, not ${side}`);
  });
});

/** Clicks a button that saves a file, and returns the file: {name, bytes}. */
async function saveFile(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** Width, height and bytes (RGBA) of a PNG file, without color conversion. */
const decodePng = (page, bytes) => page.evaluate(async (base64) => {
  const blob = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: 'image/png' });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return [bitmap.width, bitmap.height, ...context.getImageData(0, 0, bitmap.width, bitmap.height).data];
}, bytes.toString('base64'));

test('an adversarial image that is saved and dropped again has the same bytes and still fools the model', async (t) => {
  for (const path of ['#model=ce&sample=1&epsilon=8/255', '#model=ce&sample=2&attack=deepfool&norm=linf&epsilon=8/255', '#model=ce&sample=3&norm=l2&epsilon=1']) {
    await visit(browser, server, { path }, async (page) => {
      await attackDone(page);
      const clean = top((await probabilities(page)).clean);
      const before = await pixels(page, 'original');
      const { name, bytes } = await saveFile(page, '#save');
      assert.equal(name, 'attacked.png');
      const message = await page.locator('#saved', { hasText: 'attacked.png' }).innerText();
      t.diagnostic(`${path}: ${message}`);
      assert.match(message, /still fools the model, which predicts \w+ \(.* %\)/);
      const [width, height, ...after] = await decodePng(page, bytes);
      assert.deepEqual([width, height], [32, 32]);

      const change = await saveFile(page, '#save-change');
      const factor = Number(change.name.match(/^change-x(\d+)\.png$/)[1]);
      const [, , ...gray] = await decodePng(page, change.bytes);
      assert.deepEqual(before.map((v, i) => i % 4 === 3 ? v : v + (gray[i] - 128) / factor), after, 'the perturbation file gives the adversarial image');

      await attackAfter(page, () => dropFiles(page, 'body', file(name, 'image/png', bytes)));
      assert.deepEqual(await pixels(page, 'original'), after);
      assert.equal(await page.locator('#whole').count(), 0, 'the image cannot be cropped');
      const again = top((await probabilities(page)).clean);
      assert.notEqual(again, clean);
      assert.ok(message.includes((await probabilities(page)).names[again]), `${message}, but the model predicts ${(await probabilities(page)).names[again]}`);
    });
  }
});

test('the keyboard reaches every control of the picker', async () => {
  await visit(browser, server, {}, async (page) => {
    await attackDone(page);
    await attackAfter(page, () => dropFiles(page, 'body', file('map.png', 'image/png', MAP), file('wide.png', 'image/png', png(240, 60, (x, y) => [x, 4 * y, 200]))));
    await setControl(page, 'steps', '5');
    await attackDone(page);
    await takeScreenshots(page, 'own');
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
