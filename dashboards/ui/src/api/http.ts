/**
 * One door to the server. Takes a path and options, returns the response or throws an `ApiError` that says what went
 * wrong in words; reports whether the server could be reached. Knows nothing of what the answers mean.
 */

/** Why a request failed. `status` 0: the server could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly line: number | null;
  readonly column: number | null;
  readonly hint: string | null;

  constructor(message: string, status: number, detail: { line?: unknown; column?: unknown; hint?: unknown } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.line = typeof detail.line === "number" ? detail.line : null;
    this.column = typeof detail.column === "number" ? detail.column : null;
    this.hint = typeof detail.hint === "string" ? detail.hint : null;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

const reachListeners = new Set<(reachable: boolean) => void>();

/** Tells after each request whether the server answered. */
export function onReachability(listener: (reachable: boolean) => void): () => void {
  reachListeners.add(listener);
  return () => reachListeners.delete(listener);
}

function report(reachable: boolean): void {
  for (const listener of reachListeners) listener(reachable);
}

/** Statuses a proxy gives when nothing is behind it. */
const GATEWAY_STATUSES = [502, 503, 504];
const ERROR_CHARS_MAX = 4_000;

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: "same-origin" });
  } catch (error) {
    if (isAbort(error)) throw error;
    report(false);
    throw new ApiError("the server cannot be reached", 0);
  }
  report(!GATEWAY_STATUSES.includes(response.status));
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as { error?: unknown; line?: unknown; column?: unknown; hint?: unknown };
    if (typeof body.error === "string") return new ApiError(body.error, response.status, body);
  } catch {
    // Not the server's own error: a proxy's page, or nothing.
  }
  const plain = response.headers.get("content-type")?.startsWith("text/plain") ? text.slice(0, ERROR_CHARS_MAX) : "";
  return new ApiError(plain || `the server answered ${response.status} ${response.statusText}`.trim(), response.status);
}

export async function requestJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await request(path, { ...init, headers: { accept: "application/json", ...init.headers } });
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(`the answer of ${path.split("?")[0]} is not JSON`, response.status);
  }
}

/** Reads a body, telling the bytes so far. */
export async function readBytes(response: Response, onProgress?: (bytes: number) => void): Promise<Uint8Array> {
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      length += value.length;
      onProgress?.(length);
    }
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("the connection broke before the whole answer had come", 0);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
