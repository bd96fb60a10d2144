/** What the names of a clade have in common: the word that most of them hold and few others do. */

const MOST = 0.6; // of its classes hold a word that speaks for a clade

const WORDS = /[\s|,;:()_/\u2013-]+/u;

export interface Common {
  readonly word: string;
  /** Classes of the clade whose names hold it. */
  readonly among: number;
}

const count = (words: readonly ReadonlySet<string>[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const set of words) for (const word of set) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
};

/** Looks for the common words of some of these names. */
export function commonWords(names: readonly string[]): (members: readonly number[]) => Common | null {
  const words = names.map((name) => new Set(name.split(WORDS).filter((word) => word.length > 1)));
  const everywhere = count(words);
  return (members) => {
    let best: Common | null = null;
    let lead = 0; // how much more of the clade than of all classes
    for (const [word, among] of count(members.map((c) => words[c]))) {
      const share = among / members.length;
      const more = share - everywhere.get(word)! / names.length;
      if (share >= MOST && more > lead) [best, lead] = [{ word, among }, more];
    }
    return best;
  };
}
