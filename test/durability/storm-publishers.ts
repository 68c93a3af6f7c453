import { Agent, request } from "node:http";
import { connect, type MqttClient } from "mqtt";
import { pause } from "./mesh-processes.ts";
import type { Sent, StormJournal } from "./storm-journal.ts";

/** Everything here is written as a stranger would, with node:http and mqtt.js and nothing of ours. */
export type Mode = "binary" | "structured" | "batch" | "mqtt";

export interface Door {
  readonly port: number;
  readonly mqttPort: number;
  readonly token: string;
}

export interface PublisherSetting {
  readonly name: string;
  readonly mode: Mode;
  readonly topic: string;
  readonly isViaEdge: boolean;
  readonly keyCount: number;
  readonly pauseMs: number;
}

interface Envelope {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly partitionkey: string;
  readonly data: { readonly key: string; readonly n: number };
}

/** Resolves when all are acknowledged; rejects when it cannot tell. */
type Send = (topic: string, events: readonly Envelope[]) => Promise<void>;

class Refused extends Error {}

const answerMsMax = 4_000;
const batchSize = 3;

/** Publishes to each of its keys in order: the next one only when the last is acknowledged, the same one again until then. */
export class StormPublisher {
  readonly #setting: PublisherSetting;
  readonly #journal: StormJournal;
  readonly #send: Send;
  readonly #close: () => void;
  #isStopping = false;
  #lanes: Promise<void>[] = [];

  constructor(setting: PublisherSetting, door: Door, journal: StormJournal) {
    this.#setting = setting;
    this.#journal = journal;
    const sender = setting.mode === "mqtt" ? mqttSender(door) : httpSender(setting.mode, door);
    this.#send = sender.send;
    this.#close = sender.close;
  }

  start(): void {
    const { name, keyCount } = this.#setting;
    const keys = Array.from({ length: keyCount }, (_, index) => `${name}-k${index}`);
    this.#lanes = keys.map((key) => this.#runKey(key));
  }

  /** Ends when everything that was sent is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#lanes);
    this.#close();
  }

  async #runKey(key: string): Promise<void> {
    const { mode, pauseMs } = this.#setting;
    const count = mode === "batch" ? batchSize : 1;
    for (let n = 1; !this.#isStopping; n += count) {
      await this.#untilAcknowledged(
        Array.from({ length: count }, (_, index) => envelope(key, n + index)),
      );
      await pause(pauseMs * (0.5 + Math.random()));
    }
  }

  async #untilAcknowledged(events: readonly Envelope[]): Promise<void> {
    const { topic, isViaEdge } = this.#setting;
    for (;;) {
      const sent = events.map(({ id, partitionkey: key }): Sent =>
        this.#journal.sending({ id, key, topic, isViaEdge }),
      );
      try {
        await this.#send(topic, events);
        for (const each of sent) each.isAcknowledged = true;
        return;
      } catch (error) {
        if (error instanceof Refused) {
          this.#journal.refusals.push(`${events[0]?.id ?? ""}: ${error.message}`);
          return;
        }
        await pause(100);
      }
    }
  }
}

function envelope(key: string, n: number): Envelope {
  return {
    specversion: "1.0",
    id: `${key}-${n}`,
    source: "urn:storm",
    type: "storm.tick",
    partitionkey: key,
    data: { key, n },
  };
}

interface Sender {
  readonly send: Send;
  readonly close: () => void;
}

function httpSender(mode: Exclude<Mode, "mqtt">, { port, token }: Door): Sender {
  const agent = new Agent({ keepAlive: true });
  const send: Send = (topic, events) => {
    const { headers, body } = httpMessage(mode, events);
    return new Promise((resolve, reject) => {
      const call = request({
        agent,
        host: "127.0.0.1",
        port,
        method: "POST",
        path: `/v1/topics/${topic}/events`,
        headers: { ...headers, authorization: `Bearer ${token}` },
      });
      const timer = setTimeout(() => call.destroy(new Error("no answer")), answerMsMax);
      call.on("error", reject);
      call.on("close", () => {
        clearTimeout(timer);
        reject(new Error("closed"));
      });
      call.on("response", (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("error", reject);
        response.on("end", () => {
          const status = response.statusCode ?? 0;
          if (status === 200 && text === `{"accepted":${events.length}}`) resolve();
          else if (status === 429 || status >= 500) reject(new Error(String(status)));
          else reject(new Refused(`${status} ${text}`));
        });
      });
      call.end(body);
    });
  };
  return { send, close: () => agent.destroy() };
}

function httpMessage(
  mode: Exclude<Mode, "mqtt">,
  events: readonly Envelope[],
): { headers: Record<string, string>; body: string } {
  const [first] = events;
  if (first === undefined) throw new Error("nothing to send");
  if (mode === "batch") {
    const headers = { "content-type": "application/cloudevents-batch+json" };
    return { headers, body: JSON.stringify(events) };
  }
  if (mode === "structured") {
    const headers = { "content-type": "application/cloudevents+json" };
    return { headers, body: JSON.stringify(first) };
  }
  const { data, ...attributes } = first;
  const named = Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]);
  const headers = { ...Object.fromEntries(named), "content-type": "application/json" } as Record<
    string,
    string
  >;
  return { headers, body: JSON.stringify(data) };
}

/** One connection at a time, made anew when it breaks; what was in flight then is sent again by the caller. */
function mqttSender({ mqttPort, token }: Door): Sender {
  let client: MqttClient | undefined;
  const connected = (): MqttClient => {
    if (client !== undefined && !client.disconnecting && !client.disconnected) return client;
    const url = `mqtt://127.0.0.1:${mqttPort}`;
    const login = { username: "storm", password: token };
    const fresh = connect(url, { ...login, reconnectPeriod: 0, connectTimeout: answerMsMax });
    fresh.setMaxListeners(0);
    fresh.on("error", () => undefined);
    fresh.on("close", () => {
      if (client === fresh) client = undefined;
      fresh.end(true);
    });
    client = fresh;
    return fresh;
  };
  const send: Send = (topic, [event]) =>
    new Promise((resolve, reject) => {
      const using = connected();
      const onClose = (): void => reject(new Error("closed"));
      // A broker that stands still is left, as a device would.
      const timer = setTimeout(() => using.end(true), answerMsMax);
      using.once("close", onClose);
      using.publish(`events/${topic}`, JSON.stringify(event), { qos: 1 }, (error) => {
        clearTimeout(timer);
        using.off("close", onClose);
        if (error) reject(error);
        else resolve();
      });
    });
  return { send, close: () => client?.end(true) };
}
