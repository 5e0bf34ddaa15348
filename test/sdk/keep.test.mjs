// What nobody here knows must survive: fields, number forms, escapes and the
// precision of times, although the SDK drops or rounds them all.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { asset, assets, base, create, fails, format, json, keeps, others, reads, snapshot, store, stored, texts } from './client.mjs';

// wild returns members that no model has, different ones each time.
let made = 0;
function wild() {
  made++;
  return String.raw`"x_${made}":{"n":[${made},1e400,-1E+999,123456789012345678901234567890.12,0.1000000000000000055511,-0,1E+2,1.0,5e-999],`
    + String.raw`"s":"\ud800 \udc00\ud83d \u0041\/\u002F é \u00e9 \u0000","":{"b":[],"a":null,"b ":{}}},"x${made}":null`;
}

// markers returns the names of the wild members in a text.
const markers = (text) => [...text.matchAll(/"(x_\d+)":\{"n":/g)].map((m) => m[1]);

const time = (micro) => `{"value":"2026-01-02T03:04:05.${micro}Z","readable":"once",${wild()}}`;
const application = () => `{"id":"c1111111-1111-4111-8111-111111111111","name":"OPEN_SOURCE","version":"0.0.1","platform":"LINUX",`
  + `"onboarded":true,"privacy":"OPEN",${wild()}}`;
const list = (...items) => `{"iterable":[${items.join(',')}],${wild()}}`;

const formatText = (id, text, more = '') => `{"id":"${id}","creator":"d1111111-1111-4111-8111-111111111111",`
  + `"classification":{"generic":"CODE","specific":"py",${wild()}},"role":"BOTH","application":${application()},`
  + `"bytes":{"value":12345678901234567890123,"readable":"many",${wild()}},"created":${time('123456')},"updated":${time('654321')},`
  + `"fragment":{"string":{"raw":"${text}",${wild()}},"metadata":{"ext":"py",${wild()}},${wild()}},${more}${wild()}}`;

const item = (more) => `{"id":"${randomUUID()}","created":${time('000001')},"updated":${time('000002')},${more},${wild()}}`;

// document returns an asset in the form it is kept in, without copies.
function document({ id, first, second, copies = {} }) {
  return `{${wild()},"id":"${id}","name":"old name","creator":"d1111111-1111-4111-8111-111111111111",`
    + `"created":${time('678901')},"updated":${time('777777')},"synced":${time('000000')},`
    + `"formats":${list(formatText(first, String.raw`old \u0074ext`, copies.asset), formatText(second, 'the other'))},`
    + `"preview":{"base":{"id":"${first}",${copies.base ?? ''}${wild()}},"overlay":{"id":"${second}",${wild()}},${wild()}},`
    + `"original":{"id":"${first}",${copies.original ?? ''}${wild()}},"mechanism":"MANUAL",`
    + `"tags":${list(item('"text":"a \\ud83dtag","category":"UNKNOWN"'), item('"text":"b","category":"UNKNOWN"'))},`
    + `"websites":${list(item('"url":"https:\\/\\/example.com","name":"é"'))},`
    + `"annotations":${list(item('"type":"COMMENT","text":"\\u0068i"'))},`
    + `"score":{"manual":1.50,"automatic":2E0,${wild()}},"favorited":false,${wild()}}`;
}

// kept stores an asset with unknown fields and returns its text and its ids.
async function kept(copies = () => ({})) {
  const of = { id: randomUUID(), first: randomUUID(), second: randomUUID() };
  const text = document({ ...of, copies: copies(of) });
  JSON.parse(text);
  await store([of.id, text]);
  await keeps(of.id, text);
  return { ...of, text };
}

// replaced returns text with each piece, which is there once, replaced.
function replaced(text, ...pieces) {
  for (const [from, to] of pieces) {
    assert.equal(text.split(from).length, 2, `${from} is there ${text.split(from).length - 1} times`);
    text = text.replace(from, () => to);
  }
  return text;
}

// touched is the change of a time: what it says of itself in words goes.
const touched = (micro, to) => [`"value":"2026-01-02T03:04:05.${micro}Z","readable":"once",`, `"value":"${to.toISOString()}",`];

describe('unknown fields, numbers, times and escapes stay', () => {
  test('when an asset is read, and sent back as it was read', async () => {
    const { id, text } = await kept();
    for (const a of [await snapshot(id), (await assets.assetsSnapshot()).iterable.find((a) => a.id === id)]) {
      assert.deepEqual(texts(a), Array(3).fill('old text'));
      assert.equal(a.updated.value.toISOString(), '2026-01-02T03:04:05.777Z');
      await asset.assetUpdate({ asset: a });
      await keeps(id, text);
    }
    assert.ok(markers(text).length > 40);
  });

  test('when an asset is renamed', async () => {
    const { id, text } = await kept();
    const mine = await snapshot(id);
    mine.name = 'renamed';
    const { updated } = await asset.assetUpdate({ asset: mine });
    await keeps(id, replaced(text, ['"old name"', '"renamed"'], touched('777777', updated.value)));
  });

  test('when a text is changed in a copy', async () => {
    const { id, first, text } = await kept();
    const mine = await snapshot(id);
    mine.original.reference.fragment.string.raw = 'new text';
    const { updated } = await asset.assetUpdate({ asset: mine });
    await keeps(id, changedText(text, first, updated.value));
    await reads(id, 'new text');
  });

  test('when a text is changed in its format', async () => {
    const { id, first, text } = await kept();
    const mine = await snapshot(id);
    mine.formats.iterable[0].fragment.string.raw = 'new text';
    const { updated } = await asset.assetUpdate({ asset: mine });
    await keeps(id, changedText(text, first, updated.value));
  });

  test('when the value of a format is set', async () => {
    const { id, first, text } = await kept();
    const mine = (await snapshot(id)).original.reference;
    mine.fragment.string.raw = 'new text';
    const { updated } = await format.formatUpdateValue({ format: mine });
    await keeps(id, changedText(text, first, updated.value));
  });

  test('when an item of a list is changed, and another removed', async () => {
    const { id, text } = await kept();
    const mine = await snapshot(id);
    const [first, second] = mine.tags.iterable;
    first.text = 'a';
    mine.tags.iterable = [first];
    const { updated } = await asset.assetUpdate({ asset: mine });
    const gone = text.match(new RegExp(String.raw`,\{"id":"${second.id}".*?"x\d+":null\}(?=\],)`))[0];
    await keeps(id, replaced(text, [String.raw`"a \ud83dtag"`, '"a"'], [gone, ''], touched('777777', updated.value)));
  });

  test('when other assets are made, changed and deleted', async () => {
    const { id, text } = await kept();
    const other = await create();
    await asset.assetUpdate({ asset: { ...other, name: 'changed' } });
    await assets.assetsDeleteAsset({ asset: other.id });
    await keeps(id, text);
    const rest = await others(id);
    await assets.assetsDeleteAsset({ asset: id });
    await fails(snapshot(id), 410, 'gone');
    assert.deepEqual(await others(id), rest);
  });

  test('when an asset comes with the copies that clients read', async () => {
    const { id, text } = await kept(({ first, id: of }) => {
      const copy = () => `"reference":${formatText(first, String.raw`old \u0074ext`, `"asset":"${of}",`)},`;
      const flat = `"asset":{"id":"${of}","creator":"d1111111-1111-4111-8111-111111111111","created":${time('678901')},`
        + `"updated":${time('777777')},"formats":{"iterable":[{"id":"${first}",${wild()}}]},"preview":{"base":"${first}"},"original":"${first}",`
        + `"mechanism":"MANUAL",${wild()}},`;
      return { original: copy(), base: copy(), asset: flat };
    });
    const mine = await snapshot(id);
    assert.deepEqual(texts(mine), Array(3).fill('old text'));
    await asset.assetUpdate({ asset: mine });
    await keeps(id, text);
    mine.name = 'renamed';
    await asset.assetUpdate({ asset: mine });
    assert.equal((await snapshot(id)).name, 'renamed');
    await reads(id, 'old text');
  });

  test('when a seed holds them', async () => {
    const made = await fetch(`${base}/assets/create`, {
      method: 'POST',
      headers: json,
      body: `{"asset":{"application":${application()},"format":{"fragment":{"string":{"raw":"\\u0074ext",${wild()}},${wild()}}},`
        + `"metadata":{"name":"\\u006e","tags":[{"text":"t",${wild()}}]}}}`,
    });
    const { id } = await made.json();
    const text = await stored(id);
    assert.deepEqual(markers(text).length, 4, text);
    assert.ok(text.includes(String.raw`"raw":"\u0074ext"`) && text.includes(String.raw`"name":"\u006e"`), text);
    await reads(id, 'text');
  });
});

// changedText is the document after its first text became "new text".
function changedText(text, first, updated) {
  const from = text.indexOf(`{"id":"${first}","creator"`);
  const to = text.indexOf('},{"id":', from);
  const changed = replaced(
    text.slice(from, to),
    [String.raw`"old \u0074ext"`, '"new text"'],
    ['"value":12345678901234567890123,"readable":"many"', '"value":8,"readable":"8 B"'],
    touched('654321', updated),
  );
  return replaced(text.slice(0, from) + changed + text.slice(to), touched('777777', updated));
}
