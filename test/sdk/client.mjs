// What the tests share: the unmodified SDK, set to the daemon at CAIRN_URL,
// and the daemon's own endpoints next to it.

import assert from 'node:assert/strict';
import pieces from '@pieces.app/pieces-os-client';

export const base = process.env.CAIRN_URL;
assert.ok(base, 'CAIRN_URL is not set: go test ./test runs these tests against a daemon');

export const configuration = new pieces.Configuration({ basePath: base });
export const wellKnown = new pieces.WellKnownApi(configuration);
export const connector = new pieces.ConnectorApi(configuration);
export const user = new pieces.UserApi(configuration);
export const os = new pieces.OSApi(configuration);
export const allocations = new pieces.AllocationsApi(configuration);
export const assets = new pieces.AssetsApi(configuration);
export const asset = new pieces.AssetApi(configuration);
export const format = new pieces.FormatApi(configuration);
export const backup = new pieces.BackupApi(configuration);
export const backups = new pieces.BackupsApi(configuration);
export const { ResponseError } = pieces;

export const json = { 'content-type': 'application/json' };

// seed returns the smallest Seed, of a text.
export function seed(raw = 'print("hi")', name = 'hello', ext = undefined) {
  return {
    type: 'SEEDED_ASSET',
    asset: {
      application: {
        id: 'c1111111-1111-4111-8111-111111111111',
        name: 'OPEN_SOURCE',
        version: '0.0.1',
        platform: 'LINUX',
        onboarded: true,
        privacy: 'OPEN',
      },
      format: { fragment: { string: { raw }, ...(ext && { metadata: { ext } }) } },
      metadata: { name },
    },
  };
}

// create makes an asset of a text.
export const create = (...of) => assets.assetsCreateNewAsset({ seed: seed(...of) });

// snapshot reads an asset.
export const snapshot = (id) => asset.assetSnapshot({ asset: id });

// texts returns the text of an asset as its readers find it, each way.
export function texts(of) {
  return [
    of.original.reference.fragment.string.raw,
    of.preview.base.reference.fragment.string.raw,
    of.formats.iterable.find((f) => f.id === of.original.id).fragment.string.raw,
  ];
}

// reads checks that an asset has the text, whichever way it is read.
export async function reads(id, want) {
  const format_ = await format.formatSnapshot({ format: (await snapshot(id)).original.id });
  const listed = (await assets.assetsSnapshot()).iterable.find((a) => a.id === id);
  for (const of of [await snapshot(id), await assets.assetsSpecificAssetSnapshot({ asset: id }), listed]) {
    for (const got of [...texts(of), format_.fragment.string.raw]) {
      same(got, want);
    }
  }
}

// stored returns the JSON text of an asset as it is kept.
export async function stored(id) {
  const answer = await fetch(`${base}/v1/documents/assets/${id}`);
  assert.equal(answer.status, 200);
  return answer.text();
}

// store keeps JSON texts of assets as they are. Their ids are given besides.
export async function store(...documents) {
  const lines = documents.map(([id, text]) => `{"collection":"assets","id":"${id}","document":${text}}\n`);
  const answer = await fetch(`${base}/v1/documents`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  });
  const written = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(written));
  assert.equal(written.refused_count, 0, JSON.stringify(written.refused));
  return written;
}

// same checks that two long texts are the same, and shows where they part.
export function same(got, want) {
  if (got === want) return;
  let at = 0;
  while (at < got.length && got[at] === want[at]) at++;
  const near = (text) => JSON.stringify(text.slice(Math.max(0, at - 60), at + 120));
  assert.fail(`the texts part at ${at} (of ${got.length} and ${want.length}):\n got ${near(got)}\nwant ${near(want)}`);
}

// keeps checks that an asset is kept as the text.
export const keeps = async (id, want) => same(await stored(id), want);

// others returns all documents but one, line by line.
export async function others(id) {
  const lines = (await (await fetch(`${base}/v1/documents`)).text()).split('\n');
  return lines.filter((line) => !line.includes(`"id":"${id}"`));
}

// status is what the daemon says of itself.
export const status = async () => (await fetch(`${base}/v1/status`)).json();

// fails checks that a call of the SDK rejects with a problem, and returns it.
export async function fails(promise, status, code) {
  const error = await promise.then(
    () => assert.fail(`the call resolves; it should reject with ${status}`),
    (e) => e,
  );
  assert.ok(error instanceof ResponseError, `${error.name} is no ResponseError: ${error.stack}`);
  return problem(error.response, status, code);
}

// problem checks that an answer is a problem document, and returns it.
export async function problem(answer, status, code) {
  assert.equal(answer.status, status);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  const p = await answer.json();
  assert.equal(p.type, 'about:blank');
  assert.equal(p.status, status);
  assert.equal(p.code, code);
  assert.match(p.detail, /^\S.*\.$/s);
  assert.match(p.hint, /^\S.*\.$/s);
  return p;
}
