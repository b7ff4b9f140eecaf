// What a C compiler makes of the same loops: the plain build's dense tile, and quads of 2:4 in both directions, from the caches. Says how much of a
// gap to the floors is the hardware's, and how much WebAssembly's. Nothing of the package is built from it.
//
//   gcc -O3 -mavx -ffp-contract=off bench/native.c -o native && ./native             as plain SIMD: a product and a sum
//   gcc -O3 -mavx -mfma -DFUSED bench/native.c -o native && ./native                 as relaxed SIMD: one fused instruction
//
// clang takes the same. Runs of a busy machine come in two speeds: start it some tens of times, and take the best.
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { INPUTS = 320, PANELS = 80, ROWS = 256, GROUPS = 72, PATTERNS = 6, ROUNDS = 200 };

#ifdef FUSED
#define madd(a, b, c) _mm_fmadd_ps(a, b, c)
#else
#define madd(a, b, c) _mm_add_ps(c, _mm_mul_ps(a, b))
#endif
#define load _mm_load_ps
#define store _mm_store_ps
#define splat _mm_broadcast_ss

typedef __m128 v;

/** Two rows by sixteen tokens over n inputs; panels of four rows. */
__attribute__((noinline)) static void tile(float *y, const float *x, const float *w, int n) {
  v a0 = load(y), a1 = load(y + 4), a2 = load(y + 8), a3 = load(y + 12);
  v b0 = load(y + 16), b1 = load(y + 20), b2 = load(y + 24), b3 = load(y + 28);
#pragma GCC unroll 4
  for (int i = 0; i < n; i++, x += 16, w += 4) {
    const v s = splat(w), q = splat(w + 1);
    v p = load(x);
    a0 = madd(s, p, a0), b0 = madd(q, p, b0), p = load(x + 4);
    a1 = madd(s, p, a1), b1 = madd(q, p, b1), p = load(x + 8);
    a2 = madd(s, p, a2), b2 = madd(q, p, b2), p = load(x + 12);
    a3 = madd(s, p, a3), b3 = madd(q, p, b3);
  }
  store(y, a0), store(y + 4, a1), store(y + 8, a2), store(y + 12, a3);
  store(y + 16, b0), store(y + 20, b1), store(y + 24, b2), store(y + 28, b3);
}

/** Adds to the listed rows what two inputs give them. */
__attribute__((noinline)) static void forward(char *rows, const float *a, const float *b, const float *w, const uint16_t *i, const uint16_t *last) {
  const v a0 = load(a), a1 = load(a + 4), a2 = load(a + 8), a3 = load(a + 12);
  const v b0 = load(b), b1 = load(b + 4), b2 = load(b + 8), b3 = load(b + 12);
  for (; i < last; i++, w += 2) {
    float *y = (float *)(rows + *i);
    const v s = splat(w), q = splat(w + 1);
    store(y, madd(q, b0, madd(s, a0, load(y))));
    store(y + 4, madd(q, b1, madd(s, a1, load(y + 4))));
    store(y + 8, madd(q, b2, madd(s, a2, load(y + 8))));
    store(y + 12, madd(q, b3, madd(s, a3, load(y + 12))));
  }
}

/** Adds to two inputs what the listed rows give them. */
__attribute__((noinline)) static void backward(const char *rows, float *a, float *b, const float *w, const uint8_t *i, const uint8_t *last) {
  v a0 = load(a), a1 = load(a + 4), a2 = load(a + 8), a3 = load(a + 12);
  v b0 = load(b), b1 = load(b + 4), b2 = load(b + 8), b3 = load(b + 12);
  for (; i < last; i++, w += 2) {
    const float *dy = (const float *)(rows + (*i << 6));
    const v s = splat(w), q = splat(w + 1);
    v p = load(dy);
    a0 = madd(s, p, a0), b0 = madd(q, p, b0), p = load(dy + 4);
    a1 = madd(s, p, a1), b1 = madd(q, p, b1), p = load(dy + 8);
    a2 = madd(s, p, a2), b2 = madd(q, p, b2), p = load(dy + 12);
    a3 = madd(s, p, a3), b3 = madd(q, p, b3);
  }
  store(a, a0), store(a + 4, a1), store(a + 8, a2), store(a + 12, a3);
  store(b, b0), store(b + 4, b1), store(b + 8, b2), store(b + 12, b3);
}

static float x[INPUTS * 16] __attribute__((aligned(64))), w[PANELS * INPUTS * 4], y[ROWS * 16] __attribute__((aligned(64)));
static float values[GROUPS * ROWS * 2], inputs[GROUPS * 64] __attribute__((aligned(64)));
/** Rows as the package lists them: bytes of features forward, where they are spread for it, and their numbers backward. */
static uint16_t lists[GROUPS * ROWS];
static uint8_t rows[GROUPS * ROWS];
static int counts[GROUPS][PATTERNS];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void dense(void) {
  for (int r = 0; r < PANELS * 4; r += 2) tile(y + r % ROWS * 16, x, w + r / 4 * INPUTS * 4 + r % 4, INPUTS);
}

static void quads(int transposed) {
  static const int first[PATTERNS] = {0, 0, 0, 1, 1, 2}, second[PATTERNS] = {1, 2, 3, 2, 3, 3};
  const float *value = values;
  for (int g = 0, n = 0; g < GROUPS; g++) {
    for (int p = 0; p < PATTERNS; p++) {
      float *a = inputs + g * 64 + first[p] * 16, *b = inputs + g * 64 + second[p] * 16;
      const int last = n + counts[g][p];
      if (transposed) backward((const char *)y, a, b, value, rows + n, rows + last);
      else forward((char *)y, a, b, value, lists + n, lists + last);
      value += 2 * counts[g][p], n = last;
    }
  }
}

int main(void) {
  // Weights so small that sums stay near what they are; no zeros and no subnormals.
  for (int i = 0; i < INPUTS * 16; i++) x[i] = 1;
  for (int i = 0; i < ROWS * 16; i++) y[i] = 1;
  for (int i = 0; i < GROUPS * 64; i++) inputs[i] = 1;
  for (int i = 0; i < PANELS * INPUTS * 4; i++) w[i] = 1e-9f;
  for (int i = 0; i < GROUPS * ROWS * 2; i++) values[i] = 1e-9f;
  for (int g = 0, n = 0; g < GROUPS; g++) {
    int pattern[ROWS];
    for (int r = 0; r < ROWS; r++) pattern[r] = rand() % PATTERNS;
    for (int p = 0; p < PATTERNS; p++) {
      for (int r = 0; r < ROWS; r++) {
        if (pattern[r] != p) continue;
        rows[n] = r, lists[n++] = r * 64, counts[g][p]++;
      }
    }
  }
  double best[3] = {1e9, 1e9, 1e9};
  for (int round = 0; round < ROUNDS; round++) {
    for (int k = 0; k < 3; k++) {
      const double from = now();
      if (k == 0) dense();
      else quads(k == 2);
      const double seconds = now() - from;
      if (seconds < best[k]) best[k] = seconds;
    }
  }
  // Dense-equivalent, as everywhere.
  const double of[3] = {2.0 * 4 * PANELS * INPUTS * 16, 2.0 * 4 * GROUPS * ROWS * 16, 2.0 * 4 * GROUPS * ROWS * 16};
  const char *names[3] = {"dense", "2:4", "2:4 backward"};
  for (int k = 0; k < 3; k++) {
    const double rate = of[k] / best[k] * 1e-9;
    printf("%-12s %6.1f GFLOP/s, %.2f x dense\n", names[k], rate, rate / (of[0] / best[0] * 1e-9));
  }
}
