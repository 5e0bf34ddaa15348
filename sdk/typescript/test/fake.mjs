// What the tests of this package share: a daemon that says what a test tells it to.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Configuration } from '@pieces.app/pieces-os-client';
import { StreamError } from 'cairn-streams';

export const id = '0.1.0_20261123T072541.123456789Z';

// progress returns an event as a daemon sends it.
export const progress = (status, percentage = 0, more = {}) => ({
  status,
  percentage,
  backup: {
    id,
    version: '0.1.0',
    timestamp: '20261123T072541.123456789Z',
    bytes: 359503462,
    created: { value: '2026-11-23T07:25:41.123Z' },
    device_name: 'Bärbel’s 💻',
    platform: 'LINUX',
  },
  done_bytes: percentage * 10,
  total_bytes: 1000,
  ...more,
});

// decoded returns an event as a stream yields it.
export const decoded = ({ backup: { device_name: deviceName, created, ...backup }, done_bytes: doneBytes, total_bytes: totalBytes, ...more }) => ({
  schema: undefined,
  ...more,
  backup: {
    schema: undefined,
    ...backup,
    created: { schema: undefined, value: new Date(created.value), readable: undefined },
    deviceName,
  },
  doneBytes,
  totalBytes,
});

export const events = [
  progress('INITIALIZED'),
  progress('IN-PROGRESS', 1),
  progress('IN-PROGRESS', 99),
  progress('COMPLETED', 100),
];

export const problem = { code: 'disk_full', detail: 'The disk of the data folder is full.', hint: 'Make room.' };

export const line = (event) => `${JSON.stringify(event)}\n`;

// serve starts a server that ends with the test, and returns the configuration to reach it.
export async function serve(t, handler, parameters = {}) {
  const server = createServer(handler);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return new Configuration({ basePath: `http://127.0.0.1:${server.address().port}`, ...parameters });
}

// begin begins an answer of lines.
export function begin(response, ...lines) {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  for (const text of lines) response.write(text);
}

// all returns what a stream yields.
export async function all(stream) {
  const got = [];
  for await (const event of stream) got.push(event);
  return got;
}

// fails checks how a stream ends, and returns what it yielded before and its error.
export async function fails(stream, code, status = undefined) {
  const got = [];
  try {
    for await (const event of stream) got.push(event);
  } catch (error) {
    assert.ok(error instanceof StreamError, error.stack);
    assert.deepEqual([error.code, error.status], [code, status], error.message);
    assert.equal(error.name, 'StreamError');
    assert.match(error.detail, /^\S.*\.$/);
    assert.equal(error.message, error.hint ? `${error.detail} ${error.hint}` : error.detail);
    return { got, error };
  }
  return assert.fail(`the stream ends well after ${got.length} events`);
}

// aborts checks that a stream throws the reason for which it was aborted.
export async function aborts(promise, reason) {
  await assert.rejects(promise, (error) => error === reason);
}
