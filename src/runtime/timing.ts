// Times dispatches, and cuts a step into submits by these times.
import { assertAlive, type Device } from '../gpu/device.ts';
import { readBuffer } from '../gpu/read.ts';
import { submit } from '../gpu/submit.ts';
import { VALUE } from '../gpu/values.ts';
import type { Plan } from '../graph/plan.ts';
import { home } from '../graph/tensor.ts';
import { bufferOf } from './variables.ts';

/** Records the dispatches [from, to) into a pass, and ends it. */
export type Recorder = (pass: GPUComputePassEncoder, from: number, to: number) => void;

/** Runs something that changes variables, then restores them. */
export async function runAndRestore(
  device: Device,
  made: Plan,
  run: () => void | Promise<void>,
): Promise<void> {
  const { gpu, memory } = device;
  const changed = new Set(made.dispatches.flatMap((d) => d.state.map(home)));
  const saved = [...changed].map((v) => {
    const buffer = bufferOf(device, v);
    return { buffer, copy: memory.create('warm-up', buffer.size, VALUE) };
  });
  const move = (restore: boolean) =>
    submit(gpu, (encoder) => {
      for (const { buffer, copy } of saved) {
        const [from, to] = restore ? [copy, buffer] : [buffer, copy];
        encoder.copyBufferToBuffer(from, 0, to, 0, buffer.size);
      }
    });
  try {
    move(false);
    // Not awaited if it is synchronous, so that no other step can run in between.
    const pending = run();
    if (pending) await pending;
    move(true);
    await gpu.queue.onSubmittedWorkDone().catch(() => {});
    await Promise.resolve();
    assertAlive(device);
  } finally {
    for (const { copy } of saved) memory.free(copy);
  }
}

/** Milliseconds of each dispatch: measured, or the total divided evenly where there are no timestamps. */
export async function dispatchTimes(
  device: Device,
  made: Plan,
  count: number,
  record: Recorder,
): Promise<number[]> {
  let times: number[] = [];
  await runAndRestore(device, made, async () => {
    if (device.gpu.features.has('timestamp-query')) {
      times = await timeDispatches(device, count, record);
      return;
    }
    const start = performance.now();
    submit(device.gpu, (encoder) => record(encoder.beginComputePass(), 0, count));
    await device.gpu.queue.onSubmittedWorkDone();
    times = new Array(count).fill((performance.now() - start) / count);
  });
  return times;
}

/**
 * Runs each dispatch alone and returns its milliseconds, from the end of the dispatch before to its own end. Each has its own
 * submit, because llvmpipe takes a timestamp only when it next flushes.
 */
export async function timeDispatches(device: Device, count: number, record: Recorder): Promise<number[]> {
  const { gpu, memory } = device;
  const times: number[] = [];
  const most = 2048; // a query set holds 4,096 timestamps at most
  for (let from = 0; from < count; from += most) {
    const n = Math.min(most, count - from);
    const querySet = gpu.createQuerySet({ type: 'timestamp', count: n + 1 });
    const resolved = memory.create('timestamps', 8 * (n + 1), 0x0200 | 0x0004);
    try {
      for (let i = -1; i < n; i++) {
        const timestampWrites = { querySet, endOfPassWriteIndex: i + 1 };
        submit(gpu, (encoder) => {
          record(encoder.beginComputePass({ timestampWrites }), from + Math.max(i, 0), from + i + 1);
          if (i === n - 1) encoder.resolveQuerySet(querySet, 0, n + 1, resolved, 0);
        });
      }
      const ends = new BigUint64Array(await readBuffer(device, resolved, 0, 8 * (n + 1)));
      for (let i = 0; i < n; i++) times.push(Number(ends[i + 1] - ends[i]) / 1e6);
    } finally {
      querySet.destroy();
      memory.free(resolved);
    }
  }
  return times;
}

/** Cuts a list of times into chunks of at most `most` milliseconds; a dispatch that alone takes longer is a chunk. */
export function cut(times: number[], most: number): [from: number, to: number, ms: number][] {
  const chunks: [number, number, number][] = [];
  let start = 0;
  let sum = 0;
  for (const [i, ms] of times.entries()) {
    if (i > start && sum + ms > most) {
      chunks.push([start, i, sum]);
      start = i;
      sum = 0;
    }
    sum += ms;
  }
  chunks.push([start, times.length, sum]);
  return chunks;
}
