// Backups, with the unmodified SDK: each operation with each way to say nothing
// in its body, and a full one.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  allocations, asset, assets, backup, backups, base, create, fails, json, os, others, problem, reads, snapshot, user,
} from './client.mjs';

// bodies are the ways to say nothing: no argument, null, {}, and the full model.
const bodies = (full) => [undefined, null, {}, full];
const named = (body) => (body && Object.keys(body).length ? 'a full body' : `${JSON.stringify(body)}`);

const schema = { migration: 0, semantic: 'MAJOR_0_MINOR_0_PATCH_1' };

// unknown is an id that a backup could have.
const unknown = '0.1.0_20200101T000000.123456789Z';

// sameBackup checks that each answer that shows a backup shows the same, field
// by field.
async function sameBackup(made) {
  const listed = (await backups.backupsSnapshot()).iterable.filter((b) => b.id === made.id);
  assert.deepEqual(listed, [made]);
  assert.deepEqual(await backup.backupSpecificBackupSnapshot({ backup: made.id }), made);
  const { value, percentage, backup: of } = await backup.backupSpecificCreationStatus({ backup: made.id });
  assert.deepEqual({ value, percentage, of }, { value: 'COMPLETED', percentage: 100, of: made });
}

// isBackup checks what the model says of a backup.
function isBackup(b) {
  assert.match(b.id, /^[A-Za-z0-9.-]+_\d{8}T\d{6}\.\d{9}Z$/);
  assert.equal(b.id, `${b.version}_${b.timestamp}`);
  assert.ok(Number.isInteger(b.bytes) && b.bytes > 0, b.bytes);
  assert.ok(b.deviceName);
  assert.ok(['LINUX', 'MACOS', 'WINDOWS'].includes(b.platform), b.platform);
  assert.ok(b.created.value instanceof Date && Math.abs(b.created.value - Date.now()) < 600_000, b.created.value);
  assert.equal(b.timestamp.slice(0, 19), b.created.value.toISOString().replace(/[-:Z]/g, ''));
}

const nothing = { status: 204, text: '' };

// answer is what an operation without a result answers.
async function answer(promise) {
  const { raw } = await promise;
  return { status: raw.status, text: await raw.clone().text() };
}

// soon rejects when a promise takes longer than a person would wait.
async function soon(promise) {
  const begin = performance.now();
  const value = await promise;
  assert.ok(performance.now() - begin < 5_000, 'this took more than five seconds');
  return value;
}

describe('a fresh account', () => {
  test('has an empty list, at once, and creating is not blocked', async () => {
    const [list] = await soon(Promise.all([backups.backupsSnapshot(), backups.backupsSnapshot()]));
    assert.deepEqual(list.iterable, []);
    assert.deepEqual(list.indices, {});
    const [made, , during] = await Promise.all([
      backups.backupsCreateNewBackup(), backups.backupsSnapshot(), soon(backups.backupsSnapshot()),
    ]);
    isBackup(made);
    assert.ok(during.iterable.length <= 1);
    await sameBackup(made); // of an empty database
    assert.deepEqual(await backup.backupRestoreSpecificBackup({ backup: made.id }), made);
    await backups.backupsDeleteSpecificBackup({ backup: made.id });
    assert.deepEqual((await backups.backupsSnapshot()).iterable, []);
  });

  test('is connected to its cloud', async () => {
    const { allocation, id } = (await user.userSnapshot()).user;
    assert.equal(allocation.status.cloud, 'RUNNING');
    assert.equal(allocation.user, id);
    assert.deepEqual((await allocations.allocationsSnapshot()).iterable, [allocation]);
  });
});

describe('the whole database', () => {
  for (const body of bodies({ schema })) {
    test(`create with ${named(body)}`, async () => {
      const before = (await backups.backupsSnapshot()).iterable;
      const made = await backups.backupsCreateNewBackup(body === undefined ? undefined : { seededBackup: body });
      isBackup(made);
      await sameBackup(made);
      const after = await backups.backupsSnapshot();
      assert.deepEqual(after.iterable, [made, ...before]); // newest first
      assert.deepEqual(after.indices, Object.fromEntries(after.iterable.map((b, i) => [b.id, i])));
      await fails(backup.backupSpecificRestorationStatus({ backup: made.id }), 404, 'job_not_found');
    });
  }

  for (const [i, body] of [undefined, null, {}, 'full'].entries()) {
    test(`restore with ${body === 'full' ? 'a full body' : named(body)}`, async () => {
      const kept = await create(`text ${i}`, 'kept');
      const changed = await create('old text', 'changed');
      const documents = await others('');
      const made = await backups.backupsCreateNewBackup();
      await assets.assetsDeleteAsset({ asset: kept.id });
      await asset.assetUpdate({ asset: { id: changed.id, name: 'changed later' } });
      const later = await create('later');

      const request = { backup: made.id };
      if (i > 0) request.backup2 = body === 'full' ? made : body;
      assert.deepEqual(await backup.backupRestoreSpecificBackup(request), made);
      assert.deepEqual(await others(''), documents);
      await reads(kept.id, `text ${i}`);
      assert.deepEqual(await snapshot(changed.id), changed);
      await fails(snapshot(later.id), 410, 'gone');
      const { value, percentage, backup: of } = await backup.backupSpecificRestorationStatus({ backup: made.id });
      assert.deepEqual({ value, percentage, of }, { value: 'COMPLETED', percentage: 100, of: made });
      await sameBackup(made);

      // What was there before can be brought back, and taken away again.
      for (const there of [true, false]) {
        assert.equal((await fetch(`${base}/v1/restoration/undo`, { method: 'POST' })).status, 204);
        await (there ? reads(later.id, 'later') : fails(snapshot(later.id), 410, 'gone'));
      }
    });
  }

  for (const body of [undefined, null, {}, 'full']) {
    test(`delete with ${body === 'full' ? 'a full body' : named(body)}`, async () => {
      const kept = (await backups.backupsSnapshot()).iterable;
      const documents = await others('');
      const made = await backups.backupsCreateNewBackup();
      const request = { backup: made.id };
      if (body !== undefined) request.backup2 = body === 'full' ? made : body;
      assert.deepEqual(await answer(backups.backupsDeleteSpecificBackupRaw(request)), nothing);
      assert.deepEqual((await backups.backupsSnapshot()).iterable, kept);
      assert.deepEqual(await others(''), documents);
      await fails(backup.backupSpecificBackupSnapshot({ backup: made.id }), 500, 'backup_not_found');
      await fails(backup.backupRestoreSpecificBackup({ backup: made.id }), 500, 'backup_not_found');
      await fails(backups.backupsDeleteSpecificBackup(request), 500, 'backup_not_found');
    });
  }

  test('two creations and a restoration at the same time', async () => {
    const first = await backups.backupsCreateNewBackup();
    const [second, restored, third] = await Promise.all([
      backups.backupsCreateNewBackup(), backup.backupRestoreSpecificBackup({ backup: first.id }), backups.backupsCreateNewBackup(),
    ]);
    assert.deepEqual(restored, first);
    for (const b of [first, second, third]) await sameBackup(b);
    const ids = (await backups.backupsSnapshot()).iterable.map((b) => b.id);
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe('chosen assets', () => {
  const listed = async () => (await backups.backupsSnapshot()).iterable;
  const created = async () => (await (await fetch(`${base}/v1/jobs`)).json()).iterable.filter((j) => j.kind === 'creation');
  const details = async (id) => (await fetch(`${base}/v1/backups/${id}`)).json();

  // partial checks that the newest creation is a backup of so many assets,
  // which is not in the list and not restored as a whole.
  async function partial(documents) {
    const [{ backup: newest, status }] = await created();
    assert.equal(status, 'COMPLETED');
    assert.ok(!(await listed()).some((b) => b.id === newest.id));
    const of = await details(newest.id);
    assert.deepEqual([of.scope, of.documents, of.revision], ['assets', documents, documents]);
    const found = await backup.backupSpecificBackupSnapshot({ backup: newest.id });
    assert.equal(found.bytes, newest.bytes);
    const before = await others('');
    await fails(backup.backupRestoreSpecificBackup({ backup: newest.id }), 500, 'backup_is_partial');
    assert.deepEqual(await others(''), before);
    const { value, percentage } = await backup.backupSpecificCreationStatus({ backup: newest.id });
    assert.deepEqual([value, percentage], ['COMPLETED', 100]);
    const refused = await backup.backupSpecificRestorationStatus({ backup: newest.id });
    assert.deepEqual([refused.value, refused.backup], ['FAILED', found]);
    await backups.backupsDeleteSpecificBackup({ backup: newest.id });
    await fails(backup.backupSpecificBackupSnapshot({ backup: newest.id }), 500, 'backup_not_found');
  }

  test('some', async () => {
    const before = await listed();
    const mine = [await create('one', 'one'), await create('two', 'two'), await create('three', 'three')];
    const some = { iterable: mine.slice(0, 2) };
    assert.deepEqual(await answer(backup.backupRaw({ assets: some })), nothing);
    assert.deepEqual(await listed(), before);
    await partial(2);
  });

  test('all, without a body', async () => {
    const count = (await assets.assetsIdentifiersSnapshot()).iterable.length;
    assert.ok(count > 2);
    for (const request of [{}, { assets: null }]) {
      assert.deepEqual(await answer(backup.backupRaw(request)), nothing);
      await partial(count);
    }
    assert.equal(await backup.backup(), undefined);
    await partial(count);
    for (const body of ['{}', 'null', '']) { // the SDK cannot send the first one
      assert.equal((await fetch(`${base}/backup`, { method: 'POST', headers: json, body })).status, 204);
      await partial(count);
    }
  });

  test('one', async () => {
    const made = await create('alone', 'alone');
    assert.deepEqual(await answer(backup.backupAssetRaw({ asset: made })), nothing);
    await partial(1);
    const never = { ...made, id: randomUUID() }; // as it came: the database need not know it
    assert.equal(await backup.backupAsset({ asset: never }), undefined);
    await partial(1);
  });

  test('none', async () => {
    const before = (await created()).length;
    await fails(backup.backupAsset(), 400, 'invalid');
    await fails(backup.backupAsset({ asset: null }), 400, 'invalid');
    await problem(await fetch(`${base}/backup/asset`, { method: 'POST', headers: json, body: '{}' }), 400, 'invalid');
    await fails(backup.backup({ assets: { iterable: [] } }), 400, 'invalid');
    assert.equal((await created()).length, before);
  });
});

describe('errors', () => {
  test('unknown backups', async () => {
    for (const id of [unknown, 'x', 'ä', 'a/b', ' ', 'x'.repeat(200), randomUUID()]) {
      await fails(backup.backupSpecificBackupSnapshot({ backup: id }), 500, 'backup_not_found');
      await fails(backup.backupRestoreSpecificBackup({ backup: id }), 500, 'backup_not_found');
      await fails(backups.backupsDeleteSpecificBackup({ backup: id }), 500, 'backup_not_found');
      await fails(backup.backupSpecificCreationStatus({ backup: id }), 404, 'job_not_found');
      await fails(backup.backupSpecificRestorationStatus({ backup: id }), 404, 'job_not_found');
    }
  });

  test('a body of another backup', async () => {
    const [one, two] = [await backups.backupsCreateNewBackup(), await backups.backupsCreateNewBackup()];
    const documents = await others('');
    await fails(backup.backupRestoreSpecificBackup({ backup: one.id, backup2: two }), 400, 'invalid');
    await fails(backups.backupsDeleteSpecificBackup({ backup: one.id, backup2: two }), 400, 'invalid');
    await sameBackup(one);
    assert.deepEqual(await others(''), documents);
  });

  test('signed out', async () => {
    const made = await create('stays', 'stays');
    const b = await backups.backupsCreateNewBackup();
    const documents = await others('');
    await os.signOutOfOS();
    for (const call of [
      () => backup.backup(),
      () => backup.backupAsset({ asset: made }),
      () => backup.backupSpecificBackupSnapshot({ backup: b.id }),
      () => backup.backupRestoreSpecificBackup({ backup: b.id }),
      () => backups.backupsSnapshot(),
      () => backups.backupsCreateNewBackup(),
      () => backups.backupsDeleteSpecificBackup({ backup: b.id }),
    ]) {
      await fails(call(), 511, 'signed_out');
    }
    assert.equal((await backup.backupSpecificCreationStatus({ backup: b.id })).value, 'COMPLETED');
    assert.deepEqual((await allocations.allocationsSnapshot()).iterable, []);
    assert.deepEqual(await others(''), documents);
    await create('while signed out'); // documents need no user
    await os.signIntoOS();
    await sameBackup(b);
    assert.deepEqual(await backup.backupRestoreSpecificBackup({ backup: b.id }), b);
    assert.deepEqual(await others(''), documents);
  });
});
