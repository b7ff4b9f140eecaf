/** Answers, and the errors that are the caller's. */
import { FormatError, MemoryBudgetError, UnsupportedError } from 'lors-wasm/edge';

/** An answer that is not one of success. */
export class HttpError extends Error {
  override name = 'HttpError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function json(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, { status, headers: { 'content-type': 'application/json' } });
}

/** Runs a handler; what it throws becomes an answer that says what was wrong. */
export async function answered(handle: () => Promise<Response>): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return json({ error: message }, statusOf(error));
  }
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof MemoryBudgetError) return 413;
  if (error instanceof UnsupportedError) return 422;
  // Options and data of the wrong kind or value.
  return error instanceof FormatError || error instanceof RangeError || error instanceof TypeError ? 400 : 500;
}

/** The text of a body, refused with 413 as soon as it is too large, whatever its headers say. */
export async function bodyText(request: Request, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
    parts.push(next.value);
    bytes += next.value.length;
    if (bytes > most) {
      await reader?.cancel();
      throw new HttpError(413, `body: expected at most ${most} bytes of examples, got more.`);
    }
  }
  return new Blob(parts as Uint8Array<ArrayBuffer>[]).text();
}

/** A body that is one JSON object, or none. */
export async function bodyJson(request: Request, most: number): Promise<Record<string, unknown>> {
  const text = await bodyText(request, most);
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, with what is not an object.
  }
  throw new HttpError(400, 'body: expected a JSON object.');
}
