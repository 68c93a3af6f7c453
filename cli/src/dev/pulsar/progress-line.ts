import type { Clock } from "@fleetmesh/core";
import type { DownloadStep } from "./pulsar-download.ts";

interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const barWidth = 30;
const sayEveryMs = 5_000;

/** A bar that is drawn over itself on a terminal, and a line every few seconds elsewhere. */
export class ProgressLine {
  readonly #screen: Screen;
  readonly #clock: Clock;
  #lastSaidMs = -Infinity;
  #isDrawn = false;

  constructor(screen: Screen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
  }

  show({ text, share }: DownloadStep): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#screen.isTTY === true) {
      const bar = share === undefined ? "" : `  ${barOf(share)}`;
      this.#screen.write(`\r\u001b[K${text}${bar}`);
      this.#isDrawn = true;
    } else if (share === undefined || share === 0 || nowMs - this.#lastSaidMs >= sayEveryMs) {
      this.#lastSaidMs = nowMs;
      this.#screen.write(`${text}\n`);
    }
  }

  /** What follows begins on a line of its own. */
  end(): void {
    if (this.#isDrawn) this.#screen.write("\n");
    this.#isDrawn = false;
  }
}

function barOf(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
  return `[${"#".repeat(full)}${".".repeat(barWidth - full)}] ${Math.floor(share * 100)} %`;
}
