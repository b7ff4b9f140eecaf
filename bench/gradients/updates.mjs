// Updates that were tried in AdamW's place, on the host: they have no kernels, and their time is not counted.
import { eigen, gram, inverseRoot, times } from './algebra.mjs';

/**
 * A factor as it stands in the arena, live: its numbers, clipped gradient and moments, [n][r].
 * @typedef {{ name: string, role: 'up' | 'down', r: number, value: Float32Array, gradient: Float32Array, m: Float32Array, v: Float32Array }} Part
 * @typedef {(part: Part, rate: number, step: number) => void} Update
 */

const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

/** Learning rates of up and down `ratio` apart, their mean as it was (LoRA+, arXiv 2402.12354). @param {number} ratio @returns {Update} */
export function ratesApart(ratio) {
  return (part, rate, step) => {
    const { value, gradient: g, m, v } = part;
    const own = part.role === 'up' ? rate * Math.sqrt(ratio) : rate / Math.sqrt(ratio);
    const [c1, c2] = [1 / (1 - BETA1 ** step), 1 / (1 - BETA2 ** step)];
    for (let i = 0; i < value.length; i++) {
      m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
      v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] ** 2;
      value[i] -= (own * m[i] * c1) / (Math.sqrt(v[i] * c2) + EPSILON);
    }
  };
}

/** Momentum made orthogonal, of AdamW's size (Muon). @returns {Update} */
export function orthogonal() {
  return ({ role, value, gradient: g, m, r }, rate) => {
    const momentum = 0.95;
    const ahead = new Float32Array(g.length);
    for (let i = 0; i < g.length; i++) {
      m[i] = momentum * m[i] + (1 - momentum) * g[i];
      ahead[i] = momentum * m[i] + (1 - momentum) * g[i];
    }
    const root = inverseRoot(ahead, r);
    if (!root) return;
    // The best ratio of the rates of up and down that was found.
    const size = 0.2 * Math.sqrt(value.length / r) * (role === 'up' ? 0.5 : 2);
    times(ahead, root, r).forEach((step, i) => void (value[i] -= rate * size * step));
  };
}

/** AdamW in the eigenbasis of the gradients' running Gram matrix, on the side of the rank (SOAP, arXiv 2409.11321). @returns {Update} */
export function rotated() {
  /** @type {Map<string, Float64Array>} */
  const grams = new Map();
  return ({ name, value, gradient: g, m, v, r }, rate, step) => {
    const now = gram(g, r);
    const running = (grams.get(name) ?? new Float64Array(r * r)).map((s, i) => 0.95 * s + 0.05 * now[i]);
    grams.set(name, running);
    const { vectors } = eigen(running, r);
    const [c1, c2] = [1 / (1 - BETA1 ** step), 1 / (1 - BETA2 ** step)];
    for (let i = 0; i < m.length; i++) m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
    const turned = times(m, vectors, r);
    times(g, vectors, r).forEach((x, i) => {
      v[i] = BETA2 * v[i] + (1 - BETA2) * x ** 2;
      turned[i] = (turned[i] * c1) / (Math.sqrt(v[i] * c2) + EPSILON);
    });
    times(turned, vectors, r, 'transposed').forEach((x, i) => void (value[i] -= rate * x));
  };
}
