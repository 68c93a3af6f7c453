import { describe, expect, it } from "vitest";
import type { AgentAck } from "@fleetmesh/core";
import type { UplinkLink } from "../../edge-agent/src/uplink/link.ts";

/** The other end of a link under test. */
export interface LinkBench {
  readonly link: UplinkLink;
  /** What the region took so far, in order. */
  readonly received: readonly Uint8Array[];
  /** While set, the region takes nothing: no PUBACK, and the connection stays open. */
  setSilent(isSilent: boolean): void;
  /** The next message is refused: the connection closes without a PUBACK. */
  refuseNext(): void;
  sendAck(ack: AgentAck): void;
  sendCommand(payload: Uint8Array): void;
  /** The region goes away; connecting fails from now on. */
  goAway(): Promise<void>;
  stop(): Promise<void>;
}

const ack: AgentAck = {
  epoch: "00000000000000aa",
  watermarks: {
    normal: { sequence: 3, stored: 3, rejected: 0, evicted: 0, expired: 0, damaged: 0 },
  },
  rejected: [],
  rewind: ["bulk"],
  creditBytes: 1_000,
  cloudMs: 1_700_000_000_000,
};
const never = new AbortController().signal;
const bytes = (text: string): Uint8Array => Buffer.from(text);

export function testLinkContract(name: string, open: () => Promise<LinkBench>): void {
  describe(`UplinkLink contract: ${name}`, () => {
    async function within(run: (bench: LinkBench) => Promise<void>): Promise<void> {
      const bench = await open();
      try {
        await run(bench);
      } finally {
        await bench.stop();
      }
    }

    it("resolves a send when the region took it, byte for byte and in order", () =>
      within(async ({ link, received }) => {
        const connection = await link.connect(never);
        const sent = ["one", "two", "\u0000\u00ff three"].map(bytes);
        await Promise.all(sent.map((message) => connection.send(message)));
        expect(received.map((message) => Buffer.from(message).toString("hex"))).toEqual(
          sent.map((message) => Buffer.from(message).toString("hex")),
        );
        await connection.close();
      }));

    it("does not resolve a send before the region took it, and rejects it when the connection ends", () =>
      within(async (bench) => {
        const connection = await bench.link.connect(never);
        bench.setSilent(true);
        let isTaken = false;
        const sending = connection.send(bytes("held")).then(() => (isTaken = true));
        sending.catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(isTaken).toBe(false);
        await connection.close();
        await expect(sending).rejects.toMatchObject({ kind: "UNREACHABLE" });
      }));

    it("closes, and rejects what is on its way, when the region refuses a message", () =>
      within(async (bench) => {
        const connection = await bench.link.connect(never);
        bench.refuseNext();
        await expect(connection.send(bytes("refused"))).rejects.toMatchObject({
          kind: "UNREACHABLE",
        });
        await expect(connection.closed).resolves.toEqual(expect.any(String));
        await expect(connection.send(bytes("after"))).rejects.toMatchObject({
          kind: "UNREACHABLE",
        });
      }));

    it("hands over acknowledgements and commands", () =>
      within(async (bench) => {
        const connection = await bench.link.connect(never);
        const acked = new Promise<AgentAck>((resolve) => connection.onAck(resolve));
        const commanded = new Promise<Uint8Array>((resolve) => connection.onCommand(resolve));
        bench.sendAck(ack);
        bench.sendCommand(bytes(`{"id":"1"}`));
        expect(await acked).toEqual(ack);
        expect(Buffer.from(await commanded).toString()).toBe(`{"id":"1"}`);
        await connection.close();
      }));

    it("tells once and with a reason when the region goes away, and cannot connect then", () =>
      within(async (bench) => {
        const connection = await bench.link.connect(never);
        await bench.goAway();
        expect(await connection.closed).not.toBe("");
        await expect(bench.link.connect(never)).rejects.toMatchObject({ kind: "UNREACHABLE" });
      }));

    it("connects again after a connection closed, with a connection of its own", () =>
      within(async ({ link, received }) => {
        const first = await link.connect(never);
        await first.close();
        await first.close();
        const second = await link.connect(never);
        await second.send(bytes("again"));
        expect(received).toHaveLength(1);
        await expect(first.send(bytes("gone"))).rejects.toMatchObject({ kind: "UNREACHABLE" });
        await second.close();
      }));

    it("gives up connecting when the signal aborts", () =>
      within(async ({ link }) => {
        await expect(link.connect(AbortSignal.abort())).rejects.toMatchObject({
          kind: "STOPPING",
        });
      }));
  });
}
