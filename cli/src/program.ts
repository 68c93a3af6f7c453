import { Command, Option } from "commander";
import { addCompletion } from "./command/completion.ts";
import { addDeadLetter } from "./command/dead-letter.ts";
import { addDev } from "./command/dev.ts";
import { addDoctor } from "./command/doctor.ts";
import { addExplain } from "./command/explain.ts";
import { addLedger } from "./command/ledger.ts";
import { addLint } from "./command/lint.ts";
import { addPublish } from "./command/publish.ts";
import { addRegion } from "./command/region.ts";
import { addRun } from "./command/run.ts";
import { addSubscribe } from "./command/subscribe.ts";
import { addSubscription } from "./command/subscription.ts";
import { addTail } from "./command/tail.ts";
import { addTrace } from "./command/trace.ts";
import { outputFormats } from "./output.ts";

const version = "0.1.0";

/** The command tree. Every command is one file in `command/`. */
export function createProgram(): Command {
  const program = new Command("mesh")
    .description("Fleetmesh: events from vehicles to everyone who subscribed, none lost.")
    .version(version)
    .addOption(new Option("--url <url>", "the runtime or agent to speak to").env("MESH_URL"))
    .addOption(new Option("--token <token>", "the token that lets you in").env("MESH_TOKEN"))
    .addOption(
      new Option("-o, --output <format>", "how to print data")
        .choices([...outputFormats])
        .env("MESH_OUTPUT"),
    )
    .option("--json", "the same as -o json")
    .option("--no-color", "no colours")
    .addOption(
      new Option("--timeout <seconds>", "how long to wait for an answer")
        .default(30)
        .argParser(Number),
    )
    .exitOverride()
    .showHelpAfterError("(mesh help shows what there is)");
  const add = [
    addDev,
    addRun,
    addPublish,
    addTail,
    addSubscribe,
    addSubscription,
    addTrace,
    addExplain,
    addDeadLetter,
    addLedger,
    addRegion,
  ];
  for (const addCommand of [...add, addDoctor, addLint, addCompletion]) addCommand(program);
  inheritExit(program);
  return program;
}

function inheritExit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritExit(child);
  }
}
