import { MeshError, parseConfig } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { runtimeConfigSchema } from "../src/config/runtime-config.ts";

const base = "region: cn-east\ndataDir: /data\nauth:\n  jwksFile: keys.json\n";

function storeOf(yaml: string): unknown {
  return parseConfig(runtimeConfigSchema, base + yaml, "runtime.yaml").store;
}

function problemOf(yaml: string): string {
  try {
    storeOf(yaml);
    return "";
  } catch (error) {
    return MeshError.from(error).message;
  }
}

describe("a runtime's store in its configuration", () => {
  it("is SQLite when nothing is said of it, and takes a change of that without its name", () => {
    expect(storeOf("")).toEqual({ type: "sqlite", directWindow: 100_000 });
    expect(storeOf("store:\n  directWindow: 5000\n")).toEqual({
      type: "sqlite",
      directWindow: 5_000,
    });
  });

  it("may be a Pulsar, told by little", () => {
    const yaml =
      "store:\n  type: pulsar\n  serviceUrl: pulsar://a:6650,b:6650\n  adminUrl: http://a:8080\n";
    expect(storeOf(yaml)).toEqual({
      ...{ type: "pulsar", serviceUrl: "pulsar://a:6650,b:6650", adminUrl: "http://a:8080" },
      ...{ tenant: "fleetmesh", namespace: "mesh", client: "auto", directWindow: 100_000 },
      ...{ auditMs: 1_000, auditGraceMs: 5_000 },
    });
  });

  it("names the nearest of what it knows", () => {
    expect(problemOf("store:\n  type: pulser\n")).toContain('did you mean "pulsar"?');
    const misspelt = "store:\n  type: pulsar\n  adminUrl: http://a\n  tokenfile: x\n";
    expect(problemOf(misspelt)).toContain('did you mean "tokenFile"?');
    expect(problemOf("store:\n  type: sqlite\n  serviceUrl: pulsar://a\n")).toContain(
      'unknown key "serviceUrl"',
    );
  });

  it("says what does not go together", () => {
    const pulsar = "store:\n  type: pulsar\n  adminUrl: http://a\n";
    expect(problemOf(`${pulsar}  client: binary\n`)).toContain("needs serviceUrl");
    expect(problemOf(`${pulsar}  token: a\n  tokenFile: b\n`)).toContain("not both");
    expect(problemOf(`${pulsar}  serviceUrl: http://a\n`)).toContain("pulsar://host:6650");
    expect(problemOf(`${pulsar}  tls:\n    keyFile: k\n`)).toContain("go together");
  });

  it("says how closely replication is watched, within bounds", () => {
    const pulsar = "store:\n  type: pulsar\n  adminUrl: http://a\n";
    const set = storeOf(`${pulsar}  auditMs: 250\n  auditGraceMs: 60000\n`);
    expect(set).toMatchObject({ auditMs: 250, auditGraceMs: 60_000 });
    for (const [name, values] of [
      ["auditMs", [0, 99, 60_001, 1.5]],
      ["auditGraceMs", [0, 99, 3_600_001]],
    ] as const)
      for (const value of values)
        expect(problemOf(`${pulsar}  ${name}: ${value}\n`)).toContain(name);
  });
});
