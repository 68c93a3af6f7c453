import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BridgeConfig, LinkStatus, RegionStatus } from "@fleetmesh/bridge";
import { MeshError, readConfig } from "@fleetmesh/core";
import { ApiClient } from "../api-client.ts";

export interface BridgePlaceOptions {
  /** The bridge's configuration file. */
  readonly file: string;
  /** Where its status is; as the configuration says when left out. */
  readonly url: string | undefined;
  readonly token: string | undefined;
}

const callMs = 10_000;

/** A bridge as an operator on its machine has it: its folder of regions, and what it says of itself. */
export class BridgePlace {
  readonly config: BridgeConfig;
  /** Of the regions that may come and go. */
  readonly dir: string;
  readonly #client: ApiClient;

  /** Errors: CONFIG_UNREADABLE, CONFIG_INVALID. */
  static async open(options: BridgePlaceOptions): Promise<BridgePlace> {
    const { bridgeConfigSchema } = await import("@fleetmesh/bridge");
    return new BridgePlace(readConfig(bridgeConfigSchema, options.file), options);
  }

  private constructor(config: BridgeConfig, { file, url, token }: BridgePlaceOptions) {
    const { regionsDir, http } = config;
    if (regionsDir === undefined)
      throw new MeshError("CONFIG_INVALID", `${file}: regionsDir is not given`, {
        hint: "Name a folder in regionsDir and restart the bridge once: regions come and go there.",
      });
    if (http === undefined && url === undefined)
      throw new MeshError("CONFIG_INVALID", `${file}: http is not given`, {
        hint: "Give the bridge an http.port and an http.token: by them the command sees what became of it.",
      });
    this.config = config;
    this.dir = regionsDir;
    const own = ownStatus(http);
    const reached = { url: url ?? own.url, token: token ?? own.token };
    this.#client = new ApiClient({ ...reached, timeoutMs: callMs });
  }

  fileOf(region: string): string {
    return join(this.dir, `${region}.yaml`);
  }

  async regions(): Promise<RegionStatus[]> {
    return ((await this.#client.json("/v1/regions")) as { regions: RegionStatus[] }).regions;
  }

  async links(): Promise<LinkStatus[]> {
    return ((await this.#client.json("/v1/links")) as { links: LinkStatus[] }).links;
  }
}

function ownStatus(http: BridgeConfig["http"]): { url: string; token: string | undefined } {
  const { host = "127.0.0.1", port = 0, token, tokenFile } = http ?? {};
  const text = tokenFile === undefined ? token : textOf(tokenFile);
  return { url: `http://${host}:${port}`, token: text };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  }
}
