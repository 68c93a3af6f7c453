import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";
import { addSubscriptionTest } from "./subscription-test.ts";

const path = (id: string, action = ""): string =>
  `/v1/subscriptions/${encodeURIComponent(id)}${action}`;

export function addSubscription(program: Command): void {
  const group = program
    .command("subscription")
    .alias("sub")
    .description("look at and steer subscriptions");
  group
    .command("ls")
    .description("list subscriptions")
    .action(async (_options: unknown, command: Command) => {
      const rows = (await clientOf(command).json("/v1/subscriptions")) as Record<string, unknown>[];
      outputOf(command).list(rows, ["id", "topic", "sink", "state", "consumergroup"]);
    });
  const show = (name: string, description: string, suffix: string): void => {
    group
      .command(name)
      .description(description)
      .argument("<id>")
      .action(async (id: string, _options: unknown, command: Command) => {
        outputOf(command).one(await clientOf(command).json(path(id, suffix)));
      });
  };
  show("get", "show one subscription", "");
  show("status", "show lag, delivered, filtered, dead letters and the last error", "/status");
  const act = (
    name: string,
    description: string,
    [method, suffix]: readonly [string, string],
  ): void => {
    group
      .command(name)
      .description(description)
      .argument("<id>")
      .action(async (id: string, _options: unknown, command: Command) => {
        const answer = await clientOf(command).send(method, path(id, suffix));
        if (answer === undefined) outputOf(command).note(`${id}: done`);
        else outputOf(command).one(answer);
      });
  };
  act("pause", "stop delivering; events are kept", ["POST", "/pause"]);
  act("resume", "go on where it stopped", ["POST", "/resume"]);
  addSubscriptionTest(group);
  act("rm", "delete a subscription; its dead letters stay", ["DELETE", ""]);
}
