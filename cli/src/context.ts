import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { MeshError } from "@fleetmesh/core";
import type { Command } from "commander";
import { ApiClient } from "./api-client.ts";
import { Output, type OutputFormat } from "./output.ts";

export interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly output?: OutputFormat;
  readonly json?: boolean;
  readonly color: boolean;
  readonly timeout: number;
}

/** Which mesh is meant: flags, else environment, else the named context, else the mesh that runs in this folder. */
interface Context {
  readonly url?: string;
  readonly token?: string;
  /** All regions of the mesh by name, for what looks into each of them. */
  readonly regions?: Readonly<Record<string, string>>;
  /** Status pages of edge agents. */
  readonly agents?: readonly string[];
}

export const devContextFile = "context.json";
const urlDefault = "http://127.0.0.1:8081";

export function outputOf(command: Command): Output {
  const options = command.optsWithGlobals<GlobalOptions>();
  const isColoured = options.color && process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
  return new Output(options.json === true ? "json" : (options.output ?? "table"), isColoured);
}

export function clientOf(command: Command): ApiClient {
  const options = command.optsWithGlobals<GlobalOptions>();
  const context = readContext();
  const url = options.url ?? context.url ?? urlDefault;
  // A context's token is for the context's mesh: it is not shown to another address.
  const token =
    options.token ??
    (options.url === undefined || isSameHost(url, context.url) ? context.token : undefined);
  return new ApiClient({ url, token, timeoutMs: options.timeout * 1000 });
}

export interface MeshClients {
  /** Named where the context knows names. */
  readonly regions: readonly { readonly name: string | undefined; readonly client: ApiClient }[];
  /** Status pages need no token, and get none. */
  readonly agents: readonly { readonly url: string; readonly client: ApiClient }[];
}

/** Every region and agent that the context knows; with an address given by flag or environment, that one region alone. */
export function meshOf(command: Command): MeshClients {
  const { url, token, timeout } = command.optsWithGlobals<GlobalOptions>();
  const context = readContext();
  const named = Object.entries(context.regions ?? {});
  if (url !== undefined || named.length === 0)
    return { regions: [{ name: undefined, client: clientOf(command) }], agents: [] };
  const timeoutMs = timeout * 1000;
  const clientAt = (at: string, own: string | undefined): ApiClient =>
    new ApiClient({ url: at, token: own, timeoutMs });
  return {
    regions: named.map(([name, at]) => ({ name, client: clientAt(at, token ?? context.token) })),
    agents: (context.agents ?? []).map((at) => ({ url: at, client: clientAt(at, undefined) })),
  };
}

function isSameHost(url: string, contextUrl: string | undefined): boolean {
  return contextUrl !== undefined && new URL(url).hostname === new URL(contextUrl).hostname;
}

function readContext(): Context {
  const name = process.env["MESH_CONTEXT"];
  if (name !== undefined)
    return readContextFile(join(homedir(), ".config", "fleetmesh", `${name}.json`));
  const local = join(".fleetmesh", devContextFile);
  return existsSync(local) ? readContextFile(local) : {};
}

function readContextFile(file: string): Context {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Context;
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read the context ${file}`, {
      cause,
      hint: "A context is a JSON file with url and token, and regions by name; MESH_CONTEXT names it.",
    });
  }
}
