import { describe, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { callReference } from '../../src/kernels/reference/table.ts';
import { packed } from '../kernels/attentionCases.ts';
import { dot, expectSlope, normals } from './finiteDifferences.ts';

const random = new Random(19);
const zeros = (n: number): Float64Array => new Float64Array(n);

test('rmsNorm: x, through the mean too, and the gain', () => {
  const [K, tiles, eps] = [7, 2, 1e-2];
  const [x, gy, gain] = [normals(random, tiles * K * 16), normals(random, tiles * K * 16), normals(random, K)];
  const rstd = zeros(tiles * 16);
  const loss = (): number => {
    const y = zeros(x.length);
    callReference('rmsNorm', [y, rstd, x, gain, K, eps, 0, tiles]);
    return dot(y, gy);
  };
  loss();
  const [dx, dGain] = [zeros(x.length), zeros(K)];
  callReference('rmsNormBackward', [dx, null, gy, x, rstd, gain, K, 0, tiles]);
  callReference('rmsNormGainGrad', [dGain, gy, x, rstd, K, tiles, 0, K]);
  expectSlope('dx', loss, x, dx, random);
  expectSlope('dGain', loss, gain, dGain, random);
});

test('rope: the gradient is the turn by the negative angle', () => {
  const [heads, half, tiles] = [3, 2, 2];
  const [q, gy] = [normals(random, tiles * heads * half * 32), normals(random, tiles * heads * half * 32)];
  const angles = normals(random, tiles * half * 16);
  const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
  const turn = (x: Float64Array, sign: number): Float64Array => {
    const y = zeros(x.length);
    callReference('rope', [y, x, cos, sin, heads, half, sign, 0, tiles]);
    return y;
  };
  expectSlope('dq', () => dot(turn(q, 1), gy), q, turn(gy, -1), random);
});

test('swiglu: gate and up', () => {
  const [F, tiles] = [5, 2];
  const [gate, up, gy] = [normals(random, tiles * F * 16), normals(random, tiles * F * 16), normals(random, tiles * F * 16)];
  const loss = (): number => {
    const y = zeros(gate.length);
    callReference('swiglu', [y, gate, up, F, null, 0, tiles]);
    return dot(y, gy);
  };
  const [dGate, dUp] = [zeros(gate.length), zeros(up.length)];
  callReference('swigluBackward', [dGate, dUp, gy, gate, up, F, null, 0, tiles]);
  expectSlope('dGate', loss, gate, dGate, random);
  expectSlope('dUp', loss, up, dUp, random);
});

describe.each([
  { heads: 4, kvHeads: 2, D: 3, lengths: [9, 17, 1, 5] },
  { heads: 2, kvHeads: 2, D: 4, lengths: [32] },
  { heads: 3, kvHeads: 1, D: 2, lengths: [20] },
])('attention, $heads/$kvHeads heads, documents $lengths', ({ heads, kvHeads, D, lengths }) => {
  const { tiles, first, last } = packed(lengths);
  const shape = [first, last, heads, kvHeads, D, D ** -0.5];
  const [q, dO] = [normals(random, tiles * heads * D * 16), normals(random, tiles * heads * D * 16)];
  const [k, v] = [normals(random, tiles * kvHeads * D * 16), normals(random, tiles * kvHeads * D * 16)];
  const [o, stats] = [zeros(q.length), zeros(tiles * heads * 32)];
  const loss = (): number => {
    callReference('attention', [o, stats, q, k, v, ...shape, null, 0, tiles * heads]);
    return dot(o, dO);
  };
  loss();
  const [dqParts, delta, dkHeads, dvHeads] = [zeros(2 * q.length), zeros(2 * tiles * heads * 16), zeros(q.length), zeros(q.length)];
  callReference('attentionBackward', [dqParts, dkHeads, dvHeads, delta, dO, o, stats, q, k, v, ...shape, 2, tiles, null, 0, 2 * heads]);
  const [dq, dk, dv] = [zeros(q.length), zeros(k.length), zeros(v.length)];
  callReference('sumHeads', [dq, dqParts, 2 * heads, heads, D, 0, tiles]);
  callReference('sumHeads', [dk, dkHeads, heads, kvHeads, D, 0, tiles]);
  callReference('sumHeads', [dv, dvHeads, heads, kvHeads, D, 0, tiles]);

  test.each([
    { name: 'dq', x: q, gradient: dq },
    { name: 'dk', x: k, gradient: dk },
    { name: 'dv', x: v, gradient: dv },
  ])('$name', ({ name, x, gradient }) => expectSlope(name, loss, x, gradient, random, 40));
});

test('crossEntropy: softmax minus one at the label, scaled; nothing for a token without one', () => {
  const [V, tiles] = [9, 2];
  const logits = normals(random, tiles * V * 16);
  const labels = Int32Array.from({ length: tiles * 16 }, (_, t) => (t % 4 ? random.below(V) : -1));
  const scale = Float64Array.of(0.3);
  const loss = (): number => {
    const losses = zeros(labels.length);
    callReference('crossEntropy', [losses, logits, labels, V, null, 0, tiles]);
    return 0.3 * losses.reduce((a, b) => a + b, 0);
  };
  const gradient = logits.slice();
  callReference('crossEntropyBackward', [zeros(labels.length), gradient, labels, scale, V, null, 0, tiles]);
  expectSlope('dlogits', loss, logits, gradient, random, 40);
});

test('embed: rows that several tokens share collect from all of them, and from no padding', () => {
  const [V, K, tiles, tokens] = [6, 5, 2, 27];
  const table = normals(random, Math.ceil(V / 4) * 4 * K);
  const ids = Uint32Array.from({ length: tiles * 16 }, () => random.below(V));
  const gy = normals(random, tiles * K * 16).map((g, i) => (Math.floor(i / (K * 16)) * 16 + (i % 16) < tokens ? g : 0));
  const loss = (): number => {
    const x = zeros(gy.length);
    callReference('embed', [x, table, 0, ids, K, 0, tiles]);
    return dot(x, gy);
  };
  const dTable = zeros(table.length);
  callReference('embedGrad', [dTable, gy, ids, K, tokens, 0, K]);
  expectSlope('dTable', loss, table, dTable, random, 40);
});

test('gatherTokens: the gradient of taking tokens to places is taking places to tokens', () => {
  const [K, tiles] = [3, 2];
  const NONE = 0xffffffff;
  const [slots, places] = [new Uint32Array(tiles * 16).fill(NONE), new Uint32Array(tiles * 16).fill(NONE)];
  random
    .permutation(tiles * 16)
    .subarray(0, 20)
    .sort()
    .forEach((slot, place) => {
      slots[place] = slot;
      places[slot] = place;
    });
  const [x, gy] = [normals(random, tiles * K * 16), normals(random, tiles * K * 16)];
  const gather = (from: Float64Array, by: Uint32Array): Float64Array => {
    const y = zeros(from.length);
    callReference('gatherTokens', [y, from, by, K, 0, tiles]);
    return y;
  };
  expectSlope('dx', () => dot(gather(x, slots), gy), x, gather(gy, places), random, 40);
});
