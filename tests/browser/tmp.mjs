import { launch, site, visit } from './harness.mjs';
import { attacked } from './driver.mjs';
const [server, browser] = await Promise.all([site(), launch('cpu')]);
await visit(browser, server, { path: '#view=none&backend=cpu&train.limit=80&train.limit-test=20&train.batch=16&train.epochs=10&train.train-steps=1' }, async (page) => {
  await attacked(page);
  await page.click('#train-begin');
  await page.locator('#train-words', { hasText: /^All/ }).waitFor({ timeout: 300_000 });
  await page.waitForTimeout(500);
  console.log((await page.innerHTML('#train-batch')).slice(0, 1500));
  console.log((await page.innerHTML('#train-followed')).slice(0, 1500));
  await page.click('#train-batch summary'); await page.waitForTimeout(300); await page.click('#train-batch summary'); await page.waitForTimeout(500);
  console.log((await page.innerHTML('#train-batch')).slice(0, 1500));
});
await Promise.all([browser.close(), server.close()]);
