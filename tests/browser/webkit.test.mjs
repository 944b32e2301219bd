// The page in WebKitGTK, which has Safari's engine, by WebDriver: a first visit, every view, what is dropped, the address. The
// rest is asked of Chromium. No screenshots: WebKitWebDriver never answers when asked for one here.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { VIEWS, png } from './driver.mjs';
import { THREADS, serveSite } from './harness.mjs';

const missing = ['WebKitWebDriver', 'Xvfb'].filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);

let server, screen, display;
before(async () => {
  assert.deepEqual(missing, [], 'On Debian: apt-get install webkit2gtk-driver xvfb. Elsewhere: install WebKitGTK with its WebKitWebDriver, and Xvfb');
  server = await serveSite();
  // The X server chooses a free display and writes its number.
  screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  display = await new Promise((done, failed) => {
    screen.stdio[3].once('data', (number) => done(`:${String(number).trim()}`));
    screen.once('exit', () => failed(new Error('Xvfb did not start')));
  });
});
after(async () => {
  screen?.kill(); // and with it any browser
  await server?.close();
});

const freePort = () => new Promise((done) => {
  const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => done(port)); });
});

/** Starts a driver and a browser; gives what sends a command to the driver, the driver, and the session. */
async function open(env) {
  const port = await freePort();
  const driver = spawn('WebKitWebDriver', [`--port=${port}`], { env, stdio: 'ignore' });
  async function call(method, path, body, limit = 60_000) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(limit) });
    const { value } = await answer.json();
    if (value?.error) throw new Error(`${path}: ${value.error} ${value.message}`);
    return value;
  }
  try {
    for (let i = 0; !await call('GET', '/status', undefined, 5000).then(({ ready }) => ready, () => false); i++) {
      assert.ok(i < 100, 'WebKitWebDriver does not answer');
      await pause(100);
    }
    return { call, driver, ...await call('POST', '/session', { capabilities: {} }, 30_000) };
  } catch (error) {
    driver.kill();
    throw error;
  }
}

/** Opens a browser and hands `check` what drives it: go(url), run(function, ...arguments), until(function, ...arguments). */
async function browse(more, check) {
  // Containers allow no sandbox in theirs; a machine without a GPU draws in software.
  const env = {
    ...process.env, ...more, DISPLAY: display, GDK_BACKEND: 'x11', LIBGL_ALWAYS_SOFTWARE: '1',
    WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1',
  };
  // Once in 18 starts on a loaded machine the driver never answered when it was asked for a browser.
  const again = () => open(env);
  const { call, driver, sessionId, capabilities } = await again().catch(again).catch(again);
  const session = `/session/${sessionId}`;
  const run = (what, ...args) => call('POST', `${session}/execute/sync`, { script: `return (${what})(...arguments)`, args });
  const until = async (what, ...args) => {
    const end = Date.now() + 120_000;
    while (!await run(what, ...args)) {
      if (Date.now() > end) throw new Error(`for two minutes not: ${what}; the page shows ${await run(() => document.body.innerText.slice(0, 2000))}`);
      await pause(50);
    }
  };
  const page = {
    name: `${capabilities.browserName} ${capabilities.browserVersion}`, run, until,
    go: (url) => call('POST', `${session}/url`, { url }),
    text: (selector) => run((selector) => document.querySelector(selector).innerText, selector),
    attacked: () => until(() => document.querySelector('.progress[data-phase=done]') !== null),
    notices: () => run(() => [...document.querySelectorAll('.notice')].map((notice) => notice.innerText)),
  };
  try {
    await check(page);
  } finally {
    await call('DELETE', session).catch(() => {});
    driver.kill();
  }
}

// Safari gives isolated pages memory to share. WebKitGTK gives it where its environment says so.
test('it attacks, shows every view, takes what is dropped and is a link', async (t) => {
  await browse({ JSC_useSharedArrayBuffer: '1' }, async (page) => {
    await page.go(`${server.url}#model=ce&view=none&backend=cpu`);
    await page.attacked();
    t.diagnostic(`${page.name}: ${await page.text('#verdict')} ${await page.text('#progress')}`);
    assert.match(await page.text('#verdict'), /^The standard model is fooled/);
    const cores = await page.run(() => Math.min(navigator.hardwareConcurrency, 16));
    assert.match(await page.text('#backend-line'), new RegExp(`^CPU \\(${THREADS && cores > 1 ? `${cores} threads` : '1 thread'}\\)`));

    for (const view of VIEWS) {
      await page.run((view) => document.querySelector(`.tabs label:has([value=${view}])`).click(), view);
      await page.until((view) => {
        const open = document.querySelector(`#view-${view}`);
        const plots = [...open?.querySelectorAll('figure.plot:not([hidden])') ?? []];
        return open?.ariaBusy === 'false' && !open.querySelector('.stale') && plots.length > 0 && plots.every((plot) => plot.querySelector('svg'));
      }, view);
      const words = await page.text('#view-words');
      t.diagnostic(`${view}: ${words}`);
      assert.match(words, /^[A-Z].{20,}\.$/s);
      const hash = await page.run(() => location.hash);
      // The first view is the usual one, which an address leaves out.
      assert.equal(hash.match(/view=(\w+)/)?.[1], view === 'layers' ? undefined : view);
    }

    const bytes = png(64, 48, (x, y) => [4 * x, 5 * y, 90]).toString('base64');
    await page.run((bytes) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], 'mine.png', { type: 'image/png' }));
      for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }, bytes);
    await page.until(() => /mine\.png/.test(document.querySelector('.images figcaption').innerText));
    await page.attacked();

    await page.go('about:blank');
    await page.go(`${server.url}#model=otjr&sample=3&attack=fgsm&view=embedding&backend=cpu`);
    await page.attacked();
    assert.match(await page.text('#verdict'), /^The robust model/);
    assert.equal(await page.run(() => document.querySelector('[name=view]:checked').value), 'embedding');
    assert.deepEqual(await page.notices(), []);
  });
});

test('without memory to share it computes with one thread', async () => {
  await browse({ JSC_useSharedArrayBuffer: '0' }, async (page) => {
    await page.go(`${server.url}#model=ce&view=none&backend=cpu`);
    await page.attacked();
    assert.match(await page.text('#backend-line'), /^CPU \(1 thread\)/);
    assert.deepEqual(await page.notices(), []);
  });
});
