/** How long and how much of a topic is kept, whichever ends first. */
export interface Retention {
  readonly retentionMs: number;
  readonly retentionBytes: number;
}

export type RetentionOf = (topic: string) => Retention;

export const retentionDefault: Retention = {
  retentionMs: 7 * 24 * 3600 * 1000,
  retentionBytes: 16 * 1024 ** 3,
};

export const trimEveryMs = 30_000;
