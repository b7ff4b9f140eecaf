/**
 * The slow f64 oracle of every kernel: the specification. Arguments are the kernel's, by position, with an array for an
 * address (f64 for f32, in the same layout), null for address 0 and for scratch. The type makes a kernel without an
 * oracle, or one with more parameters than its kernel, not compile.
 */
import { explain } from '../../core/errors.ts';
import type { KernelName, Kernels } from '../table.ts';
import { attention, attentionBackward, sumHeads } from './attention.ts';
import * as block from './block.ts';
import * as csr from './csr.ts';
import * as dense from './dense.ts';
import { rmsNorm, rmsNormBackward, rmsNormGainGrad, rope, ropeAngles, swiglu, swigluBackward } from './layers.ts';
import * as limits from './limits.ts';
import * as lowRank from './lowRank.ts';
import * as modulate from './modulate.ts';
import * as oneToken from './oneToken.ts';
import * as optimizer from './optimizer.ts';
import * as quad from './quad.ts';
import * as tokens from './tokens.ts';

/** What an oracle takes for a kernel's argument. */
export type OracleArgument = number | Float64Array | Uint32Array | Uint16Array | Uint8Array | Int32Array | null;

type Oracle<K extends KernelName> = (...args: { [I in keyof Parameters<Kernels[K]>]: never }) => void;

export const REFERENCE = {
  ...quad,
  ...csr,
  ...block,
  ...dense,
  ...lowRank,
  ...modulate,
  rmsNorm,
  rmsNormBackward,
  rmsNormGainGrad,
  ropeAngles,
  rope,
  attention,
  attentionBackward,
  sumHeads,
  swiglu,
  swigluBackward,
  ...tokens,
  ...oneToken,
  ...optimizer,
  ...limits,
} satisfies { readonly [K in KernelName]: Oracle<K> };

/** Runs the oracle of a kernel. Throws where arguments are missing: an `end` that is not there would compute nothing, and agree with anything. */
export function callReference(kernel: KernelName, args: readonly OracleArgument[]): void {
  const { length } = REFERENCE[kernel];
  if (args.length < length) throw new TypeError(explain(kernel, `${length} arguments`, `${args.length}`));
  (REFERENCE[kernel] as (...args: readonly never[]) => void)(...(args as readonly never[]));
}
