import type { Chance } from "@fleetmesh/core";
import { Drive, replayDrive, type TopicEvent } from "@fleetmesh/simulator";

export interface DriveSetting {
  readonly pseudonym: string;
  readonly chance: Chance;
  /** A recorded drive to repeat instead, CSV. */
  readonly replay: string | undefined;
}

type Advance = (seconds: number, wallMs: number) => readonly TopicEvent[];

const rowCountMax = 200_000;

/** What a simulated vehicle does as time goes on: its own seeded drive, or the recorded one over and over. */
export async function loadDrive({ pseudonym, chance, replay }: DriveSetting): Promise<Advance> {
  if (replay === undefined) {
    const drive = new Drive({ chance, pseudonym });
    return (seconds, wallMs) => drive.advance(seconds, wallMs);
  }
  const rows: TopicEvent[] = [];
  for await (const row of replayDrive(replay, { pseudonym, startMs: 0 })) {
    rows.push(row);
    if (rows.length >= rowCountMax) break;
  }
  let next = 0;
  return (_seconds, wallMs) => {
    const row = rows[next % rows.length];
    next += 1;
    return row === undefined
      ? []
      : [{ ...row, event: { ...row.event, time: new Date(wallMs).toISOString() } }];
  };
}
