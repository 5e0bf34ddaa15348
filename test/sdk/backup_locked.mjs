// What the SDK meets where the key of the cloud is missing: test/backup_sdk_test.go
// starts such a daemon.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocations, assets, backup, backups, base, create, fails, reads, snapshot, user } from './client.mjs';

const id = '0.1.0_20200101T000000.123456789Z';
const unknown = '0.1.0_20200102T000000.123456789Z';

test('a locked cloud keeps only backups from working', async () => {
  const made = await create('text', 'name');
  await reads(made.id, 'text');
  for (const call of [
    () => backup.backup(),
    () => backup.backupAsset({ asset: made }),
    () => backup.backupSpecificBackupSnapshot({ backup: id }),
    () => backup.backupRestoreSpecificBackup({ backup: id }),
    () => backups.backupsSnapshot(),
    () => backups.backupsCreateNewBackup(),
    () => backups.backupsDeleteSpecificBackup({ backup: id }),
    () => backup.backupRestoreSpecificBackupStreamed({ backup: id }),
    () => backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: unknown }),
    () => backups.backupsCreateNewBackupStreamed(),
  ]) {
    const p = await fails(call(), 511, 'cloud_locked');
    assert.match(p.hint, /--key/);
  }
  // The two statuses have no 511: what only the cloud could know is a failure.
  const p = await fails(backup.backupSpecificCreationStatus({ backup: id }), 500, 'cloud_unreachable');
  assert.match(p.hint, /--key/);
  assert.equal((await backup.backupSpecificRestorationStatus({ backup: id })).value, 'FAILED');
  await fails(backup.backupSpecificRestorationStatus({ backup: unknown }), 404, 'job_not_found');
  // What this computer knows of its own work needs no cloud.
  for (const { status } of [
    await backups.backupsCreateNewBackupStreamedWebsocket(),
    await backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: id }),
  ]) {
    assert.equal(status, 'FAILED');
  }
  assert.deepEqual(await backups.backupsStreamedProgress(), { schema: undefined, backups: [], restorations: [] });
  await fails(backup.backupSpecificCreationCancel({ backup: id }), 500, 'not_in_progress');
  await fails(backup.backupSpecificRestorationCancel({ backup: id }), 500, 'not_in_progress');
  assert.deepEqual((await allocations.allocationsSnapshot()).iterable, []);
  const connected = await user.userSnapshot();
  assert.ok(connected.user.id);
  assert.equal(connected.user.allocation, undefined);
  const { cloud } = await (await fetch(`${base}/v1/status`)).json();
  assert.deepEqual([cloud.state, cloud.problem.code], ['locked', 'cloud_locked']);
  assert.deepEqual(await snapshot(made.id), made);
  await assets.assetsDeleteAsset({ asset: made.id });
});
