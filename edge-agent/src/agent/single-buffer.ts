import type { BufferDamage, Buffers } from "../buffer/buffers.ts";
import type { EventBuffer } from "../buffer/buffer.ts";
import { nothingHandled } from "../buffer/retired-epochs.ts";

/** One buffer that is never replaced, as a set of buffers: for a buffer in memory, which has no file to be damaged. */
export class SingleBuffer implements Buffers {
  readonly name: string;
  readonly current: EventBuffer;
  readonly salvaged: readonly EventBuffer[] = [];
  readonly retired = nothingHandled;
  readonly damages: readonly BufferDamage[] = [];

  constructor(buffer: EventBuffer) {
    this.name = buffer.name;
    this.current = buffer;
  }

  start(): Promise<void> {
    return this.current.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.current.stop(deadline);
  }

  onChanged(): void {
    // It never does.
  }

  renew(): Promise<void> {
    return Promise.resolve(); // What is in memory has no copy.
  }
}
