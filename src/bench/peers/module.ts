/** Packages of peers: only those who ask for them need them. */
import { UnsupportedError, explain } from '../../core/errors.ts';

/** What `load` imports, or UnsupportedError that says what to install. */
export async function peerModule<T>(flag: string, packages: readonly string[], load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const hint = `Install it beside lors-wasm: npm install ${packages.join(' ')}`;
    throw new UnsupportedError(explain(`--against ${flag}`, `the package ${packages.join(' and ')}`, why.split('\n')[0]!, hint), {
      cause: error,
    });
  }
}

/** A matrix [rows, cols] as [cols, rows]: peers that multiply x by it want the inputs first. */
export function transposed(matrix: Float32Array, rows: number, cols: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = matrix[r * cols + c]!;
  return out;
}
