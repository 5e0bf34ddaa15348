// What the clients of the original product do, with the unmodified SDK.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  allocations, asset, assets, base, connector, create, fails, format, json, os, others, problem, reads, seed,
  snapshot, stored, texts, user, wellKnown,
} from './client.mjs';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ids = (list) => list.iterable.map((item) => item.id);

describe('around the assets', () => {
  test('health', async () => {
    const [ok, id] = (await wellKnown.getWellKnownHealth()).split(':');
    assert.equal(ok, 'ok');
    assert.match(id, uuid);
    assert.equal(await wellKnown.getWellKnownHealth(), `ok:${id}`);
    const head = await fetch(`${base}/.well-known/health`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  });

  test('version that wrappers accept', async () => {
    assert.match(await wellKnown.getWellKnownVersion(), /^12\.\d+\.\d+$/);
  });

  test('connect with an application', async () => {
    const application = { name: 'VS_CODE', version: '1.9.0', platform: 'MACOS' };
    const context = await connector.connect({ seededConnectorConnection: { application } });
    assert.match(context.os, uuid);
    assert.match(context.application.id, uuid);
    assert.equal(context.application.name, 'VS_CODE');
    assert.equal(context.application.version, '1.9.0');
    assert.equal(context.application.platform, 'MACOS');
    assert.equal(context.application.onboarded, true);
    assert.equal(context.health.os.id, context.os);
    assert.equal(context.health.os.version, await wellKnown.getWellKnownVersion());
    const again = await connector.connect({ seededConnectorConnection: { application } });
    assert.equal(again.application.id, context.application.id);
    const other = await connector.connect({ seededConnectorConnection: { application: { ...application, name: 'OBSIDIAN' } } });
    assert.notEqual(other.application.id, context.application.id);
    const made = await assets.assetsCreateNewAsset({ seed: { ...seed(), asset: { ...seed().asset, application: context.application } } });
    assert.deepEqual((await snapshot(made.id)).original.reference.application, context.application);
  });

  test('connect without a body', async () => {
    const context = await connector.connect();
    assert.match(context.os, uuid);
    assert.equal(context.application.name, 'UNKNOWN');
  });

  test('sign in and out', async () => {
    const made = await create('kept while signed out');
    const profile = await os.signIntoOS();
    assert.match(profile.id, uuid);
    assert.ok(profile.name && profile.email && profile.aesthetics);
    assert.deepEqual((await user.userSnapshot()).user, profile);
    assert.deepEqual((await connector.connect()).user, profile);
    assert.equal(made.creator, profile.id);
    const kept = await others('');

    assert.deepEqual((await os.signOutOfOS()).iterable, []);
    assert.equal((await user.userSnapshot()).user, undefined);
    assert.equal((await connector.connect()).user, undefined);
    assert.deepEqual(await others(''), kept);
    assert.deepEqual(await snapshot(made.id), made);
    const changed = await asset.assetUpdate({ asset: { id: made.id, name: 'changed while signed out' } });
    assert.equal(changed.name, 'changed while signed out');

    assert.deepEqual(await os.signIntoOS(), profile);
    assert.deepEqual((await user.userSnapshot()).user, profile);
  });

  test('allocations', async () => {
    const profile = (await user.userSnapshot()).user;
    const [cloud, ...more] = (await allocations.allocationsSnapshot()).iterable;
    assert.deepEqual(more, []);
    assert.equal(cloud.status.cloud, 'RUNNING');
    assert.deepEqual((await user.userSnapshot()).user.allocation, cloud);
    assert.deepEqual((await user.streamUser()).allocation, cloud);
    for (const connect of [
      () => allocations.allocationsConnectNewCloud({ userProfile: profile }),
      () => allocations.allocationsReconnectCloud({ allocationCloud: cloud }),
      () => allocations.allocationsConnectNewCloud(),
    ]) {
      for (let i = 0; i < 2; i++) { // doing it again is no error
        assert.equal(await allocations.allocationsDisconnectCloud({ allocationCloud: cloud }), cloud.id);
      }
      assert.deepEqual((await allocations.allocationsSnapshot()).iterable, []);
      assert.equal((await user.streamUser()).allocation, undefined);
      assert.deepEqual(await connect(), cloud);
      assert.deepEqual((await user.userSnapshot()).user.allocation, cloud);
    }
  });
});

describe('assets', () => {
  test('create, read, change, delete', async () => {
    const before = new Date();
    const made = await create();
    assert.match(made.id, uuid);
    assert.equal(made.name, 'hello');
    assert.equal(made.mechanism, 'MANUAL');
    assert.ok(made.created.value >= new Date(before - 1) && made.created.value <= new Date(), made.created.value);
    assert.deepEqual(texts(made), Array(3).fill('print("hi")'));
    assert.equal(made.formats.iterable.length, 1);
    assert.equal(made.preview.base.id, made.original.id);
    const only = made.formats.iterable[0];
    assert.equal(only.id, made.original.id);
    assert.equal(only.asset.id, made.id);
    assert.deepEqual(only.bytes, { value: 11, readable: '11 B', schema: undefined });
    assert.equal(made.original.reference.asset, made.id);

    assert.deepEqual(await snapshot(made.id), made);
    assert.deepEqual(await assets.assetsSpecificAssetSnapshot({ asset: made.id }), made);
    assert.deepEqual((await assets.assetsSnapshot()).iterable.filter((a) => a.id === made.id), [made]);
    assert.equal(ids(await assets.assetsIdentifiersSnapshot()).filter((id) => id === made.id).length, 1);
    assert.deepEqual(await format.formatSnapshot({ format: only.id }), only);

    const renamed = await asset.assetUpdate({ asset: { ...made, name: 'renamed' } });
    assert.equal(renamed.name, 'renamed');
    assert.ok(renamed.updated.value >= made.updated.value);
    assert.deepEqual(await snapshot(made.id), renamed);
    await reads(made.id, 'print("hi")');

    const rest = await others(made.id);
    assert.equal(await assets.assetsDeleteAsset({ asset: made.id }), made.id);
    assert.equal(await assets.assetsDeleteAsset({ asset: made.id }), made.id);
    await fails(snapshot(made.id), 410, 'gone');
    await fails(assets.assetsSpecificAssetSnapshot({ asset: made.id }), 410, 'gone');
    await fails(format.formatSnapshot({ format: only.id }), 410, 'gone');
    await fails(format.formatUpdateValue({ format: only }), 410, 'gone');
    await fails(asset.assetUpdate({ asset: renamed }), 410, 'gone');
    assert.ok(!ids(await assets.assetsSnapshot()).includes(made.id));
    assert.ok(!ids(await assets.assetsIdentifiersSnapshot()).includes(made.id));
    assert.deepEqual(await others(made.id), rest);
  });

  test('what never was', async () => {
    for (const id of [randomUUID(), 'no-uuid', 'a/b', 'ä', '%', ' ', 'x'.repeat(200)]) {
      await fails(assets.assetsDeleteAsset({ asset: id }), 410, 'gone');
      await fails(snapshot(id), 410, 'gone');
      await fails(assets.assetsSpecificAssetSnapshot({ asset: id }), 410, 'gone');
      await fails(format.formatSnapshot({ format: id }), 410, 'gone');
      await fails(asset.assetUpdate({ asset: { id, name: 'x' } }), 410, 'gone');
      await fails(format.formatUpdateValue({ format: { id, fragment: { string: { raw: 'x' } } } }), 410, 'gone');
    }
  });

  test('identifiers by a plain GET', async () => {
    const made = await create();
    const gone = await create();
    await assets.assetsDeleteAsset({ asset: gone.id });
    const streamed = (await assets.assetsStreamIdentifiers()).iterable;
    assert.equal(streamed.filter((s) => s.asset.id === made.id && !s.deleted).length, 1);
    assert.ok(!streamed.some((s) => s.asset.id === gone.id));
    assert.deepEqual(streamed.map((s) => s.asset.id).sort(), ids(await assets.assetsSnapshot()).sort());
  });

  test('transferables=false leaves the texts out', async () => {
    const secret = `needle-${randomUUID()}`;
    const transferables = false;
    const first = await assets.assetsCreateNewAssetRaw({ transferables, seed: seed(secret, 'haystack', 'py') });
    const made = JSON.parse(await first.raw.clone().text());
    const answers = [
      first,
      await asset.assetSnapshotRaw({ asset: made.id, transferables }),
      await assets.assetsSpecificAssetSnapshotRaw({ asset: made.id, transferables }),
      await assets.assetsSnapshotRaw({ transferables }),
      await asset.assetUpdateRaw({ asset: { id: made.id, name: 'haystack' }, transferables }),
      await format.formatSnapshotRaw({ format: made.original.id, transferable: false }),
      await format.formatUpdateValueRaw({ format: { id: made.original.id, fragment: { string: { raw: secret } } }, transferable: false }),
    ];
    for (const answer of answers) {
      const text = await answer.raw.clone().text();
      assert.ok(!text.includes(secret), `${answer.raw.url} holds the text`);
      assert.ok(text.includes(made.original.id));
      assert.ok(await answer.value());
    }
    assert.equal(made.original.reference.classification.specific, 'py');
    assert.equal(made.formats.iterable[0].bytes.value, secret.length);
    await reads(made.id, secret);
  });
});

describe('edits', () => {
  // edited creates an asset, lets edit change what a client has read, sends
  // all of it back, and returns what is read then.
  async function edited(edit, ext = 'py') {
    const made = await create('old text', 'edited', ext);
    const mine = await snapshot(made.id);
    edit(mine);
    const answer = await asset.assetUpdate({ asset: mine });
    const now = await snapshot(made.id);
    assert.deepEqual(answer, now);
    return now;
  }

  test('the text in original.reference', async () => {
    const now = await edited((a) => { a.original.reference.fragment.string.raw = 'new text, longer'; });
    await reads(now.id, 'new text, longer');
    assert.equal(now.formats.iterable[0].bytes.value, 16);
    assert.equal(now.original.reference.bytes.value, 16);
  });

  test('the text in preview.base.reference', async () => {
    const now = await edited((a) => { a.preview.base.reference.fragment.string.raw = 'new text'; });
    await reads(now.id, 'new text');
  });

  test('the text in formats', async () => {
    const now = await edited((a) => { a.formats.iterable[0].fragment.string.raw = ''; });
    await reads(now.id, '');
    assert.equal(now.formats.iterable[0].bytes.value, 0);
  });

  test('the text in every copy', async () => {
    const now = await edited((a) => {
      a.formats.iterable[0].fragment.string.raw = 'new text';
      a.original.reference.fragment.string.raw = 'new text';
      a.preview.base.reference.fragment.string.raw = 'new text';
    });
    await reads(now.id, 'new text');
  });

  test('the language in original.reference', async () => {
    const now = await edited((a) => { a.original.reference.classification.specific = 'rs'; });
    for (const f of [now.original.reference, now.preview.base.reference, now.formats.iterable[0]]) {
      assert.equal(f.classification.specific, 'rs');
      assert.equal(f.classification.generic, 'CODE');
    }
    await reads(now.id, 'old text');
  });

  test('the language in formats', async () => {
    const now = await edited((a) => { a.formats.iterable[0].classification.specific = 'rs'; });
    assert.equal(now.original.reference.classification.specific, 'rs');
  });

  test('nothing', async () => {
    const made = await create('same', 'same');
    const before = await stored(made.id);
    await asset.assetUpdate({ asset: await snapshot(made.id) });
    assert.equal(await stored(made.id), before);
  });

  test('the value of a format, sent as a FlattenedFormat', async () => {
    const made = await create('old text', 'value', 'py');
    const reference = (await snapshot(made.id)).original.reference;
    reference.fragment.string.raw = 'new value';
    const answer = await format.formatUpdateValue({ format: reference });
    assert.equal(answer.fragment.string.raw, 'new value');
    assert.equal(answer.bytes.value, 9);
    assert.equal(answer.asset.id, made.id);
    await reads(made.id, 'new value');
    const now = await snapshot(made.id);
    assert.equal(now.name, 'value');
    assert.equal(now.original.reference.classification.specific, 'py');
    assert.ok(now.updated.value >= made.updated.value);
  });

  test('the value of a format, sent as a Format', async () => {
    const made = await create('old text');
    const whole = await format.formatSnapshot({ format: made.original.id });
    whole.fragment.string.raw = 'new value';
    await format.formatUpdateValue({ format: whole });
    await reads(made.id, 'new value');
  });

  test('tags', async () => {
    const tag = { id: randomUUID(), text: 'one', category: 'UNKNOWN', created: { value: new Date() }, updated: { value: new Date() } };
    const made = await create();
    const tagged = await asset.assetUpdate({ asset: { ...made, tags: { iterable: [tag] } } });
    assert.equal(tagged.tags.iterable[0].text, 'one');
    tagged.tags.iterable = [];
    assert.deepEqual((await asset.assetUpdate({ asset: tagged })).tags.iterable, []);
  });
});

describe('bodies that say nothing', () => {
  // outcome is the status of a call, and the code of its problem.
  const outcome = (call) => call().then(
    (answer) => `${answer.raw.status}`,
    async (e) => `${e.response.status} ${(await e.response.json()).code}`,
  );

  for (const [operation, call, want] of [
    ['connect', (body) => connector.connectRaw({ seededConnectorConnection: body }), '200'],
    ['create', (body) => assets.assetsCreateNewAssetRaw({ seed: body }), '400 invalid'],
    ['update', (body) => asset.assetUpdateRaw({ asset: body }), '400 invalid'],
    ['format value', (body) => format.formatUpdateValueRaw({ format: body }), '400 invalid'],
  ]) {
    test(operation, async () => {
      for (const body of [undefined, null, {}]) {
        assert.equal(await outcome(() => call(body)), want, `body ${JSON.stringify(body)}`);
      }
    });
  }

  // Whatever there will be: each POST operation of the document.
  test('every operation', async () => {
    const document = await (await fetch(`${base}/openapi.yaml`)).text();
    const operations = [...document.matchAll(/^ {2}(\/\S*):\n((?: {4}.*\n)+)/gm)]
      .filter(([, , methods]) => /^ {4}post:$/m.test(methods)).map(([, path]) => path);
    for (const path of ['/connect', '/os/sign_in', '/os/sign_out', '/assets/create', '/asset/update', '/assets/{id}/delete',
      '/format/update/value', '/v1/documents']) {
      assert.ok(operations.includes(path), `${path} is not among ${operations}`);
    }
    for (const path of operations) {
      for (const id of [() => randomUUID(), async () => (await create()).id]) {
        const outcomes = [];
        for (const body of [undefined, '', 'null', '{}', ' null\n']) {
          const answer = await fetch(base + path.replace(/\{\w+\}/g, await id()), { method: 'POST', headers: json, body });
          const text = await answer.text();
          outcomes.push(answer.ok ? `${answer.status}` : `${answer.status} ${JSON.parse(text).code}`);
        }
        assert.deepEqual(outcomes, Array(5).fill(outcomes[0]), path);
        const bare = await fetch(base + path.replace(/\{\w+\}/g, await id()), { method: 'POST' });
        assert.equal(`${bare.status}`, outcomes[0].slice(0, 3), `${path} without a Content-Type`);
      }
    }
    await os.signIntoOS();
  });
});

describe('errors', () => {
  const post = (path, body, headers = json) => fetch(base + path, { method: 'POST', headers, body });

  test('say what is wrong, in the same form', async () => {
    await problem(await post('/assets/create', '{"asset":'), 400, 'invalid');
    await problem(await post('/assets/create', '{} {}'), 400, 'invalid');
    await problem(await post('/assets/create', '[]'), 400, 'invalid');
    await problem(await post('/asset/update', Buffer.from('{"id":"\xff"}', 'latin1')), 400, 'invalid');
    await problem(await fetch(`${base}/assets?transferables=perhaps`), 400, 'invalid');
    await problem(await post('/assets/create', '{}', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type');
    await problem(await post('/assets/create', ' '.repeat((40 << 20) + 1)), 413, 'too_large');
    await problem(await fetch(`${base}/nothing/here`), 404, 'not_found');
    await problem(await post('/assets', '{}'), 405, 'method_not_allowed');
    await problem(await fetch(`${base}/assets`, { method: 'DELETE' }), 405, 'method_not_allowed');
    await problem(await fetch(`${base}/assets/draft`), 404, 'not_found');
  });

  test('keep web pages out', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example']) {
      for (const path of ['/assets', '/nothing', '/.well-known/health']) {
        await problem(await fetch(base + path, { headers: { origin } }), 403, 'forbidden');
      }
    }
    for (const origin of ['app://obsidian.md', 'http://localhost:3000', 'http://127.0.0.1']) {
      assert.equal((await fetch(`${base}/.well-known/health`, { headers: { origin } })).status, 200, origin);
    }
  });
});
