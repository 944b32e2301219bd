// The image domain of photos: its models, its samples with their credits, and its views.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attackAfter, attackDone, viewReady, openView, pixels, probabilities, top, selectModel } from './driver.mjs';
import { launchBrowser, takeScreenshots, serveSite, visit } from './harness.mjs';

const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

let server, browser;
before(async () => { server = await serveSite(); browser = await launchBrowser('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

/** Waits until the page contains a text, such as the image's caption. */
const caption = (page, words) => page.waitForFunction((words) => document.body.innerText.includes(words), words, { timeout: 30_000 });
const selectDomain = (page, key) => page.selectOption('#world', key);

test('the user switches to photos, attacks them, sees the credits and switches back', async () => {
  await visit(browser, server, { path: '#sample=4&view=none&backend=cpu' }, async (page) => {
    await viewReady(page, 'none');
    await selectDomain(page, 'photos');
    await caption(page, 'Photo: Lt. Cmdr. John A. Ivancic');
    await page.waitForFunction(() => [...document.querySelectorAll('.probabilities tbody th')].some((th) => th.textContent === 'frog'));
    await attackDone(page);
    await viewReady(page, 'none');
    const { names, clean, attacked: after } = await probabilities(page);
    for (const name of names) assert.ok(CLASSES.includes(name), name);
    assert.notDeepEqual(clean, after);
    assert.match(page.url(), /#model=photo-otjr&sample=0&/);
    const credits = await page.evaluate(async () => (await fetch(document.querySelector('#credits').href)).text());
    assert.ok(credits.includes('John A. Ivancic'), 'the link opens the credits');
    await page.waitForFunction(() => document.querySelectorAll('#beside tbody tr').length === 3, null, { timeout: 60_000 });
    const rows = await page.locator('#beside tbody tr').evaluateAll((rows) => rows.map((row) => row.dataset.slot));
    assert.deepEqual(rows, ['otjr', 'ce', 'pgd'], 'the table has the models for photos and none for shapes');
    await attackAfter(page, () => page.click('#sample'));
    await caption(page, 'A biplane. Photo: Pexels, CC0');
    await selectModel(page, 'pgd');
    assert.match(page.url(), /#model=photo-pgd&sample=1&/);
    await selectModel(page, 'ce');
    assert.match(page.url(), /#model=photo-ce&sample=1&/);

    await selectDomain(page, 'shapes');
    await page.waitForFunction(() => [...document.querySelectorAll('.probabilities tbody th')].some((th) => th.textContent === 'disc'));
    await viewReady(page, 'none');
    assert.match(page.url(), /#model=ce&sample=0&/);
    assert.equal(await page.locator('#credits').count(), 0);
  });
});

test('the verdict on a photo that is misclassified without an attack says so', async (t) => {
  await visit(browser, server, { path: '#model=photo-otjr&view=none&backend=cpu' }, async (page) => {
    await attackDone(page);
    let misclassified = 0;
    for (let sample = 0; sample < 26; sample++) {
      if (sample > 0) await attackAfter(page, () => page.click('#sample'));
      const { names, clean } = await probabilities(page);
      const verdict = await page.innerText('#verdict');
      const [, truth] = verdict.match(/but the image shows (\w+)/) ?? [];
      if (truth) misclassified += 1;
      assert.equal(verdict.includes('is wrong without an attack'), Boolean(truth), verdict);
      assert.ok(!truth || (names.includes(truth) && truth !== names[top(clean)]), verdict);
    }
    t.diagnostic(`${misclassified} of 26 photos are misclassified`);
    assert.ok(misclassified > 0 && misclassified < 13);
  });
});

test('the user chooses a photo in the gallery', async () => {
  await visit(browser, server, { path: '#model=photo-otjr&view=none&backend=cpu' }, async (page) => {
    await attackDone(page);
    await page.click('#choose');
    const thumbnails = page.locator('#photos button');
    assert.equal(await thumbnails.count(), 26);
    assert.equal(await thumbnails.nth(0).getAttribute('aria-pressed'), 'true');
    const sheet = await thumbnails.nth(13).evaluate((button) => getComputedStyle(button).backgroundImage.match(/url\("(.*)"\)/)[1]);
    assert.equal(await page.evaluate(async (sheet) => (await fetch(sheet)).ok, sheet), true, sheet);
    await takeScreenshots(page, 'gallery', { fullPage: false });
    await attackAfter(page, () => thumbnails.nth(13).click());
    await caption(page, 'A moose, lying. Photo: Ryan Hagerty');
    assert.match(page.url(), /&sample=13&/);
    assert.equal(await page.isVisible('#photos'), false, 'the gallery closes');
    await page.focus('#choose');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#photos', { state: 'visible' });
    await page.keyboard.press('Escape');
    await page.waitForSelector('#photos', { state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'choose');
  });
});

test('the crop of a photo is in the URL', async () => {
  await visit(browser, server, { path: '#model=photo-otjr&sample=11&view=none&backend=cpu' }, async (page) => {
    await attackDone(page);
    await page.focus('#whole');
    await attackAfter(page, () => page.keyboard.press('+'));
    assert.match(page.url(), /&crop=\d+,\d+,\d+&/);
    const seen = await pixels(page, 'original');
    await visit(browser, server, { path: new URL(page.url()).hash }, async (other) => {
      await attackDone(other);
      await other.waitForFunction((place) => document.querySelector('#crop-place').innerText === place, await page.innerText('#crop-place'));
      await attackDone(other);
      assert.deepEqual(await pixels(other, 'original'), seen);
    });
  });
});

test('a URL opens a photo and its views', async () => {
  await visit(browser, server, { path: '#model=photo-otjr&sample=11&view=embedding&backend=cpu' }, async (page) => {
    await viewReady(page, 'embedding');
    await caption(page, 'A cat. Photo: Pixabay, CC0');
    const charts = await page.locator('#view-embedding .plot').evaluateAll((all) => all.filter((plot) => getComputedStyle(plot).display !== 'none').length);
    assert.equal(charts, 3, 'one chart per model');
    await takeScreenshots(page, 'photos');
    await openView(page, 'transport');
    await viewReady(page, 'transport');
    await openView(page, 'jacobian');
    await viewReady(page, 'jacobian');
  });
});
