// Runs tests in a browser: as much of Node as they use. The import map of
// test/browser_linux_test.go leads node:test, node:assert/strict and node:crypto here.

const tests = [];
const within = [];

export function describe(name, define) {
  within.push(name);
  define();
  within.pop();
}

export function test(name, run) {
  tests.push({ name: [...within, name].join(': '), run });
}

// run runs the tests of a module, one after the other, and returns what is wrong with
// each, '' when nothing is.
export async function run(module) {
  await import(module);
  const outcomes = [];
  for (const { name, run: one } of tests.splice(0)) {
    const outcome = { name, error: '' };
    outcomes.push(outcome);
    const afterwards = [];
    try {
      await one({ after: (what) => afterwards.push(what) });
    } catch (error) {
      outcome.error = error?.stack || String(error) || 'it throws';
    }
    for (const what of afterwards) await what();
  }
  return outcomes;
}

// randomUUID is that of crypto, which only pages have that are of this machine or came
// over TLS.
export function randomUUID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const show = (value) => JSON.stringify(value, (_, v) => (v === undefined ? 'undefined' : v));

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return a.getTime() === b.getTime();
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

const fail = (message) => { throw new Error(message); };

export default {
  fail,
  ok: (value, message = `${show(value)} is not true`) => { if (!value) fail(message); },
  equal: (a, b) => { if (!Object.is(a, b)) fail(`${show(a)} is not ${show(b)}`); },
  deepEqual: (a, b) => { if (!same(a, b)) fail(`${show(a)} is not ${show(b)}`); },
  match: (text, pattern) => { if (!pattern.test(text)) fail(`${show(text)} does not match ${pattern}`); },
  async rejects(promise, want) {
    let error;
    try {
      await (typeof promise === 'function' ? promise() : promise);
    } catch (e) {
      error = e;
    }
    if (error === undefined) fail('it does not reject');
    if (typeof want === 'function' ? want(error) !== true : !Object.keys(want).every((key) => same(error[key], want[key]))) {
      fail(`it rejects with ${error.stack}`);
    }
  },
};
