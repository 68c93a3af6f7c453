import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { errorFromData, MeshError, type ErrorData } from "@fleetmesh/core";

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MeshError) => void;
}

/** Questions to a thread and their answers, matched by number. */
export class ThreadCalls<Request extends { readonly id: number }> {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #lost: MeshError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  call(make: (id: number) => Request, transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage(make(id), transfer);
    });
  }

  done(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  failed(id: number, error: ErrorData): void {
    this.#take(id)?.reject(errorFromData(error));
  }

  /** The thread is gone: nothing will be answered any more. */
  lose(error: MeshError): void {
    this.#lost ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** Waits for the thread to end by itself; ends it when the deadline passes. */
  async end(deadline: AbortSignal): Promise<void> {
    if (this.#worker.threadId < 0) return;
    try {
      await once(this.#worker, "exit", { signal: deadline });
    } catch {
      await this.#worker.terminate();
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
