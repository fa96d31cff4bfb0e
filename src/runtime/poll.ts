// Firefox reports finished work on a poll of 100 ms: https://bugzilla.mozilla.org/show_bug.cgi?id=1870699.
// When that bug is fixed, this file can be deleted: `queue.onSubmittedWorkDone()` replaces `done`.

/** Milliseconds of work that may be in flight where finished work is reported late. */
const MOST_AHEAD = 250;

/** Waits for submitted work; where finished work is reported late, for its measured time. */
export function completionOf(queue: GPUQueue) {
  let late = false;
  let ahead = 0;
  return {
    /** Resolves when the last submit, which takes `ms` milliseconds, is done or should be. */
    done(ms: number): Promise<unknown> {
      ahead += ms;
      const clear = () => (ahead -= ms);
      const told = queue.onSubmittedWorkDone().then(clear, clear);
      return late && ahead < MOST_AHEAD ? new Promise((resolve) => setTimeout(resolve, ms)) : told;
    },
    /** Finds out whether an idle queue takes longer than this many milliseconds to report that it is done. */
    async check(mostMs: number) {
      // Something else may use the GPU just now, so three late answers are needed.
      late = true;
      for (let i = 0; late && i < 3; i++) {
        const asked = performance.now();
        await queue.onSubmittedWorkDone().catch(() => {});
        late = performance.now() - asked > mostMs;
      }
    },
  };
}
