import { catalogue, type ErrorName } from "./catalogue.ts";

export interface MeshErrorOptions {
  readonly cause?: unknown;
  /** Overrides the catalogue where this one case differs. */
  readonly retryable?: boolean;
  /** Overrides the catalogue's hint with one that fits this case better. */
  readonly hint?: string;
  /** Seconds after which trying again makes sense (becomes Retry-After). */
  readonly retryAfterSeconds?: number;
  /** Facts for machines, e.g. the index within a batch. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The one family of operating errors. `message` says what went wrong and where; the catalogue adds code, status and
 * what to do next. Compare by `name`-safe `is()`, never by instanceof across package copies.
 */
export class MeshError extends Error {
  readonly kind: ErrorName;
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly hint: string;
  readonly retryAfterSeconds: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorName, message: string, options: MeshErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    const known = catalogue[kind];
    this.name = "MeshError";
    this.kind = kind;
    this.code = known.code;
    this.status = known.status;
    this.retryable = options.retryable ?? known.retryable;
    this.hint = options.hint ?? known.hint;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details ?? {};
  }

  static is(error: unknown, kind?: ErrorName): error is MeshError {
    if (!(error instanceof Error) || error.name !== "MeshError" || !("kind" in error)) return false;
    return kind === undefined || error.kind === kind;
  }

  /** Anything that was thrown, as a MeshError: itself, or INTERNAL with it as the cause. */
  static from(thrown: unknown): MeshError {
    if (MeshError.is(thrown)) return thrown;
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new MeshError("INTERNAL", text, { cause: thrown });
  }
}

/** RFC 9457 problem document of an error. Internal failures do not show their text to strangers. */
export function toProblem(error: MeshError): Record<string, unknown> {
  const { title } = catalogue[error.kind];
  const detail = error.kind === "INTERNAL" ? "The log has more." : error.message;
  return {
    ...error.details,
    type: `urn:fleetmesh:error:${error.code}`,
    title,
    status: error.status,
    detail,
    code: error.code,
    hint: error.hint,
  };
}

/** The plain form in which an error crosses a thread's or a process's boundary. */
export interface ErrorData {
  readonly kind: ErrorName;
  readonly message: string;
  readonly retryable: boolean;
  readonly hint: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

export function errorToData(thrown: unknown): ErrorData {
  const error = MeshError.from(thrown);
  const { kind, message, retryable, hint, retryAfterSeconds, details } = error;
  return { kind, message, retryable, hint, retryAfterSeconds, details };
}

export function errorFromData(data: ErrorData): MeshError {
  const { retryable, hint, retryAfterSeconds, details } = data;
  const options = { retryable, hint, details };
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new MeshError(data.kind, data.message, { ...options, ...wait });
}
