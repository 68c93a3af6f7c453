import { setTimeout as delay } from "node:timers/promises";
import type {
  MessageId,
  OutgoingMessage,
  PulsarProducer,
  PulsarReader,
  ReaderOptions,
  ReceivedMessage,
} from "@fleetmesh/pulsar";

export const topic = "vehicle.telemetry";
export const limits = { bytesInFlightMax: 64_000_000, timeoutMs: 10_000 };
export const whole: ReaderOptions = { after: "earliest", queueMax: 500 };
export const soon = (): AbortSignal => AbortSignal.timeout(20_000);
export const shortly = (): AbortSignal => AbortSignal.timeout(500);

export const messageOf = (text: string, rest: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
  payload: Buffer.from(text),
  properties: {},
  ...rest,
});
export const textOf = ({ payload }: ReceivedMessage): string => Buffer.from(payload).toString();
export const texts = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

export const sendAll = (producer: PulsarProducer, all: readonly string[]): Promise<MessageId[]> =>
  Promise.all(all.map((text) => producer.send(messageOf(text))));

/** After a cut or a crash: until the broker can be reached, and knows that the connection is gone. */
export async function eventually<Result>(act: () => Promise<Result>): Promise<Result> {
  const signal = AbortSignal.timeout(60_000);
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (signal.aborted) throw error;
      await delay(20);
    }
  }
}

/** So many of the next messages, or fewer when no more come in time. */
export async function read(
  reader: PulsarReader,
  count: number,
  signal = soon(),
): Promise<ReceivedMessage[]> {
  const messages: ReceivedMessage[] = [];
  while (messages.length < count && !signal.aborted)
    messages.push(...(await reader.next(count - messages.length, signal)));
  return messages;
}
