// Firefox tells that work is done on a poll of 100 ms: https://bugzilla.mozilla.org/show_bug.cgi?id=1870699.
// When that bug is closed, this file can be deleted: `queue.onSubmittedWorkDone()` takes the place of `done`.

/** Milliseconds of work that may be under way where the end of work is told late. */
const MOST_AHEAD = 250;

/** Tells when submitted work is done, or should be where that is told late. */
export interface Completion {
  /** Resolves when the last submit, which takes so many milliseconds, is done, or should be. */
  done(ms: number): Promise<unknown>;
  /** Finds out whether an idle queue tells later than this many milliseconds. */
  check(mostMs: number): Promise<void>;
}

export function completionOf(queue: GPUQueue): Completion {
  let late = false;
  let ahead = 0;
  return {
    done(ms) {
      ahead += ms;
      const clear = () => (ahead -= ms);
      const told = queue.onSubmittedWorkDone().then(clear, clear);
      return late && ahead < MOST_AHEAD ? new Promise((resolve) => setTimeout(resolve, ms)) : told;
    },
    async check(mostMs) {
      // Someone may draw just now: three late answers are needed.
      late = true;
      for (let i = 0; late && i < 3; i++) {
        const asked = performance.now();
        await queue.onSubmittedWorkDone().catch(() => {});
        late = performance.now() - asked > mostMs;
      }
    },
  };
}
