/** The two claims about a kernel's result: equal to the oracle, or within the tolerance that rounding allows. */
import type { Flavour } from '../../src/core/flavour.ts';
import type { KernelName } from '../../src/kernels/table.ts';
import type { KernelCall } from './harness.ts';
import { splits } from './harness.ts';
import type { Allowed } from './tolerance.ts';
import { expectClose } from './tolerance.ts';

export { C, EPS, expectClose, largest, tolerance } from './tolerance.ts';

/** Claims `===` to the oracle for every way to share out the units. */
export function expectExact<K extends KernelName>(call: KernelCall<K>, flavour: Flavour, what = ''): void {
  for (const shares of splits(call.units)) {
    const got = call.run(flavour, shares);
    for (const [name, want] of call.oracle())
      expectClose(`${call.kernel} ${what} ${name} by ${JSON.stringify(shares)}`, got.get(name)!, want, 0);
  }
}

/** Claims that some units write what is theirs, exactly, and nothing else: that kernel and oracle mean the same by a unit. */
export function expectOwned<K extends KernelName>(call: KernelCall<K>, flavour: Flavour): void {
  for (const [begin, end] of [
    [0, 1],
    [Math.floor(call.units / 3), Math.ceil((call.units * 2) / 3)],
  ] as const) {
    const got = call.run(flavour, [[begin, end]]);
    for (const [name, want] of call.oracleOf(begin, end))
      expectClose(`${call.kernel} ${name} by ${begin} to ${end}`, got.get(name)!, want, 0);
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
