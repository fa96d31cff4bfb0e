/** Random forests for classification on the CPU: bagged trees on binned features. */
import { bitsArray } from '../ops/random.ts';

/** Features of all samples, each in bins, and the samples' classes. */
export interface Binned {
  features: readonly Uint8Array[];
  bins: number;
  labels: Uint32Array;
  classes: number;
}

/** A node: a leaf has no feature. Samples whose bin is at most `bin` go left. */
interface TreeNode {
  feature: number;
  bin: number;
  left: number;
  right: number;
  /** The share of each class, of a leaf. */
  shares: Float64Array | null;
}

export interface Forest {
  /** The decrease of Gini impurity that each feature brought, as shares of the whole. */
  importances: Float64Array;
  /** The most likely class of a sample. */
  classOf(sample: number): number;
}

interface Limits {
  depth: number;
  /** The fewest samples of a leaf. */
  leaf: number;
}

/** The largest gain over all features and bins of the samples `rows`. */
function bestSplit(
  { features, bins, labels, classes }: Binned,
  rows: Uint32Array,
  counts: Float64Array,
  leaf: number,
) {
  const best = { gain: 0, feature: -1, bin: 0 };
  const n = rows.length;
  const table = new Float64Array(bins * classes);
  const inBin = new Float64Array(bins);
  const left = new Float64Array(classes);
  const own = counts.reduce((sum, c) => sum + c * c, 0) / n;
  for (const [feature, column] of features.entries()) {
    table.fill(0);
    inBin.fill(0);
    left.fill(0);
    for (const row of rows) {
      table[column[row] * classes + labels[row]]++;
      inBin[column[row]]++;
    }
    let [nLeft, squaresLeft, squaresRight] = [0, 0, own * n];
    for (let bin = 0; bin < bins - 1; bin++) {
      if (!inBin[bin]) continue;
      for (let c = 0; c < classes; c++) {
        const moved = table[bin * classes + c];
        const right = counts[c] - left[c];
        squaresLeft += (2 * left[c] + moved) * moved;
        squaresRight -= (2 * right - moved) * moved;
        left[c] += moved;
      }
      nLeft += inBin[bin];
      if (nLeft < leaf || n - nLeft < leaf) continue;
      const gain = squaresLeft / nLeft + squaresRight / (n - nLeft) - own;
      if (gain > best.gain + 1e-9 * n) Object.assign(best, { gain, feature, bin });
    }
  }
  return best;
}

/** Grows one tree on `rows`, whose order changes; adds what each feature gains to `importances`. */
function growTree(data: Binned, rows: Uint32Array, limits: Limits, importances: Float64Array): TreeNode[] {
  const { features, labels, classes } = data;
  const nodes: TreeNode[] = [];
  const grow = (part: Uint32Array, depth: number): number => {
    const counts = new Float64Array(classes);
    for (const row of part) counts[labels[row]]++;
    const node: TreeNode = { feature: -1, bin: 0, left: 0, right: 0, shares: null };
    const at = nodes.push(node) - 1;
    const whole = counts.includes(part.length) || depth === limits.depth || part.length < 2 * limits.leaf;
    const split = whole ? null : bestSplit(data, part, counts, limits.leaf);
    if (!split || split.feature < 0) {
      node.shares = counts.map((c) => c / part.length);
      return at;
    }
    importances[split.feature] += split.gain;
    const column = features[split.feature];
    let middle = 0;
    for (let i = 0; i < part.length; i++)
      if (column[part[i]] <= split.bin) {
        [part[i], part[middle]] = [part[middle], part[i]];
        middle++;
      }
    Object.assign(node, { feature: split.feature, bin: split.bin });
    node.left = grow(part.subarray(0, middle), depth + 1);
    node.right = grow(part.subarray(middle), depth + 1);
    return at;
  };
  grow(rows, 0);
  return nodes;
}

/**
 * Trees on samples that are drawn from `rows` with replacement (Breiman 2001), each split the best of all features by Gini impurity.
 * All features are tried, so that one that says nothing is not chosen for want of another.
 */
export function growForest(
  data: Binned,
  rows: Uint32Array,
  { trees, seed, ...limits }: Limits & { trees: number; seed: number },
): Forest {
  const { features, classes } = data;
  const importances = new Float64Array(features.length);
  const grown = Array.from({ length: trees }, (_, tree) => {
    const words = bitsArray(rows.length, { seed, stream: tree });
    const drawn = Uint32Array.from(words, (word) => rows[Math.floor((word / 2 ** 32) * rows.length)]);
    return growTree(data, drawn, limits, importances);
  });
  const total = importances.reduce((sum, v) => sum + v, 0);
  return {
    importances: importances.map((v) => (total ? v / total : 1 / features.length)),
    classOf(sample) {
      const shares = new Float64Array(classes);
      for (const nodes of grown) {
        let node = nodes[0];
        while (!node.shares)
          node = nodes[features[node.feature][sample] <= node.bin ? node.left : node.right];
        for (let c = 0; c < classes; c++) shares[c] += node.shares[c];
      }
      return shares.indexOf(shares.reduce((a, b) => Math.max(a, b)));
    },
  };
}
