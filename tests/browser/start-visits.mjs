// Opens the built page N times and counts the visits in which the CPU worker does not start with all its threads. Each visit has
// storage of its own, and a new browser every tenth. A busy loop keeps one core during every second ten of them.
//   node tests/browser/start-visits.mjs firefox|chromium [N]
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { THREADS, serveSite } from './harness.mjs';

const [browser = 'firefox', count = '200'] = process.argv.slice(2);
const candidates = browser === 'firefox' ? [process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox'] : [process.env.CHROMIUM, '/usr/bin/chromium'];
const options = {
  browser: browser === 'firefox' ? 'firefox' : 'chrome', executablePath: candidates.find(existsSync), headless: true,
  args: browser === 'firefox' ? [] : ['--no-sandbox', '--disable-gpu'],
};

const server = await serveSite();
const visits = [0, 0], failed = [0, 0], times = [];

async function visit(instance, loaded) {
  const context = await instance.createBrowserContext();
  const page = await context.newPage();
  const began = Date.now();
  await page.goto(`${server.url}#model=ce&view=none&backend=cpu`);
  const done = await page.waitForSelector('.progress[data-phase=done]', { timeout: 30_000 }).then(() => true, () => false);
  times.push(Date.now() - began);
  const [line, notices, cores] = await page.evaluate(() => [
    document.querySelector('#backend-line')?.innerText, [...document.querySelectorAll('.notice')].map((n) => n.innerText), navigator.hardwareConcurrency]);
  const threads = THREADS && cores > 1 ? `${Math.min(cores, 16)} threads` : '1 thread';
  visits[loaded]++;
  if (!done || notices.length || !line?.includes(`(${threads})`)) {
    failed[loaded]++;
    console.log(`visit ${visits[0] + visits[1]}: ${done ? 'done' : 'not done'}, ${line}`, notices);
  }
  await context.close();
}

const result = () => `${browser}: ${failed[0]} of ${visits[0]} visits failed, ${failed[1]} of ${visits[1]} with one core loaded`;
for (let i = 0; i < +count; i += 10) {
  const loaded = (i / 10) % 2;
  const load = loaded && spawn(process.execPath, ['-e', 'for (;;);']);
  const instance = await puppeteer.launch(options);
  for (let k = i; k < Math.min(i + 10, +count); k++) await visit(instance, loaded);
  await instance.close();
  if (load) load.kill();
  console.log(result());
}
times.sort((a, b) => a - b);
console.log(`${result()}; median ${times[times.length >> 1]} ms, slowest ${times.at(-1)} ms`);
await server.close();
process.exit(failed[0] + failed[1] ? 1 : 0);
