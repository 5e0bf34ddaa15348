// A seed with all that the SDK's types allow: its models are not those of the
// asset, and the SDK must find all of it in the asset, in its own models.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { asset, assets, base, create, json, seed, snapshot, stored } from './client.mjs';

const schema = { migration: 0, semantic: 'MAJOR_0_MINOR_0_PATCH_1' };
const time = (text) => ({ schema, value: new Date(text), readable: 'once' });
const list = (...ids) => ({ schema, iterable: ids.map((id) => ({ schema, id })), indices: Object.fromEntries(ids.map((id, i) => [id, i])), score: { manual: 1, automatic: 2 } });

const annotation = (text) => ({
  schema, mechanism: 'AUTOMATIC', asset: 'other-asset', person: 'a-person', type: 'DESCRIPTION', text, model: 'a-model', pseudo: true,
  favorited: false, anchor: 'an-anchor', conversation: 'a-conversation', workstreamSummary: 'a-summary', messages: list('message'),
  assets: list('asset', 'asset-2'), persons: list('person'), anchors: list('anchor'), conversations: list('conversation'),
  websites: list('website'), tags: list('tag'), summaries: list('summary'), workstreamEvents: list('event'),
});

const user = {
  schema, id: 'a-user', picture: 'p', email: 'e', created: time('2020-01-01'), updated: time('2020-01-02'), username: 'u', name: 'n', vanityname: 'v',
  aesthetics: { schema, theme: { schema, dark: true }, font: { schema, size: 12 } },
  providers: { schema, iterable: [{ schema, type: 'github', userId: 'g', created: time('2020-01-03'), updated: time('2020-01-04') }] },
};

function full() {
  const seeded = seed('print("full")', 'full', 'py');
  seeded.schema = schema;
  Object.assign(seeded.asset, {
    schema, discovered: true, pseudo: false, demo: true, enrichment: { schema, tags: 1, websites: 2, persons: 3, hints: 4 },
    available: { schema, iterable: [{ generic: 'CODE', specific: 'py' }] },
  });
  Object.assign(seeded.asset.application, { schema, capabilities: 'LOCAL', mechanism: 'MANUAL', automaticUnload: true, enrichment: { tags: 5 } });
  Object.assign(seeded.asset.format, {
    schema, classification: { schema, generic: 'CODE', specific: 'py', rendering: 'HTML' },
    file: { schema, string: { schema, raw: 'a file' }, metadata: { schema, name: 'f.py', ext: 'py', size: 6 } },
  });
  Object.assign(seeded.asset.metadata, {
    schema, mechanism: 'RECOMMENDED',
    tags: [{ schema, text: 't', mechanism: 'AUTOMATIC', category: 'HANDLE' }, { text: 'bare' }],
    websites: [{ schema, url: 'https://example.com', name: 'w', mechanism: 'AUTOMATIC' }, { url: 'u', name: 'bare' }],
    sensitives: [{
      schema, text: 's', mechanism: 'AUTOMATIC', category: 'SECRET', severity: 'HIGH', name: 'n', description: 'd',
      metadata: { schema, match: { schema, group: { schema, text: 'g', start: 1, end: 2 }, subgroup: { text: 'h', start: 3, end: 4 } }, entropy: 1.5 },
    }],
    persons: [{
      schema, asset: 'other-asset', mechanism: 'AUTOMATIC', access: { schema, scoped: 'VIEWER', deleted: time('2020-01-05') },
      type: { schema, basic: { schema, username: 'u', name: 'n', picture: 'p', email: 'e', sourced: 'TWITTER', url: 'l', mailgun: { schema, messageId: 'm' } }, platform: user },
      model: { asset: { id: 'model-asset' }, model: { schema, id: 'person-model' }, deleted: time('2020-01-06'), explanation: { id: 'explanation' } },
      annotations: [annotation('of a person'), { type: 'COMMENT', text: 'bare' }], anchors: list('of-a-person'),
    }, { type: { basic: { email: 'bare' } } }],
    annotations: [annotation('of the asset'), { type: 'COMMENT', text: 'bare' }],
    hints: [{ schema, mechanism: 'AUTOMATIC', asset: 'other-asset', type: 'SUGGESTED_QUERY', text: 'h', model: 'a-model' }, { type: 'QGPT_HINT', text: 'bare' }],
    anchors: [{
      schema, type: 'FILE', watch: true, fullpath: '/x', asset: 'other-asset', platform: 'LINUX', name: 'n',
      annotations: [annotation('of an anchor')], conversation: 'a-conversation', persons: list('of-an-anchor'),
    }, { type: 'DIRECTORY', fullpath: 'bare' }],
  });
  return seeded;
}

// holds checks that what the SDK has read has at least the members of want.
function holds(got, want, where) {
  if (want === null || typeof want !== 'object' || want instanceof Date) {
    assert.deepEqual(got, want, where);
    return;
  }
  assert.ok(got, `${where} is ${got}`);
  for (const [name, member] of Object.entries(want)) holds(got[name], member, `${where}.${name}`);
}

// The annotation of a seed in the asset's model.
function annotated(text) {
  const { workstreamSummary, ...rest } = annotation(text);
  for (const name of ['asset', 'person', 'model', 'anchor', 'conversation']) rest[name] = { id: rest[name] };
  return { ...rest, summary: { id: workstreamSummary } };
}

// read checks that an asset as the SDK reads it has all of the seed.
function read(a) {
  const { application, metadata, format, discovered, pseudo, demo } = full().asset;
  holds(a, { schema, name: 'full', mechanism: 'RECOMMENDED', discovered, pseudo, demo }, 'asset');
  for (const f of [a.original.reference, a.preview.base.reference, a.formats.iterable[0]]) {
    holds(f, { schema, application, classification: format.classification, fragment: format.fragment }, 'format');
    holds(f.file, { string: format.file.string }, 'file');
  }
  const mechanisms = (mechanism) => ({ mechanisms: { [a.id]: mechanism } });
  const other = { assets: { iterable: [{ id: 'other-asset' }] } };
  const [tag, website] = [metadata.tags[0], metadata.websites[0]];
  holds(a.tags.iterable, [{ schema, text: tag.text, category: tag.category, ...mechanisms('AUTOMATIC') }, { text: 'bare', ...mechanisms('RECOMMENDED') }], 'tags');
  holds(a.websites.iterable, [{ schema, url: website.url, name: 'w', ...mechanisms('AUTOMATIC') }, { url: 'u', name: 'bare', ...mechanisms('RECOMMENDED') }], 'websites');
  holds(a.sensitives.iterable, [{ ...metadata.sensitives[0], asset: { id: a.id } }], 'sensitives');
  const [person] = metadata.persons;
  holds(a.persons.iterable, [{
    schema, type: person.type, ...mechanisms('AUTOMATIC'), access: { [a.id]: person.access }, models: { [a.id]: person.model }, anchors: person.anchors, ...other,
    annotations: { iterable: [{ reference: annotated('of a person') }, { reference: { type: 'COMMENT', text: 'bare' } }] },
  }, { type: { basic: { email: 'bare' } }, ...mechanisms('RECOMMENDED') }], 'persons');
  holds(a.annotations.iterable, [annotated('of the asset'), { type: 'COMMENT', text: 'bare', mechanism: 'RECOMMENDED' }], 'annotations');
  holds(a.hints.iterable, [{
    schema, type: 'SUGGESTED_QUERY', text: 'h', model: { id: 'a-model' }, ...mechanisms('AUTOMATIC'), ...other,
  }, { type: 'QGPT_HINT', text: 'bare', ...mechanisms('RECOMMENDED') }], 'hints');
  const point = (fullpath, anchor) => ({ points: { iterable: [{ reference: { fullpath, anchor: { id: anchor.id } } }] } });
  const [file, folder] = a.anchors.iterable;
  holds(a.anchors.iterable, [{
    schema, type: 'FILE', watch: true, name: 'n', ...point('/x', file), ...other, persons: list('of-an-anchor'),
    conversations: { iterable: [{ id: 'a-conversation' }] }, annotations: { iterable: [{ reference: annotated('of an anchor') }] },
  }, { type: 'DIRECTORY', ...point('bare', folder) }], 'anchors');
  assert.equal(file.points.iterable[0].reference.platform, 'LINUX');
}

describe('a full seed', () => {
  test('is read as it was made', async () => {
    const made = await assets.assetsCreateNewAsset({ seed: full() });
    read(made);
    read(await snapshot(made.id));
    read((await assets.assetsSnapshot()).iterable.find((a) => a.id === made.id));
  });

  test('loses nothing when it is sent back', async () => {
    const made = await assets.assetsCreateNewAsset({ seed: full() });
    const before = await stored(made.id);
    assert.deepEqual(await asset.assetUpdate({ asset: made }), made);
    assert.equal(await stored(made.id), before);
    const renamed = await asset.assetUpdate({ asset: { ...made, name: 'renamed' } });
    read({ ...renamed, name: 'full' });
    for (const of of ['tags', 'websites', 'sensitives', 'persons', 'annotations', 'hints', 'anchors']) {
      assert.deepEqual(renamed[of], made[of]);
    }
  });

  test('of odd values keeps nobody from reading', async () => {
    const { id } = await create('odd', 'odd');
    const odd = [5, 'x', true, {}, [], [5], { iterable: null }, { iterable: [5] }];
    for (const kind of ['tags', 'websites', 'sensitives', 'persons', 'annotations', 'hints', 'anchors']) {
      for (const name of [...Object.keys(annotation('')), 'access', 'annotations', 'fullpath', 'platform', 'type', 'points', 'mechanisms', 'created']) {
        const items = odd.map((value) => ({ text: 'odd', [name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)]: value }));
        const { asset: seeded } = seed('odd', 'odd');
        const body = JSON.stringify({ type: 'SEEDED_ASSET', asset: { ...seeded, metadata: { [kind]: items } } });
        const answer = await fetch(`${base}/assets/create`, { method: 'POST', headers: json, body });
        assert.equal(answer.status, 200);
        const made = await snapshot((await answer.json()).id);
        assert.equal(made[kind].iterable.length, odd.length);
        await asset.assetUpdate({ asset: made });
        await assets.assetsDeleteAsset({ asset: made.id });
      }
    }
    assert.equal((await snapshot(id)).name, 'odd');
  });
});

test('a collection without its list keeps nobody from reading', async () => {
  const { id } = await create();
  const item = { id: randomUUID(), text: 'x', type: 'FILE', created: { value: new Date() }, updated: { value: new Date() } };
  for (const change of [
    { tags: { iterable: null } }, { websites: {} }, { hints: { score: { manual: 1, automatic: 1 } } }, { persons: [] }, { shares: 'x' },
    { anchors: { iterable: [{ ...item, points: null, annotations: {}, persons: { iterable: null } }] } },
    { annotations: { iterable: [{ ...item, tags: { iterable: [{ id: 'x', reference: { ...item, assets: {} } }] } }] } },
  ]) {
    const answer = await fetch(`${base}/asset/update`, { method: 'POST', headers: json, body: JSON.stringify({ id, ...change }) });
    assert.equal(answer.status, 200);
    const now = await snapshot(id);
    assert.deepEqual((await assets.assetsSnapshot()).iterable.find((a) => a.id === id), now);
    assert.deepEqual(await asset.assetUpdate({ asset: now }), now);
  }
});
