import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { threadEntry } from "@fleetmesh/core";
import type { BatchOutcome, HostMessage, ThreadRequest } from "./transform-message.ts";
import type { TransformLimits } from "./transform.ts";

/** Beside what the rules' thread may have, which has a limit of its own. */
const ownHeapMb = 32;

/** `crashed`: the process is gone and could not say at which event. `notStarted`: it never was there. */
export type HostOutcome =
  BatchOutcome | { readonly kind: "crashed" } | { readonly kind: "notStarted" };

/**
 * A process for rules, as the runtime has it: started by the first batch, and again by the next one after it has ended. It has one
 * batch at a time. A process and not only a thread, since one allocation that is too large (`$pad("x", 400000000)`) ends the
 * whole process that it happens in, whatever limit its thread has.
 */
export class TransformHost {
  /** Rules that run away are not given to it. */
  readonly isQuickOnly: boolean;
  readonly #limits: TransformLimits;
  #child: ChildProcess | undefined;
  #isReady = false;
  #settle: ((outcome: HostOutcome) => void) | undefined;

  constructor(limits: TransformLimits, isQuickOnly: boolean) {
    this.#limits = limits;
    this.isQuickOnly = isQuickOnly;
  }

  get isBusy(): boolean {
    return this.#settle !== undefined;
  }

  run(request: ThreadRequest): Promise<HostOutcome> {
    return new Promise((settle) => {
      this.#settle = settle;
      const child = (this.#child ??= this.#spawn());
      // What is under way keeps this process up, an idle helper does not.
      child.channel?.ref();
      // A channel that is closed is told by the exit, too.
      child.send(request, () => undefined);
    });
  }

  /** Ends the process; a batch that is under way has died. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#end({ kind: "crashed" });
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.ref();
    child.kill("SIGKILL");
    await gone;
  }

  #spawn(): ChildProcess {
    const entry = fileURLToPath(threadEntry(import.meta.url, "transform-host-thread"));
    const child = fork(entry, [JSON.stringify(this.#limits)], {
      execArgv: [`--max-old-space-size=${this.#limits.memoryMb + ownHeapMb}`],
      env: {},
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#isReady = false;
    child.unref();
    child.channel?.unref();
    child.on("message", (message: HostMessage) => {
      if (this.#child !== child) return;
      if (message.kind === "ready") this.#isReady = true;
      else this.#end(message);
    });
    child.on("error", () => this.#gone(child));
    child.on("exit", () => this.#gone(child));
    return child;
  }

  #gone(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#end({ kind: this.#isReady ? "crashed" : "notStarted" });
  }

  #end(outcome: HostOutcome): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#child?.channel?.unref();
    settle?.(outcome);
  }
}
