// Accessibility checks by axe-core, in both color schemes and two window sizes, for every view and with the tour open.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { VIEWS, viewReady } from './driver.mjs';
import { NARROW, WIDE, launchBrowser, serveSite, visit } from './harness.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let server, browser;
before(async () => { server = await serveSite(); browser = await launchBrowser('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

/** The violations that axe rates serious or critical: rule, impact and elements. */
async function violationsOf(page) {
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], preload: false }));
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => `${node.target} ${node.any[0]?.message ?? node.failureSummary}`).slice(0, 5) }));
}

const STATES = [...VIEWS, 'none'].map((view) => [view, `view=${view}`]).concat([['none', 'view=none&tour=1'], ['layers', 'model=ce&tour=5'], ['embedding', 'model=photo-otjr&view=embedding']]);

for (const [view, hash] of STATES) {
  test(`no accessibility violations at ${hash}`, async (t) => {
    await visit(browser, server, { path: `#${hash}&backend=cpu`, before: (page) => page.addInitScript({ path: AXE }) }, async (page) => {
      await viewReady(page, view);
      await page.click('summary');
      if (view === 'layers') {
        await page.selectOption('#layer', { index: 3 });
        await page.waitForSelector('#maps canvas');
        await viewReady(page, view);
      }
      const found = {};
      for (const [size, viewport] of [['wide', WIDE], ['narrow', NARROW]]) {
        await page.setViewportSize(viewport);
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          const list = await violationsOf(page);
          if (list.length) found[`${size}, ${colorScheme}`] = list;
        }
      }
      t.diagnostic(`${Object.keys(found).length} of 4 combinations with violations`);
      assert.deepEqual(found, {});
    });
  });
}
