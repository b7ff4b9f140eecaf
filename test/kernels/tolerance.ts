/** What rounding allows, and the comparison by it. Nothing here needs Node: the runtimes' runner uses it too. */

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
