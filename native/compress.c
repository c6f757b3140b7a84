/* Compression of series that are stored one frame after the other.

   For every value p of a frame (the real or the imaginary part of a voxel) and every real vector k,

       sums[k][p] += sum over frames t of  vectors[k][t] * values[t][p],    power[p] += sum of squares,

   for frames `first` to `last`, in memory or in a file. Compression is linear: frames may come in any number of calls.
   `compress_finish` then makes the coefficients of the voxels. Files are read, not mapped: pages of a map count as memory
   of the process, on new kernels by whole folios of megabytes. mrftool/scan/compression.py has the readable twin.

   A tile of frames is copied into the second-level cache, a strip of it into the first; the sums of GROUP vectors over
   the frames of a strip stay in registers. They are added to those of other tiles, which keeps rounding small.

   The file is compiled once per instruction set; the baseline object (COMPRESS_DISPATCH) chooses. */

#if !defined(_WIN32)
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "registers.h"

#define GROUP 8        /* vectors at a time */
#define TILE_FRAMES 32 /* frames at a time */
#define BLOCK 8192     /* values at a time: more would not fit the second-level cache, fewer cost calls */
#define WIDEST 32      /* values of the widest strip */
#define TILE_STRIDE (BLOCK + 16) /* rows that are not a power of 2 apart share no places in the cache */

#define ACROSS (LANES == 16 ? 2 : 1)
#define STRIP (LANES * ACROSS)

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
  const float *vectors; /* [group][frame][GROUP]; vectors of 0 fill up the last group */
  int64_t n_groups, n_frames;
  int64_t first, last;  /* frames to add */
  const float *values;  /* [frame - first][stride]; NULL: they are in the file */
  int64_t stride;       /* from a frame to the next, in the file too */
  int64_t file, offset; /* descriptor; byte of the first value of frame 0 */
  int64_t n_values;     /* of each frame */
  int64_t row;          /* from the sums of a vector to those of the next: n_values, rounded up to WIDEST */
  float *sums;          /* [group * GROUP][row] */
  float *power;         /* [row] */
  float *tile;          /* [TILE_FRAMES][TILE_STRIDE], to work in */
} job;

enum { DONE, CUT_SHORT, FAILED };

/* Read `size` bytes of a file from `offset` on. */
static int read_bytes(int64_t file, char *to, size_t size, int64_t offset)
{
#if defined(_WIN32)
  (void)file, (void)to, (void)size, (void)offset;
  return FAILED;
#else
  while (size > 0) {
    ssize_t n = pread((int)file, to, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FAILED;
    if (n == 0) return CUT_SHORT;
    to += n, size -= (size_t)n, offset += n;
  }
  return DONE;
#endif
}

/* Add the sums of one group over the frames of a strip `[frame][STRIP]`. */
static void add_group(const float *vectors, int64_t n_frames, const float *strip, float *sums, int64_t row)
{
  vec sum[GROUP][ACROSS];
  memset(sum, 0, sizeof sum);
  for (int64_t t = 0; t < n_frames; t++, strip += STRIP, vectors += GROUP) {
    vec x[ACROSS];
    for (int a = 0; a < ACROSS; a++) x[a] = *(const vec *)(strip + LANES * a);
    for (int k = 0; k < GROUP; k++)
      for (int a = 0; a < ACROSS; a++) sum[k][a] += vectors[k] * x[a];
  }
  for (int k = 0; k < GROUP; k++)
    for (int a = 0; a < ACROSS; a++) *(vec *)(sums + k * row + LANES * a) += sum[k][a];
}

/* A strip `[frame][STRIP]` of the tile, and its sums of squares. */
static void pack_strip(const float *tile, int64_t n_frames, float *strip, float *power)
{
  vec squares[ACROSS];
  memset(squares, 0, sizeof squares);
  for (int64_t t = 0; t < n_frames; t++, tile += TILE_STRIDE, strip += STRIP)
    for (int a = 0; a < ACROSS; a++) {
      vec x = *(const vec *)(tile + LANES * a);
      *(vec *)(strip + LANES * a) = x;
      squares[a] += x * x;
    }
  for (int a = 0; a < ACROSS; a++) *(vec *)(power + LANES * a) += squares[a];
}

/* `n_frames` frames from frame `first` on, of values `start` to `start + count`; 0 up to whole strips. */
static int fill_tile(const job *j, int64_t first, int64_t n_frames, int64_t start, int64_t count)
{
  size_t size = sizeof(float) * (size_t)count;
  int64_t rest = (WIDEST - count % WIDEST) % WIDEST;
  for (int64_t t = 0; t < n_frames; t++) {
    float *to = j->tile + t * TILE_STRIDE;
    memset(to + count, 0, sizeof(float) * (size_t)rest);
    if (j->values) {
      memcpy(to, j->values + (first + t - j->first) * j->stride + start, size);
      continue;
    }
    int64_t offset = j->offset + (int64_t)sizeof(float) * ((first + t) * j->stride + start);
    int failed = read_bytes(j->file, (char *)to, size, offset);
    if (failed) return failed;
  }
  return DONE;
}

/* Add the tile, whose first frame is `first`, to the sums of values `start` to `start + count`. */
static void add_tile(const job *j, int64_t first, int64_t n_frames, int64_t start, int64_t count)
{
  float strip[TILE_FRAMES * STRIP];
  for (int64_t p = 0; p < count; p += STRIP) {
    pack_strip(j->tile + p, n_frames, strip, j->power + start + p);
    for (int64_t g = 0; g < j->n_groups; g++)
      add_group(j->vectors + (g * j->n_frames + first) * GROUP, n_frames, strip,
                j->sums + g * GROUP * j->row + start + p, j->row);
  }
}

/* The sums of a block stay in the second-level cache while all frames pass. */
int COMPRESS_ADD(const job *j)
{
  for (int64_t start = 0; start < j->n_values; start += BLOCK) {
    int64_t count = j->n_values - start < BLOCK ? j->n_values - start : BLOCK;
    for (int64_t first = j->first; first < j->last; first += TILE_FRAMES) {
      int64_t n_frames = j->last - first < TILE_FRAMES ? j->last - first : TILE_FRAMES;
      int failed = fill_tile(j, first, n_frames, start, count);
      if (failed) return failed;
      add_tile(j, first, n_frames, start, count);
    }
  }
  return DONE;
}

#if defined(COMPRESS_DISPATCH)
#define FEW 16

int compress_add_avx2(const job *);
int compress_add_avx512(const job *);

/* The widest registers that both this build and this processor have: 0 baseline, 1 AVX2, 2 AVX-512. */
EXPORT int compress_widest(void) { return widest_registers(COMPRESS_DISPATCH); }

/* Add frames with registers of the given width, at most compress_widest(). Returns 0; 1 where the file is cut short; 2
   where it cannot be read. */
EXPORT int compress_add(const job *j, int width)
{
#if COMPRESS_DISPATCH == 2
  if (width == 2) return compress_add_avx512(j);
  if (width == 1) return compress_add_avx2(j);
#endif
  (void)width;
  return COMPRESS_ADD(j);
}

/* Read values `start` to `start + count` of `n_frames` frames, all bytes: `to` is [frame][count]. Returns as above. */
EXPORT int compress_read(int64_t file, int64_t offset, int64_t stride, int64_t n_frames, int64_t count, char *to)
{
  for (int64_t t = 0; t < n_frames; t++) {
    int failed = read_bytes(file, to + t * count, (size_t)count, offset + t * stride);
    if (failed) return failed;
  }
  return DONE;
}

/* Column c of voxel v is  re_sign[c] * real part of sums[re_row[c]]  +  im_sign[c] * imaginary part of
   sums[im_row[c]], where real and imaginary parts of a voxel are neighbours. */
EXPORT void compress_finish(const job *j, const int32_t *re_row, const int32_t *im_row, const float *re_sign,
                            const float *im_sign, int64_t n_columns, float *out, float *energy)
{
  int64_t n_voxels = j->n_values / 2;
  for (int64_t first = 0; first < n_voxels; first += FEW) {
    int64_t last = first + FEW < n_voxels ? first + FEW : n_voxels;
    for (int64_t c = 0; c < n_columns; c++) {
      const float *re = j->sums + re_row[c] * j->row, *im = j->sums + im_row[c] * j->row + 1;
      for (int64_t v = first; v < last; v++)
        out[v * n_columns + c] = re_sign[c] * re[2 * v] + im_sign[c] * im[2 * v];
    }
    for (int64_t v = first; v < last; v++) energy[v] = j->power[2 * v] + j->power[2 * v + 1];
  }
}

EXPORT size_t compress_job_size(void) { return sizeof(job); }
#endif
