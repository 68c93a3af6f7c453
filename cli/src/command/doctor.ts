import { createLogger, MeshError, readConfig, systemClock, type Clock } from "@fleetmesh/core";
import type { DoctorResult } from "@fleetmesh/edge-agent";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import { clientOf, outputOf } from "../context.ts";
import { exitCode } from "../exit-code.ts";

const skewMsMax = 5_000;

interface DoctorOptions {
  readonly config?: string;
  readonly running?: boolean;
}

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .summary("check that everything the mesh needs is there, and say what to do where it is not")
    .description(
      "With --config: what an edge agent needs on this machine (clock, disk, fsync, keys, ports, DNS, token, broker). " +
        "Without: whether the mesh at --url answers, is ready, takes the token and agrees on the time.",
    )
    .option("--config <file>", "an edge agent's configuration")
    .option("--running", "the agent of this configuration runs now: its ports and name are its own")
    .action(async (options: DoctorOptions, command: Command) => {
      const output = outputOf(command);
      const results =
        options.config === undefined
          ? await examineMesh(clientOf(command), systemClock)
          : await examineAgent(options.config, options.running === true);
      if (output.format === "table") {
        for (const { check, ok, found, advice } of results) {
          output.line(
            `${output.paint(ok ? "green" : "red", ok ? "ok  " : "FAIL")} ${check.padEnd(8)} ${found}`,
          );
          if (!ok) output.line(`     ${"".padEnd(8)} ${advice}`);
        }
      } else
        output.list(
          results.map((result) => ({ ...result })),
          [],
        );
      if (results.some(({ ok }) => !ok)) process.exitCode = exitCode.failed;
    });
}

async function examineAgent(file: string, isRunning: boolean): Promise<DoctorResult[]> {
  const { edgeAgentConfigSchema, examineEdge } = await import("@fleetmesh/edge-agent");
  const config = readConfig(edgeAgentConfigSchema, file);
  const logger = createLogger({ part: "doctor", level: "silent" });
  return examineEdge(config, { clock: systemClock, logger, isRunning });
}

/** Each check goes on from the one before: what cannot be reached is not asked for its clock. */
async function examineMesh(client: ApiClient, clock: Clock): Promise<DoctorResult[]> {
  const results: DoctorResult[] = [];
  const check = async (name: string, look: () => Promise<DoctorResult>): Promise<boolean> => {
    const result = await look().catch((thrown: unknown) => {
      const { message, hint } = MeshError.from(thrown);
      return { check: name, ok: false, found: message, advice: hint };
    });
    results.push(result);
    return result.ok;
  };
  const isThere = await check("reach", () => checkAnswer(client));
  if (!isThere) return results;
  await check("ready", () => checkReady(client));
  await check("clock", () => checkSkew(client, clock));
  await check("token", () => checkToken(client));
  return results;
}

async function checkAnswer(client: ApiClient): Promise<DoctorResult> {
  await client.json("/livez");
  return { check: "reach", ok: true, found: "the process answers", advice: "" };
}

async function checkReady(client: ApiClient): Promise<DoctorResult> {
  await client.json("/readyz");
  return { check: "ready", ok: true, found: "it takes events", advice: "" };
}

async function checkSkew(client: ApiClient, clock: Clock): Promise<DoctorResult> {
  const response = await client.request("/livez", {}, AbortSignal.timeout(5_000));
  const theirs = Date.parse(response.headers.get("date") ?? "");
  const skewMs = Math.abs(clock.wallMs() - theirs);
  const ok = Number.isNaN(skewMs) || skewMs < skewMsMax;
  const found = Number.isNaN(skewMs)
    ? "it does not tell its time"
    : `${Math.round(skewMs / 1000)} s apart`;
  return {
    check: "clock",
    ok,
    found,
    advice: "Set both clocks, e.g. by NTP: tokens and expiry depend on them.",
  };
}

async function checkToken(client: ApiClient): Promise<DoctorResult> {
  await client.json("/v1/meta");
  return { check: "token", ok: true, found: "the token is accepted", advice: "" };
}
