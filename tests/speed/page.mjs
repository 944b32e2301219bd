// Run by hand. Compares the speed of inference and gradients on the page's CPU backend and in TensorFlow.js 4.22 on its wasm
// backend (SIMD, one thread), for the same network and images in the same Chromium.
//   (cd tests/speed && npm ci) && node tests/speed/page.mjs [--model wrn-10-1] [--batches 1,32] [--turns 21] [--ms 200] [--profile] [--no-build]
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { launchBrowser } from '../browser/harness.mjs';
import { brotli, serve } from '../browser/server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '../..');
const WORKLOADS = ['infer', 'input-gradient'];
/** Warm-up time in milliseconds, after which V8 has optimized all hot code. */
const WARM = 1500;

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'wrn-10-1' },
    batches: { type: 'string', default: '1,32' },
    turns: { type: 'string', default: '21' },
    ms: { type: 'string', default: '200' },
    profile: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
  },
});
const [turns, ms] = [Number(options.turns), Number(options.ms)];
const batches = options.batches.split(',').map(Number);

/** Builds both workers and copies their files into a new directory. */
async function built() {
  const site = await mkdtemp(join(tmpdir(), 'otjr-speed-'));
  const tools = (...command) => execFileSync('native/serve', ['--with', ...command], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  const target = process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'otjr/target');
  if (!options['no-build']) {
    tools('cargo', 'build', '--locked', '-p', 'otjr', '--target', 'wasm32-unknown-unknown', '--profile', 'web', '--no-default-features', '--features', 'cpu', '--example', 'bench-web');
  }
  tools('wasm-bindgen', '--target', 'web', '--no-typescript', '--out-dir', site, join(target, 'wasm32-unknown-unknown/web/examples/bench-web.wasm'));
  const packages = join(HERE, 'node_modules/@tensorflow');
  await Promise.all(['ours.mjs', 'answer.mjs'].map((name) => cp(join(HERE, 'page', name), join(site, name))));
  await build({ entryPoints: [join(HERE, 'page/tfjs.mjs')], outfile: join(site, 'tfjs.mjs'), bundle: true, minify: true, format: 'esm', platform: 'browser', logLevel: 'error' });
  for (const kind of ['', '-simd', '-threaded-simd']) {
    const name = `tfjs-backend-wasm${kind}.wasm`;
    await cp(join(HERE, 'node_modules/@tensorflow/tfjs-backend-wasm/dist', name), join(site, name));
  }
  await writeFile(join(site, 'index.html'), '<!doctype html><title>speed</title><link rel="icon" href="data:,">');
  const bytes = await readFile(join(site, 'bench-web_bg.wasm'));
  console.error(`bench-web: ${bytes.length} bytes, ${(await brotli(bytes, 9)).length} with brotli at 9`);
  return site;
}

const quantile = (sorted, share) => {
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at % 1);
};

const site = await built();
const server = await serve(site);
const browser = await launchBrowser('cpu');
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.error(`console: ${message.text()}`));
  await page.goto(server.url);
  await page.evaluate(() => {
    const workers = {};
    const reply = (worker) => new Promise((done, failed) => {
      worker.onmessage = ({ data }) => (data.error ? failed(new Error(data.error)) : done(data.answer));
      worker.onerror = (event) => failed(new Error(event.message ?? 'a worker did not start'));
    });
    window.begin = (name) => reply(workers[name] = new Worker(`${name}.mjs`, { type: 'module' }));
    window.tell = (name, message) => {
      const answer = reply(workers[name]);
      workers[name].postMessage(message);
      return answer;
    };
    window.ask = (name, ask, of) => tell(name, { ask, of });
  });

  const about = await page.evaluate(async ({ model, batches }) => {
    assert(!crossOriginIsolated, 'the page is isolated');
    function assert(right, otherwise) { if (!right) throw new Error(otherwise); }
    await Promise.all(['ours', 'tfjs'].map(begin));
    const { weights } = await ask('ours', 'open', model);
    const about = await ask('tfjs', 'open', weights);
    for (const images of batches) await ask('tfjs', 'take', { images, ...await ask('ours', 'material', images) });
    return about;
  }, { model: options.model, batches });
  assert.deepEqual({ ...about, name: 0 }, { name: 0, backend: 'wasm', simd: true, threads: false });

  // Checks that both compute the same. The gradients have different layouts.
  for (const workload of WORKLOADS) {
    for (const images of batches) {
      const apart = await page.evaluate(async ({ workload, images }) => {
        const [ours, tfjs] = [await ask('ours', workload, images), await ask('tfjs', workload, images)];
        const at = workload === 'infer' ? (i) => i : (i) => {
          const [n, c, pixel] = [Math.floor(i / 3072), Math.floor(i / 1024) % 3, i % 1024];
          return (n * 1024 + pixel) * 3 + c;
        };
        const largest = ours.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        return { apart: ours.reduce((most, value, i) => Math.max(most, Math.abs(value - tfjs[at(i)])), 0) / largest, same: ours.length === tfjs.length };
      }, { workload, images });
      console.error(`${workload} at ${images}: apart by ${apart.apart.toExponential(1)} of the largest`);
      assert(apart.same && apart.apart < 1e-4, `not the same work: ${workload} at ${images} are apart by ${apart.apart}`);
    }
  }

  console.log(`${options.model} in ${browser.version()} of Chromium, one thread each; ${turns} pairs of turns of ${ms} ms. Medians; ratios are ours / tfjs.\n`);
  console.log('| workload | batch | ours, ms | tfjs, ms | ratio | quartiles | extremes |');
  console.log('|---|---:|---:|---:|---:|---:|---:|');
  const turn = (name, turn, of, ms) => page.evaluate(([name, message]) => tell(name, message), [name, { turn, of, ms }]);
  for (const workload of WORKLOADS) {
    for (const images of batches) {
      const times = { ours: [], tfjs: [] };
      for (const name of ['ours', 'tfjs']) await turn(name, workload, images, WARM);
      for (let i = 0; i < turns; i++) {
        for (const name of i % 2 ? ['tfjs', 'ours'] : ['ours', 'tfjs']) times[name].push(await turn(name, workload, images, ms));
      }
      const ratios = times.ours.map((ours, i) => ours / times.tfjs[i]).sort((a, b) => a - b);
      const median = (name) => quantile(times[name].toSorted((a, b) => a - b), 0.5).toFixed(2);
      const [low, first, middle, third, high] = [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(ratios, share).toFixed(2));
      console.log(`| ${workload} | ${images} | ${median('ours')} | ${median('tfjs')} | ${middle} | ${first} - ${third} | ${low} - ${high} |`);
    }
  }

  if (options.profile) {
    for (const workload of WORKLOADS) {
      for (const images of batches) {
        const { times, ms, entries } = await page.evaluate((of) => ask('ours', 'profile', of), { workload, images, ms: 4000 });
        console.log(`\n${workload} at ${images}: ${(ms / times).toFixed(3)} ms`);
        const row = (name, shape, calls, ms, rate) => console.log(`  ${name.padEnd(20)} ${shape.padEnd(36)} ${calls.toFixed(0).padStart(3)} ${(ms / times).toFixed(3).padStart(9)} ${rate}`);
        entries.sort((a, b) => b.ms - a.ms);
        for (const { name, shape, calls, ms, gflops } of entries) row(name, shape, calls / times, ms, gflops ? gflops.toFixed(1) : '');
        row('everything else', '', 0, ms - entries.reduce((sum, { ms }) => sum + ms, 0), '');
      }
    }
  }
} finally {
  await Promise.all([browser.close(), server.close()]);
  await rm(site, { recursive: true });
}
