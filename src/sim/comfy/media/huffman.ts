/** Lengths of an optimal prefix code for these counts, none longer than `limit` bits; 0 for unused symbols. */
export function codeLengths(counts: ArrayLike<number>, limit: number): Uint8Array {
  let weights = Array.from(counts);
  for (;;) {
    const lengths = treeDepths(weights);
    if (lengths.every((length) => length <= limit)) return lengths;
    // Flatter counts give a flatter tree.
    weights = weights.map((count) => (count === 0 ? 0 : Math.max(1, count >> 2)));
  }
}

interface Tree {
  weight: number;
  symbols: number[];
}

function treeDepths(weights: number[]): Uint8Array {
  const depths = new Uint8Array(weights.length);
  let trees: Tree[] = weights
    .map((weight, symbol) => ({ weight, symbols: [symbol] }))
    .filter((tree) => tree.weight > 0)
    .sort((a, b) => a.weight - b.weight);
  const merged: Tree[] = [];
  const takeLightest = (): Tree | undefined => {
    const first = trees[0];
    const second = merged[0];
    if (second === undefined || (first !== undefined && first.weight <= second.weight)) return trees.shift();
    return merged.shift();
  };
  while (trees.length + merged.length > 1) {
    const a = takeLightest();
    const b = takeLightest();
    if (a === undefined || b === undefined) break;
    const symbols = a.symbols.concat(b.symbols);
    for (const symbol of symbols) depths[symbol] = (depths[symbol] ?? 0) + 1;
    merged.push({ weight: a.weight + b.weight, symbols });
  }
  trees = [];
  return depths;
}

/** Canonical codes of these lengths: shorter first, then by symbol. */
export function canonicalCodes(lengths: ArrayLike<number>): Uint32Array {
  const codes = new Uint32Array(lengths.length);
  let next = 0;
  for (let length = 1; length <= 15; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) if (lengths[symbol] === length) codes[symbol] = next++;
    next *= 2;
  }
  return codes;
}
