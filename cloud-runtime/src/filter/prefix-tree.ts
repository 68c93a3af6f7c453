interface Branch<Member> {
  /** What follows the branch above it; never empty but at the root. */
  label: string;
  readonly branches: Map<number, Branch<Member>>;
  readonly members: Set<Member>;
}

/**
 * Members under prefixes, as a radix tree: finding those whose prefix a text begins with costs as many steps as there are
 * branches on the text's way, whatever else is in the tree.
 */
export class PrefixTree<Member> {
  readonly #root: Branch<Member> = newBranch("");

  get isEmpty(): boolean {
    return this.#root.branches.size === 0 && this.#root.members.size === 0;
  }

  add(prefix: string, member: Member): void {
    let branch = this.#root;
    let rest = prefix;
    while (rest !== "") {
      const next = branch.branches.get(rest.charCodeAt(0));
      if (next === undefined) {
        const leaf = newBranch<Member>(rest);
        branch.branches.set(rest.charCodeAt(0), leaf);
        branch = leaf;
        break;
      }
      const common = commonLength(next.label, rest);
      branch = common < next.label.length ? split(branch, next, common) : next;
      rest = rest.slice(common);
    }
    branch.members.add(member);
  }

  remove(prefix: string, member: Member): void {
    const way = this.#wayTo(prefix);
    const last = way.at(-1);
    if (last === undefined || last.label === "") {
      if (prefix === "") this.#root.members.delete(member);
      return;
    }
    last.members.delete(member);
    for (let at = way.length - 1; at > 0; at -= 1) {
      const branch = way[at];
      const above = way[at - 1];
      if (!branch || !above || branch.members.size > 0) return;
      if (branch.branches.size > 1) return;
      removeOrMerge(above, branch);
    }
  }

  /** How many members have exactly this prefix. */
  countAt(prefix: string): number {
    return this.#wayTo(prefix).at(-1)?.members.size ?? 0;
  }

  /** Calls back with the members of every prefix that the text begins with. */
  find(text: string, found: (members: ReadonlySet<Member>) => void): void {
    let branch = this.#root;
    let at = 0;
    for (;;) {
      if (branch.members.size > 0) found(branch.members);
      const next = branch.branches.get(text.charCodeAt(at));
      if (next === undefined || !text.startsWith(next.label, at)) return;
      at += next.label.length;
      branch = next;
    }
  }

  /** The branches from the root to the one of exactly this prefix; empty when there is none. */
  #wayTo(prefix: string): Branch<Member>[] {
    const way = [this.#root];
    let branch = this.#root;
    let at = 0;
    while (at < prefix.length) {
      const next = branch.branches.get(prefix.charCodeAt(at));
      if (next === undefined || !prefix.startsWith(next.label, at)) return [];
      at += next.label.length;
      way.push(next);
      branch = next;
    }
    return way;
  }
}

function newBranch<Member>(label: string): Branch<Member> {
  return { label, branches: new Map(), members: new Set() };
}

/** Puts a branch for the common beginning between the two. */
function split<Member>(
  above: Branch<Member>,
  below: Branch<Member>,
  commonCount: number,
): Branch<Member> {
  const middle = newBranch<Member>(below.label.slice(0, commonCount));
  above.branches.set(middle.label.charCodeAt(0), middle);
  below.label = below.label.slice(commonCount);
  middle.branches.set(below.label.charCodeAt(0), below);
  return middle;
}

/** A branch without members ends, or becomes one with its only continuation. */
function removeOrMerge<Member>(above: Branch<Member>, branch: Branch<Member>): void {
  const [only] = branch.branches.values();
  if (only === undefined) {
    above.branches.delete(branch.label.charCodeAt(0));
    return;
  }
  only.label = branch.label + only.label;
  above.branches.set(only.label.charCodeAt(0), only);
}

function commonLength(one: string, other: string): number {
  const end = Math.min(one.length, other.length);
  let at = 0;
  while (at < end && one.charCodeAt(at) === other.charCodeAt(at)) at += 1;
  return at;
}
