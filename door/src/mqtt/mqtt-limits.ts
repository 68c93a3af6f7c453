export interface MqttLimits {
  /** Remaining length of one packet once CONNECT was accepted; the packet is refused from its header. */
  readonly packetBytesMax: number;
  /** The same before CONNECT was accepted. */
  readonly connectBytesMax: number;
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** From the TCP connection to the CONNECT packet. */
  readonly connectTimeoutMs: number;
  /** Bytes waiting for one slow subscriber; beyond it the connection is closed. */
  readonly outputBytesMax: number;
  /** The same over all connections; the largest waiting are closed first. */
  readonly outputBytesTotalMax: number;
  readonly subscriptionsMax: number;
  /** Sessions kept for clients that said clean=false, oldest absent one forgotten first. */
  readonly sessionsMax: number;
  /** Messages waiting for one absent client; the oldest is dropped first. */
  readonly offlineCountMax: number;
  readonly offlineBytesMax: number;
  /** The same over all absent clients. */
  readonly offlineBytesTotalMax: number;
}

const mebibyte = 1024 * 1024;

export const mqttLimitsDefault: MqttLimits = {
  packetBytesMax: mebibyte,
  connectBytesMax: 64 * 1024 - 1,
  connectionsMax: 5_000,
  connectionsPerAddressMax: 1_000,
  connectTimeoutMs: 10_000,
  outputBytesMax: mebibyte,
  outputBytesTotalMax: 64 * mebibyte,
  subscriptionsMax: 100,
  sessionsMax: 10_000,
  offlineCountMax: 1_000,
  offlineBytesMax: mebibyte,
  offlineBytesTotalMax: 32 * mebibyte,
};

/** Limits for packets of such a size in, and for messages with one structured event out. */
export function mqttLimitsFor(messageBytes: number, packetBytesMax: number): Partial<MqttLimits> {
  const { outputBytesMax, offlineBytesMax } = mqttLimitsDefault;
  return {
    packetBytesMax,
    outputBytesMax: Math.max(outputBytesMax, 2 * messageBytes),
    offlineBytesMax: Math.max(offlineBytesMax, messageBytes),
  };
}
