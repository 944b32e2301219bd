// A worker that runs our code: `bench-web`, built like the page's CPU worker.
import init, { Work } from './bench-web.js';
import { answer } from './answer.mjs';

let work, batch;

const prepared = (images) => {
  if (images !== batch) work.resize(batch = images);
  return work;
};

answer({
  async open(model) {
    await init();
    work = await Work.new(model, batch = 1);
    return { name: 'ours', weights: JSON.parse(await work.weights()) };
  },
  infer: (images) => prepared(images).infer(),
  'input-gradient': (images) => prepared(images).input_gradient(),
  /** The network and images, for the other worker. */
  material: (images) => ({ pixels: prepared(images).pixels(), labels: work.labels() }),
  /** Profiles the work for a number of milliseconds. */
  profile({ workload, images, ms }) {
    const run = () => (workload === 'infer' ? prepared(images).infer() : prepared(images).input_gradient());
    const until = performance.now() + ms;
    let times = 0;
    prepared(images).profile_start();
    const began = performance.now();
    for (; performance.now() < until; times++) run();
    return { times, ms: performance.now() - began, entries: JSON.parse(work.profile_stop()) };
  },
});
