/**
 * What the region has of one class of one agent and epoch. Everything up to `sequence` is handled, without a hole:
 * sequence = stored + rejected + evicted + expired + damaged, counted by the region in the transaction that handled it.
 */
export interface ClassWatermark {
  readonly sequence: number;
  readonly stored: number;
  readonly rejected: number;
  readonly evicted: number;
  readonly expired: number;
  /** Lost with a damaged buffer, or acknowledged once and lost by the region since. */
  readonly damaged: number;
}

export const emptyWatermark: ClassWatermark = {
  sequence: 0,
  stored: 0,
  rejected: 0,
  evicted: 0,
  expired: 0,
  damaged: 0,
};
