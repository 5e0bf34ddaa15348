// What the SDK meets where the cloud cannot be used: test/backup_refused_test.go starts
// such a daemon, on which no backup was ever made, and says which status and code
// each operation has that declares them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocations, assets, backup, backups, base, create, fails, others, reads, snapshot, user } from './client.mjs';

const status = Number(process.env.WANT_STATUS);
const { WANT_CODE: code, WANT_HINT: hint, WANT_USER: wantUser } = process.env;
const id = '0.1.0_20200101T000000.123456789Z';
const unknown = '0.1.0_20200102T000000.123456789Z';

test('only backups are kept from working', async () => {
  const made = await create('text', 'name');
  await reads(made.id, 'text');
  const before = await others('');
  const operations = {
    1: () => backup.backup(),
    2: () => backup.backupAsset({ asset: made }),
    3: () => backup.backupSpecificBackupSnapshot({ backup: id }),
    4: () => backup.backupRestoreSpecificBackup({ backup: id }),
    5: () => backup.backupRestoreSpecificBackupStreamed({ backup: id }),
    6: () => backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: unknown }),
    11: () => backups.backupsSnapshot(),
    12: () => backups.backupsCreateNewBackup(),
    13: () => backups.backupsCreateNewBackupStreamed(),
    15: () => backups.backupsDeleteSpecificBackup({ backup: id }),
  };
  // While no creation was ever begun here, only the cloud could tell of one.
  const told = [await fails(backups.backupsCreateNewBackupStreamedWebsocket(), status, code)];
  for (const [number, call] of Object.entries(operations)) {
    told.push(await fails(call(), status, code).catch((error) => {
      throw new Error(`operation ${number}: ${error.message}`, { cause: error });
    }));
  }
  for (const p of told) assert.match(p.hint, new RegExp(hint));
  for (const path of [`/backup/${id}/restore/streamed/websocket`, '/backups/create/streamed/websocket']) {
    await refusedSocket(path);
  }
  // What this computer knows of its own work needs no cloud, and these declare no
  // other status than 500 and 404.
  await fails(backup.backupSpecificRestorationStatus({ backup: unknown }), 404, 'job_not_found');
  await fails(backup.backupSpecificCreationCancel({ backup: id }), 500, 'not_in_progress');
  await fails(backup.backupSpecificRestorationCancel({ backup: id }), 500, 'not_in_progress');
  assert.deepEqual(await backups.backupsStreamedProgress(), { schema: undefined, backups: [], restorations: [] });
  assert.deepEqual((await allocations.allocationsSnapshot()).iterable, []);
  const { user: profile } = await user.userSnapshot();
  assert.equal(Boolean(profile), wantUser === 'true');
  assert.equal(profile?.allocation, undefined);
  assert.deepEqual(await snapshot(made.id), made);
  assert.deepEqual(await others(''), before);
  await assets.assetsDeleteAsset({ asset: made.id });
});

// refusedSocket opens a websocket, which must not open.
async function refusedSocket(path) {
  const socket = new WebSocket(base.replace('http', 'ws') + path);
  const happened = await new Promise((resolve) => {
    for (const event of ['open', 'error']) socket.addEventListener(event, () => resolve(event));
  });
  assert.equal(happened, 'error', path);
}
