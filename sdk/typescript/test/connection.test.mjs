// What is sent, and when a connection ends.

import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners, once } from 'node:events';
import { describe, test } from 'node:test';
import { streamCreate, streamProgress, streamRestore } from 'cairn-streams';
import { aborts, all, begin, decoded, events, fails, id, line, serve } from './fake.mjs';

// recorded serves all events, and returns the requests for them too.
async function recorded(t, parameters) {
  const requests = [];
  const configuration = await serve(t, async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    requests.push({ request: `${request.method} ${request.url}`, headers: request.headers, body });
    begin(response, ...events.map(line));
    response.end();
  }, parameters);
  return { configuration, requests };
}

describe('a request', () => {
  test('is one of the SDK', async (t) => {
    const { configuration, requests } = await recorded(t);
    await all(streamCreate(configuration));
    await all(streamRestore(configuration, { backup: id }));
    await all(streamRestore(configuration, { backup: 'a/b ä?..' }));
    await fails(streamProgress(configuration), 'daemon_unreachable');
    assert.deepEqual(requests.map(({ request }) => request), [
      'POST /backups/create/streamed',
      `POST /backup/${id}/restore/streamed`,
      'POST /backup/a%2Fb%20%C3%A4%3F../restore/streamed',
      'GET /backups/streamed/progress',
    ]);
    for (const { headers, body } of requests) {
      assert.equal(headers.accept, 'application/x-ndjson');
      assert.equal(headers['x-application-id'], undefined);
      assert.equal(body, '');
    }
  });

  test('has what the configuration says', async (t) => {
    const seen = [];
    const { configuration, requests } = await recorded(t, {
      apiKey: async (name) => `the key for ${name}`,
      headers: { application: 'mine', 'X-More': 'more' },
      fetchApi: (url, init) => {
        seen.push(`fetch ${new URL(url).search}`);
        return fetch(url, init);
      },
      middleware: [{
        pre: async ({ url, init }) => ({ url: `${url}?by=pre`, init }),
        post: async ({ response }) => { seen.push(`post ${response.status}`); },
      }],
    });
    assert.deepEqual(await all(streamCreate(configuration)), events.map(decoded));
    assert.deepEqual(seen, ['fetch ?by=pre', 'post 200']);
    const [{ request, headers }] = requests;
    assert.equal(request, 'POST /backups/create/streamed?by=pre');
    assert.equal(headers['x-application-id'], 'the key for X-Application-ID');
    assert.deepEqual([headers.application, headers['x-more']], ['mine', 'more']);
  });

  test('passes on what a middleware throws', async (t) => {
    const mine = new Error('mine');
    const { configuration, requests } = await recorded(t, { middleware: [{ pre: async () => { throw mine; } }] });
    await assert.rejects(streamCreate(configuration).next(), (error) => error === mine);
    assert.deepEqual(requests, []);
  });

  test('is not sent before the first event is asked for', async (t) => {
    const { configuration, requests } = await recorded(t);
    const stream = streamCreate(configuration);
    await stream.return();
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
    assert.deepEqual(requests, []);
  });
});

// silent serves one event, and then nothing. asked is when there was a request, closed
// when its connection is gone.
async function silent(t, first = line(events[0])) {
  const signs = new EventEmitter();
  const [asked, closed] = [once(signs, 'asked'), once(signs, 'closed')];
  const configuration = await serve(t, (request, response) => {
    response.on('close', () => signs.emit('closed'));
    if (first !== undefined) begin(response, first);
    signs.emit('asked');
  });
  return { configuration, asked, closed };
}

describe('a connection is closed', () => {
  const streams = {
    creation: (configuration, options) => streamCreate(configuration, options),
    restoration: (configuration, options) => streamRestore(configuration, { backup: id, ...options }),
    all: (configuration, options) => streamProgress(configuration, options),
  };
  for (const [name, stream] of Object.entries(streams)) {
    test(`when the loop is left (${name})`, async (t) => {
      const { configuration, closed } = await silent(t);
      for await (const _ of stream(configuration)) break;
      await closed;
    });

    test(`when the loop throws (${name})`, async (t) => {
      const { configuration, closed } = await silent(t);
      const mine = new Error('mine');
      await assert.rejects(async () => { for await (const _ of stream(configuration)) throw mine; }, (error) => error === mine);
      await closed;
    });

    test(`when it is aborted in the loop (${name})`, async (t) => {
      const { configuration, closed } = await silent(t, line(events[0]) + line(events[1]));
      const controller = new AbortController();
      const reason = new Error('enough');
      let count = 0;
      await aborts((async () => {
        for await (const _ of stream(configuration, { signal: controller.signal })) {
          count++;
          controller.abort(reason);
        }
      })(), reason);
      assert.equal(count, 1);
      await closed;
    });

    test(`when it is aborted amid silence (${name})`, async (t) => {
      const { configuration, closed } = await silent(t);
      const controller = new AbortController();
      const events_ = stream(configuration, { signal: controller.signal });
      await events_.next();
      const next = events_.next();
      controller.abort();
      await assert.rejects(next, { name: 'AbortError' });
      await closed;
      assert.deepEqual(await events_.next(), { done: true, value: undefined });
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
    });

    test(`when it is aborted while nobody reads on (${name})`, async (t) => {
      const { configuration, closed } = await silent(t);
      const controller = new AbortController();
      await stream(configuration, { signal: controller.signal }).next();
      controller.abort();
      await closed;
    });

    test(`when it is aborted before the answer (${name})`, async (t) => {
      const { configuration, asked, closed } = await silent(t, undefined);
      const controller = new AbortController();
      const next = stream(configuration, { signal: controller.signal }).next();
      await asked;
      controller.abort('a reason that is no error');
      await aborts(next, 'a reason that is no error');
      await closed;
    });

    test(`also where a middleware looks at the answer (${name})`, async (t) => {
      const { configuration, closed } = await silent(t);
      let copy; // which would keep the connection
      configuration.config = { ...configuration.configuration, middleware: [{ post: async ({ response }) => { copy = response; } }] };
      for await (const _ of stream(configuration)) break;
      await closed;
      await assert.rejects(copy.text());
    });
  }

  test('never made when it is aborted before', async (t) => {
    let asked = 0;
    const configuration = await serve(t, () => { asked++; });
    for (const stream of Object.values(streams)) {
      const reason = new Error('too late');
      const begun = stream(configuration, { signal: AbortSignal.abort(reason) });
      await aborts(begun.next(), reason);
      const controller = new AbortController();
      const later = stream(configuration, { signal: controller.signal });
      controller.abort(reason); // after the stream was made, before it was begun
      await aborts(later.next(), reason);
    }
    assert.equal(asked, 0);
  });

  test('once: a signal for many streams keeps nothing of them', async (t) => {
    const configuration = await serve(t, (request, response) => {
      begin(response, ...events.map(line));
      response.end();
    });
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) await all(streamCreate(configuration, { signal }));
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
  });
});
