import { readFile } from "node:fs/promises";
import { catalogue, MeshError, type ErrorName } from "@fleetmesh/core";
import { Pool, type Dispatcher } from "undici";
import { z } from "zod";
import type {
  AppendRequest,
  LinkCursor,
  LinkPage,
  Position,
  ReadRequest,
  RegionLink,
  RegionState,
  Seal,
  SealRequest,
} from "./region-link.ts";

export interface HttpRegionLinkOptions {
  readonly name: string;
  readonly url: string;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query: Readonly<Record<string, string | number | undefined>>;
  readonly body?: Uint8Array;
  readonly waitMs?: number;
}

const stateSchema = z.object({
  region: z.string(),
  wants: z.array(z.object({ pattern: z.string(), sinceMs: z.number() })),
  topics: z.array(z.string()),
  tag: z.string(),
  nowMs: z.number(),
});
const positionSchema = z.object({ position: z.string() });
const cursorSchema = z.object({ cursor: z.string().nullable(), latest: z.string() });
const sealSchema = z.object({ count: z.number(), digest: z.string(), isWhole: z.boolean() });
const problemSchema = z.looseObject({ code: z.string(), detail: z.string().default("") });

const answerMsMax = 15_000;
const responseBytesMax = 32 * 1024 * 1024;
const pageType = "application/vnd.fleetmesh.replicated";

/** A region over its HTTP. Questions that wait for news have connections of their own: they never hold up an append. */
export class HttpRegionLink implements RegionLink {
  readonly region: string;
  readonly #options: HttpRegionLinkOptions;
  readonly #calls: Pool;
  readonly #polls: Pool;
  readonly #base: string;
  #token: string | undefined;

  constructor(options: HttpRegionLinkOptions) {
    this.region = options.name;
    this.#options = options;
    const url = new URL(options.url);
    this.#base = url.pathname.replace(/\/$/, "");
    const settings = { maxResponseSize: responseBytesMax, connect: { timeout: 5_000 } };
    this.#calls = new Pool(url.origin, { ...settings, connections: 32 });
    this.#polls = new Pool(url.origin, { ...settings, connections: 1_024 });
    this.#token = options.token;
  }

  async state(
    known: string | undefined,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<RegionState> {
    const query = { known, wait: waitMs };
    return stateSchema.parse(await this.#json({ path: "wants", query, waitMs }, signal));
  }

  async positionAt(topic: string, atMs: number, signal: AbortSignal): Promise<Position> {
    const answer = await this.#json({ path: "position", query: { topic, at: atMs } }, signal);
    return positionSchema.parse(answer).position;
  }

  async cursor(origin: string, topic: string, signal: AbortSignal): Promise<LinkCursor> {
    const answer = await this.#json({ path: "cursor", query: { origin, topic } }, signal);
    const { cursor, latest } = cursorSchema.parse(answer);
    return { cursor: cursor ?? undefined, latest };
  }

  async seal(request: SealRequest, signal: AbortSignal): Promise<Seal> {
    return sealSchema.parse(await this.#json({ path: "audit", query: { ...request } }, signal));
  }

  async read(request: ReadRequest, signal: AbortSignal): Promise<LinkPage> {
    const { topic, to, after, countMax: limit, waitMs } = request;
    const query = { topic, to, after, limit, wait: waitMs };
    const response = await this.#ask({ method: "GET", path: "events", query, waitMs }, signal);
    const bytes = new Uint8Array(await response.body.arrayBuffer());
    const head = (name: string): string => textOf(response.headers[`fleetmesh-${name}`]);
    return {
      bytes,
      count: Number(head("count")),
      withheld: Number(head("withheld")),
      next: head("next"),
      hasMore: head("more") === "1",
      newestMs: Number(head("newest-ms")),
      nowMs: Number(head("now-ms")),
    };
  }

  async append(request: AppendRequest, signal: AbortSignal): Promise<void> {
    const { topic, origin, before, page } = request;
    const query = { topic, origin, before };
    const call = { method: "POST", path: "append", query, body: page } as const;
    await (await this.#ask(call, signal)).body.dump();
  }

  async admit(topic: string, signal: AbortSignal): Promise<void> {
    const call = { method: "POST", path: "admit", query: { topic } } as const;
    await (await this.#ask(call, signal)).body.dump();
  }

  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#polls.destroy()]);
  }

  async #json(call: Omit<Call, "method">, signal: AbortSignal): Promise<unknown> {
    const response = await this.#ask({ ...call, method: "GET" }, signal);
    return response.body.json();
  }

  async #ask(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    try {
      const response = await this.#request(call, signal);
      if (response.statusCode < 300) return response;
      throw await refusalOf(response);
    } catch (thrown) {
      if (!MeshError.is(thrown)) throw this.#unavailable(thrown);
      // The file may hold a newer token than the one that was refused.
      if (thrown.kind === "TOKEN_INVALID" && this.#options.tokenFile) this.#token = undefined;
      throw thrown;
    }
  }

  async #request(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, path, query, body = null, waitMs = 0 } = call;
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    const headers: Record<string, string> = { authorization: `Bearer ${await this.#tokenNow()}` };
    if (body !== null) headers["content-type"] = pageType;
    const pool = waitMs > 0 ? this.#polls : this.#calls;
    return pool.request({
      method,
      path: `${this.#base}/v1/replication/${path}?${parameters.toString()}`,
      headers,
      body,
      signal,
      headersTimeout: waitMs + answerMsMax,
      bodyTimeout: answerMsMax,
    });
  }

  async #tokenNow(): Promise<string> {
    const { tokenFile } = this.#options;
    if (this.#token === undefined && tokenFile !== undefined) {
      this.#token = (await readFile(tokenFile, "utf8")).trim();
    }
    return this.#token ?? "";
  }

  #unavailable(cause: unknown): MeshError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new MeshError("LINK_UNAVAILABLE", `Region ${this.region} does not answer: ${why}`, {
      cause,
    });
  }
}

async function refusalOf(response: Dispatcher.ResponseData): Promise<MeshError> {
  const text = await response.body.text();
  const parsed = problemSchema.safeParse(jsonOf(text));
  const kind = parsed.success ? kindOf(parsed.data.code) : undefined;
  if (!parsed.success || kind === undefined) {
    return new MeshError("LINK_UNAVAILABLE", `Answered ${response.statusCode}`);
  }
  return new MeshError(kind, parsed.data.detail, { details: parsed.data });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function kindOf(code: string): ErrorName | undefined {
  const kinds = Object.keys(catalogue) as ErrorName[];
  return kinds.find((kind) => catalogue[kind].code === code);
}

function textOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? "";
}
