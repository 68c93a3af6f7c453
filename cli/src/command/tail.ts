import { once } from "node:events";
import { MeshError } from "@fleetmesh/core";
import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";
import { exitCode } from "../exit-code.ts";
import { readServerSentEvents } from "../server-sent-events.ts";

export function addTail(program: Command): void {
  program
    .command("tail")
    .summary("print events as they are stored")
    .description(
      "Print the events of all topics that match, as they are stored, one JSON line each. Ctrl+C ends it.",
    )
    .argument("<pattern>", "a topic, with * for one segment or > for all the rest")
    .option("-n, --count <count>", "end after this many events", Number)
    .action(async (pattern: string, options: { count?: number }, command: Command) => {
      const output = outputOf(command);
      const stopping = new AbortController();
      const interrupt = (): void => {
        process.exitCode = exitCode.interrupted;
        stopping.abort();
      };
      process.once("SIGINT", interrupt);
      const path = `/v1/stream?topic=${encodeURIComponent(pattern)}`;
      try {
        const headers = { accept: "text/event-stream" };
        const response = await clientOf(command).request(path, { headers }, stopping.signal);
        let left = options.count ?? Infinity;
        for await (const event of readServerSentEvents(response.body)) {
          if (event.data === "") continue;
          if (!process.stdout.write(`${event.data}\n`)) await once(process.stdout, "drain");
          left -= 1;
          if (left <= 0) return;
        }
        throw new MeshError("UNREACHABLE", "The stream ended");
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
      } finally {
        process.removeListener("SIGINT", interrupt);
        stopping.abort();
        output.note("");
      }
    });
}
