// Our package beside the SDK, on a daemon: the work as it goes on, over both of its
// transports. Node runs this, and a browser does (browser.mjs). What is odd about
// streams the package's own tests have.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import pieces from '@pieces.app/pieces-os-client';
import { StreamError, streamCreate, streamProgress, streamRestore } from '../../sdk/typescript/dist/index.js';
import { backup, backups, base, configuration, create, others, os, snapshot } from './client.mjs';

const unknown = '0.1.0_20200101T000000.123456789Z';
const jobs = async () => (await (await fetch(`${base}/v1/jobs`)).json()).iterable;

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// ends checks that events are those of one whole job, and returns the last one.
function ends(events, status = 'COMPLETED') {
  assert.ok(events.length >= 2, `${events.length} events`);
  const last = events.at(-1);
  assert.deepEqual([events[0].status, last.status], ['INITIALIZED', status]);
  for (const [i, event] of events.entries()) {
    const { percentage, doneBytes, totalBytes } = events[Math.max(0, i - 1)];
    assert.ok(event.percentage >= percentage && event.doneBytes >= doneBytes && event.totalBytes >= totalBytes);
    assert.equal(event.percentage === 100, event.status === 'COMPLETED');
    assert.equal(event.backup.id, last.backup.id);
    assert.ok(event.backup.created.value instanceof Date);
    if (event !== last) assert.ok(['INITIALIZED', 'IN-PROGRESS'].includes(event.status), event.status);
  }
  return last;
}

async function rejects(promise, code, status) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof StreamError, error.stack);
    assert.deepEqual([error.code, error.status], [code, status]);
    assert.match(error.detail, /^\S.*\.$/);
    assert.match(error.hint, /^\S.*\.$/);
    return true;
  });
}

// A feed follows all work, from the moment that it is returned.
async function feed(t, transport) {
  const controller = new AbortController();
  t.after(() => controller.abort());
  const stream = streamProgress(configuration, { transport, signal: controller.signal });
  const first = (await stream.next()).value;
  return {
    first,
    // ended returns the last event of the work on a backup, and leaves the stream.
    async ended(list, id) {
      for await (const event of stream) {
        const found = event[list].find((of) => of.backup.id === id);
        if (found && ['COMPLETED', 'FAILED', 'CANCELED'].includes(found.status)) return found;
      }
      return assert.fail('the feed has an end');
    },
    async close() {
      controller.abort();
      await assert.rejects(all(stream), { name: 'AbortError' });
    },
  };
}

for (const transport of ['ndjson', 'websocket']) {
  describe(transport, () => {
    test('a creation, a restoration, and the progress of both', async (t) => {
      const kept = await create('kept');
      const [{ first, ended }, other] = [await feed(t, transport), await feed(t, 'ndjson')];
      assert.deepEqual(first, { schema: undefined, backups: [], restorations: [] });
      const made = ends(await all(streamCreate(configuration, { transport })));
      assert.ok(made.totalBytes > 0 && made.doneBytes === made.totalBytes);
      assert.deepEqual((await backups.backupsSnapshot()).iterable[0], made.backup);
      assert.deepEqual(await ended('backups', made.backup.id), made);

      const documents = await others('');
      await create('later');
      const restored = ends(await all(streamRestore(configuration, { backup: made.backup.id, transport })));
      assert.deepEqual(restored.backup, made.backup);
      assert.deepEqual(await others(''), documents);
      assert.equal((await snapshot(kept.id)).id, kept.id);
      assert.deepEqual(await other.ended('restorations', made.backup.id), restored);
    });

    test('who leaves does not cancel', async (t) => {
      const { ended } = await feed(t, transport);
      let left;
      for await (const event of streamCreate(configuration, { transport })) {
        left = event.backup;
        break;
      }
      assert.equal((await ended('backups', left.id)).status, 'COMPLETED');
      assert.equal((await backup.backupSpecificCreationStatus({ backup: left.id })).value, 'COMPLETED');
    });

    test('who aborts does not cancel', async (t) => {
      const { ended } = await feed(t, transport);
      const controller = new AbortController();
      const reason = new Error('enough');
      let left;
      await assert.rejects(async () => {
        for await (const event of streamCreate(configuration, { transport, signal: controller.signal })) {
          left = event.backup;
          controller.abort(reason);
        }
      }, (error) => error === reason);
      assert.equal((await ended('backups', left.id)).status, 'COMPLETED');
      await (await feed(t, transport)).close(); // amid silence
    });

    test('what is cancelled says so', async () => {
      // It waits for the others, which may all have ended when it is to be cancelled.
      for (let tries = 1; ; tries++) {
        const known = (await jobs()).length;
        const others = Array.from({ length: 4 }, () => backups.backupsCreateNewBackup());
        while ((await jobs()).length < known + others.length);
        const stream = streamCreate(configuration, { transport });
        const first = (await stream.next()).value;
        const canceling = backup.backupSpecificCreationCancelRaw({ backup: first.backup.id }).then(({ raw }) => raw, ({ response }) => response);
        const events = [first, ...await all(stream)];
        await Promise.all(others);
        if ((await canceling).status === 500 && tries < 20) continue;
        assert.equal((await canceling).status, 204);
        const { problem } = ends(events, 'CANCELED');
        assert.equal(problem.code, 'canceled');
        assert.match(problem.detail, /cancelled/);
        break;
      }
    });

    test('what fails says why', async () => {
      await create('chosen');
      await backup.backup();
      const [{ backup: { id } }] = await jobs();
      const last = ends(await all(streamRestore(configuration, { backup: id, transport })), 'FAILED');
      assert.equal(last.problem.code, 'backup_is_partial');
      assert.ok(last.problem.detail && last.problem.hint);
    });

    test('what is refused is not begun', async (t) => {
      const made = await backups.backupsCreateNewBackup();
      const before = await jobs();
      for (const id of [unknown, randomUUID(), 'ä', 'a/b']) {
        await rejects(all(streamRestore(configuration, { backup: id, transport })), 'backup_not_found', 500);
      }
      const controller = new AbortController();
      controller.abort();
      for (const stream of [
        streamCreate(configuration, { transport, signal: controller.signal }),
        streamRestore(configuration, { backup: made.id, transport, signal: controller.signal }),
      ]) {
        await assert.rejects(all(stream), { name: 'AbortError' });
      }
      await os.signOutOfOS();
      await rejects(all(streamCreate(configuration, { transport })), 'signed_out', 511);
      await rejects(all(streamRestore(configuration, { backup: made.id, transport })), 'signed_out', 511);
      const { first, close } = await feed(t, transport); // which needs no user
      assert.deepEqual(first, { schema: undefined, backups: [], restorations: [] });
      await close();
      await os.signIntoOS();
      assert.deepEqual(await jobs(), before);
    });

    test('nobody there', async () => {
      const nowhere = new pieces.Configuration({ basePath: 'http://127.0.0.1:1' });
      for (const stream of [streamCreate(nowhere, { transport }), streamProgress(nowhere, { transport })]) {
        await rejects(all(stream), 'daemon_unreachable', undefined);
      }
    });
  });
}
