import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortBase } from "../durability/mesh-processes.ts";
import { DeliverySink } from "./delivery-sink.ts";
import { DevProcess, mesh, run, type Ran, type ReadyLine } from "./mesh-cli.ts";

/** A running `mesh dev` in a folder of its own, a sink, and what a user at a terminal does with it. */
export class DevFixture {
  readonly dir: string;
  readonly base: number;
  readonly sink: DeliverySink;
  dev: DevProcess;
  readonly ready: ReadyLine;

  static async open(): Promise<DevFixture> {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-dev-"));
    const base = await freePortBase();
    const dev = new DevProcess(devArgs(dir, base));
    const sink = await new DeliverySink().start();
    return new DevFixture({ dir, base, sink, dev, ready: await dev.ready() });
  }

  private constructor(given: Pick<DevFixture, "dir" | "base" | "sink" | "dev" | "ready">) {
    this.dir = given.dir;
    this.base = given.base;
    this.sink = given.sink;
    this.dev = given.dev;
    this.ready = given.ready;
  }

  get args(): string[] {
    return devArgs(this.dir, this.base);
  }

  get east(): string {
    return this.ready.regions["cn-east"]?.http ?? "";
  }

  get west(): string {
    return this.ready.regions["cn-west"]?.http ?? "";
  }

  bearer(token = this.ready.token): string[] {
    return ["-H", `Authorization: Bearer ${token}`];
  }

  /** A mesh command for cn-east, as a user in this folder gives it. */
  user(args: readonly string[], input?: string): Promise<Ran> {
    const env = { MESH_URL: this.east, MESH_TOKEN: this.ready.token };
    return mesh(args, { cwd: this.dir, env, ...(input === undefined ? {} : { input }) });
  }

  async storedIds(topic: string): Promise<string[]> {
    const response = await fetch(`${this.east}/v1/topics/${topic}/events?limit=1000`, {
      headers: { authorization: `Bearer ${this.ready.token}` },
    });
    if (response.status === 404) return [];
    const { events } = (await response.json()) as { events: { id: string }[] };
    return events.map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.dev.end("SIGKILL");
    await this.sink.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}

function devArgs(dir: string, base: number): string[] {
  const where = ["--data-dir", join(dir, ".fleetmesh"), "--port-base", String(base)];
  return [...where, "--headless", "--json", "--rate", "2"];
}

/** The body, then a line with status and content type. */
export function curl(url: string, args: readonly string[]): Promise<Ran> {
  return run("curl", ["-sS", "-w", "\n%{http_code} %{content_type}", url, ...args]);
}
