import type { PlannedLink } from "../link-plan.ts";
import type { LinkStatus } from "../link-status.ts";
import type { RegionLink } from "../region-link.ts";
import { GeoOrigin } from "./geo-origin.ts";
import type { GeoPorts } from "./geo-ports.ts";
import { GeoReceiver } from "./geo-receiver.ts";
import type { GeoRegion } from "./geo-region.ts";

interface Member {
  readonly region: GeoRegion;
  readonly origin: GeoOrigin;
  readonly receiver: GeoReceiver;
}

/**
 * The regions that have a Pulsar each. Between them the brokers bring the events by themselves; this says which topics go where.
 * Each region has rounds of its own: one that is down keeps no other waiting.
 */
export class GeoMesh {
  readonly #ports: GeoPorts;
  readonly #members = new Map<string, Member>();

  constructor(ports: Omit<GeoPorts, "regions">) {
    const regions = (): GeoRegion[] => [...this.#members.values()].map(({ region }) => region);
    this.#ports = { ...ports, regions };
  }

  has(region: string): boolean {
    return this.#members.has(region);
  }

  add(region: GeoRegion, link: RegionLink): void {
    const origin = new GeoOrigin(region, this.#ports);
    const receiver = new GeoReceiver(link, this.#ports);
    this.#members.set(region.region, { region, origin, receiver });
    origin.start();
    receiver.start();
  }

  /** What is set stays set: a region that leaves is freed of it before. */
  async remove(name: string): Promise<void> {
    const member = this.#members.get(name);
    this.#members.delete(name);
    await Promise.all([member?.origin.stop(), member?.receiver.stop()]);
    await member?.region.close();
  }

  /** Links between members; all others are none of its business. */
  want(links: readonly PlannedLink[]): void {
    for (const [name, { origin, receiver }] of this.#members) {
      const out = links.flatMap((link) => {
        const cluster = this.#members.get(link.to)?.region.cluster;
        return link.from === name && cluster !== undefined ? [{ link, cluster }] : [];
      });
      origin.want(out);
      const into = links.filter(({ from, to }) => to === name && this.#members.has(from));
      receiver.want(new Set(into.map(({ topic }) => topic)));
    }
  }

  /** Nothing goes from or to the region any more, as seen in every cluster since it began to leave. */
  isFreeOf(region: string): boolean {
    return [...this.#members.values()].every(({ origin }) => origin.isFreeOf(region));
  }

  links(): LinkStatus[] {
    return [...this.#members.values()].flatMap(({ origin }) => origin.links());
  }

  observe(): void {
    for (const { origin } of this.#members.values()) origin.observe();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members.keys()].map((name) => this.remove(name)));
  }
}
