// The lines of a stream, however they come, and what may come in their place.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Configuration } from '@pieces.app/pieces-os-client';
import { streamCreate, streamProgress, streamRestore } from 'cairn-streams';
import { all, begin, decoded, events, fails, id, line, problem, progress, serve } from './fake.mjs';

const bytes = (text) => new TextEncoder().encode(text);
const text = events.map(line).join('');

// pieces cuts a text into pieces of n bytes.
function pieces(of, n) {
  const whole = bytes(of);
  return Array.from({ length: Math.ceil(whole.length / n) }, (_, i) => whole.subarray(i * n, (i + 1) * n));
}

// chunks returns a configuration whose fetch answers with exactly these chunks.
function chunks(of, headers = { 'content-type': 'application/x-ndjson' }) {
  const queue = of.map((chunk) => (typeof chunk === 'string' ? bytes(chunk) : chunk));
  const body = new ReadableStream({
    pull(controller) {
      const chunk = queue.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
  });
  return new Configuration({ fetchApi: async () => new Response(body, { headers }) });
}

// served returns the configuration of a server that sends chunks.
const served = (t, of) => serve(t, (request, response) => {
  begin(response, ...of);
  response.end();
});

describe('the same events', () => {
  const last = line(events.at(-1));
  const framings = {
    'a line a chunk': events.map(line),
    'one chunk': [text],
    'a byte a chunk': pieces(text, 1),
    'three bytes a chunk': pieces(text, 3), // the longest characters have four
    'seven bytes a chunk': pieces(text, 7),
    'CRLF': [text.replaceAll('\n', '\r\n')],
    'CRLF, a byte a chunk': pieces(text.replaceAll('\n', '\r\n'), 1),
    'blank lines and white space': [' \n\n', text.replaceAll('\n', '\n\n \t\r\n'), '\n'],
    'the last line without its end': [text.slice(0, -1)],
    'the last line without its end, in pieces': pieces(text.slice(0, -1), 5),
    'another event after the last': [text + line(progress('IN-PROGRESS', 3)) + last],
    'another event after the last, in its own chunk': [text, last, last],
    'nonsense after the last': [`${text}{"status":\n`, new Uint8Array([0xff, 0xfe])],
  };
  for (const [name, framing] of Object.entries(framings)) {
    test(name, async (t) => {
      assert.deepEqual(await all(streamCreate(chunks(framing))), events.map(decoded));
      assert.deepEqual(await all(streamRestore(await served(t, framing), { backup: id })), events.map(decoded));
    });
  }

  test('one document, of a server that knows no lines', async () => {
    const json = { 'content-type': 'application/json' };
    assert.deepEqual(await all(streamCreate(chunks([`  \n ${last}`], json))), [decoded(events.at(-1))]);
    assert.deepEqual(await all(streamCreate(chunks([last.trim()], json))), [decoded(events.at(-1))]);
  });

  test('without what only cairn says', async () => {
    const [event] = await all(streamCreate(chunks(['{"status":"COMPLETED"}\n'])));
    assert.deepEqual(event, { schema: undefined, status: 'COMPLETED', percentage: undefined, backup: undefined });
  });
});

test('a body is closed when the loop is left, also that of a fetch without signals', async () => {
  let closed = false;
  const body = new ReadableStream({
    start(controller) { controller.enqueue(bytes(line(events[0]))); },
    cancel() { closed = true; },
  });
  const fetchApi = async () => new Response(body, { headers: { 'content-type': 'application/x-ndjson' } });
  for await (const _ of streamCreate(new Configuration({ fetchApi }))) break;
  assert.ok(closed);
});

describe('the last event', () => {
  for (const status of ['COMPLETED', 'FAILED', 'CANCELED']) {
    test(`${status} ends the stream, and closes its connection`, async (t) => {
      const of = { problem: status === 'COMPLETED' ? undefined : problem };
      let closed;
      const configuration = await serve(t, (request, response) => {
        closed = new Promise((resolve) => { response.on('close', resolve); });
        begin(response, line(events[0]), line(progress(status, 100, of))); // and does not end it
      });
      const stream = streamCreate(configuration);
      assert.deepEqual((await stream.next()).value, decoded(events[0]));
      const { value } = await stream.next();
      assert.deepEqual([value.status, value.problem], [status, of.problem]);
      await closed; // before anybody asks for more
      assert.deepEqual(await stream.next(), { done: true, value: undefined });
    });
  }
});

test('the progress of all', async (t) => {
  const lists = [
    { backups: [], restorations: [] },
    { backups: [events[1]], restorations: [progress('INITIALIZED'), progress('FAILED', 7, { problem })] },
    { backups: [events[3]], restorations: [] },
    {},
  ];
  const want = lists.map(({ backups = [], restorations = [] }) => ({
    schema: undefined, backups: backups.map(decoded), restorations: restorations.map(decoded),
  }));
  const { got, error } = await fails(streamProgress(await served(t, lists.map(line))), 'daemon_unreachable');
  assert.deepEqual(got, want); // and the end of the stream is one of the daemon
  assert.match(error.detail, /cut off/);
});

describe('cut off', () => {
  const begun = text.slice(0, text.indexOf('"COMPLETED"'));
  const before = events.slice(0, 3).map(decoded);
  const half = bytes(text.slice(0, -1));
  const cuts = {
    'before the first event': [[], []],
    'between two events': [[events.slice(0, 3).map(line).join('')], before],
    'amid an event': [[begun], before],
    'amid a character': [[half.subarray(0, half.lastIndexOf(0x9f) + 1)], before],
  };
  for (const [name, [framing, want]] of Object.entries(cuts)) {
    test(`${name}, as if that were the end`, async (t) => {
      for (const configuration of [chunks(framing), await served(t, framing)]) {
        const { got, error } = await fails(streamCreate(configuration), 'daemon_unreachable');
        assert.deepEqual(got, want);
        assert.match(error.detail, /cut off/);
      }
    });

    test(`${name}, by a connection that breaks`, async (t) => {
      const configuration = await serve(t, (request, response) => {
        begin(response, ...framing);
        response.write('', () => response.socket.resetAndDestroy());
      });
      for (const stream of [streamRestore(configuration, { backup: id }), streamCreate(configuration)]) {
        const { got, error } = await fails(stream, 'daemon_unreachable');
        assert.deepEqual(got, want.slice(0, got.length)); // what came before may be lost with it
        assert.ok(error.hint);
      }
    });
  }
});

describe('what is no stream of a daemon', () => {
  const page = { 'content-type': 'text/html' };
  const bad = {
    'nonsense': [['{"status":\n'], undefined, 0],
    'nonsense after an event': [[line(events[0]), 'null null\n'], undefined, 1],
    'bytes that are no UTF-8': [[line(events[0]), '{"status":"COMPLETED","x":"', new Uint8Array([0xff]), '"}\n'], undefined, 1],
    'half a character': [[line(events[0]), '{"status":"COMPLETED"}', new Uint8Array([0xc3]), '\n'], undefined, 1],
    'a number': [['1\n'], undefined, 0],
    'null': [['null\n'], undefined, 0],
    'events that are none': [['{"backup":{"created":{"value":1},"id":{"a":1}},"problem":1}\n', '"COMPLETED"\n'], undefined, 1],
    'a page': [['<!doctype html>'], page, 0],
    'a page that looks like one': [[text], page, 0],
  };
  for (const [name, [framing, headers, yielded]] of Object.entries(bad)) {
    test(name, async () => {
      const { got, error } = await fails(streamCreate(chunks(framing, headers)), 'internal');
      assert.equal(got.length, yielded);
      assert.match(error.detail, /not what a cairn daemon sends/);
    });
  }
  test('lists that are none', async () => {
    await fails(streamProgress(chunks(['{"backups":1}\n'])), 'internal');
    await fails(streamProgress(chunks(['{"restorations":[1]}\n', '{"restorations":[null]}\n'])), 'internal');
  });

  test('a line without an end', async () => {
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 64 << 10;
        controller.enqueue(new Uint8Array(64 << 10).fill(0x20));
      },
    });
    const fetchApi = async () => new Response(body, { headers: { 'content-type': 'application/json' } });
    await fails(streamCreate(new Configuration({ fetchApi })), 'too_large');
    assert.ok(sent < 5 << 20, `${sent} bytes were read`);
  });

  test('a line that is too long', async () => {
    await fails(streamCreate(chunks([`"${'x'.repeat(5 << 20)}"\n`])), 'too_large');
  });

  test('a line that is long', async () => {
    const long = progress('COMPLETED', 100, { problem: { ...problem, detail: 'x'.repeat(3 << 20) } });
    const [event] = await all(streamCreate(chunks(pieces(line(long), 16 << 10))));
    assert.equal(event.problem.detail.length, 3 << 20);
  });
});

describe('refused', () => {
  const answers = {
    'signed out': [511, { code: 'signed_out', detail: 'The user is not signed in.', hint: 'Sign in.' }, 'signed_out'],
    'without a hint': [400, { code: 'invalid', detail: 'No.' }, 'invalid'],
    'with more': [505, { type: 'about:blank', title: 'x', status: 505, code: 'format_too_new', detail: 'It is newer.', hint: 'Update.' }, 'format_too_new'],
  };
  for (const [name, [status, body, code]] of Object.entries(answers)) {
    test(name, async (t) => {
      const configuration = await serve(t, (request, response) => {
        response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body));
      });
      for (const stream of [streamCreate(configuration), streamRestore(configuration, { backup: id }), streamProgress(configuration)]) {
        const { got, error } = await fails(stream, code, status);
        assert.deepEqual([got, error.detail, error.hint], [[], body.detail, body.hint]);
      }
    });
  }

  test('by something else', async (t) => {
    for (const body of ['', '<h1>Bad Gateway</h1>', 'null', '"x"', '{}', '{"code":1,"detail":"x"}', '{"code":"x","detail":null}', '{"code":"x","detail":"x","hint":[]}']) {
      const configuration = await serve(t, (request, response) => { response.writeHead(502).end(body); });
      const { error } = await fails(streamCreate(configuration), 'internal', 502);
      assert.match(error.detail, /502/);
    }
  });

  test('nobody there', async (t) => {
    const configuration = await serve(t, (request, response) => { response.socket.destroy(); });
    const { error } = await fails(streamCreate(configuration), 'daemon_unreachable');
    assert.ok(error.detail.includes(configuration.basePath), error.detail);
    assert.ok(error.cause instanceof Error);
  });
});
