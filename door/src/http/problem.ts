import type { ServerResponse } from "node:http";
import { toProblem, type MeshError } from "@fleetmesh/core";

export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const retryAfterSecondsDefault = 1;

/** The RFC 9457 problem document of an error, and the headers that go with it, for whatever server sends it. */
export function problemAnswer(error: MeshError): ProblemAnswer {
  const { status, retryAfterSeconds } = error;
  const isForLater = retryAfterSeconds !== undefined || status === 429 || status === 503;
  const seconds = Math.max(1, Math.ceil(retryAfterSeconds ?? retryAfterSecondsDefault));
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...(isForLater && { "retry-after": String(seconds) }),
      // RFC 6750, 3.
      ...(status === 401 && { "www-authenticate": 'Bearer realm="fleetmesh"' }),
    },
    body: Buffer.from(JSON.stringify(toProblem(error))),
  };
}

/** Answers with the problem of an error. Does nothing when the answer has begun or nobody reads it. */
export function sendProblem(response: ServerResponse, error: MeshError): void {
  if (response.headersSent || response.destroyed) return;
  const { status, headers, body } = problemAnswer(error);
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader("content-length", body.length);
  response.end(body);
}
