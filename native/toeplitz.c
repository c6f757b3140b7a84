/* Products of K x K kernels with coefficient spectra: the inner step of the Toeplitz normal operator.

   For every point p of the padded k-space grid and every coil c,

       out[c][k][p] = sum over l of  kernel[k][l][p] * x[c][l][p],

   in place. The kernel is Hermitian in (k, l) at every point; its upper triangle is stored row by row:
   (0,0) (0,1) .. (0,K-1) (1,1) .. . For a real temporal basis it is real, float32; for a complex one it is
   complex, as (real, imaginary) pairs of float32. mrftool/reconstruction/encoding/kernel_product.py has the readable
   twin.

   Points are taken in blocks that stay in the first-level cache; the kernel of a block serves all coils.
   Blocks are independent: threads share them out by `first` and `last`. */

#include <stdint.h>
#include <string.h>

#define BLOCK 128
#define MAX_RANK 32

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define EACH_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EACH_WIDTH
#endif

typedef struct {
  const float *kernel; /* [triangle][point] or [triangle][point][2] */
  float *x;            /* [coil][rank][point][2] */
  int64_t n_coils, rank, n_points;
  int64_t first, last; /* points to do */
  int32_t is_complex;  /* whether the kernel is */
} job;

/* Where row k of the packed upper triangle begins, less k: element (k, l) is at row_start + l. */
static int64_t row_start(int64_t k, int64_t rank) { return k * rank - k * (k + 1) / 2; }

EACH_WIDTH
static void real_block(const job *j, float *x, int64_t start, int64_t count) {
  float re[MAX_RANK][BLOCK], im[MAX_RANK][BLOCK];
  for (int64_t l = 0; l < j->rank; l++)
    for (int64_t p = 0; p < count; p++) {
      re[l][p] = x[2 * (l * j->n_points + start + p)];
      im[l][p] = x[2 * (l * j->n_points + start + p) + 1];
    }
  for (int64_t k = 0; k < j->rank; k++) {
    float sum_re[BLOCK] = {0}, sum_im[BLOCK] = {0};
    for (int64_t l = 0; l < j->rank; l++) {
      int64_t element = k <= l ? row_start(k, j->rank) + l : row_start(l, j->rank) + k;
      const float *w = j->kernel + element * j->n_points + start;
      for (int64_t p = 0; p < count; p++) {
        sum_re[p] += w[p] * re[l][p];
        sum_im[p] += w[p] * im[l][p];
      }
    }
    float *out = x + 2 * (k * j->n_points + start);
    for (int64_t p = 0; p < count; p++) {
      out[2 * p] = sum_re[p];
      out[2 * p + 1] = sum_im[p];
    }
  }
}

EACH_WIDTH
static void complex_block(const job *j, float *x, int64_t start, int64_t count) {
  float re[MAX_RANK][BLOCK], im[MAX_RANK][BLOCK];
  for (int64_t l = 0; l < j->rank; l++)
    for (int64_t p = 0; p < count; p++) {
      re[l][p] = x[2 * (l * j->n_points + start + p)];
      im[l][p] = x[2 * (l * j->n_points + start + p) + 1];
    }
  for (int64_t k = 0; k < j->rank; k++) {
    float sum_re[BLOCK] = {0}, sum_im[BLOCK] = {0};
    for (int64_t l = 0; l < j->rank; l++) {
      int64_t element = k <= l ? row_start(k, j->rank) + l : row_start(l, j->rank) + k;
      float sign = k <= l ? 1.0f : -1.0f; /* the lower triangle is the conjugate of the upper one */
      const float *w = j->kernel + 2 * (element * j->n_points + start);
      for (int64_t p = 0; p < count; p++) {
        float w_re = w[2 * p], w_im = sign * w[2 * p + 1];
        sum_re[p] += w_re * re[l][p] - w_im * im[l][p];
        sum_im[p] += w_re * im[l][p] + w_im * re[l][p];
      }
    }
    float *out = x + 2 * (k * j->n_points + start);
    for (int64_t p = 0; p < count; p++) {
      out[2 * p] = sum_re[p];
      out[2 * p + 1] = sum_im[p];
    }
  }
}

__attribute__((visibility("default"))) int toeplitz_multiply(const job *j) {
  if (j->rank < 1 || j->rank > MAX_RANK) return 1;
  for (int64_t start = j->first; start < j->last; start += BLOCK) {
    int64_t count = j->last - start < BLOCK ? j->last - start : BLOCK;
    for (int64_t c = 0; c < j->n_coils; c++) {
      float *x = j->x + 2 * c * j->rank * j->n_points;
      if (j->is_complex)
        complex_block(j, x, start, count);
      else
        real_block(j, x, start, count);
    }
  }
  return 0;
}

__attribute__((visibility("default"))) uint64_t toeplitz_job_size(void) { return sizeof(job); }
