import { decodeMqtt, encodeStructured, eventLimitsDefault } from "@fleetmesh/core";
import { Pool } from "undici";
import { telemetryEvents } from "./telemetry-events.ts";

/**
 * The bare loop beside which a push is measured: the same HTTP client, so many connections, one structured event a request,
 * bodies and headers made beforehand, nothing else. Arguments: port, connections, requests. It says how many CPU
 * microseconds a request took, after a warm-up.
 */
const [port, connections, requestCount] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
];
const bodies = telemetryEvents(1_000).map((bytes) =>
  Buffer.from(encodeStructured(decodeMqtt(bytes, eventLimitsDefault))),
);
const headers = [
  ...["content-type", "application/cloudevents+json; charset=utf-8"],
  ...["webhook-id", `msg_${"0".repeat(32)}`, "webhook-timestamp", "1767225600"],
  ...["traceparent", `00-${"1".repeat(32)}-${"2".repeat(16)}-00`],
];
const pool = new Pool(`http://127.0.0.1:${port}`, {
  connections,
  headersTimeout: 0,
  bodyTimeout: 0,
});

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
      pool.dispatch({ path: "/events", method: "POST", headers, body }, new Request(onDone));
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
