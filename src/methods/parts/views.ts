import { checkTensor, checkTensors, shownTensor } from '../../graph/check.ts';
import { sameShape, show, type Tensor, throwShapeError } from '../../graph/tensor.ts';
import { mul } from '../../ops/binary.ts';
import { sum } from '../../ops/reduce.ts';
import { slice } from '../../ops/shape.ts';

/** The shape of a tensor, and its type if that is not f32. */
const shownIn = (z: Tensor) => (z.dtype === 'f32' ? show(z.shape) : shownTensor(z));

/** Throws a ShapeError unless two views are embeddings of the same samples. */
export function checkViews(method: string, zA: Tensor, zB: Tensor): void {
  for (const [name, z] of Object.entries({ zA, zB })) checkTensor(method, name, z);
  if (zA.dtype !== 'f32' || zB.dtype !== 'f32' || zA.shape.length !== 2 || !sameShape(zA.shape, zB.shape))
    throwShapeError(method, `expected two views [N, D], got ${shownIn(zA)} and ${shownIn(zB)}`);
}

/** Checks logits [N, K] of students and teachers, and their centre [K]. @throws ShapeError */
export function checkPairs(op: string, students: unknown, teachers: unknown, centre: unknown): void {
  checkTensors(op, 'students', students);
  checkTensors(op, 'teachers', teachers);
  checkTensor(op, 'centre', centre, { dtype: 'f32' });
  if (!teachers.length || students.length < 2)
    throwShapeError(
      op,
      `expected 2 students or more and a teacher, got ${students.length} and ${teachers.length}`,
    );
  for (const view of [...students, ...teachers]) checkViews(op, view, teachers[0]);
}

/** Inner products of the rows of a and b, [N, D] each -> [N]. */
export const dots = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b), { axes: [1] });

/** As many equal parts of the rows, in order: the views of a batch. x: [count N, ...] -> [N, ...] each */
export function parts(x: Tensor, count: number, op = 'parts'): Tensor[] {
  checkTensor(op, 'x', x);
  const [rows, ...rest] = x.shape;
  if (x.dtype === 'u8' || !(rows % count === 0))
    throwShapeError(op, `expected ${count} equal parts of f32 or u32 rows, got ${shownTensor(x)}`);
  const sizes = [rows / count, ...rest];
  const from = (start: number) => slice(x, { starts: [start, ...rest.map(() => 0)], sizes });
  return Array.from({ length: count }, (_, i) => from(i * sizes[0]));
}

/** The first and the second half of the rows: view A and view B. x: [2N, ...] */
export const halves = (x: Tensor) => parts(x, 2, 'halves') as [a: Tensor, b: Tensor];
