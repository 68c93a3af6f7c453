import type { MessageId } from "../message-id.ts";
import type { OutgoingMessage } from "../pulsar-client.ts";

export interface QueuedMessage {
  readonly message: OutgoingMessage;
  readonly bytes: number;
  readonly resolve: (id: MessageId) => void;
  readonly reject: (reason: Error) => void;
}

const batchCountMax = 1_000;
const batchBytesMax = 128 * 1024;

/** Messages that wait to be sent, given out in batches that may share one entry. */
export class SendQueue {
  #messages: QueuedMessage[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** There is enough for the largest batch: waiting gains nothing. */
  get isFull(): boolean {
    return this.#messages.length >= batchCountMax || this.#bytes >= batchBytesMax;
  }

  push(message: QueuedMessage): void {
    this.#messages.push(message);
    this.#bytes += message.bytes;
  }

  /** As many from the front as one entry takes. Where a message is replicated to is said once per entry. */
  takeBatch(): QueuedMessage[] {
    const destinations = destinationsOf(this.#messages[0]);
    let count = 0;
    let bytes = 0;
    for (const next of this.#messages) {
      const isOver = count >= batchCountMax || bytes + next.bytes > batchBytesMax;
      if (count > 0 && (isOver || destinationsOf(next) !== destinations)) break;
      count += 1;
      bytes += next.bytes;
    }
    this.#bytes -= bytes;
    return this.#messages.splice(0, count);
  }

  takeAll(): QueuedMessage[] {
    this.#bytes = 0;
    return this.#messages.splice(0);
  }
}

/** Undefined for most. Names of clusters have no line breaks. */
function destinationsOf(queued: QueuedMessage | undefined): string | undefined {
  return queued?.message.replicateTo?.join("\n");
}
