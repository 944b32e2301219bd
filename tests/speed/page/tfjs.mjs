// A worker that runs the same network in TensorFlow.js on its wasm backend, optimized for speed: channels last, batch
// normalization folded into the preceding convolutions, bias and ReLU fused into them.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { answer } from './answer.mjs';

const EPSILON = 1e-5;
let network;
let differentiated = false;
const batches = new Map(); // images -> {x, y}

/** Builds a WideResNet from the arrays of a state dict, as a function from [B, 32, 32, 3] to logits. */
function build(arrays) {
  const values = (name) => arrays[name]?.values;
  /** gamma / sigma and beta - mean gamma / sigma */
  function norm(name) {
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => values(`${name}.${part}`));
    const scale = gamma.map((gamma, c) => gamma / Math.sqrt(variance[c] + EPSILON));
    return { scale, shift: beta.map((beta, c) => beta - mean[c] * scale[c]) };
  }
  /** Converts a filter from [out, in, k, k] to [k, k, in, out] with scaled outputs. `shift` becomes the bias. */
  function conv(name, stride, { scale, shift } = {}, activation = 'linear') {
    const { shape: [cout, cin, k], values: from } = arrays[`${name}.weight`];
    const to = new Float32Array(from.length);
    for (let o = 0, at = 0; o < cout; o++) {
      for (let i = 0; i < cin; i++) for (let t = 0; t < k * k; t++) to[(t * cin + i) * cout + o] = from[at++] * (scale?.[o] ?? 1);
    }
    const filter = tf.tensor4d(to, [k, k, cin, cout]);
    const pad = k >> 1;
    const options = { filter, strides: stride, pad: pad ? [[0, 0], [pad, pad], [pad, pad], [0, 0]] : 'valid', activation };
    if (shift) options.bias = tf.tensor1d(shift);
    return (x) => {
      if (!differentiated) return tf.fused.conv2d({ x, ...options });
      // The fused convolution would also need the gradient of its filter, which this backend does not implement.
      const y = tf.conv2d(x, filter, stride, options.pad);
      const shifted = shift ? tf.add(y, options.bias) : y;
      return activation === 'relu' ? tf.relu(shifted) : shifted;
    };
  }
  const affine = ({ scale, shift }) => {
    const [a, b] = [scale, shift].map((values) => tf.tensor1d(values));
    return (x) => tf.add(tf.mul(x, a), b);
  };

  const names = [1, 2, 3].flatMap((stage) => {
    const units = [];
    for (let i = 0; arrays[`block${stage}.layer.${i}.conv1.weight`]; i++) units.push({ name: `block${stage}.layer.${i}`, stride: stage > 1 && i === 0 ? 2 : 1 });
    return units;
  });
  const first = conv('conv1', 1);
  const units = names.map(({ name, stride }, i) => {
    const shortcut = arrays[`${name}.convShortcut.weight`] !== undefined;
    // If the next unit has no identity skip, it uses this unit's output only after a normalization. The normalization is linear
    // in both summands and is folded into their convolutions.
    const next = names[i + 1];
    const folded = shortcut && (!next || arrays[`${next.name}.convShortcut.weight`]) ? norm(next ? `${next.name}.bn1` : 'bn1') : undefined;
    return {
      normalize: affine(norm(`${name}.bn1`)),
      conv1: conv(`${name}.conv1`, stride, norm(`${name}.bn2`), 'relu'),
      conv2: conv(`${name}.conv2`, 1, folded),
      shortcut: shortcut && conv(`${name}.convShortcut`, stride, folded && { scale: folded.scale }),
      folded: Boolean(folded),
    };
  });
  const normalize = affine(norm('bn1'));
  const { shape: [classes, latents], values: fc } = arrays['fc.weight'];
  const weight = tf.transpose(tf.tensor2d(fc, [classes, latents]));
  const bias = tf.tensor1d(values('fc.bias'));

  return (images) => {
    let x = first(images);
    let normalized = false;
    for (const unit of units) {
      const activated = tf.relu(normalized ? x : unit.normalize(x));
      x = tf.add(unit.conv2(unit.conv1(activated)), unit.shortcut ? unit.shortcut(activated) : x);
      normalized = unit.folded;
    }
    const latent = tf.mean(tf.relu(normalized ? x : normalize(x)), [1, 2]);
    return tf.fused.matMul({ a: latent, b: weight, bias });
  };
}

/** Cross-entropy, summed over images. */
const loss = (x, y) => tf.neg(tf.sum(tf.mul(tf.logSoftmax(network(x)), y)));

answer({
  async open(weights) {
    tf.enableProdMode();
    setWasmPaths(new URL('./', import.meta.url).href);
    await tf.setBackend('wasm');
    await tf.ready();
    setThreadsCount(1);
    network = build(weights);
    const [simd, threads] = await Promise.all(['WASM_HAS_SIMD_SUPPORT', 'WASM_HAS_MULTITHREAD_SUPPORT'].map((flag) => tf.env().getAsync(flag)));
    return { name: `tfjs ${tf.version_core}`, backend: tf.getBackend(), simd, threads };
  },
  /** The images of the other worker, channels last. */
  take({ images, pixels, labels }) {
    const x = tf.tidy(() => tf.transpose(tf.tensor4d(pixels, [images, 3, 32, 32]), [0, 2, 3, 1]));
    batches.set(images, { x, y: tf.tensor2d(labels, [images, labels.length / images]) });
  },
  infer: (images) => tf.tidy(() => network(batches.get(images).x).dataSync()),
  'input-gradient': (images) => tf.tidy(() => {
    const { x, y } = batches.get(images);
    differentiated = true;
    const gradient = tf.grad((x) => loss(x, y))(x);
    differentiated = false;
    return gradient.dataSync();
  }),
});
