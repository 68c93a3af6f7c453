import { createLogger, logLevels, type LogLevel } from "@fleetmesh/core";
import { Option, type Command } from "commander";
import { outputOf } from "../context.ts";
import { runUntilSignal } from "../run-until-signal.ts";
import type { DevOptions } from "../dev/dev-plan.ts";

export function addDev(program: Command): void {
  program
    .command("dev")
    .summary("run the whole mesh on this machine")
    .description(
      "Run two regions, a panel, an edge agent, simulated vehicles and a subscriber that prints what it gets.",
    )
    .option("--data-dir <dir>", "where everything is kept between runs", ".fleetmesh")
    .addOption(
      new Option("--port-base <port>", "the panel's port; the others follow")
        .default(8080)
        .argParser(Number),
    )
    .addOption(new Option("--vehicles <count>", "simulated vehicles").default(3).argParser(Number))
    .addOption(
      new Option("--rate <events>", "events per second and vehicle").default(1).argParser(Number),
    )
    .option("--regions <names>", "comma-separated", "cn-east,cn-west")
    .option("--replay <csv>", "let the vehicles repeat a recorded drive")
    .option("--headless", "print nothing but the ready line")
    .addOption(
      new Option("--log-level <level>", "how much to say on stderr")
        .choices([...logLevels])
        .default("warn"),
    )
    .action(async (options: DevOptions & { logLevel: LogLevel }, command: Command) => {
      const { createDevMesh } = await import("../dev/dev-mesh.ts");
      const output = outputOf(command);
      const logger = createLogger({ part: "dev", level: options.logLevel });
      const isJson = output.format === "json";
      const mesh = await createDevMesh(options, { logger, print: (line) => output.line(line) });
      await runUntilSignal(mesh.part, () => {
        if (!isJson) output.note(mesh.banner());
        output.line(isJson ? mesh.ready() : "ready");
      });
    });
}
