// What the declarations promise to a program that uses the package. Nothing runs this:
// it is right when tsc has nothing to say about it.

import { Configuration, type Backup, type BackupsStreamedProgress, type BackupStreamedProgress } from '@pieces.app/pieces-os-client';
import { StreamError, streamCreate, streamProgress, streamRestore, type AllProgress, type JobProgress, type Problem, type Transport } from 'cairn-streams';

/** Compiles only where both types are the same. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? [] : [never]): void {}

const configuration = new Configuration({ basePath: 'http://127.0.0.1:1000' });
const { signal } = new AbortController();

for await (const event of streamCreate(configuration, { signal, transport: 'websocket' })) {
  same<typeof event, JobProgress>();
  const known: BackupStreamedProgress = event; // whatever takes the SDK's takes ours
  same<typeof known.backup, Backup | undefined>();
  if (event.backup) same<typeof event.backup.created.value, Date>();
  same<typeof event.doneBytes, number | undefined>();
  same<typeof event.totalBytes, number | undefined>();
  same<typeof event.problem, Problem | undefined>();
  if (event.status === 'CANCELED') break;
  // @ts-expect-error: no such status
  if (event.status === 'CANCELLED') break;
}
for await (const event of streamRestore(configuration, { backup: 'x' })) same<typeof event, JobProgress>();
for await (const event of streamProgress(configuration)) {
  same<typeof event, AllProgress>();
  const known: BackupsStreamedProgress = event;
  same<typeof event.restorations, JobProgress[]>();
  event.backups.push(...(known.backups ?? []));
}

// @ts-expect-error: which backup?
streamRestore(configuration, { signal });
// @ts-expect-error: no such transport
streamCreate(configuration, { transport: 'sse' });
// @ts-expect-error: the options of the SDK, not its Configuration
streamCreate({ basePath: '' });
same<Transport, 'ndjson' | 'websocket'>();
// @ts-expect-error: not the same
same<Transport, 'ndjson'>();

try {
  await streamCreate(configuration).next();
} catch (error) {
  if (error instanceof StreamError) {
    same<typeof error.status, number | undefined>();
    same<typeof error.code, string>();
    same<typeof error.detail, string>();
    same<typeof error.hint, string | undefined>();
    // @ts-expect-error: read only
    error.code = '';
  }
}
