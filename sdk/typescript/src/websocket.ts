import { cutOff, notOurs, StreamError, tooLarge } from './error.js';
import { maxEvent, parse } from './ndjson.js';

/** How many characters may wait for a loop that does not ask for events. */
const maxHeld = 4 * maxEvent;

/** What to do on a websocket. */
export interface Exchange {
  /** The address, http: or https:, which may be relative to that of the page. */
  url: string;
  /** The frame that starts the work; undefined when nothing is started. */
  first: string | undefined;
  /** Says why the websocket does not open. */
  refusal: () => Promise<StreamError>;
  /** Whether each event says all that the ones before it did. */
  complete: boolean;
  signal: AbortSignal;
}

/** The values of the text frames of a websocket, which is closed when nobody reads on. */
export async function* messages(exchange: Exchange): AsyncGenerator<unknown, void, undefined> {
  if (typeof globalThis.WebSocket !== 'function') {
    throw new StreamError({
      code: 'no_websocket',
      detail: 'There is no WebSocket here.',
      hint: "Leave the transport at 'ndjson', or use Node 22 or newer.",
    });
  }
  const { signal } = exchange;
  const socket = new WebSocket(address(exchange.url));
  const queue: string[] = [];
  let held = 0; // characters in it
  let opened = false;
  let ended = false;
  let error: StreamError | undefined; // that ended it
  let wake = () => {};
  const end = (why?: StreamError) => {
    if (!ended) error = why;
    ended = true;
    wake();
  };
  const abort = () => {
    end();
    socket.close(); // nobody may ever read on
  };
  signal.addEventListener('abort', abort);
  socket.onopen = () => {
    opened = true;
    if (exchange.first !== undefined) socket.send(exchange.first);
  };
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (ended) return;
    if (typeof data !== 'string') return end(notOurs());
    if (data.length > maxEvent) return end(tooLarge());
    // A websocket cannot be asked to wait. The first event stays.
    if (exchange.complete && queue.length > 1) held -= queue.pop()!.length;
    queue.push(data);
    held += data.length;
    if (held > maxHeld) return end(tooSlow());
    wake();
  };
  socket.onclose = ({ code, reason }) => end(closed(code, reason));
  socket.onerror = () => end(cutOff()); // which in Node 20 may be the end
  try {
    while (!signal.aborted) {
      const text = queue.shift();
      if (text !== undefined) {
        held -= text.length;
        yield parse(text);
      } else if (ended) {
        break;
      } else {
        await new Promise<void>((resolve) => { wake = resolve; });
      }
    }
    if (signal.aborted) throw signal.reason;
    if (!opened) throw await exchange.refusal();
    if (error) throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }
}

/** The address of a websocket. */
function address(url: string): URL {
  const to = new URL(url, globalThis.location?.href);
  to.protocol = to.protocol === 'https:' ? 'wss:' : 'ws:';
  return to;
}

/** Why a websocket was closed; undefined when that was meant to be. */
function closed(code: number, reason: string): StreamError | undefined {
  switch (code) {
    case 1000:
      return undefined;
    case 1001:
      return new StreamError({ code: 'shutting_down', detail: 'The daemon is stopping.', hint: 'Start the daemon again, then try again.' });
    case 1011: // whose reason is the code
      return new StreamError({ code: reason || 'internal', detail: 'The daemon failed at this.', hint: 'Its log says why.' });
  }
  return cutOff(`the websocket was closed: ${code} ${reason}`);
}

function tooSlow(): StreamError {
  return new StreamError({
    code: 'timeout',
    detail: 'More events have come than are kept for a loop that does not ask for them.',
    hint: 'Do less in the loop, or connect again.',
  });
}
