// Runs properties for main.ts, which ends this process when an input takes too long: one job a line on stdin. What it
// says: `i N` before input N, and JSON otherwise.

import process from 'node:process';
import { createInterface } from 'node:readline';
import { BLOCK, type Failure, inputsOf, runProperty, shrink, type Tally } from './engine.ts';
import { closeGpu, gpu, openGpu } from './gpu.ts';
import { propertyOf } from './groups.ts';

/** A part of a property's inputs; or, with `describe`, what input `from` is. */
export interface Job {
  property: string;
  seed: number;
  from: number;
  count: number;
  skip: string[];
  /** Seconds it may take. */
  seconds: number;
  describe?: boolean;
}

/** What is held after garbage was collected. */
export interface Held {
  /** Bytes of JavaScript's heap and of arrays. */
  heap: number;
  /** Bytes of the process. */
  rss: number;
  /** Buffers on the device, and their bytes. */
  buffers: number;
  deviceBytes: number;
}

export type Answer =
  | { ready: true }
  | { input: string; key: string }
  | { tally: Tally; before: Held | null; after: Held }
  | { failure: Failure }
  | { smaller: Failure }
  | { done: true };

const collect = (globalThis as { gc?: () => void }).gc;
const encoder = new TextEncoder();
const say = (text: string) => {
  let bytes = encoder.encode(`${text}\n`);
  while (bytes.length) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
};
const answer = (what: Answer) => say(JSON.stringify(what));

async function held(): Promise<Held> {
  // What waits for a finalizer needs a turn.
  for (let i = 0; i < 3; i++) {
    collect?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { heapUsed, external, rss } = Deno.memoryUsage();
  const { buffers = 0, bytes = 0 } = gpu.device?.memory ?? {};
  return { heap: heapUsed + external, rss, buffers, deviceBytes: bytes };
}

async function work({ property: name, seed, from, count, skip, seconds, describe }: Job): Promise<void> {
  const property = propertyOf(name);
  if (describe) {
    const input = inputsOf(property, seed, Math.floor(from / BLOCK))[from % BLOCK];
    return answer({ input: property.show(input), key: property.key?.(input) ?? name });
  }
  // After the first third everything that is made once has been made.
  const warm = from + Math.floor((count - from) / 3);
  let before: Held | null = null;
  const tally = await runProperty(property, {
    ...{ seed, from, count, skip: new Set(skip), until: performance.now() + 1000 * seconds },
    onInput: (at) => say(`i ${at}`),
    onDone: async (at) => {
      if (at === warm && count - from >= 100) before = await held();
    },
    onFailure: (failure) => answer({ failure }),
  });
  say('i -1');
  answer({ tally, before, after: await held() });
  // Smaller inputs may hang where these did not: the tally is safe by now.
  for (const failure of tally.failures)
    answer({ smaller: await shrink(property, failure).catch(() => failure) });
  answer({ done: true });
}

await openGpu();
answer({ ready: true });
for await (const line of createInterface({ input: process.stdin })) await work(JSON.parse(line));
closeGpu();
Deno.exit(0);
