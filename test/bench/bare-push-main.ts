import { decodeMqtt, encodeStructured, eventLimitsDefault } from "@fleetmesh/core";
import { createHmac } from "node:crypto";
import { Pool } from "undici";
import { telemetryEvents } from "./telemetry-events.ts";

/**
 * The bare loop beside which a push is measured: the same HTTP client, so many connections, one structured event a request,
 * bodies and headers made beforehand, nothing else; with a key each is signed. Arguments: port, connections, requests, the
 * key in base64 if any. It says how many CPU microseconds a request took, after a warm-up.
 */
const [port, connections, requestCount] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
];
const bodies = telemetryEvents(1_000).map((bytes) =>
  Buffer.from(encodeStructured(decodeMqtt(bytes, eventLimitsDefault))),
);
const keyText = process.argv[5];
const key = keyText === undefined ? undefined : Buffer.from(keyText, "base64");
const [id, timestamp] = [`msg_${"0".repeat(32)}`, "1767225600"];
const headers = [
  ...["content-type", "application/cloudevents+json; charset=utf-8"],
  ...["webhook-id", id, "webhook-timestamp", timestamp],
  ...["traceparent", `00-${"1".repeat(32)}-${"2".repeat(16)}-00`],
];
const pool = new Pool(`http://127.0.0.1:${port}`, {
  connections,
  headersTimeout: 0,
  bodyTimeout: 0,
});

function headersOf(body: Buffer): string[] {
  if (key === undefined) return headers;
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  return [...headers, "webhook-signature", `v1,${mac.digest("base64")}`];
}

class Request {
  readonly #done: (error?: Error) => void;

  constructor(done: (error?: Error) => void) {
    this.#done = done;
  }

  onConnect(): void {
    return undefined;
  }

  onHeaders(): boolean {
    return true;
  }

  onData(): boolean {
    return true;
  }

  onComplete(): void {
    this.#done();
  }

  onError(error: Error): void {
    this.#done(error);
  }
}

function push(count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let ended = 0;
    const send = (): void => {
      const body = bodies[sent % bodies.length] as Buffer;
      sent += 1;
      const request = { path: "/events", method: "POST", headers: headersOf(body), body } as const;
      pool.dispatch(request, new Request(onDone));
    };
    const onDone = (error?: Error): void => {
      ended += 1;
      if (error !== undefined) reject(error);
      else if (ended === count) resolve();
      else if (sent < count) send();
    };
    for (let at = 0; at < Math.min(connections, count); at += 1) send();
  });
}

await push(requestCount / 4);
const before = process.cpuUsage();
const startedMs = performance.now();
await push(requestCount);
const { user, system } = process.cpuUsage(before);
const seconds = (performance.now() - startedMs) / 1000;
process.send?.({ cpuMicros: (user + system) / requestCount, perSecond: requestCount / seconds });
await pool.close();
process.disconnect();
