/** A downlink message that waits for its client's acknowledgement, or for the client. */
export interface Waiting {
  readonly brokerId?: string;
  readonly brokerCounter?: number;
  readonly topic: string;
  readonly payload: string | Buffer;
  messageId?: number | undefined;
}

/** What is kept of a client that said clean=false, and of any client while its QoS 2 publishes are open. */
export class MqttSession {
  owner = "";
  /** Filter and granted QoS. */
  readonly filters = new Map<string, 0 | 1>();
  readonly waiting: Waiting[] = [];
  waitingBytes = 0;
  /** QoS 2 publishes that are stored and not yet released. */
  readonly taken = new Set<number>();

  get isEmpty(): boolean {
    return this.filters.size === 0 && this.waiting.length === 0 && this.taken.size === 0;
  }
}

// What a waiting message costs besides its payload, about.
const overheadBytes = 200;

export function bytesOf(message: Waiting): number {
  return message.payload.length + message.topic.length + overheadBytes;
}
