// Creations and restorations while they go on, with the unmodified SDK: those that
// answer at their end, their status, their progress, and cancelling them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  asset, backup, backups, base, create, fails, json, os, others, ResponseError, snapshot, status,
} from './client.mjs';

const schema = { migration: 0, semantic: 'MAJOR_0_MINOR_0_PATCH_1' };

// unknown is an id that a backup could have.
const unknown = '0.1.0_20200101T000000.123456789Z';

// The ways to say nothing in a body, and a full one.
const creations = [undefined, {}, { seededBackup: null }, { seededBackup: {} }, { seededBackup: { schema } }];
const named = (b) => [{ backup: b.id }, { backup: b.id, backup2: null }, { backup: b.id, backup2: {} }, { backup: b.id, backup2: b }];

const jobs = async () => (await (await fetch(`${base}/v1/jobs`)).json()).iterable;
const listed = async (id) => (await backups.backupsSnapshot()).iterable.find((b) => b.id === id);
const database = async () => (await status()).database;

// begins nothing checks that calls begin no work.
async function beginsNothing(calls) {
  const before = await jobs();
  await calls();
  assert.deepEqual(await jobs(), before);
}

// answer returns what an operation answers, byte by byte, and what the SDK makes of it.
async function answer(promise) {
  const response = await promise;
  const { status: code, headers } = response.raw;
  return { code, type: headers.get('content-type'), text: await response.raw.clone().text(), value: await response.value() };
}

// isWhole checks an answer of one document, which says that work is done.
async function isWhole(promise) {
  const { code, type, text, value } = await answer(promise);
  assert.deepEqual([code, type], [200, 'application/json']);
  assert.deepEqual(Object.keys(JSON.parse(text)), ['status', 'percentage', 'backup', 'done_bytes', 'total_bytes']);
  return isDone(value);
}

function isDone({ status: word, percentage, backup: of }) {
  assert.deepEqual([word, percentage], ['COMPLETED', 100]);
  return of;
}

const nothing = { code: 204, type: null, text: '', value: undefined };

// until asks again and again until there is an answer.
async function until(ask) {
  const end = performance.now() + 120_000;
  for (;;) {
    const got = await ask();
    if (got) return got;
    assert.ok(performance.now() < end, 'this takes more than two minutes');
  }
}

// fill gives the database 24 MiB that no backup has.
const filled = 24;
async function fill() {
  const text = () => randomBytes(3 << 18).toString('base64');
  const lines = Array.from({ length: filled }, (_, i) => `{"collection":"large","id":"l${i}","document":{"id":"l${i}","text":"${text()}"}}\n`);
  const written = await fetch(`${base}/v1/documents`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: lines.join('') });
  assert.equal(written.status, 200);
}

// running waits until a job of a kind runs, and returns it: undefined when the work has
// ended before that was seen.
async function running(kind, work) {
  let over = false;
  const end = () => { over = true; };
  work.then(end, end);
  const { job } = await until(async () => {
    const ended = over; // before the question, not while it is answered
    const job = (await jobs()).find((j) => j.kind === kind && j.status === 'IN-PROGRESS');
    return (job || ended) && { job };
  });
  return job;
}

// canceled checks how a call ends whose work was cancelled, and tells whether it was.
async function canceled(call) {
  try {
    const value = await call;
    assert.ok(['COMPLETED', 'CANCELED', undefined].includes(value.status), value.status); // a Backup has none
    return value.status === 'CANCELED';
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const { code } = await error.response.json(); // without a hint: it was meant to be
    assert.deepEqual([error.response.status, code], [500, 'canceled']);
    return true;
  }
}

describe('before anything began', () => {
  test('there is no progress', async () => {
    await beginsNothing(async () => {
      for (const request of [undefined, {}]) {
        assert.deepEqual(await backups.backupsCreateNewBackupStreamedWebsocket(request), {
          schema: undefined, status: 'UNKNOWN', percentage: undefined, backup: undefined,
        });
        const { code, type, text } = await answer(backups.backupsCreateNewBackupStreamedWebsocketRaw(request ?? {}));
        assert.deepEqual([code, type, JSON.parse(text)], [200, 'application/json', { status: 'UNKNOWN' }]);
      }
      assert.deepEqual(await backups.backupsStreamedProgress(), { schema: undefined, backups: [], restorations: [] });
      const { code, type, text } = await answer(backups.backupsStreamedProgressRaw());
      assert.deepEqual([code, type, JSON.parse(text)], [200, 'application/json', { backups: [], restorations: [] }]);
    });
    assert.deepEqual(await jobs(), []);
  });

  test('there is nothing to cancel', async () => {
    for (const id of [unknown, 'x', 'ä', 'a/b']) {
      await fails(backup.backupSpecificCreationCancel({ backup: id }), 500, 'not_in_progress');
      await fails(backup.backupSpecificCreationCancelRaw({ backup: id }), 500, 'not_in_progress');
      for (const backup2 of [undefined, null, {}]) {
        await fails(backup.backupSpecificRestorationCancel({ backup: id, backup2 }), 500, 'not_in_progress');
        await fails(backup.backupSpecificRestorationCancelRaw({ backup: id, backup2 }), 500, 'not_in_progress');
      }
    }
  });
});

describe('creations that tell of their end', () => {
  for (const request of creations) {
    test(`with ${JSON.stringify(request)}`, async () => {
      for (const call of [
        async () => isDone(await backups.backupsCreateNewBackupStreamed(request)),
        () => isWhole(backups.backupsCreateNewBackupStreamedRaw(request ?? {})),
      ]) {
        const before = await jobs();
        const made = await call();
        assert.ok(made.created.value instanceof Date && made.bytes > 0);
        assert.deepEqual(await listed(made.id), made);
        assert.equal((await jobs()).length, before.length + 1);
        // The newest creation is that one, and asking begins none.
        await beginsNothing(async () => {
          assert.deepEqual(isDone(await backups.backupsCreateNewBackupStreamedWebsocket()), made);
          assert.deepEqual(await isWhole(backups.backupsCreateNewBackupStreamedWebsocketRaw({})), made);
        });
        await fails(backup.backupSpecificCreationCancel({ backup: made.id }), 500, 'not_in_progress');
        const { value, percentage, backup: of } = await backup.backupSpecificCreationStatus({ backup: made.id });
        assert.deepEqual([value, percentage, of], ['COMPLETED', 100, made]);
      }
    });
  }

  test('a body that is none', async () => {
    await beginsNothing(async () => {
      for (const body of ['[]', '{', '"x"']) {
        const refused = await fetch(`${base}/backups/create/streamed`, { method: 'POST', headers: json, body });
        assert.equal(refused.status, 400);
      }
    });
  });
});

describe('restorations that tell of their end', () => {
  for (const [i, name] of ['nothing', 'null', '{}', 'the backup'].entries()) {
    test(`with ${name} in the body`, async () => {
      for (const call of [
        async (request) => isDone(await backup.backupRestoreSpecificBackupStreamed(request)),
        (request) => isWhole(backup.backupRestoreSpecificBackupStreamedRaw(request)),
      ]) {
        const kept = await create(`text ${i}`, 'kept');
        const documents = await others('');
        const made = await backups.backupsCreateNewBackup();
        const unrestored = { schema: undefined, status: 'UNKNOWN', percentage: undefined, backup: made };
        await beginsNothing(async () => {
          const request = { backup: made.id };
          assert.deepEqual(await backup.backupRestoreSpecificBackupStreamedWebsocket(request), unrestored);
          assert.deepEqual((await answer(backup.backupRestoreSpecificBackupStreamedWebsocketRaw(request))).value, unrestored);
        });
        await asset.assetUpdate({ asset: { id: kept.id, name: 'changed' } });
        const later = await create('later');

        assert.deepEqual(await call(named(made)[i]), made);
        assert.deepEqual(await others(''), documents);
        await fails(snapshot(later.id), 410, 'gone');
        await beginsNothing(async () => {
          assert.deepEqual(isDone(await backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: made.id })), made);
          assert.deepEqual(await isWhole(backup.backupRestoreSpecificBackupStreamedWebsocketRaw({ backup: made.id })), made);
        });
        await fails(backup.backupSpecificRestorationCancel(named(made)[i]), 500, 'not_in_progress');
        const { value, percentage, backup: of } = await backup.backupSpecificRestorationStatus({ backup: made.id });
        assert.deepEqual([value, percentage, of], ['COMPLETED', 100, made]);
      }
    });
  }

  test('of what cannot be restored', async () => {
    const [one, two] = [await backups.backupsCreateNewBackup(), await backups.backupsCreateNewBackup()];
    const documents = await others('');
    await beginsNothing(async () => {
      for (const id of [unknown, 'x', 'ä', 'a/b', ' ']) {
        for (const request of [{ backup: id }, { backup: id, backup2: null }, { backup: id, backup2: {} }]) {
          await fails(backup.backupRestoreSpecificBackupStreamed(request), 500, 'backup_not_found');
        }
        await fails(backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: id }), 500, 'backup_not_found');
      }
      await fails(backup.backupRestoreSpecificBackupStreamed({ backup: one.id, backup2: two }), 400, 'invalid');
      await fails(backup.backupSpecificRestorationCancel({ backup: one.id, backup2: two }), 400, 'invalid');
    });
    await create('chosen');
    await backup.backup();
    const [{ backup: partial }] = await jobs();
    await fails(backup.backupRestoreSpecificBackupStreamed({ backup: partial.id }), 500, 'backup_is_partial');
    const { status: word } = await backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: partial.id });
    assert.equal(word, 'FAILED');
    assert.notDeepEqual(await others(''), documents);
  });
});

test('what the SDK itself refuses to send is not begun', async () => {
  // The contract has a body here, but fetch has none with GET.
  const made = await backups.backupsCreateNewBackup();
  await beginsNothing(async () => {
    for (const seededBackup of [null, {}, { schema }]) {
      await assert.rejects(backups.backupsCreateNewBackupStreamedWebsocket({ seededBackup }), { name: 'FetchError' });
    }
    for (const request of named(made).slice(1)) {
      await assert.rejects(backup.backupRestoreSpecificBackupStreamedWebsocket(request), { name: 'FetchError' });
    }
  });
});

describe('amid work', () => {
  test('a creation that runs is cancelled', async () => {
    const before = await database();
    for (const call of [() => backups.backupsCreateNewBackup(), () => backups.backupsCreateNewBackupStreamed()]) {
      // A cancellation may come too late. Then there is nothing to see yet.
      await until(async () => {
        await fill();
        const ended = canceled(call());
        const job = await running('creation', ended);
        if (!job) {
          assert.ok(!await ended);
          return false;
        }
        const { id } = job.backup;
        const cancel = await answer(backup.backupSpecificCreationCancelRaw({ backup: id })).catch((error) => error);
        if (cancel instanceof ResponseError) {
          await fails(Promise.reject(cancel), 500, 'not_in_progress');
          assert.ok(!await ended);
          return false;
        }
        assert.deepEqual(cancel, nothing);
        assert.ok(await ended);
        const { value, percentage, backup: of } = await backup.backupSpecificCreationStatus({ backup: id });
        assert.deepEqual([value, of.id], ['CANCELED', id]);
        assert.ok(percentage < 100, percentage);
        assert.equal(await listed(id), undefined);
        await fails(backup.backupSpecificBackupSnapshot({ backup: id }), 500, 'backup_not_found');
        await fails(backup.backupRestoreSpecificBackup({ backup: id }), 500, 'backup_not_found');
        await fails(backup.backupSpecificCreationCancel({ backup: id }), 500, 'not_in_progress');
        assert.equal((await backups.backupsCreateNewBackupStreamedWebsocket()).status, 'CANCELED');
        return true;
      });
    }
    assert.equal((await database()).documents, before.documents + filled);
  });

  let large; // whose restoration takes a while

  test('its progress is told', async () => {
    const { call, id } = await until(async () => {
      await fill();
      const work = backups.backupsCreateNewBackupStreamed();
      const job = await running('creation', work);
      return job && { call: work, id: job.backup.id };
    });
    // Each of them may be asked after it has ended.
    const [told, word, all] = await Promise.all([
      backups.backupsCreateNewBackupStreamedWebsocket(), backup.backupSpecificCreationStatus({ backup: id }), backups.backupsStreamedProgress(),
    ]);
    for (const [at, percentage, of] of [
      [told.status, told.percentage, told.backup],
      [word.value, word.percentage, word.backup],
      ...all.backups.map((b) => [b.status, b.percentage, b.backup]),
    ]) {
      assert.equal(of.id, id);
      assert.ok(at === 'COMPLETED' ? percentage === 100 : at === 'IN-PROGRESS' && percentage >= 0 && percentage < 100, `${at} ${percentage}`);
    }
    assert.deepEqual(all.restorations, []);
    large = isDone(await call);
    assert.equal(large.id, id);
  });

  test('a restoration that runs is cancelled', async () => {
    await create('after the large backup');
    const before = await database();
    // What came to its end before it could be cancelled is tried again.
    const undone = async () => {
      assert.equal((await fetch(`${base}/v1/restoration/undo`, { method: 'POST' })).status, 204);
      return false;
    };
    for (const [i, call] of [
      (request) => backup.backupRestoreSpecificBackup(request),
      (request) => backup.backupRestoreSpecificBackupStreamed(request),
      (request) => backup.backupRestoreSpecificBackup(request),
      (request) => backup.backupRestoreSpecificBackupStreamed(request),
    ].entries()) {
      await until(async () => {
        const request = named(large)[i];
        const ended = canceled(call(request));
        const job = await running('restoration', ended);
        if (!job) {
          assert.ok(!await ended);
          return undone();
        }
        const { id } = job.backup;
        assert.equal(id, large.id);
        const [word, told, all] = await Promise.all([
          backup.backupSpecificRestorationStatus({ backup: id }),
          backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: id }),
          backups.backupsStreamedProgress(),
        ]);
        assert.ok(['IN-PROGRESS', 'COMPLETED'].includes(word.value), word.value);
        assert.ok(['IN-PROGRESS', 'COMPLETED'].includes(told.status), told.status);
        assert.ok(all.restorations.every((r) => r.backup.id === id) && all.backups.length === 0);
        const cancel = await answer(backup.backupSpecificRestorationCancelRaw(request)).catch((error) => error);
        if (cancel instanceof ResponseError) {
          await fails(Promise.reject(cancel), 500, 'not_in_progress');
          assert.ok(!await ended);
          return undone();
        }
        assert.deepEqual(cancel, nothing);
        assert.ok(await ended);
        assert.deepEqual(await database(), before);
        const { value, percentage, backup: of } = await backup.backupSpecificRestorationStatus({ backup: id });
        assert.deepEqual([value, of], ['CANCELED', large]);
        assert.ok(percentage < 100, percentage);
        const { status: at } = await backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: id });
        assert.equal(at, 'CANCELED');
        assert.deepEqual(await listed(id), large); // the backup is what it was
        return true;
      });
    }
  });

  test('what waits is cancelled', async () => {
    const [small, other] = [await backups.backupsCreateNewBackup(), await backups.backupsCreateNewBackup()];
    const known = (await jobs()).map((j) => j.id);
    // joins has a call begin, and returns its job and how it ends.
    const joins = async (call) => {
      const end = canceled(call);
      const job = await until(async () => (await jobs()).find((j) => !known.includes(j.id)));
      known.push(job.id);
      return { job, end };
    };
    const restores = (b) => joins(backup.backupRestoreSpecificBackup({ backup: b.id }));
    const before = [await restores(large), await restores(other), await restores(large), await restores(other), await restores(large)];
    const waits = [
      await joins(backups.backupsCreateNewBackup()),
      await joins(backups.backupsCreateNewBackupStreamed()),
      await restores(small),
      await joins(backups.backupsCreateNewBackup()),
    ];
    const waiting = waits.map(({ job }) => job);
    assert.deepEqual(waiting.map((j) => [j.kind, j.status, j.percentage]), [
      ['creation', 'INITIALIZED', 0], ['creation', 'INITIALIZED', 0], ['restoration', 'INITIALIZED', 0], ['creation', 'INITIALIZED', 0],
    ]);
    const ids = waiting.map((j) => j.backup.id);
    const all = await backups.backupsStreamedProgress();
    assert.deepEqual(all.backups.map((b) => [b.backup.id, b.status]), [ids[0], ids[1], ids[3]].map((id) => [id, 'INITIALIZED']));
    assert.deepEqual(all.restorations.map((r) => [r.backup.id, r.status]).slice(-2), [[large.id, 'INITIALIZED'], [small.id, 'INITIALIZED']]);
    const { value } = await backup.backupSpecificCreationStatus({ backup: ids[3] });
    assert.equal(value, 'INITIALIZED');

    assert.equal(await backup.backupSpecificCreationCancel({ backup: ids[3] }), undefined);
    assert.equal(await backup.backupSpecificRestorationCancel({ backup: small.id }), undefined);
    assert.deepEqual(await answer(backup.backupSpecificCreationCancelRaw({ backup: ids[1] })), nothing);
    assert.deepEqual(await Promise.all([...before, ...waits].map(({ end }) => end)), [...before.map(() => false), false, true, true, true]);
    assert.deepEqual((await listed(ids[0])).id, ids[0]);
    for (const id of [ids[1], ids[3]]) {
      assert.equal(await listed(id), undefined);
      assert.equal((await backup.backupSpecificCreationStatus({ backup: id })).value, 'CANCELED');
    }
    assert.equal((await backup.backupSpecificRestorationStatus({ backup: small.id })).value, 'CANCELED');
    assert.equal((await backup.backupSpecificRestorationStatus({ backup: large.id })).value, 'COMPLETED');
  });

  test('who is signed out begins nothing, and can cancel', async () => {
    const before = await database();
    const call = canceled(backup.backupRestoreSpecificBackup({ backup: large.id }));
    await running('restoration', call);
    await os.signOutOfOS();
    const calls = [
      () => backups.backupsCreateNewBackupStreamed(),
      () => backups.backupsCreateNewBackupStreamed({ seededBackup: { schema } }),
      () => backups.backupsCreateNewBackupStreamedRaw({}),
      () => backups.backupsCreateNewBackupStreamedWebsocket(),
      () => backups.backupsCreateNewBackupStreamedWebsocketRaw({}),
      () => backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: large.id }),
      () => backup.backupRestoreSpecificBackupStreamedWebsocketRaw({ backup: large.id }),
      ...named(large).flatMap((request) => [
        () => backup.backupRestoreSpecificBackupStreamed(request),
        () => backup.backupRestoreSpecificBackupStreamedRaw(request),
      ]),
    ];
    const canceling = answer(backup.backupSpecificRestorationCancelRaw({ backup: large.id })).catch((error) => error);
    for (const refused of calls) await fails(refused(), 511, 'signed_out');
    const won = await call;
    if (won) assert.deepEqual(await canceling, nothing);
    else await fails(Promise.reject(await canceling), 500, 'not_in_progress');
    assert.deepEqual((await database()).documents, before.documents);
    assert.equal((await backup.backupSpecificRestorationStatus({ backup: large.id })).value, won ? 'CANCELED' : 'COMPLETED');
    await fails(backup.backupSpecificCreationCancel({ backup: large.id }), 500, 'not_in_progress');
    await fails(backup.backupSpecificRestorationCancel({ backup: large.id, backup2: large }), 500, 'not_in_progress');
    assert.deepEqual(await backups.backupsStreamedProgress(), { schema: undefined, backups: [], restorations: [] });
    await os.signIntoOS();
    isDone(await backups.backupsCreateNewBackupStreamed());
  });
});
