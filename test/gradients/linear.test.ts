import { describe, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { callReference } from '../../src/kernels/reference/table.ts';
import { CHUNK } from '../../src/kernels/table.ts';
import type { KernelName } from '../../src/kernels/table.ts';
import { pack } from '../../src/sparse/pack.ts';
import type { BlockName } from '../../src/sparse/block.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import { BLOCKS, BLOCK_NAMES, isBlockName, stripCount } from '../../src/sparse/block.ts';
import { MASKS, blockMask, integers } from '../kernels/data.ts';
import { denseUnits, transposed } from '../kernels/weightCalls.ts';
import { dot, expectSlope, normals } from './finiteDifferences.ts';

const [M, K, TILES, RANK, S] = [15, 14, 2, 4, 0.7];
/** Rows of W that a row of SPP's P serves: a rank of 3, which is padded to 4. */
const REPEATS = M / 3;
const random = new Random(17);

/** What a format's kernels take between the arrays and the sizes. */
function structureOf(weight: PackedWeight): (Uint32Array | Uint8Array | number)[] {
  if (weight.format === 'quad') return [weight.starts, weight.index];
  if (weight.format === 'csr') return [weight.rowPtr, weight.index];
  if (weight.format === 'block') return [weight.starts, weight.index, BLOCKS[weight.block].rows, BLOCKS[weight.block].cols];
  return [];
}

/** The kernels of each format as closures over its index arrays. */
const formats = (['quad', 'csr', ...BLOCK_NAMES, 'dense'] as const).map((name) => {
  const block = isBlockName(name) ? name : undefined;
  const format = block ? 'block' : (name as Exclude<typeof name, BlockName>);
  const keep = block ? blockMask(random, M, K, block, 0.6) : MASKS[format === 'dense' ? 'dense' : '50 %'](random, M, K);
  const weight = pack('F32', integers(random, M * K), M, K, { keep, format, ...(block && { block }) });
  const suffix = { quad: 'Quad', csr: 'Csr', block: 'Block', dense: 'Dense' }[format];
  const structure = structureOf(weight);
  const units = { quad: Math.ceil(K / 4), csr: M, block: block ? stripCount(block, M, K) : 0, dense: Math.ceil(M / 4) }[format];
  const [forward, backward]: [KernelName, KernelName] =
    format === 'dense' ? ['gemm', 'gemmT'] : [`spmm${suffix}` as KernelName, `spmmT${suffix}` as KernelName];
  // The dense products also take the features of a tile that W may be a band of.
  const sizes = format === 'dense' ? [M, M, K] : [M, K];
  // All units: of rows or inputs of bands of tiles, or of one strip of all, by tiles or by two.
  const shared = (features: number): number[] => [
    TILES,
    0,
    { dense: denseUnits(features, TILES), quad: TILES, csr: Math.ceil(TILES / 2), block: TILES }[format],
  ];
  const pairs = format === 'quad' ? [0] : [];
  const zeros = (n: number): Float64Array => new Float64Array(n);
  return {
    name,
    format,
    length: weight.values.length,
    multiply(x: Float64Array, w: Float64Array): Float64Array {
      const y = zeros(TILES * M * 16);
      callReference(forward, [y, null, x, w, ...structure, ...sizes, ...pairs, ...(format === 'quad' ? [null] : []), ...shared(M)]);
      return y;
    },
    multiplyT(dy: Float64Array, w: Float64Array): Float64Array {
      const dx = zeros(TILES * K * 16);
      const lists = weight.format === 'csr' ? Object.values(transposed(weight, w)) : [w, ...structure];
      const scratch = format === 'dense' ? [null] : [];
      callReference(backward, [dx, null, dy, ...lists, ...sizes, ...pairs, ...scratch, ...shared(K)]);
      return dx;
    },
    merge(w: Float64Array | null, up: Float64Array, downT: Float64Array): Float64Array {
      const merged = zeros(weight.values.length);
      callReference(`merge${suffix}` as KernelName, [merged, w, 0, up, downT, RANK, S, ...structure, M, K, 0, units]);
      return merged;
    },
    sample(dy: Float64Array, x: Float64Array): Float64Array {
      const h = zeros(weight.values.length);
      callReference(`sddmm${suffix}` as KernelName, [h, null, dy, x, ...structure, ...sizes, TILES, 0, units]);
      return h;
    },
    factorGradients(h: Float64Array, up: Float64Array, downT: Float64Array): { dUp: Float64Array; dDownT: Float64Array } {
      const [dUp, dDownT] = [zeros(up.length), zeros(downT.length)];
      const upUnits = format === 'dense' ? units : RANK / 4;
      callReference(`upGrad${suffix}` as KernelName, [dUp, h, downT, RANK, S, ...structure, M, K, 0, upUnits]);
      callReference(`downGrad${suffix}` as KernelName, [
        dDownT,
        h,
        up,
        RANK,
        S,
        ...structure,
        M,
        K,
        0,
        { quad: units, dense: K, csr: RANK / 4, block: RANK / 4 }[format],
      ]);
      return { dUp, dDownT };
    },
  };
});

const [x, gy] = [normals(random, TILES * K * 16), normals(random, TILES * M * 16)];
const [up, downT] = [normals(random, M * RANK), normals(random, K * RANK)];

describe.each(formats)('$name', (f) => {
  const w = normals(random, f.length);

  test('the transposed product is the gradient of x', () => {
    expectSlope('dx', () => dot(f.multiply(x, w), gy), x, f.multiplyT(gy, w), random);
  });

  test('the sampled product is the gradient of every kept weight: full training', () => {
    expectSlope('dw', () => dot(f.multiply(x, w), gy), w, f.sample(gy, x), random);
  });

  test('the exact factor gradients are the slopes of the merged forward: the scaling and the mask in', () => {
    const loss = (): number => dot(f.multiply(x, f.merge(w, up, downT)), gy);
    const { dUp, dDownT } = f.factorGradients(f.sample(gy, x), up, downT);
    expectSlope('dUp', loss, up, dUp, random);
    expectSlope('dDownT', loss, downT, dDownT, random);
  });
});

/** The multiplicative adapters: the update modulates the values, whatever stands where. */
describe.each(formats)('$name, modulated', (f) => {
  const w = normals(random, f.length);
  const chunks = Math.ceil(f.length / CHUNK);
  const modulated = (factor: Float64Array): Float64Array => {
    const merged = f.merge(null, factor, downT);
    callReference('modulate', [merged, w, 0, f.length, 0, chunks]);
    return merged;
  };
  const gradients = (factor: Float64Array): { dUp: Float64Array; dDownT: Float64Array } => {
    const h = f.sample(gy, x);
    callReference('timesValues', [h, w, 0, f.length, 0, chunks]);
    return f.factorGradients(h, factor, downT);
  };

  test('HiRA: the slopes of W * (1 + s up down)', () => {
    const loss = (): number => dot(f.multiply(x, modulated(up)), gy);
    const { dUp, dDownT } = gradients(up);
    expectSlope('dUp', loss, up, dUp, random);
    expectSlope('dDownT', loss, downT, dDownT, random);
  });

  test('SPP: the slopes of W * (1 + s R(P) * q), in q and in P', () => {
    const q = normals(random, M);
    const spread = (): Float64Array => {
      const factor = new Float64Array(M * RANK);
      callReference('spreadRows', [factor, q, RANK, REPEATS, 0, M]);
      return factor;
    };
    const loss = (): number => dot(f.multiply(x, modulated(spread())), gy);
    const { dUp, dDownT } = gradients(spread());
    const dq = new Float64Array(M);
    callReference('gatherRows', [dq, dUp, RANK, REPEATS, 0, M]);
    expectSlope('dq', loss, q, dq, random);
    expectSlope('dP', loss, downT, dDownT, random);
  });
});

describe('the reordered gradients of LoRS', () => {
  const project = (from: Float64Array, factor: Float64Array, N: number, scaling: number): Float64Array => {
    const z = new Float64Array(TILES * RANK * 16);
    callReference('project', [z, from, factor, N, RANK, scaling, 0, TILES]);
    return z;
  };
  const expand = (z: Float64Array, factor: Float64Array, N: number): Float64Array => {
    const y = new Float64Array(TILES * N * 16);
    callReference('expand', [y, z, factor, N, RANK, 0, TILES]);
    return y;
  };
  const factorGrad = (dy: Float64Array, z: Float64Array, N: number, scaling: number): Float64Array => {
    const d = new Float64Array(N * RANK);
    callReference('factorGrad', [d, dy, z, N, RANK, scaling, TILES, 0, N]);
    return d;
  };
  /** The surrogate that they are the gradient of: the unmasked update alone. */
  const loss = (): number => dot(expand(project(x, downT, K, S), up, M), gy);

  test("dUp = s dY (down X)' is the slope of s <dY, up down X>", () => {
    expectSlope('dUp', loss, up, factorGrad(gy, project(x, downT, K, 1), M, S), random);
  });

  test("dDown = s (up' dY) X' is, too", () => {
    expectSlope('dDownT', loss, downT, factorGrad(x, project(gy, up, M, S), K, 1), random);
  });

  test("and so is LoRA's part of dx", () => {
    expectSlope('dx', loss, x, expand(project(gy, up, M, S), downT, K), random);
  });
});
