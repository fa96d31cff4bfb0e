import { GradientError } from '../gpu/errors.ts';
import { accumulate } from './basic.ts';
import { checkTensor, checkTensors } from './check.ts';
import { constant, labelOf, makeNode, type Node, reshape, sameShape, show, Tensor } from './tensor.ts';

/** The same value, but no gradient flows through it (SimSiam, BYOL: the `sg` of the papers). */
export function stopGradient(x: Tensor): Tensor {
  checkTensor('stopGradient', 'x', x);
  const node = makeNode({ kind: 'view', inputs: [x], options: { stop: true } });
  const y = new Tensor(node, 0, x.shape, x.dtype);
  node.outputs.push(y);
  return y;
}

/**
 * Gradients of `y` with respect to each of `xs` (any tensors of the graph), by reverse mode.
 * @param dy cotangent of `y`. Default for a scalar: 1
 * @returns graph nodes of the shapes of `xs`; zeros where `y` does not depend on an `x`.
 * @throws GradientError for an op without a gradient between `y` and an `x`.
 */
export function grad<const X extends readonly Tensor[]>(
  y: Tensor,
  xs: X,
  dy?: Tensor,
): { -readonly [K in keyof X]: Tensor } {
  checkTensor('grad', 'y', y);
  checkTensors('grad', 'xs', xs);
  if (dy !== undefined) checkTensor('grad', 'dy', dy);
  if (!dy && y.size !== 1) {
    throw new GradientError(`grad: expected a scalar, got ${show(y.shape)}; for others give a cotangent`);
  }
  if (dy && !sameShape(dy.shape, y.shape)) {
    throw new GradientError(`grad: expected a cotangent ${show(y.shape)}, got ${show(dy.shape)}`);
  }
  const path = between(y, xs);
  const cotangents = new Map<Tensor, Tensor>([[y, dy ?? constant(1, y.shape)]]);
  for (const node of path) {
    const [dy0, ...others] = node.outputs.map((out) => cotangents.get(out) ?? null);
    if (others.some(Boolean)) throw new GradientError(`${label(node)}: only its first output has a gradient`);
    if (!dy0) continue;
    const dxs = backward(node, dy0);
    for (const [i, x] of node.inputs.entries()) {
      const dx = dxs[i];
      if (!x || !dx) continue;
      if (!sameShape(dx.shape, x.shape)) {
        throw new GradientError(
          `internal: ${label(node)}: gradient of input ${i} is ${show(dx.shape)}, expected ${show(x.shape)}`,
        );
      }
      const sum = cotangents.get(x);
      cotangents.set(x, sum ? accumulate(sum, dx) : dx);
    }
  }
  return xs.map((x) => cotangents.get(x) ?? constant(0, x.shape)) as { -readonly [K in keyof X]: Tensor };
}

function backward(node: Node, dy: Tensor): (Tensor | null)[] {
  if (node.kind === 'view') return [reshape(dy, node.inputs[0]!.shape)];
  if (node.op?.vjp) return node.op.vjp(dy, node);
  throw new GradientError(
    `${label(node)}: this op has no gradient; put stopGradient around it, or give it a vjp`,
  );
}

const label = (node: Node) => labelOf(node.op?.name ?? node.kind, node.layer);

/** The nodes on a path from any of `xs` to `y`, the latest first. */
function between(y: Tensor, xs: readonly Tensor[]): Node[] {
  const targets = new Set(xs);
  const depends = new Map<Node, boolean>();
  const visit = (node: Node): boolean => {
    const known = depends.get(node);
    if (known !== undefined) return known;
    depends.set(node, false);
    let found = false;
    if (!(node.kind === 'view' && node.options.stop)) {
      // Visit also behind a target: a gradient of something before it may be requested as well.
      for (const x of node.inputs) if (x && (visit(x.node) || targets.has(x))) found = true;
    }
    depends.set(node, found);
    return found;
  };
  visit(y.node);
  return [...depends]
    .filter(([, found]) => found)
    .map(([node]) => node)
    .sort((a, b) => b.id - a.id);
}
