import {
  createLogger,
  logLevels,
  readConfig,
  systemChance,
  systemClock,
  type LogLevel,
} from "@fleetmesh/core";
import { findCollector, keepHeapSmall } from "@fleetmesh/core/base";
import { Option, type Command } from "commander";
import { outputOf } from "../context.ts";
import { processKinds } from "../process-kind.ts";
import { runUntilSignal } from "../run-until-signal.ts";
import { kindNamed } from "./lint.ts";

export function addRun(program: Command): void {
  program
    .command("run")
    .summary("run one process of the mesh")
    .description(
      "Run one process until SIGINT or SIGTERM; it then finishes what is in hand and exits 0.",
    )
    .argument("<process>", Object.keys(processKinds).join(" | "))
    .requiredOption("--config <file>", "its configuration, YAML")
    .addOption(
      new Option("--log-level <level>", "how much to say on stderr")
        .choices([...logLevels])
        .default("info"),
    )
    .action(
      async (name: string, options: { config: string; logLevel: LogLevel }, command: Command) => {
        const kind = kindNamed(name);
        const factory = await processKinds[kind]();
        const config = readConfig(factory.schema, options.config);
        const logger = createLogger({ part: kind, level: options.logLevel });
        const part = await factory.create(config as never, {
          clock: systemClock,
          chance: systemChance,
          logger,
        });
        await runUntilSignal(part, () => {
          if (kind === "edge") settleHeap();
          outputOf(command).line("ready");
        });
      },
    );
}

const settleMs = 1_000;

/** Again, since the buffer's thread has undone it; and what the start has left goes, from which V8 then measures growth. */
function settleHeap(): void {
  keepHeapSmall();
  systemClock.setTimer(settleMs, () => findCollector()?.({ type: "major" }));
}
