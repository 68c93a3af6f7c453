import { createLogger, logLevels, MeshError, systemClock, type LogLevel } from "@fleetmesh/core";
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
    .option("--pulsar", "keep events in real local Pulsar clusters: needs Java 17, and Maven once")
    .option("--replay <csv>", "let the vehicles repeat a recorded drive")
    .option("--write-config <dir>", "write the configuration of each process instead, for mesh run")
    .option("--headless", "print the ready line only, not what the subscriber receives")
    .addOption(
      new Option("--log-level <level>", "how much to say on stderr")
        .choices([...logLevels])
        .default("warn"),
    )
    .action(async (options: DevOptions & { logLevel: LogLevel }, command: Command) => {
      // Those processes would find no Pulsar: it is this command's own.
      if (options.pulsar === true && options.writeConfig !== undefined)
        throw new MeshError("USAGE", "--write-config does not go with --pulsar");
      const { createDevMesh, devBanner, devReady } = await import("../dev/dev-mesh.ts");
      const { writeDevConfigs } = await import("../dev/write-dev-configs.ts");
      const { ProgressLine } = await import("../dev/pulsar/progress-line.ts");
      const progress = new ProgressLine(process.stderr, systemClock);
      const output = outputOf(command);
      const logger = createLogger({ part: "dev", level: options.logLevel });
      const isJson = output.format === "json";
      let isReady = false;
      const print = (line: string): void => {
        if (isReady && options.headless !== true) output.line(line);
      };
      const tell = progress.show.bind(progress);
      const mesh = await createDevMesh(options, { logger, print, tell });
      if (options.writeConfig !== undefined) {
        for (const file of await writeDevConfigs(mesh, options.writeConfig)) output.line(file);
        return;
      }
      await runUntilSignal(mesh.part, () => {
        isReady = true;
        progress.end();
        if (!isJson) output.note(devBanner(mesh));
        output.line(isJson ? devReady(mesh) : "ready");
      });
    });
}
