import { Worker, type Transferable } from "node:worker_threads";
import { errorFromData, MeshError } from "@fleetmesh/core";
import type { ThreadReply, ThreadRequest, ThreadRole, ThreadTask } from "./thread-message.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: MeshError) => void;
}

/** Questions and answers between the main thread and one of the store's threads. A thread that dies is started again at the next. */
export class ThreadLink {
  readonly #entry: URL;
  readonly #role: ThreadRole;
  readonly #onLost: (error: unknown) => void;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(entry: URL, role: ThreadRole, onLost: (error: unknown) => void) {
    this.#entry = entry;
    this.#role = role;
    this.#onLost = onLost;
  }

  get isUp(): boolean {
    return this.#worker !== undefined;
  }

  /** The answer is what the thread's role promises for the task. */
  ask(task: ThreadTask, transfer: readonly Transferable[] = []): Promise<unknown> {
    const worker = (this.#worker ??= this.#spawn());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const request: ThreadRequest = { id, task };
      worker.postMessage(request, transfer);
    });
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    await this.ask({ kind: "close" }).catch(this.#onLost);
    this.#worker = undefined;
    await worker.terminate();
  }

  /** Ends the thread as it is; what was asked fails. For a deadline that has passed. */
  async kill(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
    this.#failAll("The store's thread was ended");
  }

  #spawn(): Worker {
    const worker = new Worker(this.#entry, { workerData: this.#role, execArgv: [] });
    worker.on("message", (reply: ThreadReply) => this.#receive(reply));
    worker.on("error", (error) => {
      if (this.#worker === worker) this.#onLost(error);
    });
    worker.on("exit", () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#failAll("The store's thread ended");
    });
    return worker;
  }

  #receive(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(errorFromData(reply.error));
    else waiting?.resolve(reply.answer);
  }

  #failAll(why: string): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new MeshError("STORE_UNAVAILABLE", why));
  }
}
