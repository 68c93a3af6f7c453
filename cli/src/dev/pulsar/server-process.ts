import { spawn, type ChildProcess } from "node:child_process";
import { open, rename, stat } from "node:fs/promises";

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Takes stdout and stderr, appended. When it is large at a start it becomes `<logFile>.1`, in the place of an older one. */
  readonly logFile: string;
}

const logBytesMax = 1024 * 1024;

/** A server as a child process, which never outlives the process that started it, however that ends. */
export class ServerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  static async start(given: ServerCommand): Promise<ServerProcess> {
    await putAsideLarge(given.logFile);
    const log = await open(given.logFile, "a");
    try {
      const child = spawn(given.command, given.args, {
        cwd: given.cwd,
        stdio: ["ignore", log.fd, log.fd],
        // Out of our process group: Ctrl-C at a terminal must not end it before those who use it.
        detached: true,
      });
      await new Promise((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", reject);
      });
      return new ServerProcess(child);
    } finally {
      await log.close();
    }
  }

  private constructor(child: ChildProcess) {
    if (child.pid === undefined) throw new Error("a spawned process has no pid");
    this.#child = child;
    this.pid = child.pid;
    const guard = startGuard(child.pid);
    this.#gone = new Promise((resolve) => {
      child.once("exit", () => {
        guard.kill("SIGKILL");
        resolve();
      });
    });
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it is gone, whoever ended it. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  /** Resolves when it is gone; sends SIGKILL if it does not heed the signal before the last call. */
  async end(signal: "SIGTERM" | "SIGKILL", lastCall = AbortSignal.timeout(20_000)): Promise<void> {
    if (!this.isAlive) return;
    const kill = (): boolean => this.#child.kill("SIGKILL");
    lastCall.addEventListener("abort", kill, { once: true });
    this.#child.kill(lastCall.aborted ? "SIGKILL" : signal);
    await this.#gone;
    lastCall.removeEventListener("abort", kill);
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }
}

/**
 * Kills the server when this process ends: the system closes the pipe even after a SIGKILL, when no exit handler runs. In a
 * process group of its own, so that what ends our group (Ctrl-C, a time-out) leaves the guard alive to do its work.
 */
function startGuard(pid: number): ChildProcess {
  const guard = spawn("sh", ["-c", `read -r line; kill -9 ${pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.unref();
  return guard;
}

async function putAsideLarge(file: string): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > logBytesMax) await rename(file, `${file}.1`);
}
