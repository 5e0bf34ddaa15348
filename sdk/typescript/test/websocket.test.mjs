// The frames of a websocket, on one whose other side is the test. Real ones are used
// where a daemon is: test/sdk and test/browser_test.go of cairn.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { beforeEach, describe, test } from 'node:test';
import { Configuration } from '@pieces.app/pieces-os-client';
import { streamCreate, streamProgress, streamRestore } from 'cairn-streams';
import { aborts, all, decoded, events, fails, id, problem, progress } from './fake.mjs';

// opened are the sockets that were made, and those that wait for the next one.
let opened = [];
let waiting = [];

class FakeSocket {
  sent = [];
  closed = false;

  constructor(url) {
    this.url = String(url);
    const next = waiting.shift();
    if (next) next(this);
    else opened.push(this);
  }

  send(text) { this.sent.push(text); }
  close() { this.closed = true; }
  open() { this.onopen({}); }
  say(...values) { for (const value of values) this.onmessage?.({ data: JSON.stringify(value) }); }
  end(code = 1000, reason = '') { this.onclose?.({ code, reason }); }

  // Those of browsers say both, that of Node 20 only the first.
  break(both) {
    this.onerror?.({});
    if (both) this.end(1006);
  }
}

// socket returns the next socket that is made, or was.
const socket = async () => opened.shift() ?? new Promise((resolve) => { waiting.push(resolve); });

beforeEach(() => {
  globalThis.WebSocket = FakeSocket;
  opened = [];
  waiting = [];
});

const basePath = 'http://127.0.0.1:1000';
const transport = 'websocket';
const to = (parameters = {}) => new Configuration({ basePath, fetchApi: () => assert.fail('something is fetched'), ...parameters });
const refusing = (status, body) => to({ fetchApi: async (url) => new Response(JSON.stringify({ ...body, url }), { status }) });

describe('a websocket', () => {
  test('has the events of a job, and is closed after the last', async () => {
    for (const [stream, path] of [
      [streamCreate(to(), { transport }), '/backups/create/streamed/websocket'],
      [streamRestore(to(), { backup: id, transport }), `/backup/${id}/restore/streamed/websocket`],
      [streamRestore(to({ basePath: 'https://cairn.example/x' }), { backup: 'a/b', transport }), '/x/backup/a%2Fb/restore/streamed/websocket'],
    ]) {
      const got = all(stream);
      const s = await socket();
      assert.equal(s.url, (path.startsWith('/x') ? 'wss://cairn.example' : 'ws://127.0.0.1:1000') + path);
      assert.deepEqual(s.sent, []);
      s.open();
      assert.deepEqual(s.sent, ['{}']); // so that the work begins at once
      for (const event of events) {
        s.say(event);
        await new Promise(setImmediate); // so that it is taken
      }
      assert.deepEqual(await got, events.map(decoded));
      assert.ok(s.closed);
    }
  });

  test('has the progress of all, and nothing is said to it', async () => {
    const stream = streamProgress(to(), { transport });
    const first = stream.next();
    const s = await socket();
    s.open();
    const list = { backups: [events[1]], restorations: [] };
    s.say(list, { backups: [], restorations: [events[3]] }, list);
    assert.deepEqual((await first).value, { schema: undefined, backups: [decoded(events[1])], restorations: [] });
    // Each list may be the only one that tells of an end, so all of them come.
    assert.deepEqual((await stream.next()).value.restorations, [decoded(events[3])]);
    assert.deepEqual((await stream.next()).value.restorations, []);
    assert.deepEqual(s.sent, []);
    s.end(1001, 'the daemon is stopping');
    const { got } = await fails(stream, 'shutting_down');
    assert.deepEqual(got, []);
  });

  test('does not keep all of what a slow loop leaves', async () => {
    const stream = streamCreate(to(), { transport });
    const first = stream.next();
    const s = await socket();
    s.open();
    s.say(events[0]);
    await first;
    for (let i = 0; i < 100_000; i++) s.say(progress('IN-PROGRESS', 50, { done_bytes: i }));
    const rest = [await stream.next(), await stream.next()].map(({ value }) => value.doneBytes);
    assert.deepEqual(rest, [0, 99_999]); // the first it had not taken, and the newest
    for (let i = 0; i < 20; i++) { // each of which is taken, so none counts for long
      s.say(progress('IN-PROGRESS', 50, { problem: { ...problem, detail: 'x'.repeat(1 << 20) } }));
      await stream.next();
    }
    s.say(...events);
    s.end();
    assert.deepEqual((await all(stream)).at(-1), decoded(events[3]));
  });

  test('is closed when too much waits for the loop', async () => {
    const stream = streamProgress(to(), { transport });
    const first = stream.next();
    const s = await socket();
    s.open();
    const list = { backups: Array(2000).fill(events[1]) }; // 700 kB
    for (let i = 0; i < 50; i++) s.say(list);
    await first;
    const { got } = await fails(stream, 'timeout');
    assert.ok(got.length > 10 && got.length < 30, got.length);
    assert.ok(s.closed);
  });

  test('that was refused gives the reason', async () => {
    for (const [stream, path] of [
      [(c) => streamCreate(c, { transport }), '/backups'],
      [(c) => streamRestore(c, { backup: id, transport }), `/backup/${id}`],
      [(c) => streamProgress(c, { transport }), '/backups/streamed/progress'],
    ]) {
      const asked = [];
      const fetchApi = async (url, { method }) => {
        asked.push(`${method} ${url}`);
        return new Response(JSON.stringify(problem), { status: 511 });
      };
      for (const both of [true, false]) {
        const ended = fails(stream(to({ fetchApi })), problem.code, 511);
        (await socket()).break(both);
        const { error } = await ended;
        assert.deepEqual([error.detail, error.hint], [problem.detail, problem.hint]);
        assert.deepEqual(asked.splice(0), [`GET ${basePath}${path}`]);
      }
    }
  });

  test('that does not open, though there is no reason', async () => {
    let ended = fails(streamCreate(refusing(200, {}), { transport }), 'daemon_unreachable');
    (await socket()).break(true);
    assert.match((await ended).error.hint, /ndjson/);
    ended = fails(streamCreate(to({ fetchApi: async () => { throw new TypeError('gone'); } }), { transport }), 'daemon_unreachable');
    (await socket()).break(true);
    assert.match((await ended).error.detail, /No daemon answers/);
  });

  test('that is aborted while it is asked why it does not open', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const fetchApi = (url, { signal }) => new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      controller.abort(reason);
    });
    const next = streamCreate(to({ fetchApi }), { transport, signal: controller.signal }).next();
    (await socket()).break(true);
    await aborts(next, reason);
  });

  const ends = {
    'well': [1000, '', 'daemon_unreachable'],
    'with the daemon': [1001, 'the daemon is stopping', 'shutting_down'],
    'as the daemon fails': [1011, 'timeout', 'timeout'],
    'as something fails': [1011, '', 'internal'],
    'as nobody should': [1006, '', 'daemon_unreachable'],
    'by something else': [4000, 'why', 'daemon_unreachable'],
  };
  for (const [name, [code, reason, want]] of Object.entries(ends)) {
    test(`that ends ${name} before the work`, async () => {
      const ended = fails(streamCreate(to(), { transport }), want);
      const s = await socket();
      s.open();
      s.say(events[0]);
      s.end(code, reason);
      assert.deepEqual((await ended).got, [decoded(events[0])]);
    });
  }

  test('that breaks', async () => {
    for (const both of [true, false]) {
      const ended = fails(streamProgress(to(), { transport }), 'daemon_unreachable');
      const s = await socket();
      s.open();
      s.say({});
      s.break(both);
      assert.equal((await ended).got.length, 1);
    }
  });

  test('that says what no daemon says', async () => {
    for (const [data, code] of [
      ['{"status":', 'internal'],
      ['null', 'internal'],
      [new ArrayBuffer(2), 'internal'],
      [`"${'x'.repeat(5 << 20)}"`, 'too_large'],
    ]) {
      const ended = fails(streamCreate(to(), { transport }), code);
      const s = await socket();
      s.open();
      s.onmessage({ data });
      s.say(events[3]);
      s.end(1006); // too late to count
      await ended;
      assert.ok(s.closed);
    }
  });

  test('is closed when the loop is left', async () => {
    const stream = streamProgress(to(), { transport });
    const next = stream.next();
    const s = await socket();
    s.open();
    s.say({});
    await next;
    await stream.return();
    assert.ok(s.closed);
    assert.deepEqual([s.onmessage, s.onclose, s.onopen, s.onerror], [null, null, null, null]);
  });

  test('is closed when it is aborted', async () => {
    const reason = new Error('enough');
    for (const before of [
      () => {},
      (s) => s.open(),
      (s) => { s.open(); s.say(events[0]); },
    ]) {
      const controller = new AbortController();
      const got = [];
      const ended = (async () => {
        for await (const event of streamCreate(to(), { transport, signal: controller.signal })) got.push(event);
      })();
      const s = await socket();
      before(s);
      await new Promise(setImmediate);
      controller.abort(reason);
      await aborts(ended, reason);
      assert.ok(s.closed);
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
    }
  });

  test('is closed when it is aborted while nobody reads on', async () => {
    const controller = new AbortController();
    const stream = streamProgress(to(), { transport, signal: controller.signal });
    const first = stream.next();
    const s = await socket();
    s.open();
    s.say({});
    await first;
    assert.ok(!s.closed);
    controller.abort();
    assert.ok(s.closed);
  });

  test('is not made when it is aborted before', async () => {
    const reason = new Error('too late');
    await aborts(streamCreate(to(), { transport, signal: AbortSignal.abort(reason) }).next(), reason);
    assert.deepEqual(opened, []);
  });

  test('where there are none', async () => {
    delete globalThis.WebSocket;
    const { error } = await fails(streamCreate(to(), { transport }), 'no_websocket');
    assert.match(error.hint, /ndjson/);
  });

  test('has an address that counts from that of the page', async (t) => {
    globalThis.location = new URL('https://cairn.example/page/');
    t.after(() => { delete globalThis.location; });
    for (const [path, want] of [['', 'wss://cairn.example/backups'], ['..', 'wss://cairn.example/backups'], ['http://[::1]:2', 'ws://[::1]:2/backups']]) {
      const controller = new AbortController();
      const next = streamProgress(to({ basePath: path }), { transport, signal: controller.signal }).next();
      assert.equal((await socket()).url, `${want}/streamed/progress`);
      controller.abort();
      await assert.rejects(next, { name: 'AbortError' });
    }
  });
});
