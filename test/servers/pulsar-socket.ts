import { once } from "node:events";
import WebSocket from "ws";
import type { PulsarAddress } from "./pulsar-server.ts";

export interface SocketMessage {
  readonly messageId: string;
  readonly payload: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly key?: string;
}

type Where = Pick<PulsarAddress, "wsUrl" | "token">;

/** The least of a producer over Pulsar's WebSocket API, for tests of the servers themselves. */
export class SocketProducer {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, { done: () => void; fail: (reason: Error) => void }>();
  #next = 0;

  /** `topic` is tenant/namespace/name. Rejects with the HTTP status when the server refuses. */
  static async open(where: Where, topic: string): Promise<SocketProducer> {
    const socket = connect(where, `producer/persistent/${topic}`);
    const producer = new SocketProducer(socket);
    await once(socket, "open");
    return producer;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (frame: Buffer) => {
      const answer = JSON.parse(frame.toString()) as { result: string; context: string };
      const sent = this.#waiting.get(answer.context);
      this.#waiting.delete(answer.context);
      if (answer.result === "ok") sent?.done();
      else sent?.fail(new Error(answer.result));
    });
    socket.on("close", () => {
      for (const { fail } of this.#waiting.values()) fail(new Error("the connection closed"));
    });
  }

  /** Resolves when the broker has acknowledged it. */
  send(text: string, rest: object = {}): Promise<void> {
    const context = String(this.#next++);
    const payload = Buffer.from(text).toString("base64");
    return new Promise((resolve, reject) => {
      this.#waiting.set(context, { done: resolve, fail: reject });
      this.#socket.send(JSON.stringify({ payload, context, ...rest }));
    });
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** The first `count` messages of a topic (tenant/namespace/name), by a reader from its beginning. */
export async function readMessages(
  where: Where,
  topic: string,
  count: number,
): Promise<SocketMessage[]> {
  const socket = connect(where, `reader/persistent/${topic}?messageId=earliest`);
  const messages: SocketMessage[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`closed after ${messages.length} of ${count}`)));
      socket.on("message", (frame: Buffer) => {
        const message = JSON.parse(frame.toString()) as SocketMessage;
        const payload = Buffer.from(message.payload, "base64").toString();
        messages.push({ ...message, payload });
        socket.send(JSON.stringify({ messageId: message.messageId }));
        if (messages.length === count) resolve();
      });
    });
    return messages;
  } finally {
    socket.terminate();
  }
}

/** Not awaited here: what listens for messages must do so before the first can come. */
function connect({ wsUrl, token }: Where, path: string): WebSocket {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(`${wsUrl}/${path}`, { headers });
  // An error of an open connection is followed by "close".
  socket.on("error", () => undefined);
  return socket;
}
