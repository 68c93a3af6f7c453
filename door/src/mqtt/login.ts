import { MeshError } from "@fleetmesh/core";
import type { RefusalCode } from "./aedes-broker.ts";

const clientIdBytesMax = 256;

/** A CONNECT that is refused with a CONNACK return code. */
export class LoginRefusal extends Error {
  readonly returnCode: RefusalCode;

  constructor(returnCode: RefusalCode, message: string) {
    super(message);
    this.returnCode = returnCode;
  }

  /** 4 bad token, 5 no token or no permission, 3 try later. */
  static from(thrown: unknown): LoginRefusal {
    const error = MeshError.from(thrown);
    const returnCode = error.retryable ? 3 : error.kind === "TOKEN_INVALID" ? 4 : 5;
    return new LoginRefusal(returnCode, error.message);
  }
}

/** Client ids appear in topics, logs and metrics of others: no wildcards, no separators, no control characters. */
export function assertClientId(clientId: string): void {
  if (Buffer.byteLength(clientId) <= clientIdBytesMax && !/[\p{Cc}+#]/u.test(clientId)) return;
  throw new LoginRefusal(2, "The client id is too long or has characters that are not allowed");
}
