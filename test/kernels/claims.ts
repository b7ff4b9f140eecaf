/** The two claims about a kernel's result: equal to the oracle, or within the tolerance that rounding allows. */
import type { Flavour, KernelName } from '../../src/kernels/table.ts';
import type { KernelCall } from './harness.ts';
import { splits } from './harness.ts';

/** Unit roundoff of f32. */
export const EPS = 2 ** -24;

/**
 * The constant of `C * EPS * (k + 2) * max|w| * max|x|`, for a sum of k products. Each step of the sum rounds its partial
 * sum by at most EPS, and a partial sum of k terms is at most k max|w| max|x|: k times k in the worst case. Terms and
 * rounding errors are signed and independent here, so partial sums and errors each grow like sqrt k: k in all. C = 2
 * allows for the product's own rounding beside the sum's, where multiply and add are not fused.
 */
export const C = 2;

/** The tolerance of a sum of k products. */
export function tolerance(k: number, maxW: number, maxX: number): number {
  return C * EPS * (k + 2) * maxW * maxX;
}

/** The largest magnitude of an array. */
export function largest(data: ArrayLike<number>): number {
  let m = 0;
  for (let i = 0; i < data.length; i++) m = Math.max(m, Math.abs(data[i]!));
  return m;
}

/** The largest error: of any element, or of element i. */
export type Allowed = number | ((i: number) => number);

/** Throws unless every element is within `allowed` of what is wanted; NaN never is. */
export function expectClose(what: string, got: ArrayLike<number>, want: ArrayLike<number>, allowed: Allowed): void {
  const within = typeof allowed === 'number' ? () => allowed : allowed;
  if (got.length !== want.length) throw new Error(`${what}: expected ${want.length} elements, got ${got.length}.`);
  for (let i = 0; i < got.length; i++) {
    if (!(Math.abs(got[i]! - want[i]!) <= within(i))) {
      throw new Error(`${what}[${i}]: expected ${want[i]} within ${within(i)}, got ${got[i]} (off by ${Math.abs(got[i]! - want[i]!)}).`);
    }
  }
}

/** Claims `===` to the oracle for every way to share out the units. */
export function expectExact<K extends KernelName>(call: KernelCall<K>, flavour: Flavour, what = ''): void {
  for (const shares of splits(call.units)) {
    const got = call.run(flavour, shares);
    for (const [name, want] of call.oracle())
      expectClose(`${call.kernel} ${what} ${name} by ${JSON.stringify(shares)}`, got.get(name)!, want, 0);
  }
}

/** Claims an output within a tolerance of the oracle, or of each output by name. */
export function expectWithin<K extends KernelName>(
  call: KernelCall<K>,
  flavour: Flavour,
  allowed: Allowed | Readonly<Record<string, Allowed>>,
  what = '',
): void {
  const got = call.run(flavour);
  for (const [name, want] of call.oracle()) {
    const most = typeof allowed === 'object' ? allowed[name] : allowed;
    if (most === undefined) throw new Error(`${call.kernel}: no tolerance for ${name}.`);
    expectClose(`${call.kernel} ${what} ${name}`, got.get(name)!, want, most);
  }
}

/** Claims that sharing out the units changes no bit. */
export function expectSplitFree<K extends KernelName>(call: KernelCall<K>, flavour: Flavour): void {
  const whole = call.run(flavour);
  for (const shares of splits(call.units)) {
    const got = call.run(flavour, shares);
    for (const [name, want] of whole) expectClose(`${call.kernel} ${name} by ${JSON.stringify(shares)}`, got.get(name)!, want, 0);
  }
}

/** Whether two arrays hold the same bytes. Far faster than toEqual, and -0 is not 0. */
export function sameBits(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
