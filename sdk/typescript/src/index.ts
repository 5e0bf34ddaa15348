/**
 * Creations and restorations of backups as they go on, which the SDK could not be
 * generated for: {@link streamCreate}, {@link streamRestore} and {@link streamProgress}.
 *
 *     import { Configuration } from '@pieces.app/pieces-os-client';
 *     import { streamCreate } from 'cairn-streams';
 *
 *     for await (const { status, percentage, backup } of streamCreate(new Configuration())) {
 *       console.log(backup?.id, status, percentage);
 *     }
 *
 * Nothing is sent before the first event is asked for. A stream is left by leaving its
 * loop, or through an AbortSignal, with whose reason it then throws. That closes the
 * connection and cancels nothing: for this the SDK has backupSpecificCreationCancel and
 * backupSpecificRestorationCancel.
 *
 * @module
 */
import {
  BackupsStreamedProgressFromJSON, BackupStreamedProgressFromJSON,
  type BackupsStreamedProgress, type BackupStreamedProgress, type Configuration,
} from '@pieces.app/pieces-os-client';
import { Daemon } from './daemon.js';
import { cutOff, isProblem, notOurs, StreamError, type Problem } from './error.js';
import { values } from './ndjson.js';
import { messages } from './websocket.js';

export { StreamError, type Problem } from './error.js';

/** How far a creation or a restoration is: what the SDK knows of it, and more. */
export interface JobProgress extends BackupStreamedProgress {
  /** Bytes of documents that are done. */
  doneBytes?: number;
  /** Bytes of documents there are to do; 0 as long as that is not known. */
  totalBytes?: number;
  /** Why it failed or was cancelled. */
  problem?: Problem;
}

/** How far all creations and restorations are. */
export interface AllProgress extends BackupsStreamedProgress {
  /** Creations. */
  backups: JobProgress[];
  restorations: JobProgress[];
}

/** How events come: as lines of JSON that are fetched, or as frames of a websocket. */
export type Transport = 'ndjson' | 'websocket';

export interface StreamOptions {
  /** Closes the connection; the stream then throws the reason. */
  signal?: AbortSignal | undefined;
  /**
   * `'ndjson'` by default. A websocket takes nothing from the Configuration but basePath,
   * since it cannot.
   */
  transport?: Transport | undefined;
}

export interface RestoreOptions extends StreamOptions {
  /** The id of the backup. */
  backup: string;
}

/**
 * Backs the database up, and yields how far that is: at once, whenever it changes, and
 * the newest again while nothing does. The last event has the status COMPLETED, FAILED or
 * CANCELED. Throws a {@link StreamError} when that is refused, or cut off.
 */
export function streamCreate(configuration: Configuration, options: StreamOptions = {}): AsyncGenerator<JobProgress, void, undefined> {
  return job(configuration, '/backups/create/streamed', '/backups', options);
}

/** Replaces the database by a backup; otherwise as {@link streamCreate}. */
export function streamRestore(configuration: Configuration, options: RestoreOptions): AsyncGenerator<JobProgress, void, undefined> {
  const path = `/backup/${encodeURIComponent(options.backup)}`;
  return job(configuration, `${path}/restore/streamed`, path, options);
}

/**
 * Follows all creations and restorations, whoever began them: yields those in progress, at
 * once and whenever something changes, and each of them once more when it has ended. This
 * goes on until it is left; it throws a {@link StreamError} when the daemon ends it.
 */
export async function* streamProgress(configuration: Configuration, options: StreamOptions = {}): AsyncGenerator<AllProgress, void, undefined> {
  const path = '/backups/streamed/progress';
  yield* events({ method: 'GET', path, socket: path, ready: path, complete: false }, allProgress, configuration, options);
  throw cutOff();
}

/** The events of a job, which is begun by POST to path; ready is what must be there for it. */
async function* job(configuration: Configuration, path: string, ready: string, options: StreamOptions): AsyncGenerator<JobProgress, void, undefined> {
  let last: JobProgress | undefined;
  for await (const event of events({ method: 'POST', path, socket: `${path}/websocket`, ready, complete: true }, jobProgress, configuration, options)) {
    if (event.status === 'COMPLETED' || event.status === 'FAILED' || event.status === 'CANCELED') {
      last = event;
      break; // which closes the connection
    }
    yield event;
  }
  if (!last) throw cutOff();
  yield last;
}

/** Where a stream is. */
interface Source {
  method: 'GET' | 'POST';
  path: string;
  /** The path of the websocket. */
  socket: string;
  /** What GET is refused for the reason for which the websocket is. */
  ready: string;
  /** Whether each event says all that the ones before it did. */
  complete: boolean;
}

async function* events<T>(source: Source, decode: (json: any) => T, configuration: Configuration, { signal, transport }: StreamOptions): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted();
  const daemon = new Daemon(configuration);
  const connection = new AbortController();
  const abort = () => connection.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    const stream = transport === 'websocket' ? socket(source, daemon, connection.signal) : lines(source, daemon, connection.signal);
    for await (const json of stream) {
      signal?.throwIfAborted();
      yield decoded(json, decode);
    }
  } catch (error) {
    signal?.throwIfAborted(); // which is what has cut the stream off
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    connection.abort();
  }
}

async function* lines(source: Source, daemon: Daemon, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
  const { body, headers } = await daemon.ask(source.method, source.path, 'application/x-ndjson', signal);
  if (!/json/i.test(headers.get('Content-Type') ?? '')) throw notOurs();
  if (body) yield* values(body);
}

function socket(source: Source, daemon: Daemon, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
  return messages({
    url: daemon.url(source.socket),
    first: source.method === 'POST' ? '{}' : undefined,
    complete: source.complete,
    signal,
    // A websocket that does not open gives no reason.
    async refusal() {
      try {
        await daemon.ask('GET', source.ready, 'application/json', signal);
      } catch (error) {
        if (error instanceof StreamError) return error;
        throw error;
      }
      return new StreamError({
        code: 'daemon_unreachable',
        detail: `The daemon answers at ${daemon.url('')}, but no websocket to it opens.`,
        hint: "Leave the transport at 'ndjson'.",
      });
    },
  });
}

/** Takes a value for an event. */
function decoded<T>(json: unknown, decode: (json: any) => T): T {
  if (typeof json !== 'object' || json === null) throw notOurs();
  try {
    return decode(json);
  } catch (cause) {
    throw notOurs(cause);
  }
}

function jobProgress(json: any): JobProgress {
  const event: JobProgress = BackupStreamedProgressFromJSON(json);
  if (typeof json.done_bytes === 'number') event.doneBytes = json.done_bytes;
  if (typeof json.total_bytes === 'number') event.totalBytes = json.total_bytes;
  if (isProblem(json.problem)) event.problem = json.problem;
  return event;
}

function allProgress(json: any): AllProgress {
  return {
    ...BackupsStreamedProgressFromJSON(json),
    backups: (json.backups ?? []).map(jobProgress),
    restorations: (json.restorations ?? []).map(jobProgress),
  };
}
