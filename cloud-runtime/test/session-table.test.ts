import { describe, expect, it } from "vitest";
import { SimulatedClock } from "@fleetmesh/core";
import type { AgentConnection } from "../src/ingress/agent-connection.ts";
import { DrainCredit } from "../src/ingress/drain-credit.ts";
import { SessionTable } from "../src/ingress/session-table.ts";

function setUp() {
  const clock = new SimulatedClock();
  const credit = new DrainCredit({
    budgetBytes: 1_000,
    creditBytesMin: 1,
    creditBytesMax: 1_000,
    activeMs: 1_000,
    nowMs: () => clock.monotonicMs(),
  });
  return { clock, table: new SessionTable({ clock, credit, messageBytesMax: 1_000 }) };
}

function connection(clientId = "car-1"): AgentConnection {
  return { clientId, principal: {} as AgentConnection["principal"], send: () => undefined };
}

/** Agents with the given epochs, each putting out the one before; returns which were told that they are clones. */
function takeTurns({ clock, table }: ReturnType<typeof setUp>, epochs: string[]): boolean[] {
  let before: AgentConnection | undefined;
  const told: boolean[] = [];
  for (const epoch of epochs) {
    if (before !== undefined) table.remove(before, true);
    before = connection();
    told.push(table.open({ agentId: "car-1", epoch }, before).isClone);
    void clock.advance(500);
  }
  return told;
}

describe("SessionTable", () => {
  it("tells one of two that put each other out with one epoch that it is a clone, and the next not", () => {
    const told = takeTurns(setUp(), ["e", "e", "e", "e", "e", "e"]);
    expect(told).toEqual([false, false, false, false, true, false]);
  });

  it("lets two agents of one name with different epochs take turns for ever", () => {
    const told = takeTurns(
      setUp(),
      Array.from({ length: 20 }, (_, at) => (at % 2 ? "e" : "f")),
    );
    expect(told).not.toContain(true);
  });
});
