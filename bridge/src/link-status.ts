/** One link as it is now, for status pages. */
export interface LinkStatus {
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  /** Who brings the events: the brokers by themselves, or the bridge over HTTP. */
  readonly kind: "pulsar" | "embedded";
  readonly state: "starting" | "up" | "waiting" | "ending";
  readonly lagSeconds: number;
  /** Entries of the topic in Pulsar, each an event or a batch of them, that are not there yet. */
  readonly backlog?: number;
  /** How long ago that was asked of Pulsar; absent when it never was. */
  readonly ageSeconds?: number;
  /** What it waits for. */
  readonly reason?: string;
}
