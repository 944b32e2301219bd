// The explorer: the comparison of models, and the views with their charts, which have URLs and can be saved.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { VIEWS, attackDone, viewReady, chartData, openView, probabilities, saveChart, viewContent, top, selectModel } from './driver.mjs';
import { launchBrowser, updateReadmeImage, takeScreenshots, serveSite, visit } from './harness.mjs';

/** File of the native program's results, written by tests/agreement/main.rs. */
const { AGREEMENT } = process.env;

let server, browser;
before(async () => { server = await serveSite(); browser = await launchBrowser('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

test('the page loads the other model and evaluates each on the adversarial image of the other', async (t) => {
  await visit(browser, server, { path: '#model=ce&view=none&backend=cpu' }, async (page) => {
    await viewReady(page, 'none');
    const table = () => page.locator('#beside tbody tr').evaluateAll((rows) => rows.map((row) => ({
      slot: row.dataset.slot, cells: [...row.cells].slice(1).map((cell) => ({ p: Number(cell.dataset.p), fooled: cell.className === 'fooled', text: cell.innerText })),
    })));
    const rows = await table();
    assert.deepEqual(rows.map(({ slot, cells }) => [slot, cells.length]), [['otjr', 3], ['ce', 3]]);
    t.diagnostic(rows.map(({ slot, cells }) => `${slot}: ${cells.map(({ text }) => text).join(' | ')}`).join('; '));
    // The first column of a row is the model's clean prediction and the diagonal its own attack, as in the table of probabilities.
    for (const [at, model] of [[1, 'ce'], [0, 'otjr']]) {
      await selectModel(page, model);
      const { names, clean, attacked: after } = await probabilities(page);
      const { cells } = rows[at];
      assert.equal(cells[0].p, Math.max(...clean));
      assert.equal(cells[1 + at].p, Math.max(...after));
      assert.ok(cells[0].text.includes(names[top(clean)]) && cells[1 + at].text.includes(names[top(after)]));
      assert.equal(cells[1 + at].fooled, top(clean) !== top(after));
    }
    assert.deepEqual(await table(), rows, 'selecting another model changes the comparison');
    const thumbnails = await page.locator('#beside thead canvas').evaluateAll((list) => list.map((canvas) => canvas.toDataURL()));
    assert.equal(new Set(thumbnails).size, 3, 'the original and both adversarial images differ');
    assert.match(await page.innerText('#beside-words'), /fooled|resists?/);
  });
});

/** Checks the three files of a chart, and returns the name and rows of the CSV file. */
async function checkSavedFiles(page, id) {
  const name = (await saveChart(page, id, 'csv')).name.replace(/\.csv$/, '');
  assert.match(name, /^[a-z0-9-]+$/);
  const rows = await chartData(page, id);
  assert.ok(rows.length > 1, `${name}.csv has ${rows.length} rows`);
  for (const row of rows) for (const [column, v] of Object.entries(row)) assert.ok(typeof v === 'string' || Number.isFinite(v), `${name}.csv: ${column} = ${v}`);

  const svg = await saveChart(page, id, 'svg');
  assert.equal(svg.name, `${name}.svg`);
  const text = svg.bytes.toString('utf8');
  assert.ok(!/var\(|class="(?!marks)|inherit/.test(text), `${name}.svg depends on the page's styles`);
  const alone = await page.evaluate(async (text) => {
    const root = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    await image.decode();
    return { root: root.nodeName, broken: root.querySelector('parsererror') !== null, width: image.naturalWidth, height: image.naturalHeight };
  }, text);
  assert.deepEqual([alone.root, alone.broken], ['svg', false]);

  const png = await saveChart(page, id, 'png');
  assert.equal(png.name, `${name}.png`);
  assert.equal(png.bytes.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
  assert.deepEqual([png.bytes.readUInt32BE(16), png.bytes.readUInt32BE(20)], [2 * alone.width, 2 * alone.height]);
  assert.ok(png.bytes.length > 2000, `${name}.png has ${png.bytes.length} bytes`);
  return { name, rows };
}

/** The y value of every point of a chart's lines, computed from the drawing and its axis labels. */
const readOff = (page, id) => page.locator(`#${id} svg`).evaluate((svg) => {
  const number = (text) => Number(text.replace('\u2212', '-'));
  const ticks = [...svg.querySelectorAll(':scope > text[text-anchor=end]')]
    .map((text) => [Number(text.getAttribute('y')) - 4, number(text.textContent)]).filter(([, value]) => Number.isFinite(value));
  const [[y0, v0], [y1, v1]] = [ticks[0], ticks.at(-1)];
  const per = (v1 - v0) / (y1 - y0);
  const points = [...svg.querySelectorAll('.marks polyline')].flatMap((line) => line.getAttribute('points').trim().split(' '));
  return { per: Math.abs(per), values: points.map((point) => v0 + (Number(point.split(',')[1]) - y0) * per) };
});

test('every view has a caption and charts, and its URL restores it', async (t) => {
  const seen = {};
  await visit(browser, server, { path: '#model=ce&attack=fgsm&backend=cpu' }, async (page) => {
    await viewReady(page, 'layers');
    for (const view of VIEWS) {
      const began = Date.now();
      await openView(page, view);
      const { words, charts } = await viewContent(page);
      t.diagnostic(`${view} (${Date.now() - began} ms): ${words} [${charts.map(({ title }) => title).join('; ')}]`);
      assert.match(words, /^[A-Z].{20,}\.$/s);
      assert.deepEqual(charts.map(({ id }) => id), charts.map((_, i) => `view-chart-${i + 1}`));
      for (const { id } of charts) {
        const { name, rows } = await checkSavedFiles(page, id);
        if (!/^(layers|margins)/.test(name)) continue;
        // The drawing shows the same numbers.
        const { per, values } = await readOff(page, id);
        const lines = rows.filter((row) => row.x !== '' && row.y !== '').map(({ y }) => y);
        assert.equal(values.length, lines.length, name);
        values.forEach((v, i) => assert.ok(Math.abs(v - lines[i]) < 0.2 * per, `${name}: ${v} is drawn for ${lines[i]}`));
      }
      seen[view] = { url: page.url(), words, charts };
      await takeScreenshots(page, `view-${view}`);
      await updateReadmeImage(page, view, '#views');
    }
    await openView(page, 'none');
    assert.match(page.url(), /&view=none/);
    await takeScreenshots(page, 'view-none');
  });
  assert.equal(new Set(Object.values(seen).map(({ words }) => words)).size, VIEWS.length);
  const drawings = Object.values(seen).flatMap(({ charts }) => charts.map(({ svg }) => svg));
  assert.equal(new Set(drawings).size, drawings.length, 'two views share a drawing');
  for (const [view, { url, words, charts }] of Object.entries(seen)) {
    await visit(browser, server, { path: new URL(url).hash }, async (page) => {
      await viewReady(page, view);
      assert.deepEqual(await viewContent(page), { words, charts }, `${url} shows another view`);
      assert.equal(page.url(), url);
    });
  }
});

test('the selected layer and projection are in the URL', async () => {
  await visit(browser, server, { path: '#model=ce&attack=fgsm&backend=cpu' }, async (page) => {
    await viewReady(page, 'layers');
    const layers = await page.locator('#layer option').evaluateAll((list) => list.map(({ value }) => value).filter(Boolean));
    assert.ok(layers.length > 5, `${layers}`);
    const maps = (at = page) => at.locator('#maps canvas').evaluateAll((list) => list.map((canvas) => canvas.toDataURL()));
    const looked = {};
    for (const layer of [layers[2], layers.at(-3)]) {
      await page.selectOption('#layer', layer);
      await page.waitForFunction((layer) => location.hash.includes(`&layer=${layer}`), layer);
      await page.waitForFunction(() => document.querySelectorAll('#maps [data-slot]').length === 2);
      await viewReady(page, 'layers');
      looked[layer] = await maps();
      assert.ok(looked[layer].length >= 6 && new Set(looked[layer]).size > looked[layer].length / 2, `the maps of ${layer} are identical`);
    }
    assert.notDeepEqual(...Object.values(looked));
    // A layer that neither network has can be deselected.
    const known = new URL(page.url()).hash;
    await visit(browser, server, { path: known.replace(/layer=[^&]+/, 'layer=elsewhere') }, async (other) => {
      await viewReady(other, 'layers');
      assert.equal(await other.inputValue('#layer'), 'elsewhere');
      assert.ok(!(await viewContent(other)).words.includes('Not everything'));
      await other.selectOption('#layer', '');
      await other.waitForFunction(() => !location.hash.includes('layer='));
    });
    await takeScreenshots(page, 'view-layers-maps');
    const url = page.url();
    await visit(browser, server, { path: new URL(url).hash }, async (other) => {
      await viewReady(other, 'layers');
      await other.waitForFunction(() => document.querySelectorAll('#maps [data-slot]').length === 2);
      assert.deepEqual(await maps(other), await maps());
    });

    await openView(page, 'transport');
    const before = await viewContent(page);
    await page.locator('#projection').fill('5');
    await page.waitForFunction(() => location.hash.includes('&projection=5'));
    const after = await viewContent(page);
    assert.notEqual(after.charts[0].svg, before.charts[0].svg, 'another projection, the same chart');
    assert.equal(await page.getAttribute('#projection', 'aria-valuetext'), '6 of 32');
    await visit(browser, server, { path: new URL(page.url()).hash }, async (other) => {
      await viewReady(other, 'transport');
      assert.deepEqual(await viewContent(other), after);
    });
  });
});

test('layer shifts agree with the native program', { skip: !existsSync(AGREEMENT ?? '') && 'the file AGREEMENT is missing: run tests/run' }, async (t) => {
  const { models } = JSON.parse(await readFile(AGREEMENT, 'utf8'));
  const attack = models[0].samples[0].attacks.findIndex((a) => a.attack === 'attack=fgsm');
  for (const { sample } of models[0].samples) {
    await visit(browser, server, { path: `#model=otjr&sample=${sample}&attack=fgsm&backend=cpu` }, async (page) => {
      await attackDone(page);
      await viewReady(page, 'layers');
      const [change, cosine] = [await chartData(page, 'view-chart-1'), await chartData(page, 'view-chart-2')];
      for (const { model, samples } of models) {
        const of = (rows) => rows.filter(({ series }) => series === { otjr: 'robust model', ce: 'standard model' }[model]);
        const { layers } = samples.find((s) => s.sample === sample).attacks[attack];
        let difference = 0;
        layers.forEach(({ name, relative_l2, cosine: turned }, i) => {
          const found = [of(change)[i], of(cosine)[i]];
          assert.deepEqual(found.map(({ x, place }) => [x, place]), [[i, name], [i, name]]);
          difference = Math.max(difference, Math.abs(found[0].y / 100 / relative_l2 - 1), Math.abs(found[1].y - turned));
        });
        t.diagnostic(`${model}, sample ${sample}: ${layers.length} layers, difference at most ${difference.toExponential(1)}`);
        assert.ok(layers.length > 5 && difference < 1e-3, `${model}, sample ${sample}: difference ${difference}`);
      }
    });
  }
});
