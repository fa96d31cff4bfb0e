import { ValidationError } from '../gpu/errors.ts';

export type CallerWatch = ReturnType<typeof watchCaller>;

/**
 * Catches the validation errors of a step with buffers of its caller: one may be destroyed, or belong to another device.
 * @param theirs the names of the caller's buffers
 * @param outputs the names of the step's outputs, for the message
 */
export function watchCaller(gpu: GPUDevice, theirs: string[], outputs: string[]) {
  let failure: ValidationError | null = null;
  const keep = (error: GPUError | null) => {
    if (!error) return;
    const step = outputs.map((name) => `"${name}"`).join(', ');
    failure = new ValidationError(
      `WebGPU rejected the step of ${step}, which has buffers of the caller's (${theirs.join(', ')}): ${error.message}`,
    );
  };
  /** Throws the error of an earlier run of this step, once. */
  const assertValid = () => {
    const error = failure;
    failure = null;
    if (error) throw error;
  };
  return {
    /** Runs `body`; validation errors in it belong to this step. */
    watch<T>(body: () => T): T {
      if (!theirs.length) return body();
      gpu.pushErrorScope('validation');
      try {
        return body();
      } finally {
        gpu.popErrorScope().then(keep, () => {});
      }
    },
    /** Waits for the errors of everything done so far, and throws one if there is any. */
    async settled() {
      // Scopes resolve in order: after this, all earlier ones have.
      if (theirs.length) await gpu.queue.onSubmittedWorkDone().catch(() => {});
      assertValid();
    },
    assertValid,
  };
}
