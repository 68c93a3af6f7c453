/** The few packets of MQTT 3.1.1 that load and sink need, as bytes: a client library would cost more than the agent. */
export const packetKind = {
  connack: 2,
  publish: 3,
  puback: 4,
  subscribe: 8,
  suback: 9,
  pingreq: 12,
} as const;

export function connectPacket(clientId: string, username: string, password: string): Buffer {
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0xc2, 0, 0]);
  return packet(0x10, [head, text(clientId), text(username), text(password)]);
}

/** QoS 1; the packet id is 0 until `setPacketId`. */
export function publishPacket(topic: string, payload: Uint8Array): Buffer {
  return packet(0x32, [text(topic), Buffer.alloc(2), payload]);
}

export function pubackPacket(packetId: number): Buffer {
  return Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff]);
}

export function subackPacket(packetId: number, filterCount: number): Buffer {
  const head = Buffer.from([packetId >> 8, packetId & 0xff]);
  return packet(0x90, [head, Buffer.alloc(filterCount, 1)]);
}

export function subscribePacket(packetId: number, filter: string, qos: 0 | 1): Buffer {
  const id = Buffer.from([packetId >> 8, packetId & 0xff]);
  return packet(0x82, [id, text(filter), Buffer.from([qos])]);
}

export function qos0Packet(topic: string, payload: Uint8Array): Buffer {
  return packet(0x30, [text(topic), payload]);
}

export const connackPacket = Buffer.from([0x20, 2, 0, 0]);
export const pingrespPacket = Buffer.from([0xd0, 0]);

/** Where the packet id of a QoS 1 publish stands. */
export function packetIdAt(publish: Buffer): number {
  let at = 1;
  while (((publish[at] ?? 0) & 0x80) !== 0) at += 1;
  return at + 3 + publish.readUInt16BE(at + 1);
}

function packet(head: number, parts: readonly Uint8Array[]): Buffer {
  let rest = parts.reduce((sum, part) => sum + part.length, 0);
  const length: number[] = [];
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([head, ...length]), ...parts]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** Cuts a byte stream into packets; a packet is complete or not given. */
export class PacketStream {
  #chunks: Buffer[] = [];
  #byteCount = 0;
  #needed = 2;

  /** Calls back with each packet's first byte and what follows its length. */
  push(chunk: Buffer, onPacket: (head: number, body: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#byteCount += chunk.length;
    if (this.#byteCount < this.#needed) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    for (;;) {
      const frame = frameOf(bytes);
      this.#needed = frame === undefined ? bytes.length + 1 : frame.end;
      if (frame === undefined || frame.end > bytes.length) break;
      onPacket(bytes[0] ?? 0, bytes.subarray(frame.start, frame.end));
      bytes = bytes.subarray(frame.end);
    }
    this.#chunks = bytes.length > 0 ? [bytes] : [];
    this.#byteCount = bytes.length;
  }
}

function frameOf(bytes: Buffer): { readonly start: number; readonly end: number } | undefined {
  let length = 0;
  for (let at = 1; at < 5; at += 1) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * (at - 1));
    if (byte < 0x80) return { start: at + 1, end: at + 1 + length };
  }
  throw new Error("not an MQTT packet");
}
