/* Runs what follows compression in the graph of a model, a block of voxels at a time.

   mrftool/inference/native translates the graph into instructions on columns: one number of each voxel of a block. All
   columns of a block stay in the processor's cache. Truth values are 1 and 0; integers are whole floats. ONNX Runtime
   is the reference of every instruction.

   `graph_run` checks every instruction before the first is run: none reads or writes outside the arrays of its job.

   The file is compiled once per instruction set; the baseline object (GRAPH_DISPATCH) chooses. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "registers.h"

#define BLOCK 64            /* voxels at a time */
#define STRIDE (BLOCK + 16) /* columns that are not a power of 2 apart share no places in the cache */
#define GROUP 8             /* columns of a product at a time */
#define WIDEST 16           /* floats of the widest registers: rows are padded to them */
#define MOST_ROWS 4         /* of a gathered product */
#define MOST_NEAR 1024      /* coefficients of a gathered product */

#define OUTPUTS (LANES == 16 ? 8 : 4) /* columns of a product whose sums fit the registers */
#define ACROSS 2
#define STRIP (LANES * ACROSS)

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The operations, in the order of mrftool/inference/native/instructions.py. */
enum {
  ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM, GREATER, LESS, AND, OR, /* two operands */
  NOT, NEGATE, SQRT, FLOOR, TRUNCATE, EXP, SIGMOID, SOFTPLUS, RELU, IS_NAN, IS_INF, COPY, /* one */
  WHERE, /* three */
  PRODUCT, PAIRS, GATHER, SUM, ARGMAX, LOAD, SPREAD, STORE, STORE_INTEGER, N_OPERATIONS
};

/* Columns `to`, ... of `n`; operands begin at columns a, b, c, and go on by steps of 0 or 1. For the others see the
   functions that do them. */
typedef struct {
  int32_t operation, n, to, a, b, c, step_a, step_b, step_c, length, at, also;
} instruction;

typedef struct {
  const float *values; /* inputs: [voxel][width]; or one value for all voxels, see SPREAD */
  int64_t width;
} input;

typedef struct {
  void *values; /* [voxel][width], float or int32_t */
  int64_t width;
} output;

typedef struct {
  const instruction *code;
  int64_t n_code;
  const float *pool; /* weights and tables */
  int64_t n_pool;
  const int32_t *lists; /* columns where rows begin */
  int64_t n_lists;
  const float *constants; /* the first columns hold them */
  int64_t n_constants;
  const input *inputs;
  int64_t n_inputs;
  const output *outputs;
  int64_t n_outputs;
  float *columns; /* [n_columns][STRIDE], to work in */
  int64_t n_columns;
  float *rows; /* [WIDEST][row_length], to work in */
  int64_t row_length;
  int64_t n_voxels;
} job;

enum { DONE, INVALID, OUTSIDE };

static inline float bits_to_float(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t float_to_bits(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* exp(x) of -86 < x < 88.7, else that of the nearer end; NaN stays. With n = x / log 2, rounded, and r = x - n log 2,
   it is 2^n exp(r); the polynomial is the best of its degree for |r| < log(2) / 2, to 3e-9. */
static inline float exponential(float x)
{
  const float shift = 12582912.0f; /* 1.5 * 2^23: sums are rounded to whole numbers */
  x = x < -86.0f ? -86.0f : x;
  x = x > 88.7f ? 88.7f : x;
  float shifted = x * 1.44269504f + shift;
  float n = shifted - shift;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* log 2 in two parts: n times the first is exact */
  float p = 1.381446674e-3f;
  p = p * r + 8.368780429e-3f;
  p = p * r + 4.166839422e-2f;
  p = p * r + 1.666652011e-1f;
  p = p * r + 4.999999341e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t half_power = (float_to_bits(shifted) << 23) + 0x3f000000; /* of 2^(n - 1) */
  return p * bits_to_float(half_power) * 2.0f;
}

/* log(1 + y) of 0 <= y <= 1: twice the area tangent of s = y / (2 + y), by a polynomial in its square, to 4e-9. */
static inline float log_of_one_and(float y)
{
  float s = y / (2.0f + y), z = s * s;
  float p = 1.408916720e-1f;
  p = p * z + 1.398030143e-1f;
  p = p * z + 2.001245514e-1f;
  p = p * z + 3.333315734e-1f;
  return 2.0f * s * (p * z + 1.0f);
}

static inline float softplus(float x)
{
  float size = x < 0.0f ? -x : x;
  return (x > 0.0f ? x : 0.0f) + log_of_one_and(exponential(-size));
}

#define UNARY(value)                                                                                                   \
  for (int64_t c = 0; c < i->n; c++, to += STRIDE, a += i->step_a * STRIDE)                                            \
    for (int v = 0; v < BLOCK; v++) {                                                                                  \
      float x = a[v];                                                                                                  \
      to[v] = (value);                                                                                                 \
    }                                                                                                                  \
  return

#define BINARY(value)                                                                                                  \
  for (int64_t c = 0; c < i->n; c++, to += STRIDE, a += i->step_a * STRIDE, b += i->step_b * STRIDE)                   \
    for (int v = 0; v < BLOCK; v++) {                                                                                  \
      float x = a[v], y = b[v];                                                                                        \
      to[v] = (value);                                                                                                 \
    }                                                                                                                  \
  return

/* Operations on each number by itself. The larger and the smaller of two are NaN where one is. */
static void do_each(const job *j, const instruction *i)
{
  float *restrict to = j->columns + (int64_t)i->to * STRIDE;
  const float *restrict a = j->columns + (int64_t)i->a * STRIDE, *restrict b = j->columns + (int64_t)i->b * STRIDE;
  const float *restrict d = j->columns + (int64_t)i->c * STRIDE;
  switch (i->operation) {
  case ADD: BINARY(x + y);
  case SUBTRACT: BINARY(x - y);
  case MULTIPLY: BINARY(x * y);
  case DIVIDE: BINARY(x / y);
  case MAXIMUM: BINARY(x > y || x != x ? x : y);
  case MINIMUM: BINARY(x < y || x != x ? x : y);
  case GREATER: BINARY(x > y ? 1.0f : 0.0f);
  case LESS: BINARY(x < y ? 1.0f : 0.0f);
  case AND: BINARY(x * y);
  case OR: BINARY(x > y ? x : y);
  case NOT: UNARY(1.0f - x);
  case NEGATE: UNARY(-x);
  case SQRT: UNARY(sqrtf(x));
  case FLOOR: UNARY(floorf(x));
  case TRUNCATE: UNARY(truncf(x));
  case EXP: UNARY(exponential(x));
  case SIGMOID: UNARY(1.0f / (1.0f + exponential(-x)));
  case SOFTPLUS: UNARY(softplus(x));
  case RELU: UNARY(x < 0.0f ? 0.0f : x);
  case IS_NAN: UNARY(x != x ? 1.0f : 0.0f);
  case IS_INF: UNARY((x < 0.0f ? -x : x) == INFINITY ? 1.0f : 0.0f);
  case COPY: UNARY(x);
  case WHERE:
    for (int64_t c = 0; c < i->n; c++) {
      for (int v = 0; v < BLOCK; v++) to[v] = a[v] != 0.0f ? b[v] : d[v];
      to += STRIDE, a += i->step_a * STRIDE, b += i->step_b * STRIDE, d += i->step_c * STRIDE;
    }
  }
}

/* `count` columns of a product, for the voxels of a strip; weights are [length][packed]. */
static inline __attribute__((always_inline)) void add_outputs(int count, int packed, const float *weights,
                                                              const float *bias, int64_t length, const float *x,
                                                              float *to)
{
  vec sum[OUTPUTS][ACROSS];
  for (int o = 0; o < count; o++)
    for (int s = 0; s < ACROSS; s++) sum[o][s] = (vec){0} + bias[o];
  for (int64_t k = 0; k < length; k++, x += STRIDE, weights += packed) {
    vec at[ACROSS];
    for (int s = 0; s < ACROSS; s++) at[s] = *(const vec *)(x + LANES * s);
    for (int o = 0; o < count; o++)
      for (int s = 0; s < ACROSS; s++) sum[o][s] += weights[o] * at[s];
  }
  for (int o = 0; o < count; o++)
    for (int s = 0; s < ACROSS; s++) *(vec *)(to + o * STRIDE + LANES * s) = sum[o][s];
}

/* Columns of a product that are packed together where `left` are left: GROUP, or the least power of 2 for them. */
static int64_t packed_together(int64_t left)
{
  if (left > 4) return GROUP;
  if (left > 2) return 4;
  return left;
}

/* PRODUCT: `n` columns, the product of `length` columns from a on with a matrix, in the pool from `at` on as groups
   [length][columns packed together], and biases from `also` on. */
static void do_product(const job *j, const instruction *i)
{
  for (int64_t v = 0; v < BLOCK; v += STRIP) {
    const float *x = j->columns + (int64_t)i->a * STRIDE + v, *weights = j->pool + i->at, *bias = j->pool + i->also;
    float *to = j->columns + (int64_t)i->to * STRIDE + v;
    for (int64_t left = i->n; left > 0;) {
      int64_t packed = packed_together(left);
      switch (packed) {
      case 8:
        for (int o = 0; o < GROUP; o += OUTPUTS)
          add_outputs(OUTPUTS, 8, weights + o, bias + o, i->length, x, to + o * STRIDE);
        break;
      case 4: add_outputs(4, 4, weights, bias, i->length, x, to); break;
      case 2: add_outputs(2, 2, weights, bias, i->length, x, to); break;
      default: add_outputs(1, 1, weights, bias, i->length, x, to);
      }
      weights += packed * i->length, bias += packed, to += packed * STRIDE, left -= packed;
    }
  }
}

/* Inner products of one row of columns with `count` others, from which `to` is [count]. */
static inline __attribute__((always_inline)) void multiply_rows(int count, const float *columns, int64_t row,
                                                                const int32_t *others, int64_t length, float *to)
{
  for (int64_t v = 0; v < BLOCK; v += STRIP) {
    const float *x = columns + row * STRIDE + v, *y[MOST_ROWS];
    for (int o = 0; o < count; o++) y[o] = columns + (int64_t)others[o] * STRIDE + v;
    vec sum[MOST_ROWS][ACROSS];
    memset(sum, 0, sizeof sum);
    for (int64_t k = 0; k < length * STRIDE; k += STRIDE)
      for (int s = 0; s < ACROSS; s++) {
        vec at = *(const vec *)(x + k + LANES * s);
        for (int o = 0; o < count; o++) sum[o][s] += at * *(const vec *)(y[o] + k + LANES * s);
      }
    for (int o = 0; o < count; o++)
      for (int s = 0; s < ACROSS; s++) *(vec *)(to + o * STRIDE + v + LANES * s) = sum[o][s];
  }
}

/* PAIRS: `n` x `also` columns, inner products of rows of `length` columns: `n` rows with `also` others. The list from
   `at` on says where they begin. */
static void do_pairs(const job *j, const instruction *i)
{
  const int32_t *rows = j->lists + i->at, *others = rows + i->n;
  float *to = j->columns + (int64_t)i->to * STRIDE;
  for (int64_t r = 0; r < i->n; r++)
    for (int64_t o = 0; o < i->also; o += MOST_ROWS) {
      int64_t count = i->also - o < MOST_ROWS ? i->also - o : MOST_ROWS;
      float *there = to + (r * i->also + o) * STRIDE;
      switch (count) {
      case 4: multiply_rows(4, j->columns, rows[r], others + o, i->length, there); break;
      case 3: multiply_rows(3, j->columns, rows[r], others + o, i->length, there); break;
      case 2: multiply_rows(2, j->columns, rows[r], others + o, i->length, there); break;
      default: multiply_rows(1, j->columns, rows[r], others + o, i->length, there);
      }
    }
}

/* Alternate elements of a and b: of their first and of their second halves. */
#if LANES == 16
#define FIRST_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SECOND_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define FIRST_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define SECOND_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST_HALVES 0, 4, 1, 5
#define SECOND_HALVES 2, 6, 3, 7
#endif
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t places __attribute__((vector_size(4 * LANES)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

/* `n` columns of LANES voxels from their rows; rows may be read up to the next multiple of LANES. */
static void rows_to_columns(const float *rows, int64_t row_length, int64_t n, float *columns)
{
  for (int64_t c = 0; c < n; c += LANES) {
    vec x[LANES], y[LANES];
    for (int l = 0; l < LANES; l++) x[l] = *(const vec *)(rows + l * row_length + c);
    for (int half = 1; half < LANES; half *= 2) {
      for (int l = 0; l < LANES / 2; l++) {
        y[2 * l] = SHUFFLE(x[l], x[l + LANES / 2], FIRST_HALVES);
        y[2 * l + 1] = SHUFFLE(x[l], x[l + LANES / 2], SECOND_HALVES);
      }
      memcpy(x, y, sizeof x);
    }
    int64_t count = n - c < LANES ? n - c : LANES;
    for (int64_t l = 0; l < count; l++) *(vec *)(columns + (c + l) * STRIDE) = x[l];
  }
}

/* Sums of `near` rows of a table, each times a weight, for one voxel; `count` of them, `across` registers wide. */
static inline __attribute__((always_inline)) void add_rows(int count, int across, const float *table,
                                                           const int64_t *offsets, int64_t near, const float *weights,
                                                           float *to, int64_t stride)
{
  vec sum[MOST_ROWS][2];
  memset(sum, 0, sizeof sum);
  for (int64_t k = 0; k < near; k++) {
    const float *row = table + offsets[k];
    for (int s = 0; s < across; s++) {
      vec x = *(const vec *)(row + LANES * s);
      for (int r = 0; r < count; r++) sum[r][s] += weights[(r * near + k) * STRIDE] * x;
    }
  }
  for (int r = 0; r < count; r++)
    for (int s = 0; s < across; s++) *(vec *)(to + r * stride + LANES * s) = sum[r][s];
}

static void add_rows_of(int64_t count, const float *table, const int64_t *offsets, int64_t near, const float *weights,
                        float *to, int64_t stride)
{
  int64_t c = 0;
#define ADD_ROWS(across)                                                                                               \
  switch (count) {                                                                                                     \
  case 4: add_rows(4, across, table + c, offsets, near, weights, to + c, stride); break;                               \
  case 3: add_rows(3, across, table + c, offsets, near, weights, to + c, stride); break;                               \
  case 2: add_rows(2, across, table + c, offsets, near, weights, to + c, stride); break;                               \
  default: add_rows(1, across, table + c, offsets, near, weights, to + c, stride);                                     \
  }
  for (; c + 2 * LANES <= stride; c += 2 * LANES) ADD_ROWS(2)
  for (; c < stride; c += LANES) ADD_ROWS(1)
}

static int64_t padded(int64_t n) { return (n + WIDEST - 1) / WIDEST * WIDEST; }

/* Where the rows of a voxel begin in a table, which are asked for ahead of their use. */
static int find_rows(const instruction *i, const float *table, const float *indices, int64_t stride, int64_t *offsets)
{
  for (int64_t k = 0; k < i->length; k++) {
    float index = indices[k * STRIDE];
    if (!(index >= 0.0f && index < (float)i->step_c)) return OUTSIDE;
    offsets[k] = (int64_t)index * stride;
    for (int64_t c = 0; c < stride; c += WIDEST) __builtin_prefetch(table + offsets[k] + c);
  }
  return DONE;
}

/* GATHER: rows of `n` columns of a table of `step_c` rows, in the pool from `at` on; its rows are padded. `length`
   columns from a on say which rows. With `also` > 0, columns b, ... of [also][length] are weights, and the result is
   [also][n]. Without, `length` is 1, and the result is the row itself. */
static int do_gather(const job *j, const instruction *i)
{
  int64_t here[MOST_NEAR], next[MOST_NEAR], *offsets = here, *following = next;
  int64_t stride = padded(i->n), results = i->also > 0 ? i->also : 1;
  const float *table = j->pool + i->at, *indices = j->columns + (int64_t)i->a * STRIDE;
  float *to = j->columns + (int64_t)i->to * STRIDE;
  if (find_rows(i, table, indices, stride, following)) return OUTSIDE;
  for (int64_t v = 0; v < BLOCK; v++) {
    int64_t *found = following;
    following = offsets, offsets = found;
    if (v + 1 < BLOCK && find_rows(i, table, indices + v + 1, stride, following)) return OUTSIDE;
    float *row = j->rows + v % LANES * j->row_length;
    if (i->also > 0)
      add_rows_of(results, table, offsets, i->length, j->columns + (int64_t)i->b * STRIDE + v, row, stride);
    else
      memcpy(row, table + offsets[0], sizeof(float) * (size_t)stride);
    if (v % LANES == LANES - 1)
      for (int64_t r = 0; r < results; r++)
        rows_to_columns(j->rows + r * stride, j->row_length, i->n, to + r * i->n * STRIDE + v + 1 - LANES);
  }
  return DONE;
}

/* SUM: column k of `n` is the sum of `length` columns, from a + k * length on. */
static void do_sum(const job *j, const instruction *i)
{
  const float *a = j->columns + (int64_t)i->a * STRIDE;
  float *restrict to = j->columns + (int64_t)i->to * STRIDE;
  for (int64_t k = 0; k < i->n; k++, to += STRIDE) {
    float sum[BLOCK] = {0};
    for (int64_t c = 0; c < i->length; c++, a += STRIDE)
      for (int v = 0; v < BLOCK; v++) sum[v] += a[v];
    memcpy(to, sum, sizeof sum);
  }
}

/* ARGMAX: which of `length` columns from a on is the largest; the first of them. */
static void do_argmax(const job *j, const instruction *i)
{
  const float *a = j->columns + (int64_t)i->a * STRIDE;
  float best[BLOCK], which[BLOCK] = {0};
  memcpy(best, a, sizeof best);
  for (int64_t c = 1; c < i->length; c++) {
    a += STRIDE;
    for (int v = 0; v < BLOCK; v++) {
      which[v] = a[v] > best[v] ? (float)c : which[v];
      best[v] = a[v] > best[v] ? a[v] : best[v];
    }
  }
  memcpy(j->columns + (int64_t)i->to * STRIDE, which, sizeof which);
}

/* LOAD: `n` columns of input `at`, of voxels `first` to `first + count`; others are 0. */
static void do_load(const job *j, const instruction *i, int64_t first, int64_t count)
{
  const float *from = j->inputs[i->at].values + first * i->n;
  size_t size = sizeof(float) * (size_t)i->n;
  for (int64_t v = 0; v < BLOCK; v++) {
    float *row = j->rows + v % LANES * j->row_length;
    if (v < count)
      memcpy(row, from + v * i->n, size);
    else
      memset(row, 0, size);
    if (v % LANES == LANES - 1)
      rows_to_columns(j->rows, j->row_length, i->n, j->columns + (int64_t)i->to * STRIDE + v + 1 - LANES);
  }
}

/* SPREAD: the one value of input `at`, for all voxels. */
static void do_spread(const job *j, const instruction *i)
{
  for (int v = 0; v < BLOCK; v++) j->columns[(int64_t)i->to * STRIDE + v] = j->inputs[i->at].values[0];
}

/* STORE: `n` columns from a on into output `at`, of voxels `first` to `first + count`. */
static void do_store(const job *j, const instruction *i, int64_t first, int64_t count)
{
  float *to = (float *)j->outputs[i->at].values + first * i->n;
  for (int64_t c = 0; c < i->n; c++)
    for (int64_t v = 0; v < count; v++) to[v * i->n + c] = j->columns[(i->a + c) * STRIDE + v];
}

/* STORE_INTEGER: the same of whole numbers. */
static int do_store_integer(const job *j, const instruction *i, int64_t first, int64_t count)
{
  int32_t *to = (int32_t *)j->outputs[i->at].values + first * i->n;
  for (int64_t c = 0; c < i->n; c++)
    for (int64_t v = 0; v < count; v++) {
      float value = j->columns[(i->a + c) * STRIDE + v];
      if (!(value > -16777216.0f && value < 16777216.0f)) return OUTSIDE;
      to[v * i->n + c] = (int32_t)value;
    }
  return DONE;
}

static int do_block(const job *j, int64_t first, int64_t count)
{
  int failed = DONE;
  for (const instruction *i = j->code; i < j->code + j->n_code && !failed; i++) switch (i->operation) {
    case PRODUCT: do_product(j, i); break;
    case PAIRS: do_pairs(j, i); break;
    case GATHER: failed = do_gather(j, i); break;
    case SUM: do_sum(j, i); break;
    case ARGMAX: do_argmax(j, i); break;
    case LOAD: do_load(j, i, first, count); break;
    case SPREAD: do_spread(j, i); break;
    case STORE: do_store(j, i, first, count); break;
    case STORE_INTEGER: failed = do_store_integer(j, i, first, count); break;
    default: do_each(j, i);
    }
  return failed;
}

/* All blocks of the job. */
int GRAPH_RUN(const job *j)
{
  for (int64_t k = 0; k < j->n_constants; k++)
    for (int v = 0; v < BLOCK; v++) j->columns[k * STRIDE + v] = j->constants[k];
  for (int64_t first = 0; first < j->n_voxels; first += BLOCK) {
    int64_t left = j->n_voxels - first;
    int failed = do_block(j, first, left < BLOCK ? left : BLOCK);
    if (failed) return failed;
  }
  return DONE;
}

#if defined(GRAPH_DISPATCH)

int graph_run_avx2(const job *);
int graph_run_avx512(const job *);

/* Whether `count` places from `first` on lie among `size`. */
static int holds(int64_t size, int64_t first, int64_t count)
{
  return first >= 0 && count >= 0 && first <= size && count <= size - first;
}

/* Whether operand columns lie among those that there are. */
static int holds_operand(const job *j, int32_t first, int32_t step, int32_t n)
{
  return (step == 0 || step == 1) && holds(j->n_columns, first, step ? n : 1);
}

static int is_valid_each(const job *j, const instruction *i)
{
  int operands = i->operation <= OR ? 2 : i->operation < WHERE ? 1 : 3;
  return holds(j->n_columns, i->to, i->n) && holds_operand(j, i->a, i->step_a, i->n) &&
         (operands < 2 || holds_operand(j, i->b, i->step_b, i->n)) &&
         (operands < 3 || holds_operand(j, i->c, i->step_c, i->n));
}

/* All columns of a product, as they are packed. */
static int64_t packed_columns(int64_t n)
{
  int64_t rest = n % GROUP;
  return n - rest + packed_together(rest);
}

static int is_valid_product(const job *j, const instruction *i)
{
  int64_t n = packed_columns(i->n);
  return holds(j->n_columns, i->to, n) && holds(j->n_columns, i->a, i->length) &&
         holds(j->n_pool, i->at, n * i->length) && holds(j->n_pool, i->also, n);
}

static int is_valid_pairs(const job *j, const instruction *i)
{
  int64_t n = i->n, others = i->also;
  if (others < 1 || !holds(j->n_lists, i->at, n + others) || !holds(j->n_columns, i->to, n * others)) return 0;
  for (int64_t k = 0; k < n + others; k++)
    if (!holds(j->n_columns, j->lists[i->at + k], i->length)) return 0;
  return 1;
}

static int is_valid_gather(const job *j, const instruction *i)
{
  int64_t stride = padded(i->n), results = i->also > 0 ? i->also : 1;
  if (i->also < 0 || i->also > MOST_ROWS || i->length > MOST_NEAR || (i->also == 0 && i->length != 1)) return 0;
  if (i->step_c < 1 || i->step_c > 1 << 24 || !holds(j->n_pool, i->at, stride * i->step_c)) return 0;
  return holds(j->n_columns, i->a, i->length) && holds(j->n_columns, i->to, results * i->n) &&
         (i->also == 0 || holds(j->n_columns, i->b, results * i->length)) && results * stride <= j->row_length;
}

static int is_valid_load(const job *j, const instruction *i)
{
  return i->at >= 0 && i->at < j->n_inputs && j->inputs[i->at].width == i->n && holds(j->n_columns, i->to, i->n) &&
         padded(i->n) <= j->row_length;
}

static int is_valid_spread(const job *j, const instruction *i)
{
  return i->at >= 0 && i->at < j->n_inputs && holds(j->n_columns, i->to, 1);
}

static int is_valid_store(const job *j, const instruction *i)
{
  return i->at >= 0 && i->at < j->n_outputs && j->outputs[i->at].width == i->n && holds(j->n_columns, i->a, i->n);
}

/* Whether an instruction stays within the arrays of its job. */
static int is_valid(const job *j, const instruction *i)
{
  if (i->n < 1 || i->length < 1 || i->operation < 0 || i->operation >= N_OPERATIONS) return 0;
  switch (i->operation) {
  case PRODUCT: return is_valid_product(j, i);
  case PAIRS: return is_valid_pairs(j, i);
  case GATHER: return is_valid_gather(j, i);
  case SUM: return holds(j->n_columns, i->a, (int64_t)i->n * i->length) && holds(j->n_columns, i->to, i->n);
  case ARGMAX: return holds(j->n_columns, i->a, i->length) && holds(j->n_columns, i->to, 1);
  case LOAD: return is_valid_load(j, i);
  case SPREAD: return is_valid_spread(j, i);
  case STORE:
  case STORE_INTEGER: return is_valid_store(j, i);
  default: return is_valid_each(j, i);
  }
}

/* The widest registers that both this build and this processor have: 0 baseline, 1 AVX2, 2 AVX-512. */
EXPORT int graph_widest(void) { return widest_registers(GRAPH_DISPATCH); }

/* Run a job with registers of the given width, at most graph_widest(). Returns 0; 1 where an instruction does not fit
   the arrays; 2 where a row is asked for that the table does not have. */
EXPORT int graph_run(const job *j, int width)
{
  if (j->n_constants > j->n_columns) return INVALID;
  for (int64_t k = 0; k < j->n_code; k++)
    if (!is_valid(j, j->code + k)) return INVALID;
#if GRAPH_DISPATCH == 2
  if (width == 2) return graph_run_avx512(j);
  if (width == 1) return graph_run_avx2(j);
#endif
  (void)width;
  return GRAPH_RUN(j);
}

EXPORT int graph_stride(void) { return STRIDE; }
EXPORT size_t graph_job_size(void) { return sizeof(job); }
#endif
