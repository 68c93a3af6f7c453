import { catalogue, MeshError, type ErrorName } from "@fleetmesh/core";

export interface ApiClientOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

export interface ApiRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

/** Speaks to one runtime or agent over HTTP. Failures come back as the MeshError the server named, or UNREACHABLE. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  async json(path: string, request: ApiRequest = {}): Promise<unknown> {
    const response = await this.request(
      path,
      request,
      AbortSignal.timeout(this.#options.timeoutMs),
    );
    const text = await response.text();
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  }

  /** The value as a JSON body. */
  send(method: string, path: string, value?: unknown): Promise<unknown> {
    if (value === undefined) return this.json(path, { method });
    const headers = { "content-type": "application/json" };
    return this.json(path, { method, headers, body: JSON.stringify(value) });
  }

  /** The response with its body still to be read; throws when the status is not 2xx. */
  async request(path: string, request: ApiRequest, signal: AbortSignal): Promise<Response> {
    const { url, token } = this.#options;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(new URL(path, url), {
      method: request.method ?? "GET",
      headers: { accept: "application/json", ...authorization, ...request.headers },
      signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    }).catch((cause: unknown) => {
      const why =
        cause instanceof Error
          ? cause.cause instanceof Error
            ? cause.cause.message
            : cause.message
          : String(cause);
      throw new MeshError("UNREACHABLE", `No answer from ${url}: ${why}`, { cause });
    });
    if (response.ok) return response;
    throw await problemOf(response);
  }
}

async function problemOf(response: Response): Promise<MeshError> {
  const text = await response.text().catch(() => "");
  let problem: { code?: string; detail?: string; hint?: string } = {};
  try {
    problem = JSON.parse(text) as typeof problem;
  } catch {
    // Not ours: some proxy's page. The status says enough.
  }
  const kind = kindOfCode(problem.code) ?? kindOfStatus(response.status);
  const detail = problem.detail ?? `The server answered ${response.status} ${response.statusText}`;
  return new MeshError(kind, detail, problem.hint === undefined ? {} : { hint: problem.hint });
}

function kindOfCode(code: string | undefined): ErrorName | undefined {
  const names = Object.keys(catalogue) as ErrorName[];
  return names.find((name) => catalogue[name].code === code);
}

function kindOfStatus(status: number): ErrorName {
  if (status === 401) return "TOKEN_INVALID";
  if (status === 403) return "NOT_PERMITTED";
  if (status === 404) return "NOT_FOUND";
  return status >= 500 ? "INTERNAL" : "REQUEST_INVALID";
}
