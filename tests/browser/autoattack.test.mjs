// Every attack on one image with its progress chart, stopping AutoAttack, and an attack on many images.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { attackAfter, attackDone, checkEpsilon, selectModel } from './driver.mjs';
import { launchBrowser, takeScreenshots, serveSite, visit } from './harness.mjs';

let server, browser;
before(async () => { server = await serveSite(); browser = await launchBrowser('cpu'); });
after(async () => { await browser?.close(); server?.close(); });

test('every attack runs, stays within epsilon and shows its progress', async (t) => {
  await visit(browser, server, { path: '#model=ce&epsilon=6/255&backend=cpu' }, async (page) => {
    await attackDone(page);
    const all = await page.locator('#attack option').evaluateAll((list) => list.map((o) => o.value));
    assert.ok(all.length >= 16, `${all}`);
    for (const attack of all.filter((name) => name !== 'pgd')) {
      await attackAfter(page, () => page.selectOption('#attack', attack));
      const words = await page.innerText('#path-words');
      assert.match(words, /(succeeds|fails) in \d+ steps?, \d+ forward passes/);
      assert.ok(await page.locator('#path polyline').count() >= 1);
      const norm = await page.inputValue('#norm');
      if (norm === 'linf' && /reached|succeeds/.test(words)) await checkEpsilon(page, 6);
      t.diagnostic(`${attack}: ${words}`);
    }
  });
});

test('a chart fills its box and is saved as SVG, PNG and CSV', async () => {
  await visit(browser, server, { path: '#model=ce&backend=cpu' }, async (page) => {
    await attackDone(page);
    const save = async (kind) => {
      const download = page.waitForEvent('download');
      await page.click(`#path-chart .save button:text-is("${kind.toUpperCase()}")`);
      const file = await download;
      assert.equal(file.suggestedFilename(), `attack-trace.${kind}`);
      return readFile(await file.path());
    };
    const svg = (await save('svg')).toString();
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg".*<polyline /);
    assert.doesNotMatch(svg, /var\(|style=/);
    const png = await save('png');
    const box = await page.locator('#path-chart .drawing').boundingBox();
    assert.deepEqual([...png.subarray(1, 4)], [...Buffer.from('PNG')]);
    assert.ok(Math.abs(png.readUInt32BE(16) - 2 * box.width) <= 2, `${png.readUInt32BE(16)} px for ${box.width}`);
    const csv = (await save('csv')).toString();
    assert.match(csv, /^series,x,y\r\n/);
    assert.match(csv, /pgd (succeeds|fails),0,/);
    // In a narrower window the chart is drawn again.
    await page.setViewportSize({ width: 360, height: 800 });
    await page.waitForFunction(() => document.querySelector('#path-chart svg').viewBox.baseVal.width < 360);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), 'the page does not scroll sideways');
  });
});

test('a URL starts AutoAttack; when stopped, it shows the result so far', async () => {
  await visit(browser, server, { path: '#model=otjr&attack=autoattack&epsilon=4/255&backend=cpu' }, async (page) => {
    await page.waitForSelector('.progress[data-phase=running]');
    await page.waitForFunction(() => /step \d+ of \d+/.test(document.querySelector('#progress').innerText));
    await page.click('#stop');
    await attackDone(page);
    assert.match(await page.innerText('#progress'), /^Stopped after \d+ steps/);
    assert.match(page.url(), /attack=autoattack&norm=linf&epsilon=4\/255/);
    assert.match(await page.innerText('#step-help'), /Not used by autoattack/);
  });
});

test('on many images the robust model resists an attack that fools the standard model', async (t) => {
  await visit(browser, server, { path: '#model=ce&attack=apgd-ce&backend=cpu' }, async (page) => {
    const robustAccuracy = async () => {
      await page.selectOption('#many-number', '20');
      await page.click('#many-begin');
      await page.waitForFunction(() => /clean accuracy/.test(document.querySelector('#many-words').innerText), undefined, { timeout: 120_000 });
      const words = await page.innerText('#many-words');
      t.diagnostic(words);
      return Number(words.match(/robust accuracy ([\d.]+) % \(95 % interval: \d+ to \d+ %\) of 20 images of the embedded data set/)[1]);
    };
    await attackDone(page);
    const standard = await robustAccuracy();
    await takeScreenshots(page, 'many');
    await selectModel(page, 'otjr');
    const robust = await robustAccuracy();
    assert.ok(standard <= 20 && robust >= 70, `${standard} % and ${robust} %`);
    assert.equal(await page.locator('#many-table tbody tr').count(), 2);
    // When stopped, it reports a bound.
    await page.selectOption('#many-number', '500');
    await page.click('#many-begin');
    await page.waitForSelector('text=robust accuracy so far');
    await page.click('#many-begin');
    await page.waitForSelector('text=stopped early');
  });
});
