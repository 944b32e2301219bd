// Run by hand, after native/serve --build-only. Compares the page with threads (isolated from other origins, all cores) and
// without (not isolated, one core), alternately. Each turn attacks a sample with PGD and trains OTJR with the default settings
// for some steps. Prints the median of each, and the median and extremes of the ratio.
//   node tests/speed/threads.mjs [--turns 7]
import { attackAfter, attackDone, duration } from '../browser/driver.mjs';
import { THREADS, launchBrowser, serveSite, visit } from '../browser/harness.mjs';

const option = (name, otherwise) => { const i = process.argv.indexOf(name); return i < 0 ? otherwise : process.argv[i + 1]; };
const turns = Number(option('--turns', '7'));
const STEPS = 30;
if (!THREADS) throw new Error('the page was built without threads: see the output of native/serve');

const [many, one, browser] = await Promise.all([serveSite(), serveSite({ isolated: false }), launchBrowser('cpu')]);
const measure = (server) => visit(browser, server, { path: '#model=photo-otjr&steps=100&view=none&backend=cpu&train.epochs=50' }, async (page) => {
  await attackDone(page);
  const attacks = [];
  for (let i = 0; i < 3; i++) {
    await attackAfter(page, () => page.click('#again'));
    attacks.push((await duration(page)).ms);
  }
  await page.click('#train-begin');
  await page.waitForFunction((steps) => Number(document.querySelector('#train-words').innerText.match(/tep (\d+)/)?.[1]) >= steps, STEPS, { timeout: 600_000 });
  const [, speed] = (await page.innerText('#train-words')).match(/([\d.]+) images\/s/);
  const [threads] = (await page.innerText('#backend-line')).match(/\d+ threads?/);
  return { threads, attack: Math.min(...attacks), training: 1000 / Number(speed) };
});

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const pairs = [];
for (let i = 0; i < turns; i++) {
  const both = [];
  for (const server of i % 2 ? [one, many] : [many, one]) both.push(await measure(server));
  pairs.push(i % 2 ? both.reverse() : both);
}
const [names] = pairs.map((pair) => pair.map(({ threads }) => threads));
console.log(`| | ${names.join(', ms | ')}, ms | ratio | extremes |\n|---|---:|---:|---:|---:|`);
for (const [what, key] of [['PGD-100 on one photo, wrn-16-2', 'attack'], ['training the demo\'s OTJR, an image', 'training']]) {
  const ratios = pairs.map(([a, b]) => a[key] / b[key]);
  const both = [0, 1].map((side) => median(pairs.map((pair) => pair[side][key])).toFixed(1));
  console.log(`| ${what} | ${both.join(' | ')} | ${median(ratios).toFixed(2)} | ${Math.min(...ratios).toFixed(2)} - ${Math.max(...ratios).toFixed(2)} |`);
}
await Promise.all([many.close(), one.close(), browser.close()]);
