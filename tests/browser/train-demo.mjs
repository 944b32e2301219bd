// By hand: does training in the page pay? Trains the demo's `otjr` and `ce` there, one after the other on the same budget,
// judges both by PGD-20, and prints the table with the minutes it took.
//   node tests/browser/train-demo.mjs [cpu|webgpu]
import { launch, site, visit } from './harness.mjs';
import { attacked, set } from './driver.mjs';

const backend = process.argv[2] ?? 'cpu';
const [server, browser] = await Promise.all([site(), launch(backend)]);
await visit(browser, server, { path: `#view=none&backend=${backend === 'cpu' ? 'cpu' : 'gpu'}` }, async (page) => {
  const words = () => page.innerText('#train-words');
  await attacked(page);
  for (const objective of ['otjr', 'ce']) {
    await set(page, 'fit-objective', objective);
    const began = Date.now();
    await page.click('#train-begin');
    const told = setInterval(async () => console.log(await words().catch(() => '')), 30_000);
    await page.locator('#train-words', { hasText: /^All/ }).waitFor({ timeout: 3_600_000 });
    clearInterval(told);
    console.log(`${objective}: ${((Date.now() - began) / 60_000).toFixed(1)} min; ${await words()}`);
  }
  await page.click('#train-judge');
  await page.waitForFunction(() => [...document.querySelectorAll('#train-runs tbody tr')].every((row) => row.innerText.includes('pgd linf')), null, { timeout: 600_000 });
  await page.click('#train-copy');
  await page.locator('#train-race-words', { hasText: 'copied' }).waitFor();
  console.log(await page.evaluate(() => navigator.clipboard.readText()));
});
await Promise.all([browser.close(), server.close()]);
