/** A short name for a pattern of kept weights, so that an adapter can say which mask it was trained in. */
import type { PackedWeight } from './weight.ts';

/** FNV-1a (64 bits, as two halves) over a sequence of numbers. */
export class Fingerprint {
  #low = 0x84222325;
  #high = 0xcbf29ce4;

  add(n: number): void {
    for (let shift = 0; shift < 32; shift += 8) {
      this.#low = (this.#low ^ ((n >>> shift) & 255)) >>> 0;
      // Times 0x100000001b3 modulo 2^64: low * 0x1b3, carried, plus the shifted halves.
      const product = this.#low * 0x1b3;
      this.#high = (Math.imul(this.#high, 0x1b3) + (this.#low << 8) + Math.floor(product / 2 ** 32)) >>> 0;
      this.#low = product >>> 0;
    }
  }

  addAll(words: Iterable<number>): void {
    for (const n of words) this.add(n);
  }

  /** Adds many bytes, mixed word by word first. */
  addBytes(bytes: Uint8Array): void {
    const whole = bytes.length >> 2;
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let [a, b] = [0x811c9dc5, 0x9e3779b9];
    for (let i = 0; i < whole; i++) {
      const word = words.getUint32(i * 4, true);
      a = Math.imul(a ^ word, 0x01000193);
      b = Math.imul((b << 13) | (b >>> 19), 5) + word;
    }
    this.addAll([bytes.length, a, b, ...bytes.subarray(whole * 4)]);
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0');
  }
}

/** Adds the shape and the kept positions of a weight; its values and its packed format do not matter. */
export function addPattern(to: Fingerprint, weight: PackedWeight, keep: Uint8Array): void {
  to.addAll([weight.rows, weight.cols]);
  let word = 0;
  for (let i = 0; i < keep.length; i++) {
    word = (word << 1) | keep[i]!;
    if ((i & 31) === 31) {
      to.add(word);
      word = 0;
    }
  }
  to.add(word);
}
