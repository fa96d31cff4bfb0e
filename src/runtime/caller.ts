import { ValidationError } from '../gpu/errors.ts';

/** Watches what a step does with buffers of its caller: one may be destroyed, or another device's. */
export interface CallerWatch {
  /** Does something whose failure is this step's own. */
  watch<T>(body: () => T): T;
  /** Waits for what WebGPU says of all that was done so far, and throws it. */
  settled(): Promise<void>;
  /** Throws what WebGPU said of an earlier run of this step, once. */
  assertValid(): void;
}

/**
 * @param theirs the names of the caller's buffers
 * @param outputs the names of the step's outputs, for the message
 */
export function watchCaller(gpu: GPUDevice, theirs: string[], outputs: string[]): CallerWatch {
  let failure: ValidationError | null = null;
  const keep = (error: GPUError | null) => {
    if (!error) return;
    const step = outputs.map((name) => `"${name}"`).join(', ');
    failure = new ValidationError(
      `WebGPU rejected the step of ${step}, which has buffers of the caller's (${theirs.join(', ')}): ${error.message}`,
    );
  };
  const assertValid = () => {
    const error = failure;
    failure = null;
    if (error) throw error;
  };
  return {
    watch(body) {
      if (!theirs.length) return body();
      gpu.pushErrorScope('validation');
      try {
        return body();
      } finally {
        gpu.popErrorScope().then(keep, () => {});
      }
    },
    async settled() {
      // A scope tells what happened before it, and so in order.
      if (theirs.length) await gpu.queue.onSubmittedWorkDone().catch(() => {});
      assertValid();
    },
    assertValid,
  };
}
