import { MeshError } from "../error/mesh-error.ts";

/** The error of every decoder of the wire format. */
export function wireInvalid(why: string, cause?: unknown): MeshError {
  const message = `The message is not in the wire format: ${why}`;
  return cause === undefined
    ? new MeshError("WIRE_INVALID", message)
    : new MeshError("WIRE_INVALID", message, { cause });
}

export function wireTooLarge(why: string): MeshError {
  return new MeshError("WIRE_TOO_LARGE", `The message is larger than is taken here: ${why}`);
}
