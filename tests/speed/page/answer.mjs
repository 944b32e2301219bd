// Message handling of both workers.

/**
 * Responds to {ask, of} with `work[ask](of)`. For {turn, of, ms} it repeats the work for `ms` milliseconds and responds with the
 * mean time, because timers of a page that is not isolated have a resolution of only 0.1 ms.
 */
export function answer(work) {
  onmessage = async ({ data: { ask, turn, of, ms } }) => {
    try {
      if (ask) return postMessage({ answer: await work[ask](of) });
      let times = 0;
      const began = performance.now();
      do { work[turn](of); times++; } while (performance.now() - began < ms);
      postMessage({ answer: (performance.now() - began) / times });
    } catch (error) {
      postMessage({ error: String(error?.stack ?? error) });
    }
  };
  postMessage({ answer: 'ready' });
}
