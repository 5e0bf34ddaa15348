/** Why something failed or was cancelled. */
export interface Problem {
  /** For programs, such as `signed_out`; cairn's openapi.yaml has the list. */
  code: string;
  /** A sentence for a person. */
  detail: string;
  /** What to do about it, where there is something to do. */
  hint?: string;
}

/**
 * The error of a stream that was refused, or that ended before it said what became of
 * the work. Work that fails or is cancelled is no error of its stream: it is the last
 * event.
 */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  /** The HTTP status of the refusal; undefined when there was no such answer. */
  readonly status: number | undefined;
  readonly code: string;
  readonly detail: string;
  readonly hint: string | undefined;

  constructor(problem: Problem, options: { status?: number; cause?: unknown } = {}) {
    super(problem.hint ? `${problem.detail} ${problem.hint}` : problem.detail);
    if (options.cause !== undefined) this.cause = options.cause;
    this.status = options.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.hint = problem.hint;
  }
}

/** No daemon answers. */
export function unreachable(url: string, cause?: unknown): StreamError {
  return new StreamError({
    code: 'daemon_unreachable',
    detail: `No daemon answers at ${url}.`,
    hint: 'Start it with cairn serve, or give the Configuration another basePath.',
  }, { cause });
}

/** The stream ended too early. */
export function cutOff(cause?: unknown): StreamError {
  return new StreamError({
    code: 'daemon_unreachable',
    detail: 'The stream was cut off. The work goes on if the daemon does.',
    hint: 'Ask for the status of the backup, or follow it with streamProgress.',
  }, { cause });
}

/** Something else than a daemon answers. */
export function notOurs(cause?: unknown): StreamError {
  return new StreamError({
    code: 'internal',
    detail: 'The answer is not what a cairn daemon sends.',
    hint: 'Check what else listens on this address.',
  }, { cause });
}

/** An event is larger than any event of a daemon. */
export function tooLarge(): StreamError {
  return new StreamError({
    code: 'too_large',
    detail: 'An event of the stream is too large.',
    hint: 'Check what else listens on this address.',
  });
}

/** Reads the problem document with which an answer refuses a request. */
export async function refusal(response: Response): Promise<StreamError> {
  const problem: unknown = await response.json().catch(() => undefined);
  const { status } = response;
  if (isProblem(problem)) return new StreamError(problem, { status });
  return new StreamError({ code: 'internal', detail: `The answer has the status ${status}, and no reason.` }, { status });
}

export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  const { code, detail, hint } = value as Record<string, unknown>;
  return typeof code === 'string' && typeof detail === 'string' && (hint === undefined || typeof hint === 'string');
}
