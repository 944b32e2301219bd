// What both workers answer with.

/**
 * Answers {ask, of} by `work[ask](of)`; {turn, of, ms} repeats the work for so long and answers with the mean
 * milliseconds: a page that is not isolated sees time in tenths of them.
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
