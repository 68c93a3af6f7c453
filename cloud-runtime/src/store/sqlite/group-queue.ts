import { errorFromData, MeshError } from "@fleetmesh/core";
import type { StoreOp, StoreResult } from "./store-op.ts";

export interface GroupLimits {
  readonly groupCountMax: number;
  readonly groupBytesMax: number;
  /** Bytes that wait for their group; beyond it appends are refused, so that a slow disk cannot fill the memory. */
  readonly waitingBytesMax: number;
}

interface Waiting {
  readonly op: StoreOp;
  readonly bytes: number;
  readonly resolve: (result: StoreResult) => void;
  readonly reject: (error: MeshError) => void;
}

export type SendGroup = (ops: readonly StoreOp[]) => Promise<readonly StoreResult[]>;

/**
 * Group commit: one group is with the writer, what arrives meanwhile forms the next. A lone operation goes at once; under load
 * one fsync serves all that came during the one before.
 */
export class GroupQueue {
  readonly #limits: GroupLimits;
  readonly #send: SendGroup;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #isOpen = false;

  constructor(limits: GroupLimits, send: SendGroup) {
    this.#limits = limits;
    this.#send = send;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Takes nothing new; resolves when all that was taken is answered. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#running;
  }

  assertOpen(): void {
    if (!this.#isOpen) throw new MeshError("STOPPING", "The store is not running");
  }

  submit(op: StoreOp, bytes: number): Promise<StoreResult> {
    return new Promise((resolve, reject) => {
      this.assertOpen();
      const isFull =
        this.#waiting.length > 0 && this.#waitingBytes + bytes > this.#limits.waitingBytesMax;
      if (isFull) {
        const why = `${this.#waitingBytes} bytes wait for the disk already`;
        throw new MeshError("STORE_UNAVAILABLE", why, { retryAfterSeconds: 1 });
      }
      this.#waiting.push({ op, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // One turn of the event loop: appends of one read from the network share their commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#commit(this.#takeGroup());
    this.#running = undefined;
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#send(group.map(({ op }) => op));
      for (const [at, { resolve, reject }] of group.entries()) {
        const result = results[at] ?? lost;
        if (result.kind === "failed") reject(errorFromData(result.error));
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of group) reject(MeshError.from(error));
    }
  }

  #takeGroup(): Waiting[] {
    const { groupCountMax, groupBytesMax } = this.#limits;
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes;
      if (count > 0 && (count >= groupCountMax || bytes > groupBytesMax)) break;
      count += 1;
    }
    const group = this.#waiting.splice(0, count);
    for (const waiting of group) this.#waitingBytes -= waiting.bytes;
    return group;
  }
}

const lost: StoreResult = {
  kind: "failed",
  error: {
    kind: "INTERNAL",
    message: "The writer gave no result for an operation",
    retryable: true,
    hint: "",
    details: {},
  },
};
