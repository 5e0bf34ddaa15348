// Texts, names, sizes and numbers of requests that are out of the ordinary.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { asset, assets, base, create, format, keeps, reads, same, seed, snapshot, store, stored, texts } from './client.mjs';

// units is a text of all UTF-16 code units: every control character, and
// surrogates without their halves.
const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit)).join('');

describe('texts', () => {
  for (const [name, text] of [
    ['nothing', ''],
    ['one line break', '\n'],
    ['a NUL', 'before\0after'],
    ['each escape of JSON', '"\\/\b\f\n\r\t\u001f\u007f\u0000'],
    ['escapes in words', String.raw`\u0041 \n \" \\ \ud800`],
    ['line ends and byte order marks', '\ufeffa\r\nb\rc\u2028d\u2029e\ufeff'],
    ['pairs of surrogates', '😀 e\u0301 \u{10ffff} 日本語 עברית'],
    ['surrogates without their halves', '\ud800 \udc00\ud83d \udfff\ud800'],
    ['each code unit', units],
    ['HTML', '<script>&amp;</script>'],
  ]) {
    test(name, async () => {
      const made = await create(text, text || 'nothing');
      texts(made).forEach((got) => same(got, text));
      same(made.name, text || 'nothing');
      await reads(made.id, text);
      same((await snapshot(made.id)).name, text || 'nothing');
      same(JSON.parse(await stored(made.id)).formats.iterable[0].fragment.string.raw, text);
      assert.equal(made.formats.iterable[0].bytes.value, Buffer.byteLength(text));

      // The same as an edit, away from it and back.
      const other = await create('old', 'old');
      other.name = text || 'nothing';
      other.original.reference.fragment.string.raw = text;
      await asset.assetUpdate({ asset: other });
      await reads(other.id, text);
      same((await snapshot(other.id)).name, text || 'nothing');
      made.formats.iterable[0].fragment.string.raw = 'new';
      await format.formatUpdateValue({ format: made.formats.iterable[0] });
      await reads(made.id, 'new');
    });
  }

  test('10 MiB', async () => {
    const line = 'func main() { fmt.Println("é", `日本`, \'😀\') } // \\ \t\n';
    const size = 10 << 20;
    const times = Math.floor(size / Buffer.byteLength(line));
    const text = line.repeat(times) + 'x'.repeat(size - times * Buffer.byteLength(line));
    const transferables = false; // the answers that are not looked at
    const { id, formats } = await assets.assetsCreateNewAsset({ seed: seed(text, 'large', 'go'), transferables });
    assert.equal(formats.iterable[0].bytes.value, size);
    const made = await snapshot(id);
    texts(made).forEach((got) => same(got, text));
    made.original.reference.fragment.string.raw = text + '!';
    await asset.assetUpdate({ asset: made, transferables });
    const listed = (await assets.assetsSnapshot()).iterable.find((a) => a.id === id);
    texts(listed).forEach((got) => same(got, text + '!'));
    same((await format.formatSnapshot({ format: made.original.id })).fragment.string.raw, text + '!');
    await assets.assetsDeleteAsset({ asset: id }); // so that the other lists stay short
  });
});

describe('shapes', () => {
  test('10,000 formats', async () => {
    const id = randomUUID();
    const formats = Array.from({ length: 10_000 }, (_, i) => ({
      id: randomUUID(), creator: id, classification: { generic: 'CODE', specific: 'py' }, role: 'ORIGINAL',
      bytes: { value: 4, readable: '4 B' }, created: { value: '2026-01-02T03:04:05.678Z' }, updated: { value: '2026-01-02T03:04:05.678Z' },
      application: { id, name: 'OPEN_SOURCE', version: '0', platform: 'LINUX', onboarded: true, privacy: 'OPEN' },
      fragment: { string: { raw: `text ${i}` } }, unknown: i,
    }));
    const first = { id: formats[0].id };
    const text = JSON.stringify({
      id, name: 'many', creator: id, created: { value: '2026-01-02T03:04:05.678Z' }, updated: { value: '2026-01-02T03:04:05.678Z' },
      formats: { iterable: formats }, preview: { base: first }, original: first, mechanism: 'MANUAL',
    });
    await store([id, text]);
    const all = (await assets.assetsSnapshot()).iterable.filter((a) => a.id === id);
    assert.equal(all.length, 1);
    const mine = await snapshot(id);
    for (const a of [mine, all[0]]) {
      assert.deepEqual(a.formats.iterable.map((f) => f.id), formats.map((f) => f.id));
      a.formats.iterable.forEach((f, i) => assert.equal(f.fragment.string.raw, `text ${i}`));
      assert.equal(a.formats.iterable[9_999].asset.id, id);
    }
    assert.equal((await format.formatSnapshot({ format: formats[9_999].id })).fragment.string.raw, 'text 9999');

    await asset.assetUpdate({ asset: mine, transferables: false });
    await keeps(id, text);
    mine.name = 'changed';
    mine.formats.iterable[9_999].fragment.string.raw = 'changed text';
    mine.formats.iterable.splice(5_000, 1);
    const { updated } = await asset.assetUpdate({ asset: mine });
    const want = JSON.parse(text);
    want.name = 'changed';
    want.updated.value = updated.value.toISOString();
    Object.assign(want.formats.iterable[9_999], {
      fragment: { string: { raw: 'changed text' } }, bytes: { value: 12, readable: '12 B' }, updated: { value: updated.value.toISOString() },
    });
    want.formats.iterable.splice(5_000, 1);
    await keeps(id, JSON.stringify(want));
    await assets.assetsDeleteAsset({ asset: id });
  });

  test('an unknown field 5,000 levels deep', async () => {
    const { id } = await create('shallow');
    const deep = '{"a":['.repeat(2_500) + ']}'.repeat(2_500);
    const text = (await stored(id)).replace(/^\{/, () => `{"unknown":${deep},`);
    await store([id, text]);
    await reads(id, 'shallow');
    await asset.assetUpdate({ asset: { id, name: 'renamed' } });
    const { updated } = await snapshot(id);
    await keeps(id, text.replace('"hello"', '"renamed"').replace(/"updated":\{"value":"[^"]*"\}(?=,"formats")/, () => `"updated":{"value":"${updated.value.toISOString()}"}`));
    const sent = await fetch(`${base}/asset/update`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"id":"${id}","other":${deep}}`,
    });
    assert.equal(sent.status, 200);
    assert.ok((await sent.text()).includes(`"other":${deep}`));
    await reads(id, 'shallow');
    await assets.assetsDeleteAsset({ asset: id });
  });
});

describe('at the same time', () => {
  test('50 creates', async () => {
    const made = await Promise.all(Array.from({ length: 50 }, (_, i) => create(`text ${i}`, `parallel ${i}`)));
    assert.equal(new Set(made.map((a) => a.id)).size, 50);
    const all = new Map((await assets.assetsSnapshot()).iterable.map((a) => [a.id, a]));
    made.forEach((a, i) => {
      assert.deepEqual(all.get(a.id), a);
      assert.deepEqual([a.name, ...texts(a)], [`parallel ${i}`, ...Array(3).fill(`text ${i}`)]);
    });
  });

  test('updates of different fields are all kept', async () => {
    const { id, original } = await create('old', 'old');
    for (let round = 0; round < 25; round++) {
      await Promise.all([
        asset.assetUpdate({ asset: { id, name: `name ${round}` } }),
        asset.assetUpdate({ asset: { id, favorited: round % 2 === 0 } }),
        format.formatUpdateValue({ format: { id: original.id, fragment: { string: { raw: `text ${round}` } } } }),
        asset.assetUpdate({ asset: { id, original: { id: original.id, reference: { classification: { generic: 'CODE', specific: round % 2 ? 'go' : 'rs' } } } } }),
      ]);
      const now = await snapshot(id);
      assert.deepEqual(
        [now.name, now.favorited, now.original.reference.classification.specific, ...texts(now)],
        [`name ${round}`, round % 2 === 0, round % 2 ? 'go' : 'rs', ...Array(3).fill(`text ${round}`)],
      );
    }
  });

  test('creates and deletes beside lists', async () => {
    const kept = await create('kept');
    const lists = Array.from({ length: 10 }, () => assets.assetsSnapshot());
    const churn = Array.from({ length: 20 }, async () => assets.assetsDeleteAsset({ asset: (await create('gone')).id }));
    for (const list of await Promise.all(lists)) {
      assert.equal(list.iterable.filter((a) => a.id === kept.id).length, 1);
      assert.equal(new Set(list.iterable.map((a) => a.id)).size, list.iterable.length);
    }
    const gone = await Promise.all(churn);
    const left = new Set((await assets.assetsIdentifiersSnapshot()).iterable.map((a) => a.id));
    gone.forEach((id) => assert.ok(!left.has(id)));
  });
});
