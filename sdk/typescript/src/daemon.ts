import { BaseAPI, FetchError, ResponseError, type Configuration } from '@pieces.app/pieces-os-client';
import { refusal, unreachable } from './error.js';

/** Sends requests as the SDK does: with all that a Configuration says of them. */
export class Daemon extends BaseAPI {
  constructor(configuration: Configuration) {
    super(configuration);
  }

  /** The address of a path, as the SDK makes it. */
  url(path: string): string {
    return this.configuration.basePath + path;
  }

  /** Returns an answer that is no refusal; else throws a StreamError. */
  async ask(method: 'GET' | 'POST', path: string, accept: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { Accept: accept };
    if (this.configuration.apiKey) {
      headers['X-Application-ID'] = await this.configuration.apiKey('X-Application-ID');
    }
    try {
      return await this.request({ method, path, headers }, { signal });
    } catch (error) {
      if (error instanceof ResponseError) throw await refusal(error.response);
      if (error instanceof FetchError) throw unreachable(this.url(path), error.cause);
      throw error; // of a middleware
    }
  }
}
