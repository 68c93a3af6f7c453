import { structuredBytesMax, wireBytesMax } from "@fleetmesh/core";
import type { RuntimeConfig } from "./runtime-config.ts";

/** The bounds of whole messages, each large enough for an event of `maxEventBytes`. */
export interface MessageLimits {
  readonly agentPackedBytes: number;
  readonly agentUnpackedBytes: number;
  /** One event as JSON: a command, or a publish by MQTT. */
  readonly structuredBytes: number;
  readonly mqttPacketBytes: number;
}

const mqttHeadBytes = 64 * 1024;

export function messageLimits(limits: RuntimeConfig["limits"]): MessageLimits {
  const { agentMessageBytes, agentMessageUnpackedBytes } = limits;
  const wire = wireBytesMax(limits);
  const agentPackedBytes = Math.max(agentMessageBytes, wire.packed);
  const structuredBytes = structuredBytesMax(limits);
  return {
    agentPackedBytes,
    agentUnpackedBytes: Math.max(agentMessageUnpackedBytes, wire.unpacked),
    structuredBytes,
    mqttPacketBytes: Math.max(agentPackedBytes, structuredBytes) + mqttHeadBytes,
  };
}
