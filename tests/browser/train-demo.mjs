// Run by hand. Trains `otjr` and `ce` in the page with the same number of steps, evaluates both with PGD-20, and prints the
// results and the training times.
//   node tests/browser/train-demo.mjs [cpu|webgpu]
import { launchBrowser, serveSite, visit } from './harness.mjs';
import { attackDone, setControl } from './driver.mjs';

const backend = process.argv[2] ?? 'cpu';
const [server, browser] = await Promise.all([serveSite(), launchBrowser(backend)]);
await visit(browser, server, { path: `#view=none&backend=${backend === 'cpu' ? 'cpu' : 'gpu'}` }, async (page) => {
  const words = () => page.innerText('#train-words');
  await attackDone(page);
  for (const objective of ['otjr', 'ce']) {
    await setControl(page, 'fit-objective', objective);
    const start = Date.now();
    await page.click('#train-begin');
    const timer = setInterval(async () => console.log(await words().catch(() => '')), 30_000);
    await page.locator('#train-words', { hasText: /^All/ }).waitFor({ timeout: 3_600_000 });
    clearInterval(timer);
    console.log(`${objective}: ${((Date.now() - start) / 60_000).toFixed(1)} min; ${await words()}`);
  }
  await page.click('#train-judge');
  await page.waitForFunction(() => [...document.querySelectorAll('#train-runs tbody tr')].every((row) => row.innerText.includes('pgd linf')), null, { timeout: 600_000 });
  await page.click('#train-copy');
  await page.locator('#train-race-words', { hasText: 'copied' }).waitFor();
  console.log(await page.evaluate(() => navigator.clipboard.readText()));
});
await Promise.all([browser.close(), server.close()]);
