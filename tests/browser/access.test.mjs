// What axe-core can find of barriers: none that matters, in both schemes and sizes, with each view and with the tour open.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { VIEWS, explored } from './driver.mjs';
import { NARROW, WIDE, launch, site, visit } from './harness.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let server, browser;
before(async () => { server = await site(); browser = await launch('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

/** What is in the way of people: rule, impact, elements; all that axe calls serious or critical. */
async function barriers(page) {
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], preload: false }));
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => `${node.target} ${node.any[0]?.message ?? node.failureSummary}`).slice(0, 5) }));
}

const PLACES = [...VIEWS, 'none'].map((view) => [view, `view=${view}`]).concat([['none', 'view=none&tour=1'], ['layers', 'model=ce&tour=5'], ['embedding', 'model=photo-otjr&view=embedding']]);

for (const [view, hash] of PLACES) {
  test(`no barriers at ${hash}`, async (t) => {
    await visit(browser, server, { path: `#${hash}&backend=cpu`, before: (page) => page.addInitScript({ path: AXE }) }, async (page) => {
      await explored(page, view);
      await page.click('summary');
      if (view === 'layers') {
        await page.selectOption('#layer', { index: 3 });
        await page.waitForSelector('#maps canvas');
        await explored(page, view);
      }
      const found = {};
      for (const [size, viewport] of [['wide', WIDE], ['narrow', NARROW]]) {
        await page.setViewportSize(viewport);
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          const list = await barriers(page);
          if (list.length) found[`${size}, ${colorScheme}`] = list;
        }
      }
      t.diagnostic(`${Object.keys(found).length} of 4 with barriers`);
      assert.deepEqual(found, {});
    });
  });
}
