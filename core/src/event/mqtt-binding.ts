import type { MeshEvent } from "./event.ts";
import type { EventLimits } from "./event-limits.ts";
import { decodeStructured, encodeStructured } from "./json-format.ts";

/**
 * MQTT 3.1.1 has no content type and no user properties: a payload is always one structured JSON event, never a batch
 * (CloudEvents MQTT binding 1.0, section 3). Errors as `decodeStructured`.
 */
export function decodeMqtt(payload: Uint8Array, limits: EventLimits): MeshEvent {
  return decodeStructured(payload, limits);
}

export function encodeMqtt(event: MeshEvent): Uint8Array {
  return encodeStructured(event);
}
