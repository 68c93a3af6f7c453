import { request as requestHttp, type ClientRequest, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { SecureContext } from "node:tls";
import type { Clock } from "@fleetmesh/core";
import { hostOf, type AddressGuard } from "./address-guard.ts";

export interface GuardedRequest {
  readonly method: "GET" | "OPTIONS" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly secureContext?: SecureContext | undefined;
}

export interface GuardedAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface RequestPorts {
  readonly guard: AddressGuard;
  readonly clock: Clock;
}

const bodyBytesMax = 64 * 1024;

/**
 * One request beside the pushes: to a token endpoint, or to ask a sink for its consent. On a connection of its own, to
 * allowed addresses only, within bounds of time and size. Redirections are not followed. Rejects when no whole answer came.
 */
export function guardedRequest(
  wanted: GuardedRequest,
  { guard, clock }: RequestPorts,
): Promise<GuardedAnswer> {
  return new Promise((resolve, reject) => {
    const url = new URL(wanted.url);
    guard.assertHost(hostOf(url));
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const { method, headers, secureContext } = wanted;
    const request: ClientRequest = send(url, {
      ...{ method, headers, agent: false },
      ...(guard.lookup && { lookup: guard.lookup }),
      ...(secureContext && { secureContext }),
    });
    const timer = clock.setTimer(wanted.timeoutMs, () => request.destroy(new Error("timeout")));
    const fail = (error: Error): void => {
      timer.cancel();
      request.destroy();
      reject(error);
    };
    request.on("error", fail);
    request.on("response", (response) => {
      readBody(response).then((body) => {
        timer.cancel();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        request.destroy();
      }, fail);
    });
    request.end(wanted.body);
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyBytesMax) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
