import { cutOff, notOurs, tooLarge } from './error.js';

/** How many characters an event may have. */
export const maxEvent = 4 << 20;

/**
 * The values of a body of lines of JSON. Only the line that is not whole yet is kept.
 * The body is closed when nobody reads on.
 */
export async function* values(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = ''; // of the line
  const add = (bytes: Uint8Array, whole: boolean) => {
    try {
      text += decoder.decode(bytes, { stream: !whole });
    } catch (cause) {
      throw notOurs(cause);
    }
    if (text.length > maxEvent) throw tooLarge();
  };
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => { throw cutOff(cause); });
      if (done) break;
      let begin = 0;
      for (let end; (end = value.indexOf(newline, begin)) >= 0; begin = end + 1) {
        add(value.subarray(begin, end), true);
        const line = text;
        text = '';
        if (line.trim() !== '') yield parse(line);
      }
      add(value.subarray(begin), false);
    }
  } finally {
    void reader.cancel().catch(() => {}); // it may have failed
  }
  // A server that does not know of lines sends one document, which may lack the end of
  // its line. Half a line is no JSON.
  let last: unknown;
  try {
    last = JSON.parse(text + decoder.decode());
  } catch {
    return;
  }
  yield last;
}

const newline = 0x0a;

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notOurs(cause);
  }
}
