/** Figures as people read them: three significant digits and a unit. What is not a finite number is a dash. */

/** Three significant digits, no exponent between 0.001 and a million. */
export function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  if (size >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

/** A ratio: `1.85×`. */
export function times(value: number | undefined): string {
  const text = number(value);
  return text === '–' ? text : `${text}×`;
}

/** A share: `47 %`, `4.6 %`. */
export function percent(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return '–';
  return `${Number((share * 100).toPrecision(share >= 0.1 ? 2 : 1 + Number(share >= 0.01)))} %`;
}

/** A time in its own unit: `14.3 ms`. */
export function duration(seconds: number): string {
  if (seconds >= 1) return `${number(seconds)} s`;
  if (seconds >= 1e-3) return `${number(seconds * 1e3)} ms`;
  return `${number(seconds * 1e6)} µs`;
}

/** Bytes in powers of ten, as memories are told elsewhere in this package: `2.4 MB`. */
export function bytes(count: number): string {
  if (count >= 1e9) return `${number(count / 1e9)} GB`;
  if (count >= 1e6) return `${number(count / 1e6)} MB`;
  if (count >= 1e3) return `${number(count / 1e3)} kB`;
  return `${number(count)} B`;
}

/** `1 thread`, `2 threads`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)!}`;
}

/** The middle of the values; of an even count, the geometric mean of the middle two, as these are ratios. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : Math.sqrt(sorted[middle - 1]! * sorted[middle]!);
}
