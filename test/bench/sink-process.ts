import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

interface SinkMessage {
  readonly port?: number;
  /** When the last expected request came, microseconds of the machine's monotonic clock. */
  readonly reached?: number;
  readonly arrivals?: readonly (readonly [number: number, atMicros: number])[];
}

/** Where the pushes go: see sink-main.ts. */
export class SinkProcess {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(): Promise<SinkProcess> {
    const child = fork(fileURLToPath(new URL("sink-main.js", import.meta.url)), {
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    const { port } = await next(child);
    return new SinkProcess(child, port ?? 0);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/events`;
  }

  /** Resolves when the sink counts from 0; the promise within resolves when it has got so many. */
  async expect(count: number, times = false): Promise<{ readonly reached: Promise<void> }> {
    this.#child.send({ expect: count, times });
    await next(this.#child);
    return { reached: next(this.#child).then(() => undefined) };
  }

  /** When each event came, by the number at the end of its id, microseconds; an event that came twice counts once. */
  async arrivals(): Promise<Map<number, number>> {
    this.#child.send({});
    const { arrivals = [] } = await next(this.#child);
    const first = new Map<number, number>();
    for (const [number, atMicros] of arrivals) if (!first.has(number)) first.set(number, atMicros);
    return first;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    await exited;
  }
}

async function next(child: ChildProcess): Promise<SinkMessage> {
  const [message] = (await once(child, "message")) as [SinkMessage];
  return message;
}
