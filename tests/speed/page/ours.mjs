// A worker that does our work: `bench-web`, built as the page's CPU worker is.
import init, { Work } from './bench-web.js';
import { answer } from './answer.mjs';

let work, batch;

const prepared = (pictures) => {
  if (pictures !== batch) work.resize(batch = pictures);
  return work;
};

answer({
  async open(model) {
    await init();
    work = await Work.new(model, batch = 1);
    return { name: 'ours', weights: JSON.parse(await work.weights()) };
  },
  infer: (pictures) => prepared(pictures).infer(),
  'input-gradient': (pictures) => prepared(pictures).input_gradient(),
  /** What the others are to do the same with. */
  material: (pictures) => ({ pixels: prepared(pictures).pixels(), labels: work.labels() }),
  /** Where the time of so many milliseconds of work goes. */
  profile({ workload, pictures, ms }) {
    const run = () => (workload === 'infer' ? prepared(pictures).infer() : prepared(pictures).input_gradient());
    const until = performance.now() + ms;
    let times = 0;
    prepared(pictures).profile_start();
    const began = performance.now();
    for (; performance.now() < until; times++) run();
    return { times, ms: performance.now() - began, entries: JSON.parse(work.profile_stop()) };
  },
});
