// Training in the page: interrupted by attacks, reloads and lost devices, and moved to the native program and back.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { dropFiles, file, launchBrowser, takeScreenshots, serveSite, visit } from './harness.mjs';
import { attackAfter, attackDone, expectNotice, notices, chartData, png, setControl } from './driver.mjs';

const SLOW = 300_000; // SwiftShader shares two cores with other programs
/** tests/agreement/main.rs writes a run into this directory. The native programs are next to it. */
const { AGREEMENT = '' } = process.env;
const HANDOVER = dirname(AGREEMENT);
const NATIVE = join(HANDOVER, '../release/train');

/** A run of 50 short steps. */
const SHORT = '#view=none&backend=cpu&train.limit=80&train.limit-test=20&train.batch=16&train.epochs=10';

const currentStep = async (page) => Number((await page.innerText('#train-words')).match(/step (\d+)/i)?.[1] ?? NaN);
/** Waits until the run has done at least n steps. */
const stepReached = (page, n, timeout = 120_000) => page.waitForFunction((n) => {
  const words = document.querySelector('#train-words').innerText;
  return Number(words.match(/(?:step|All) (\d+)/i)?.[1] ?? -1) >= n;
}, n, { timeout });
const runDone = (page, timeout = 120_000) => page.locator('#train-words', { hasText: /^All \d+ steps are done/ }).waitFor({ timeout });
const paused = (page) => page.locator('#train-words', { hasText: /^Paused/ }).waitFor();

/** Clicks an element when its position is stable. */
const click = (page, id) => page.locator(`#${id}`).click();
async function saveFile(page, id) {
  const coming = page.waitForEvent('download');
  await click(page, id);
  const download = await coming;
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}
/** Makes the page believe that its tab is hidden. */
const hide = (page) => page.evaluate(() => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
});
/** Waits until the browser's storage contains a run whose description matches `words`. */
async function runStored(page, words) {
  for (let tries = 0; tries < 100; tries++, await page.waitForTimeout(100)) {
    const all = await page.evaluate(async () => {
      const texts = [];
      const directory = await navigator.storage.getDirectory();
      for await (const [name, handle] of directory.entries()) if (name.endsWith('.txt')) texts.push(await (await handle.getFile()).text());
      return texts;
    });
    if (all.some((text) => text.match(words))) return;
  }
  throw new Error(`no stored run matches ${words}`);
}
/** The metadata and tensors (arrays by name) of a safetensors file. */
function tensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...header } = JSON.parse(bytes.subarray(8, 8 + length));
  const of = ({ data_offsets: [from, to] }) => new Float32Array(bytes.buffer.slice(bytes.byteOffset + 8 + length + from, bytes.byteOffset + 8 + length + to));
  return { metadata: JSON.parse(metadata.otjr), arrays: Object.fromEntries(Object.entries(header).map(([name, entry]) => [name, of(entry)])) };
}
/** Relative L2 difference between the weights of two files. */
function weightDifference(a, b) {
  const [left, right] = [tensors(a).arrays, tensors(b).arrays];
  const names = Object.keys(left).filter((name) => name.startsWith('model.'));
  assert.ok(names.length > 10 && names.every((name) => right[name]));
  let [difference, size] = [0, 0];
  for (const name of names) left[name].forEach((v, i) => { difference += (v - right[name][i]) ** 2; size += v ** 2; });
  return Math.sqrt(difference / size);
}
/** Mean of the first and of the last ten values of a series, and the number of values. */
const meansOf = (rows, series) => {
  const values = rows.filter((row) => row.series === series).map((row) => Number(row.y));
  const mean = (part) => part.reduce((sum, v) => sum + v, 0) / part.length;
  return [mean(values.slice(0, 10)), mean(values.slice(-10)), values.length];
};

let server;
before(async () => { server = await serveSite(); });
after(() => server?.close());

describe('training on the CPU', () => {
  let browser;
  before(async () => { browser = await launchBrowser('cpu'); });
  after(() => browser?.close());

  test('the loss decreases in 50 steps; a run that is interrupted, reloaded and resumed ends with the same bytes', { timeout: 400_000 }, async (t) => {
    let whole;
    await visit(browser, server, { path: SHORT }, async (page) => {
      await attackDone(page);
      await click(page, 'train-begin');
      await runDone(page);
      const rows = await chartData(page, 'train-chart-losses');
      const [first, last, steps] = meansOf(rows, 'total');
      t.diagnostic(`50 steps of otjr, loss ${first.toFixed(2)} -> ${last.toFixed(2)}; ${await page.innerText('#train-words')}`);
      assert.equal(steps, 50);
      assert.ok(last < 0.95 * first, `the loss went from ${first} to ${last}`);
      whole = await saveFile(page, 'train-save-run');
      assert.equal(whole.name, 'otjr-step-50-run.safetensors');
      await takeScreenshots(page, 'training');
    });
    await visit(browser, server, { path: SHORT }, async (page) => {
      await attackDone(page);
      await click(page, 'train-begin');
      await stepReached(page, 3);
      await attackAfter(page, () => page.click('#again'));
      assert.ok(await currentStep(page) < 45, 'an attack interrupts training');
      await stepReached(page, 8);
      await click(page, 'train-pause');
      await paused(page);
      const at = await currentStep(page);
      await click(page, 'train-step');
      await stepReached(page, at + 1);
      await paused(page);
      assert.equal(await currentStep(page), at + 1);
      // When its tab is hidden, the page stores the run.
      await hide(page);
      await runStored(page, `step ${at + 1} of 50`);
      await page.reload();
      await attackDone(page);
      const earlier = page.locator('#train-earlier li');
      assert.match(await earlier.innerText(), new RegExp(`otjr on synthetic, wrn-10-1, step ${at + 1} of 50`));
      await earlier.locator('button', { hasText: 'Resume' }).click();
      await expectNotice(page, `The run was resumed at step ${at + 1}`);
      await click(page, 'train-go');
      await runDone(page);
      const moved = await saveFile(page, 'train-save-run');
      assert.ok(moved.bytes.equals(whole.bytes), 'the interrupted run ended with other bytes');
      assert.equal(meansOf(await chartData(page, 'train-chart-losses'), 'total')[2], 50, 'the losses from before the reload are missing');
      // The trained model can be attacked.
      await attackAfter(page, () => click(page, 'train-try'));
      assert.match(await page.innerText('#about-model'), /trained with otjr/);
      // A file that is not a run is rejected, and the run stays.
      await page.setInputFiles('#train-resume-file', { name: 'x.safetensors', mimeType: '', buffer: whole.bytes.subarray(0, 1000) });
      await expectNotice(page, 'not a complete safetensors file');
      assert.match(await page.innerText('#train-words'), /^All 50 steps are done/);
    });
  });

  // tests/agreement/main.rs explains the expected differences.
  for (const [objective, atFirst, throughout, inTheEnd] of [['rand_jac', 1e-6, 1e-4, 1e-4], ['otjr', 1e-5, 2e-2, 2e-2]]) {
    test(`a native run of ${objective} continues in the page and then natively again, as if it had never moved`, {
      timeout: 300_000, skip: !existsSync(AGREEMENT) && 'the file AGREEMENT is missing: run tests/run',
    }, async (t) => {
      const handover = (what) => readFile(join(HANDOVER, `handover-${objective}-${what}`));
      const [start, end] = await Promise.all([handover('step-5.safetensors'), handover('end.safetensors')]);
      const records = JSON.parse(await handover('records.json'));
      let here;
      await visit(browser, server, { path: '#view=none&backend=cpu' }, async (page) => {
        await attackDone(page);
        await page.setInputFiles('#train-resume-file', { name: 'native.safetensors', mimeType: '', buffer: start });
        await expectNotice(page, 'The run was resumed at step 5');
        for (let n = 6; n <= 15; n++) {
          await click(page, 'train-step');
          await stepReached(page, n);
          await paused(page);
        }
        const losses = (await chartData(page, 'train-chart-losses')).filter((row) => row.series === 'total').map((row) => Number(row.y));
        const errors = losses.map((loss, i) => Math.abs(loss / records[5 + i].loss - 1));
        t.diagnostic(`ten losses, relative differences between page and native: first ${errors[0].toExponential(1)}, largest ${Math.max(...errors).toExponential(1)}`);
        assert.equal(losses.length, 10);
        assert.ok(errors[0] < atFirst && Math.max(...errors) < throughout, `relative differences of the losses: ${errors}`);
        here = await saveFile(page, 'train-save-run');
      });
      const directory = await mkdtemp(join(tmpdir(), 'otjr-'));
      try {
        const moved = join(directory, here.name);
        await writeFile(moved, here.bytes);
        await promisify(execFile)(NATIVE, ['--resume', moved, '--out', join(directory, 'out'), '--device', 'cpu'], { cwd: directory });
        const back = await readFile(join(directory, 'out', objective, 'checkpoint.safetensors'));
        assert.equal(tensors(back).metadata.step, '20');
        const distance = weightDifference(back, end);
        t.diagnostic(`weights of native, page, native against native alone: difference ${distance.toExponential(1)}`);
        assert.ok(distance < inTheEnd, `the weights differ by ${distance}`);
      } finally {
        await rm(directory, { recursive: true });
      }
    });
  }

  test('500 steps use constant memory; settings change during the run; runs are evaluated', { timeout: 600_000 }, async (t) => {
    const path = '#view=none&backend=cpu&train.limit=32&train.limit-test=8&train.batch=8&train.epochs=125&train.objective=pgd&train.train-steps=1';
    const full = (page) => page.addInitScript(() => { navigator.storage.estimate = async () => ({ quota: 1e6, usage: 9e5 }); });
    await visit(browser, server, { path, before: full }, async (page) => {
      const megabytes = async () => Number((await page.innerText('#train-words')).match(/memory (\d+) MB/)[1]);
      const heap = () => page.evaluate(() => Math.round(performance.memory.usedJSHeapSize / 1e6));
      await attackDone(page);
      await click(page, 'train-begin');
      await expectNotice(page, /The run cannot be stored in this browser: it has 0\.\d MB, but this page has only 0\.1 MB left/);
      await stepReached(page, 100);
      const before = [await megabytes(), await heap()];
      await setControl(page, 'fit-rate', '0.01');
      await runDone(page, 500_000);
      const after = [await megabytes(), await heap()];
      t.diagnostic(`worker's memory after 100 steps ${before[0]} MB, after 500 ${after[0]} MB; the page's heap ${before[1]} and ${after[1]} MB`);
      assert.ok(after[0] <= before[0] + 2, `the worker's memory grew from ${before[0]} to ${after[0]} MB`);
      const rates = (await chartData(page, 'train-chart-rate')).map((row) => Number(row.y));
      assert.ok(Math.max(...rates) > 0.05 && rates.at(-1) < 0.001, 'the learning rate did not follow');
      assert.match(page.url(), /train\.rate=0\.01/);

      // A second run with another objective; the same attack evaluates both.
      await setControl(page, 'fit-objective', 'ce');
      await setControl(page, 'fit-epochs', '10');
      await click(page, 'train-begin');
      await runDone(page);
      await click(page, 'train-judge');
      await page.waitForFunction(() => document.querySelectorAll('#train-runs tbody tr').length === 2
        && [...document.querySelectorAll('#train-runs tbody tr')].every((row) => row.innerText.includes('pgd linf 8/255')), null, { timeout: 120_000 });
      await click(page, 'train-copy');
      await page.locator('#train-race-words', { hasText: 'copied' }).waitFor();
      const table = await page.evaluate(() => navigator.clipboard.readText());
      assert.deepEqual(table.trim().split('\n').map((line) => line.split('\t')[0]), ['Run', '1 pgd', '2 ce']);
      t.diagnostic(table.trim().split('\n').at(1));
    });
  });

  test('training uses a CIFAR archive and a labeled image, and the archive is stored for the next visit', { timeout: 300_000 }, async () => {
    await visit(browser, server, { path: '#view=none&backend=cpu&train.epochs=1&train.batch=8&train.train-steps=1' }, async (page) => {
      await attackDone(page);
      await page.locator('#train-data summary').click();
      await page.setInputFiles('#train-data-file', { name: 'broken.tar.gz', mimeType: '', buffer: cifar().subarray(0, 500) });
      await expectNotice(page, 'broken.tar.gz');
      await dropFiles(page, 'body', file('small.tar.gz', 'application/gzip', cifar()));
      await expectNotice(page, 'small.tar.gz is opened as a data set');
      await page.locator('#train-material', { hasText: 'small.tar.gz: 50 training images, 10 test images, 10 classes' }).waitFor();
      await page.locator('#train-data-kept li', { hasText: 'small.tar.gz' }).waitFor();
      assert.doesNotMatch(await page.innerText('#train-data-kept'), /broken/, 'an unreadable archive was stored');
      await page.fill('#train-label', 'teapot');
      await click(page, 'train-label-add');
      await page.locator('#train-material', { hasText: 'yours: 1 teapot' }).waitFor();
      await click(page, 'train-begin');
      await runDone(page);
      assert.match(await page.innerText('#train-runs'), /cifar10, 55 images/);
      await runStored(page, /cifar10.*step (\d+) of \1/);
      await page.reload();
      await attackDone(page);
      assert.match(await page.innerText('#train-material'), /^cifar10 is not opened yet/);
      await page.selectOption('#fit-dataset', 'synthetic');
      await page.locator('#train-material', { hasText: 'The embedded data set' }).waitFor();
      await page.locator('#train-data summary').click();
      await page.locator('#train-data-kept li', { hasText: 'small.tar.gz' }).locator('button', { hasText: 'Use' }).click();
      await page.locator('#train-material', { hasText: 'small.tar.gz: 50 training images' }).waitFor();
      // The run uses this data set and contains its labeled image.
      await page.locator('#train-earlier button', { hasText: 'Resume' }).first().click();
      await expectNotice(page, 'The run was resumed at step');
      await page.locator('#train-material', { hasText: 'yours: 1 teapot' }).waitFor();
      assert.ok((await chartData(page, 'train-chart-losses')).length > 0, 'the losses are missing');
    });
  });

  test('a run that diverges resumes from its checkpoint, ends after fewer epochs, is closed and resumed', { timeout: 300_000 }, async () => {
    const path = '#view=none&backend=cpu&train.limit=64&train.limit-test=20&train.batch=16&train.epochs=50&train.train-steps=1&train.rate=100&train.schedule=cosine';
    await visit(browser, server, { path }, async (page) => {
      await attackDone(page);
      await click(page, 'train-begin');
      await page.locator('#train-words', { hasText: /^Diverged after step \d+ of 200/ }).waitFor({ timeout: 120_000 });
      await expectNotice(page, /The loss became|no longer finite/);
      await setControl(page, 'fit-rate', '0.01');
      await click(page, 'train-go');
      await expectNotice(page, /The run was resumed from the copy at step \d+/);
      await stepReached(page, 10);
      await setControl(page, 'fit-epochs', '1');
      await page.locator('#train-words', { hasText: 'All 4 steps are done' }).waitFor();
      await click(page, 'train-end');
      await page.locator('#train-runs tbody button', { hasText: 'Resume' }).click();
      await expectNotice(page, 'The run was resumed at step');
      assert.match(await page.innerText('#train-words'), /^All 4 steps are done/);
      // Labeling an image does not stop the evaluation.
      await page.selectOption('#many-number', '20');
      await page.click('#many-begin');
      await page.locator('#train-data summary').click();
      await page.fill('#train-label', 'teapot');
      await click(page, 'train-label-add');
      await page.locator('#train-material', { hasText: 'yours: 1 teapot' }).waitFor();
      assert.match(await page.innerText('#many-words'), /of 20 images/);
      assert.doesNotMatch(await page.innerText('#many-words'), /stopped early/);
    });
  });

  test('in a browser without storage the page shows one notice and trains', { timeout: 120_000 }, async () => {
    const before = (page) => page.addInitScript(() => { delete FileSystemFileHandle.prototype.createWritable; });
    await visit(browser, server, { path: SHORT, before }, async (page) => {
      await attackDone(page);
      await click(page, 'train-begin');
      await expectNotice(page, 'The run cannot be stored in this browser: this browser does not let the page store files');
      await runDone(page);
    });
  });

  test('training uses a folder of class folders', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'otjr-'));
    try {
      for (const [name, shade] of [['dark', 30], ['light', 220]]) {
        await mkdir(join(folder, 'set', name), { recursive: true });
        for (let n = 0; n < 10; n++) await writeFile(join(folder, 'set', name, `${n}.png`), png(40, 32, () => [shade + n, shade, shade]));
      }
      await visit(browser, server, { path: '#view=none&backend=cpu&train.epochs=1&train.batch=6' }, async (page) => {
        await attackDone(page);
        await page.locator('#train-data summary').click();
        await page.setInputFiles('#train-data-folder', join(folder, 'set'));
        await page.locator('#train-material', { hasText: 'set: 18 training images, 2 test images, 2 classes' }).waitFor();
        await click(page, 'train-begin');
        await runDone(page);
        assert.match(await page.innerText('#train-runs'), /folder, 18 images/);
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A CIFAR-10 archive with ten images per file, each of one color. */
function cifar() {
  const records = (seed) => Buffer.concat(Array.from({ length: 10 }, (_, i) => Buffer.concat([Buffer.of(i), Buffer.alloc(3072, (25 * i + seed) % 256)])));
  const files = [1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, records(n)]);
  files.push(['test_batch.bin', records(9)], ['batches.meta.txt', Buffer.from('a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n')]);
  const member = ([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(`cifar-10-batches-bin/${name}`, 0);
    header.write('0000644\0', 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
  };
  return gzipSync(Buffer.concat([...files.map(member), Buffer.alloc(1024)]));
}

// --- an emulated GPU ---------------------------------------------------------------------------------------------------

/** Counts the worker's WebGPU calls, and stores the device so that a test can destroy it. */
const COUNTING = `
const counts = self.counts = { dispatches: 0, readbacks: 0, uploads: 0, uploaded: 0, buffers: 0 };
const wrap = (type, name, count) => {
  const was = type.prototype[name];
  type.prototype[name] = function (...all) { count.apply(this, all); return was.apply(this, all); };
};
wrap(GPUComputePassEncoder, 'dispatchWorkgroups', () => { counts.dispatches++; });
wrap(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', () => { counts.dispatches++; });
wrap(GPUBuffer, 'mapAsync', () => { counts.readbacks++; });
wrap(GPUQueue, 'writeBuffer', (_, at, data, from, size) => { counts.uploads++; counts.uploaded += size ?? data.byteLength; });
const create = GPUDevice.prototype.createBuffer;
GPUDevice.prototype.createBuffer = function (what) { counts.buffers += what.size; return create.call(this, what); };
wrap(GPUBuffer, 'destroy', function () { counts.buffers -= this.size; });
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...all) { return self.device = await request.apply(this, all); };
`;

describe('training on WebGPU', () => {
  let [browser, counting] = [];
  before(async () => {
    [browser, counting] = [await launchBrowser('webgpu'), await serveSite({ before: { 'worker-gpu_loader.js': COUNTING } })];
  });
  after(() => Promise.all([browser?.close(), counting?.close()]));

  const inWorker = async (page, what) => {
    for (const worker of page.workers()) {
      const answer = await worker.evaluate(what).catch(() => null);
      if (answer) return answer;
    }
    throw new Error('no worker counts its calls');
  };

  test('the loss decreases in 50 steps with few read-backs, and the run survives a lost device', { timeout: 4 * SLOW }, async (t) => {
    const path = '#view=none&attack=fgsm&backend=gpu&train.limit=8&train.limit-test=2&train.batch=4&train.epochs=25&train.objective=ce&train.rate=0.05';
    // Without a timer the page stores the run only when the test hides the tab. It would otherwise store it every few steps.
    const before = (page) => page.addInitScript(() => { window.setInterval = () => 0; });
    await visit(browser, counting, { path, before, allow: [/device|Device|panicked|unreachable|lost|buffer/] }, async (page) => {
      await page.locator('#backend-line', { hasText: /^WebGPU on/ }).waitFor({ timeout: SLOW });
      await attackDone(page, SLOW);
      await click(page, 'train-begin');
      await stepReached(page, 10, SLOW);
      const counts = async () => ({ ...await inWorker(page, () => self.counts && { ...self.counts }), step: await currentStep(page) });
      const KINDS = ['dispatches', 'readbacks', 'uploads', 'uploaded'];
      const first = await counts();
      await stepReached(page, 30, 2 * SLOW);
      const then = await counts();
      const per = (key) => (then[key] - first[key]) / (then.step - first.step);
      t.diagnostic(`${then.step - first.step} steps of ce, batch 4: ${KINDS.map((key) => `${per(key).toFixed(1)} ${key}`).join(', ')} a step`);
      const megabytes = [first, then].map(({ buffers }) => Math.round(buffers / 1e6));
      t.diagnostic(`buffers after ${first.step} steps ${megabytes[0]} MB, after ${then.step} ${megabytes[1]} MB`);
      assert.ok(then.buffers <= 1.25 * first.buffers, `the buffers grew from ${megabytes[0]} to ${megabytes[1]} MB`);
      assert.ok(per('readbacks') <= 0.1, `${per('readbacks')} read-backs a step`);
      assert.ok(per('dispatches') <= 900, `${per('dispatches')} dispatches a step`);
      assert.ok(per('uploaded') <= 4 * 4 * 3072 + 10_000, `${per('uploaded')} bytes a step`);

      // The device is lost; the run resumes from its checkpoint.
      await hide(page);
      await runStored(page, /step [1-9]\d* of 50/);
      await inWorker(page, () => self.device && (self.device.destroy(), true));
      t.diagnostic(await expectNotice(page, /The run was resumed from the copy at step \d+/));
      t.diagnostic(JSON.stringify(await notices(page)));
      await runDone(page, 3 * SLOW);
      const [first10, last10, steps] = meansOf(await chartData(page, 'train-chart-losses'), 'total');
      t.diagnostic(`loss ${first10.toFixed(2)} -> ${last10.toFixed(2)}; ${await page.innerText('#train-words')}`);
      assert.equal(steps, 50);
      assert.ok(last10 < first10, `the loss went from ${first10} to ${last10}`);
    });
  });
});
