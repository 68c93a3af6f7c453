import { MeshError } from "@fleetmesh/core";
import type { ResponseReader } from "./response-reader.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { DeliveryOutcome } from "./target.ts";

const taken200: DeliveryOutcome = { kind: "taken", status: "200" };

/** Whoever reads an answer. */
export interface AnswerReader {
  wallMs(): number;
  /** Takes out of a text what must not be told. */
  scrub(text: string): string;
}

/** What an answer means, by its status. */
export function outcomeOf(answer: ResponseReader, reader: AnswerReader): DeliveryOutcome {
  const { status: code, retryAfter } = answer;
  if (code === 200) return taken200;
  if (code < 300) return { kind: "taken", status: String(code) };
  const facts = { status: String(code), detail: detailOf(answer.excerpt, reader) };
  if (code === 410) return { kind: "retired", ...facts };
  // CloudEvents webhook spec 2.1.1: redirections are not followed, the delivery has failed.
  if (code >= 400 && code < 500 && code !== 408 && code !== 425 && code !== 429)
    return { kind: "refused", ...facts };
  const asksForSilence = (code === 429 || code === 503) && retryAfter !== undefined;
  const retryAfterMs = asksForSilence ? parseRetryAfter(retryAfter, reader.wallMs()) : undefined;
  return { kind: "failed", ...facts, retryAfterMs };
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ETIMEDOUT: "timeout",
  ENOTFOUND: "unknown-host",
  EAI_AGAIN: "unknown-host",
};

/** What the end of a connection means that brought no answer. */
export function failureOf(error: Error): DeliveryOutcome {
  if (MeshError.is(error)) return { kind: "failed", status: "forbidden", detail: error.message };
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return { kind: "failed", status: words[code] ?? code.toLowerCase(), detail: error.message };
}

function detailOf(excerpt: string, reader: AnswerReader): string | undefined {
  const text = reader.scrub(Buffer.from(excerpt, "latin1").toString("utf8"));
  return text === "" ? undefined : text.replaceAll(/\p{Cc}+/gu, " ").trim();
}
