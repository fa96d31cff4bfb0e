// What a run will need, checked before its folder is made.
import { batchesPerEpoch, type Dataset } from '../data/dataset.ts';
import type { Images } from '../data/idx.ts';
import { LARGEST_U32 } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError, OutOfMemoryError } from '../gpu/errors.ts';
import { VALUE } from '../gpu/values.ts';
import type { Precision } from '../graph/mixed.ts';
import { heldBy } from '../graph/plan/slots.ts';
import { plan } from '../graph/plan.ts';
import { type Scalar, scalar, type Tensor, trace, type Variable } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { ImageMethod } from '../methods/method.ts';
import { bindingLimit } from '../metrics/compute.ts';
import { memoryNeeded } from '../metrics/memory.ts';
import { targetOf } from '../runtime/software.ts';
import { buildImageModel, type ImageModel, type ImageRun, imageStep } from '../train/images.ts';
import { classesIn, type Sets } from './files.ts';
import type { ImageOptions } from './options.ts';

/** The number of updates of a run. @throws InputError when an epoch has none, or the run too many */
export function stepsOf({ batch, epochs }: Pick<ImageOptions, 'batch' | 'epochs'>, data: Dataset): number {
  const perEpoch = batchesPerEpoch(data, batch);
  if (perEpoch < 1)
    throw new InputError(`--batch: ${batch} is larger than the data, which has ${data.count} images`);
  const most = Math.floor(LARGEST_U32 / perEpoch);
  if (epochs > most)
    throw new InputError(
      `--epochs: expected at most ${most}, since an epoch has ${perEpoch} steps and steps are counted up to ${LARGEST_U32}; got ${epochs}`,
    );
  return perEpoch * epochs;
}

/** Checks that a supervised method has at least two classes. @throws InputError */
export function checkClasses({ method }: Pick<ImageOptions, 'method'>, images: Images): void {
  if (!(allMethods[method] as ImageMethod).supervised || classesIn(images) > 1) return;
  throw new InputError(`--method ${method}: expected labels of 2 classes or more, got ${classesIn(images)}`);
}

/** A graph from which a plan is made. */
type Traced = ReturnType<typeof trace<Record<string, Tensor>>>;

/**
 * Checks the graph of a training step, and that the device can hold its data, its model and its plan. Nothing is uploaded
 * or compiled. Sizes are checked before the step is traced, so that no array of a refused size is made.
 * @returns the model that was checked
 * @throws ShapeError or InputError of the method; OutOfMemoryError in one line
 */
export async function checkRun(device: Device, run: ImageRun, data: Sets): Promise<ImageModel> {
  const sizes = ({ count, height, width, channels }: Dataset) => ({ count, height, width, channels });
  const allFit = (variables: readonly Variable[]) => {
    for (const v of variables) fits(device, `"${v.name}"`, v.bytes);
  };
  const model = buildImageModel(run, scalar(), allFit);
  const { classes } = data.train;
  const { refusal } = memoryNeeded({
    ...{ train: sizes(data.train), test: sizes(data.test), classes },
    ...{ h: model.widths.h, z: model.widths.z ?? 0, limit: bindingLimit(device) },
  });
  if (refusal) throw new OutOfMemoryError(refusal);
  const stored = [data.train, data.test].flatMap(({ images, more }) => [images, ...more]);
  const kept = [...stored, ...model.variables];
  allFit(kept);
  // The metrics take the covariance of both.
  for (const [name, width] of Object.entries(model.widths))
    fits(device, `the covariance of ${name} [${width}, ${width}]`, 4 * width ** 2);
  if (run.method.supervised) fits(device, `a table of ${classes} classes`, 4 * classes ** 2);
  const scalars: Record<string, Scalar> = Object.fromEntries(
    Object.keys(model.recipe.schedules ?? {}).map((name) => [name, scalar()]),
  );
  const step = trace(() => imageStep(run, model, scalar('u32'), scalars));
  const planned = await bytesOf(device, step, run.precision);
  await reserve(device, [...kept.map(({ bytes }) => bytes), ...planned]);
  await checkEvaluation(device, data, model.widths.h + (model.widths.z ?? 0));
  return model;
}

/**
 * Throws unless the device can hold what `evaluate` keeps: `width` numbers for each training image, and for each test image as
 * it is and in two views. They are stored in slabs that the device can bind.
 * @throws OutOfMemoryError in one line
 */
export async function checkEvaluation(device: Device, { train, test }: Sets, width: number): Promise<void> {
  const most = bindingLimit(device);
  const sizes = [train, test, test, test].flatMap(({ count }) => {
    const bytes = 4 * count * width;
    return Array.from({ length: Math.ceil(bytes / most) }, (_, i) => Math.min(most, bytes - i * most));
  });
  await reserve(device, [
    ...[train, test].flatMap(({ images, more }) => [images, ...more].map(({ bytes }) => bytes)),
    ...sizes,
  ]);
}

/**
 * Throws unless the device can hold a step.
 * @throws OutOfMemoryError in one line; errors of the graph
 */
export async function checkPlan(device: Device, step: Traced): Promise<void> {
  await reserve(device, await bytesOf(device, step));
}

/** The sizes of the buffers and textures of a plan. @throws OutOfMemoryError for a buffer that is too large */
async function bytesOf(device: Device, { result: outputs, effects }: Traced, precision?: Precision) {
  const made = plan(outputs, effects, { target: await targetOf(device), precision });
  for (const { label, bytes } of made.slots) fits(device, label, bytes);
  return heldBy(made).map(({ bytes }) => bytes);
}

const ADVICE = 'Use smaller images, a smaller batch, embedding or encoder, or smaller hyperparameters.';

function fits(device: Device, what: string, bytes: number): void {
  const most = bindingLimit(device);
  if (bytes <= most) return;
  throw new OutOfMemoryError(`${what} needs ${bytes} bytes; this device can bind at most ${most}. ${ADVICE}`);
}

/** Allocates buffers of all these sizes at once, and frees them. */
async function reserve(device: Device, sizes: readonly number[]): Promise<void> {
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const explain = () => `${total} bytes are needed at once. ${ADVICE}`;
  // A software adapter may allocate more memory than there is.
  const { total: most } = Deno.systemMemoryInfo();
  if (!device.target.workgroupTiles && total > most)
    throw new OutOfMemoryError(`out of memory: there are ${most} bytes, ${explain()}`);
  const buffers = await device.memory.scoped(
    () => sizes.map((bytes) => device.memory.create('reserved', bytes, VALUE)),
    explain,
  );
  for (const buffer of buffers) device.memory.free(buffer);
}
