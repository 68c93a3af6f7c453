import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** What lies beside a database file: its log, its index (worth nothing) and the name it goes by. */
const sides = ["-wal", "-journal", "-identity"] as const;
const renewalSide = "-renewal";
/** Beside a file that is being moved aside: the mark that it gets. */
const movingSide = "-moving";
const bufferFile = "buffer.db";
const damagedName = /^buffer\.db\.damaged-(\d+)$/;
const salvageName = /^salvage-(\d+)$/;

export interface QuarantineFolder {
  /** When the damage was found: the name of what belongs together. */
  readonly mark: number;
  readonly damagedFile: string;
  /** Where what was readable goes; complete once it has this name. */
  readonly salvageFolder: string;
  /** Where it is put together. */
  readonly draftFolder: string;
}

function quarantineOf(directory: string, mark: number): QuarantineFolder {
  return {
    mark,
    damagedFile: join(directory, `${bufferFile}.damaged-${mark}`),
    salvageFolder: join(directory, `salvage-${mark}`),
    draftFolder: join(directory, `salvage-${mark}.part`),
  };
}

/**
 * Moves a damaged file and what belongs to it aside. The log goes first: nobody may start a fresh file beside a foreign log.
 * A note comes before it and goes behind it: a file without its log has forgotten what was promised, so a move that was
 * begun is finished before the file is opened again.
 * @param renewedAs the epoch that its events get; absent = they keep theirs.
 */
export function quarantine(file: string, atMs: number, renewedAs?: string): QuarantineFolder {
  const directory = dirname(file);
  let mark = begunMove(file) ?? Math.max(1, Math.round(atMs));
  while (existsSync(quarantineOf(directory, mark).damagedFile)) mark += 1;
  const folder = quarantineOf(directory, mark);
  // Before anything moves: a crash behind it leaves a note that nothing belongs to, and the file where it was.
  rmSync(folder.damagedFile + renewalSide, { force: true });
  if (renewedAs !== undefined) writeDurably(folder.damagedFile + renewalSide, renewedAs);
  writeDurably(file + movingSide, String(mark));
  moveAside(file, folder);
  return folder;
}

/** The database last: until its name is free nobody starts a fresh one. Once more after a crash, it goes on where it stopped. */
function moveAside(file: string, { damagedFile }: QuarantineFolder): void {
  for (const side of sides)
    if (existsSync(file + side)) renameSync(file + side, damagedFile + side);
  rmSync(`${file}-shm`, { force: true });
  if (existsSync(file)) renameSync(file, damagedFile);
  const directory = dirname(file);
  syncDirectory(directory);
  rmSync(file + movingSide);
  syncDirectory(directory);
}

/** The mark under which a part of the file may lie already. A torn note has none: nothing was moved yet. */
function begunMove(file: string): number | undefined {
  if (!existsSync(file + movingSide)) return undefined;
  const mark = Number(readFileSync(file + movingSide, "utf8"));
  return mark > 0 ? mark : undefined;
}

function finishMove(directory: string): void {
  const file = join(directory, bufferFile);
  const mark = begunMove(file);
  if (mark !== undefined) moveAside(file, quarantineOf(directory, mark));
}

/** What was put aside and is not yet drained, oldest first. A move that a crash interrupted is finished. */
export function findQuarantined(directory: string): QuarantineFolder[] {
  finishMove(directory);
  const marks = new Set<number>();
  for (const name of readdirSync(directory)) {
    const mark = damagedName.exec(name)?.[1] ?? salvageName.exec(name)?.[1];
    if (mark !== undefined) marks.add(Number(mark));
  }
  return [...marks].sort((one, other) => one - other).map((mark) => quarantineOf(directory, mark));
}

/** Removes all of it; the damaged file first, so that a crash on the way does not salvage it a second time. */
export function removeQuarantined(folder: QuarantineFolder): void {
  removeDamaged(folder);
  rmSync(folder.draftFolder, { recursive: true, force: true });
  rmSync(folder.salvageFolder, { recursive: true, force: true });
}

/** What was salvaged goes, and is salvaged again under this epoch. The note first: a crash behind it only does that later. */
export function renewQuarantined(folder: QuarantineFolder, epoch: string): void {
  writeDurably(folder.damagedFile + renewalSide, epoch);
  rmSync(folder.draftFolder, { recursive: true, force: true });
  rmSync(folder.salvageFolder, { recursive: true, force: true });
}

function removeDamaged(folder: QuarantineFolder): void {
  for (const side of ["", "-shm", ...sides, renewalSide])
    rmSync(folder.damagedFile + side, { force: true });
}

/** The epoch that the events of a quarantined file get; undefined = they keep theirs. */
export function renewalOf(folder: QuarantineFolder): string | undefined {
  const note = folder.damagedFile + renewalSide;
  return existsSync(note) ? readFileSync(note, "utf8") : undefined;
}

function writeDurably(file: string, text: string): void {
  const handle = openSync(file, "w");
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  syncDirectory(dirname(file));
}

/** Makes names in a directory durable. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
