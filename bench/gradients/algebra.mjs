// r x r matrices on the host, row-major, for trials that have no kernels.

/** F' F of a factor [n][r]. @param {Float32Array} factor @param {number} r */
export function gram(factor, r) {
  const s = new Float64Array(r * r);
  for (let row = 0; row < factor.length; row += r) {
    for (let i = 0; i < r; i++) for (let j = 0; j < r; j++) s[i * r + j] += factor[row + i] * factor[row + j];
  }
  return s;
}

/** Eigenvalues, the largest first, and their vectors as columns, by Jacobi's rotations. @param {Float64Array} symmetric @param {number} r */
export function eigen(symmetric, r) {
  const a = symmetric.slice();
  const vectors = Float64Array.from({ length: r * r }, (_, i) => Number(i % (r + 1) === 0));
  for (let sweep = 0; sweep < 12; sweep++) {
    for (let p = 0; p < r; p++) {
      for (let q = p + 1; q < r; q++) {
        const off = a[p * r + q];
        if (Math.abs(off) <= 1e-14 * Math.sqrt(Math.abs(a[p * r + p] * a[q * r + q]))) continue;
        const theta = (a[q * r + q] - a[p * r + p]) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        for (let k = 0; k < r; k++) rotate(a, k * r + p, k * r + q, c, t * c);
        for (let k = 0; k < r; k++) rotate(a, p * r + k, q * r + k, c, t * c);
        for (let k = 0; k < r; k++) rotate(vectors, k * r + p, k * r + q, c, t * c);
      }
    }
  }
  const order = Array.from({ length: r }, (_, i) => i).sort((i, j) => a[j * r + j] - a[i * r + i]);
  return {
    values: Float64Array.from(order, (i) => Math.max(0, a[i * r + i])),
    vectors: vectors.map((_, at) => vectors[Math.floor(at / r) * r + order[at % r]]),
  };
}

/** @param {Float64Array} a @param {number} i @param {number} j @param {number} c @param {number} s */
function rotate(a, i, j, c, s) {
  const [x, y] = [a[i], a[j]];
  a[i] = c * x - s * y;
  a[j] = s * x + c * y;
}

/** (F' F)^(-1/2); undefined where F is zero. @param {Float32Array} factor @param {number} r */
export function inverseRoot(factor, r) {
  const { values, vectors } = eigen(gram(factor, r), r);
  if (values[0] === 0) return undefined;
  const roots = values.map((value) => 1 / Math.sqrt(value + 1e-6 * values[0]));
  const out = new Float64Array(r * r);
  for (let i = 0; i < r; i++)
    for (let j = 0; j < r; j++) for (let k = 0; k < r; k++) out[i * r + j] += vectors[i * r + k] * roots[k] * vectors[j * r + k];
  return out;
}

/** F M, or F M', of a factor [n][r]. @param {Float32Array} factor @param {Float64Array} m @param {number} r @param {'as it is' | 'transposed'} how */
export function times(factor, m, r, how = 'as it is') {
  const out = new Float32Array(factor.length);
  for (let row = 0; row < factor.length; row += r) {
    for (let j = 0; j < r; j++) {
      let sum = 0;
      for (let k = 0; k < r; k++) sum += factor[row + k] * (how === 'transposed' ? m[j * r + k] : m[k * r + j]);
      out[row + j] = sum;
    }
  }
  return out;
}

/** F P, P = m (F' F + damping m I)^-1, m the mean eigenvalue of F' F; F where it is zero. @param {Float32Array} factor @param {number} r @param {number} damping */
export function pseudoInverse(factor, r, damping) {
  const { values, vectors } = eigen(gram(factor, r), r);
  const mean = values.reduce((a, b) => a + b, 0) / r;
  if (mean === 0) return factor;
  const p = new Float64Array(r * r);
  for (let i = 0; i < r; i++)
    for (let j = 0; j < r; j++)
      for (let k = 0; k < r; k++) p[i * r + j] += (vectors[i * r + k] * mean * vectors[j * r + k]) / (values[k] + damping * mean);
  return times(factor, p, r);
}
