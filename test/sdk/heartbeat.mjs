// Answers that took ten minutes, as they came, played to the SDK on Node's default
// fetch: test/heartbeat_test.go has them ready, and below /failing those of work that
// failed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import pieces from '@pieces.app/pieces-os-client';
import { backup, backups, base } from './client.mjs';

const id = '0.1.0_20200101T000000.123456789Z';
const configuration = new pieces.Configuration({ basePath: `${base}/failing` });
const failing = { backup: new pieces.BackupApi(configuration), backups: new pieces.BackupsApi(configuration) };

function isBackup(b) {
  assert.match(b.id, /^0\.1\.0_\d{8}T\d{6}\.\d{9}Z$/);
  assert.ok(b.bytes > 0);
  assert.ok(b.created.value instanceof Date);
}

test('a creation resolves with its backup', async () => {
  isBackup(await backups.backupsCreateNewBackup());
});

test('a restoration resolves with its backup', async () => {
  isBackup(await backup.backupRestoreSpecificBackup({ backup: id }));
});

test('the streamed ones resolve with their end', async () => {
  for (const progress of [
    await backups.backupsCreateNewBackupStreamed(),
    await backup.backupRestoreSpecificBackupStreamed({ backup: id }),
  ]) {
    assert.equal(progress.status, 'COMPLETED');
    assert.equal(progress.percentage, 100);
    isBackup(progress.backup);
  }
});

test('what fails rejects', async () => {
  for (const call of [
    () => failing.backups.backupsCreateNewBackup(),
    () => failing.backup.backupRestoreSpecificBackup({ backup: id }),
  ]) {
    const error = await call().then(() => assert.fail('it resolves'), (e) => e);
    assert.ok(error instanceof TypeError && error.message === 'terminated', `${error.stack}`);
  }
});

test('what fails, streamed, resolves with its end', async () => {
  for (const progress of [
    await failing.backups.backupsCreateNewBackupStreamed(),
    await failing.backup.backupRestoreSpecificBackupStreamed({ backup: id }),
  ]) {
    assert.equal(progress.status, 'FAILED');
    assert.ok(progress.percentage < 100);
    assert.match(progress.backup.id, /^0\.1\.0_/);
  }
});
