import type { Command } from "commander";
import { outputOf, type GlobalOptions } from "../context.ts";
import { BridgePlace } from "../region/bridge-place.ts";

interface BridgeOptions {
  readonly bridge: string;
}

interface JoinFlags extends BridgeOptions {
  readonly replace?: boolean;
}

interface LeaveFlags extends BridgeOptions {
  readonly force?: boolean;
  readonly drain: number;
}

export function addRegion(program: Command): void {
  const group = program
    .command("region")
    .description("the regions that a bridge connects; runs on the bridge's machine");
  group
    .command("join")
    .summary("bring a region into the mesh while it runs")
    .description(
      "Check the region's file, put it into the bridge's regionsDir, and wait until the region answered the bridge. " +
        "Its Pulsar, if it names one, is introduced to the others; what its subscriptions want comes from then on.",
    )
    .argument("<file>", "how the region is reached, YAML")
    .option("--bridge <file>", "the bridge's configuration", "bridge.yaml")
    .option("--replace", "change how a region is reached that is of the mesh already")
    .action(async (file: string, options: JoinFlags, command: Command) => {
      const { joinRegion } = await import("../region/join-region.ts");
      const { place, waitMs } = await placeOf(command, options);
      const joined = await joinRegion(place, { file, replace: options.replace === true, waitMs });
      outputOf(command).one({ region: joined.name, state: joined.state });
    });
  group
    .command("leave")
    .summary("take a region out of the mesh while it runs")
    .description(
      "Wait until what is on its way from and to the region has arrived, withdraw replication from and to it, and remove its " +
        "file. What is published there afterwards stays there: stop or move its producers before.",
    )
    .argument("<name>", "the region")
    .option("--bridge <file>", "the bridge's configuration", "bridge.yaml")
    .option("--drain <seconds>", "how long to wait for what is on its way", Number, 600)
    .option("--force", "do not wait for what is on its way, nor for what cannot be reached")
    .action(async (name: string, options: LeaveFlags, command: Command) => {
      const { leaveRegion } = await import("../region/leave-region.ts");
      const { place, waitMs } = await placeOf(command, options);
      const output = outputOf(command);
      const tell = (progress: string): void => output.note(progress);
      const drainMs = options.drain * 1_000;
      await leaveRegion(place, { name, force: options.force === true, waitMs, drainMs, tell });
      output.one({ region: name, state: "left" });
    });
}

async function placeOf(command: Command, { bridge: file }: BridgeOptions) {
  const { url, token, timeout } = command.optsWithGlobals<GlobalOptions>();
  return { place: await BridgePlace.open({ file, url, token }), waitMs: timeout * 1_000 };
}
