// The user and the cloud in the words of the SDK: signing in and out, connecting and
// disconnecting, and the stream that tells of both.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import pieces from '@pieces.app/pieces-os-client';
import { allocations, backup, backups, base, create, fails, os, others, user } from './client.mjs';

// watch opens the stream of the user. next returns the next state in it, as the
// wrappers of the original product read it: undefined for signed out.
async function watch() {
  const socket = new WebSocket(`${base.replace('http', 'ws')}/user/stream`);
  const frames = [];
  let wake = () => {};
  socket.addEventListener('message', ({ data }) => {
    frames.push(data);
    wake();
  });
  const next = async () => {
    while (frames.length === 0) {
      await new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('nothing is told')), 10_000);
        wake = () => { clearTimeout(late); resolve(); };
      });
    }
    const frame = frames.shift();
    return frame === '' ? undefined : pieces.UserProfileFromJSON(JSON.parse(frame));
  };
  return { next, close: () => socket.close() };
}

const running = (profile) => profile?.allocation?.status.cloud === 'RUNNING';

describe('the user and the cloud', () => {
  test('the stream tells of each change, the state first', async (t) => {
    const { next, close } = await watch();
    t.after(close);
    const first = await next();
    assert.ok(running(first), JSON.stringify(first));
    assert.deepEqual(first, (await user.userSnapshot()).user);
    assert.deepEqual(first, await user.streamUser()); // a plain GET: the state
    await os.signOutOfOS();
    assert.equal(await next(), undefined);
    assert.equal(await user.streamUser(), null);
    await os.signIntoOS();
    assert.deepEqual(await next(), first);
    await allocations.allocationsDisconnectCloud({ allocationCloud: first.allocation });
    const off = await next();
    assert.equal(off.id, first.id);
    assert.equal(off.allocation, undefined);
    await allocations.allocationsConnectNewCloud({ userProfile: first });
    assert.deepEqual(await next(), first);
  });

  test('disconnected, backups are refused and nothing is lost', async () => {
    await create('kept', 'kept');
    const made = await backups.backupsCreateNewBackup();
    const documents = await others('');
    const { user: profile } = await user.userSnapshot();
    const cloud = profile.allocation.id;
    for (let again = 0; again < 2; again++) {
      assert.equal(await allocations.allocationsDisconnectCloud(), cloud);
    }
    assert.deepEqual((await allocations.allocationsSnapshot()).iterable, []);
    await fails(backups.backupsSnapshot(), 511, 'no_cloud');
    await fails(backups.backupsCreateNewBackup(), 511, 'no_cloud');
    await fails(backup.backupRestoreSpecificBackup({ backup: made.id }), 511, 'no_cloud');
    assert.deepEqual(await others(''), documents);
    await os.signOutOfOS();
    await fails(allocations.allocationsConnectNewCloud(), 511, 'signed_out');
    await os.signIntoOS();
    await fails(backups.backupsSnapshot(), 511, 'no_cloud'); // signing in connects nothing
    const connected = await allocations.allocationsReconnectCloud({ allocationCloud: profile.allocation });
    assert.deepEqual(connected, profile.allocation);
    assert.deepEqual(await allocations.allocationsConnectNewCloud({ userProfile: profile }), connected);
    assert.deepEqual((await backups.backupsSnapshot()).iterable.map((b) => b.id), [made.id]);
    assert.deepEqual(await backup.backupRestoreSpecificBackup({ backup: made.id }), made);
    assert.deepEqual(await others(''), documents);
  });

  test('another cloud than the one that is connected is not disconnected', async () => {
    const [allocation] = (await allocations.allocationsSnapshot()).iterable;
    const other = { ...allocation, id: 'c1111111-1111-4111-8111-111111111111' };
    await fails(allocations.allocationsDisconnectCloud({ allocationCloud: other }), 400, 'invalid');
    assert.deepEqual((await allocations.allocationsSnapshot()).iterable, [allocation]);
  });
});
