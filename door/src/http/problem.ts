import type { ServerResponse } from "node:http";
import { toProblem, type MeshError } from "@fleetmesh/core";

const retryAfterSecondsDefault = 1;

/** Answers with the RFC 9457 problem document of an error. Does nothing when the answer has begun or nobody reads it. */
export function sendProblem(response: ServerResponse, error: MeshError): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(JSON.stringify(toProblem(error)));
  response.statusCode = error.status;
  response.setHeader("content-type", "application/problem+json");
  response.setHeader("content-length", body.length);
  if (error.status === 429 || error.status === 503) {
    const seconds = error.retryAfterSeconds ?? retryAfterSecondsDefault;
    response.setHeader("retry-after", Math.max(1, Math.ceil(seconds)));
  }
  if (error.status === 401) response.setHeader("www-authenticate", "Bearer");
  response.end(body);
}
