// Reads and checks the files of a run folder from which its run resumes.
import { decodeSafetensors } from '../data/safetensors.ts';
import { checkNumber, LARGEST_U32, shown } from '../gpu/check.ts';
import { isTable } from '../gpu/choices.ts';
import { InputError } from '../gpu/errors.ts';
import { sameShape, show, type Variable } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { Method } from '../methods/method.ts';
import { curves } from '../metrics/curves.ts';
import type { Logged } from '../train/run.ts';
import type { Saved } from '../train/session.ts';
import { openRunFolder, parseLines, type RunFolder } from './files.ts';
import { type Followed, followedOf } from './moments.ts';
import { checkRunOptions, type RunOptions } from './options.ts';

/** A line of timing.jsonl: seconds of training up to and including `step`, over all sessions of a run. */
export interface Timing {
  step: number;
  seconds: number;
}

/** The state of a run that its folder holds. */
export interface Earlier {
  folder: RunFolder;
  options: RunOptions;
  /** SHA-256 of the data that it was trained on; runs of older versions have none. */
  dataDigest?: string;
  resume: { saved: Saved; metrics: Metrics[]; timing: Timing[]; followed: Followed[] };
}

/** The keys of options.json that are not options. */
export const BESIDE_OPTIONS = ['dataDigest', 'pixels'];

/** A line of metrics.jsonl. */
export type Metrics = Logged<Record<string, number>>;

/** The numbers that every line of metrics.jsonl has besides the method's own, since the program takes no images without labels; participation may be missing. */
const METRICS: Record<Method['data'], readonly string[]> = {
  images: curves.flatMap(({ key }) => (key === 'participation' ? [] : [key])),
  plane: ['loss'],
  rows: ['loss', 'l0', 'dead', 'fvu'],
  text: ['loss', 'alignment', 'uniformity', 'rank', 'std'],
};
/** Those of a learned density. */
const DENSITY = ['c', 'minusLogZ'];

/**
 * Reads the state of an interrupted run.
 * @throws InputError in one line that names the file which is missing, cut off or from another program
 */
export function reopen(path: string): Earlier {
  const folder = openRunFolder(path);
  const file = (name: string) => `${path}/${name}`;
  const value = json(folder.read('options.json'), file('options.json'));
  const options = checkRunOptions(value, file('options.json'), BESIDE_OPTIONS);
  const { dataDigest } = value as { dataDigest?: unknown };
  if (dataDigest !== undefined && !(typeof dataDigest === 'string' && /^[\da-f]{64}$/.test(dataDigest)))
    throw new InputError(`${file('options.json')}: expected 64 hexadecimal digits for "dataDigest"`);
  checkChoices(folder);
  const bytes = folder.read('checkpoint.safetensors');
  const { metadata } = decoded(bytes, file('checkpoint.safetensors'));
  if (!/^\d{1,10}$/.test(metadata.step ?? ''))
    throw new InputError(`${file('checkpoint.safetensors')}: its metadata has no step`);
  if (dataDigest !== undefined && metadata.dataDigest !== undefined && metadata.dataDigest !== dataDigest)
    throw new InputError(`${file('checkpoint.safetensors')} and options.json belong to different runs`);
  const step = Number(metadata.step);
  const until = <T extends { step: number }>(name: string, check: (line: unknown, where: string) => T) =>
    linesOf(folder, name)
      .map((line, i) => check(line, `${file(name)}: line ${i + 1}`))
      .filter((line) => line.step <= step);
  const method = allMethods[options.method];
  const own = (method.curves ?? []).map(({ key }) => key);
  const names = [
    'step',
    ...METRICS['tokenizer' in options ? 'text' : method.data],
    ...('spread' in method ? DENSITY : []),
    ...own,
  ];
  const metricsOf = (line: unknown, where: string) => numbersOf(line, where, names) as Metrics;
  const [metrics, timing] = [until('metrics.jsonl', metricsOf), until('timing.jsonl', timingOf)];
  const followed = until('moments.jsonl', followedOf);
  return {
    folder,
    options,
    ...(dataDigest !== undefined && { dataDigest }),
    resume: { saved: { step, bytes }, metrics, timing, followed },
  };
}

/**
 * Checks that a checkpoint fits the model of its run, and that its step is within the run.
 * @throws InputError in one line
 */
export function checkCheckpoint(
  { folder, resume }: Earlier,
  variables: readonly Variable[],
  steps: number,
): void {
  const file = `${folder.path}/checkpoint.safetensors`;
  const { step, bytes } = resume.saved;
  if (step > steps)
    throw new InputError(`${file}: expected at most step ${steps}, the last of this run, got ${step}`);
  const { tensors } = decoded(bytes, file);
  for (const v of variables.flatMap((each) => (each.members.length ? each.members : [each]))) {
    const found = tensors.get(v.name);
    if (!found) throw new InputError(`${file} lacks "${v.name}": it is the checkpoint of another run`);
    if (found.dtype !== v.dtype || !sameShape(found.shape, v.shape))
      throw new InputError(
        `${file}: expected ${v.dtype} ${show(v.shape)} for "${v.name}", got ${found.dtype} ${show(found.shape)}`,
      );
    if (!found.data.every(Number.isFinite))
      throw new InputError(`${file}: "${v.name}" holds numbers that are not finite`);
  }
}

function json(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new InputError(`${file} is not JSON: it is cut off or from another program`);
  }
}

function decoded(bytes: Uint8Array, file: string): ReturnType<typeof decodeSafetensors> {
  try {
    return decodeSafetensors(bytes);
  } catch (error) {
    throw new InputError(`${file}: ${(error as Error).message.split('\n')[0]}`);
  }
}

/** Checks the tuned kernels, which a run with --no-tune does not have. */
function checkChoices(folder: RunFolder): void {
  if (!has(folder, 'tune.json')) return;
  const file = `${folder.path}/tune.json`;
  if (!isTable(json(folder.read('tune.json'), file)))
    throw new InputError(`${file}: expected the names of kernels by call`);
}

/** The lines of a file; none where a run was stopped before the first. */
const linesOf = (folder: RunFolder, name: string): unknown[] =>
  has(folder, name) ? parseLines(folder.read(name), `${folder.path}/${name}`) : [];

function has({ path }: RunFolder, name: string): boolean {
  try {
    Deno.lstatSync(`${path}/${name}`);
    return true;
  } catch {
    return false;
  }
}

/** The numbers of a line by name, at least those of `names`; JSON has null for those that were not finite. */
function numbersOf<K extends string>(line: unknown, where: string, names: readonly K[]): Record<K, number> {
  if (typeof line !== 'object' || !line || Array.isArray(line))
    throw new InputError(`${where}: expected an object with ${names.join(', ')}, got ${shown(line)}`);
  const given = new Map(Object.entries(line));
  const missing = names.find((name) => !given.has(name));
  if (missing !== undefined) throw new InputError(`${where}: "${missing}" is missing`);
  checkNumber(where, 'step', given.get('step'), { least: 0, most: LARGEST_U32, whole: true });
  for (const [name, value] of given)
    if (typeof value !== 'number' && value !== null)
      throw new InputError(`${where}: expected a number for "${name}", got ${shown(value)}`);
  return Object.fromEntries([...given].map(([name, value]) => [name, value ?? Number.NaN])) as Record<
    K,
    number
  >;
}

function timingOf(line: unknown, where: string): Timing {
  const found = numbersOf(line, where, ['step', 'seconds']);
  if (!(found.seconds >= 0)) throw new InputError(`${where}: expected a number of at least 0 for "seconds"`);
  return found;
}
