// What the SDK meets where one backup was written by a newer cairn:
// test/backup_refused_test.go puts it there. All the others work on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backup, backups, create, fails, others } from './client.mjs';

const id = process.env.WANT_BACKUP;

test('a backup of a newer format', async () => {
  await create('text', 'name');
  const documents = await others('');
  for (const call of [
    // First: when a restoration was tried, this shows what became of it.
    () => backup.backupRestoreSpecificBackupStreamedWebsocket({ backup: id }),
    () => backup.backupSpecificBackupSnapshot({ backup: id }),
    () => backup.backupRestoreSpecificBackup({ backup: id }),
    () => backup.backupRestoreSpecificBackupStreamed({ backup: id }),
    () => backups.backupsDeleteSpecificBackup({ backup: id }),
  ]) {
    const p = await fails(call(), 505, 'format_too_new');
    assert.match(p.hint, /Update cairn/);
  }
  assert.deepEqual(await others(''), documents);
  const made = await backups.backupsCreateNewBackup();
  assert.deepEqual((await backups.backupsSnapshot()).iterable.map((b) => b.id), [made.id]);
  assert.deepEqual(await backup.backupRestoreSpecificBackup({ backup: made.id }), made);
  assert.deepEqual(await others(''), documents);
});
