/* Fingerprints with their derivatives by log T1 and log T2, and the gradient of any loss of these by every pulse.

   What it computes is defined by mrftool/design/readable_adjoint.py; read that first. This file does the same, faster:
   the states before every pulse are stored on the way forward, and the sweep back needs them alone. An order is
   computed only if it can still reach an echo. All numbers are double precision.

   States of one pulse are nine rows of orders: of each set (the state, its derivative by log T1, by log T2) F+, F- and
   Z. RF phases are 0 or 180 degrees, the sign of the flip angle, so that all of them are real numbers. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define ALL_PROCESSORS __attribute__((target_clones("default", "avx2,fma", "avx512f")))
#else
#define ALL_PROCESSORS
#endif

#define INLINE static inline __attribute__((always_inline))

enum { SETS = 3, ROWS = 9, PADDING = 4 };
enum { F_PLUS, F_MINUS, Z };

/* All that one call needs; mirrored in mrftool/design/native_adjoint.py. Times in s, angles in rad. */
typedef struct {
    int64_t n_pulses, n_tissues, first, last; /* tissues first .. last - 1 of all */
    const double *flip, *tr, *te;
    double inversion_time;
    int32_t is_inverted;
    const int64_t *n_states;
    const double *t1, *t2, *b1, *efficiency;
    double *signal;         /* [set][tissue][pulse] */
    const double *weight;   /* derivative of the loss by the signal, [set][tissue][pulse]; NULL: no gradient */
    double *by_flip, *by_tr, *by_te; /* [tissue][pulse]; by_tr and by_te: NULL if not wanted, both together */
    double *by_inversion_time;       /* [tissue] */
} job;

/* One interval: its time over T1 and T2 (x), what is left (e), and the derivatives of e (t) and e x (tx) by the time. */
typedef struct { double x1, x2, e1, e2, t1, t2, tx1, tx2; } decay;

static decay decay_of(double time, double t1, double t2)
{
    double e1 = exp(-time / t1), e2 = exp(-time / t2), x1 = time / t1, x2 = time / t2;
    decay d = {x1, x2, e1, e2, -e1 / t1, -e2 / t2, e1 / t1 * (1 - x1), e2 / t2 * (1 - x2)};
    return d;
}

/* Orders that pulse n has to act on: later ones are not there yet, or cannot come back to an echo. */
static int64_t live_orders(int64_t n, int64_t n_pulses, int64_t n_states)
{
    int64_t live = n + 1 < n_pulses - n ? n + 1 : n_pulses - n;
    return live < n_states ? live : n_states;
}

/* One pulse and the interval after it; `echo` gets F+(0) of each set right after the pulse. */
ALL_PROCESSORS
static void forward_step(const double *restrict from, double *restrict to, int64_t width, int64_t live, double flip,
                         const decay *d, double *echo)
{
    const double c = cos(flip), s = sin(flip), c2 = (1 + c) / 2, s2 = (1 - c) / 2, h = s / 2;
    const double e1 = d->e1, e2 = d->e2, x1 = d->x1, x2 = d->x2;
    for (int set = 0; set < SETS; set++) {
        const double *restrict p = from + (3 * set + F_PLUS) * width, *restrict m = from + (3 * set + F_MINUS) * width;
        const double *restrict z = from + (3 * set + Z) * width;
        double *restrict new_p = to + (3 * set + F_PLUS) * width + 1; /* the spoiler moves F+ up and F- down */
        double *restrict new_m = to + (3 * set + F_MINUS) * width - 1;
        double *restrict new_z = to + (3 * set + Z) * width;
        echo[set] = c2 * p[0] - s2 * m[0] + s * z[0];
        for (int64_t k = 0; k < live; k++) {
            new_p[k] = e2 * (c2 * p[k] - s2 * m[k] + s * z[k]);
            new_m[k] = e2 * (c2 * m[k] - s2 * p[k] + s * z[k]);
            new_z[k] = e1 * (c * z[k] - h * (p[k] + m[k]));
        }
        new_m[live] = new_m[live + 1] = new_z[live] = 0;
        new_p[-1] = new_m[1]; /* F+(0) is the conjugate of F-(0) */
    }
    double *restrict p2 = to + (6 + F_PLUS) * width, *restrict m2 = to + (6 + F_MINUS) * width;
    double *restrict z1 = to + (3 + Z) * width;
    const double *restrict p0 = to + F_PLUS * width, *restrict m0 = to + F_MINUS * width, *restrict z0 = to + Z * width;
    for (int64_t k = 0; k <= live; k++) {
        p2[k] += x2 * p0[k];
        m2[k] += x2 * m0[k];
        z1[k] += x1 * z0[k];
    }
    to[Z * width] += 1 - e1;
    z1[0] -= e1 * x1;
}

/* Derivatives by the states after the interval of one set, as derivatives by those right after the pulse, but for
   the factors of decay. is_first: of the states themselves, which the other sets depend on. */
INLINE void relax_back(const int is_first, const double *restrict after, double *restrict left, int64_t width,
                       int64_t live, int set, const decay *d)
{
    const double *restrict ap = after + (3 * set + F_PLUS) * width + 1;
    const double *restrict am = after + (3 * set + F_MINUS) * width - 1;
    const double *restrict az = after + (3 * set + Z) * width;
    const double *restrict p2 = after + (6 + F_PLUS) * width + 1, *restrict m2 = after + (6 + F_MINUS) * width - 1;
    const double *restrict z1 = after + (3 + Z) * width;
    double *restrict lp = left + (3 * set + F_PLUS) * width, *restrict lm = left + (3 * set + F_MINUS) * width;
    double *restrict lz = left + (3 * set + Z) * width;
    const double e1 = d->e1, e2 = d->e2, x1 = d->x1, x2 = d->x2;
    for (int64_t k = 0; k < live; k++) {
        lp[k] = e2 * (is_first ? ap[k] + x2 * p2[k] : ap[k]);
        lm[k] = e2 * (is_first ? am[k] + x2 * m2[k] : am[k]);
        lz[k] = e1 * (is_first ? az[k] + x1 * z1[k] : az[k]);
    }
    /* F-(0) goes nowhere; F-(1) becomes both F-(0) and F+(0). */
    lm[0] = 0;
    if (live > 1) lm[1] += e2 * (is_first ? ap[-1] + x2 * p2[-1] : ap[-1]);
}

/* What the sweep back adds up in one repetition. */
typedef struct { double flip, tr, te; } slopes;

/* Derivatives of the loss by the states before a pulse (`before`), from those by the states before the next one. */
ALL_PROCESSORS
static slopes backward_step(const double *restrict state, const double *restrict after, double *restrict before,
                            double *restrict left, int64_t width, int64_t live, double flip, const decay *d,
                            const decay *echo, const double *weight, int64_t stride, int with_times)
{
    const double c = cos(flip), s = sin(flip), c2 = (1 + c) / 2, s2 = (1 - c) / 2, h = s / 2;
    slopes found = {0, 0, 0};
    relax_back(1, after, left, width, live, 0, d);
    relax_back(0, after, left, width, live, 1, d);
    relax_back(0, after, left, width, live, 2, d);
    if (with_times) {
        for (int set = 0; set < SETS; set++) {
            const double *p = state + (3 * set + F_PLUS) * width, *m = state + (3 * set + F_MINUS) * width;
            const double *z = state + (3 * set + Z) * width;
            const double *ap = after + (3 * set + F_PLUS) * width + 1, *am = after + (3 * set + F_MINUS) * width - 1;
            const double *az = after + (3 * set + Z) * width, *z1 = after + (3 + Z) * width;
            const double *p2 = after + (6 + F_PLUS) * width + 1, *m2 = after + (6 + F_MINUS) * width - 1;
            const double f = set == 0 ? d->tx2 : 0, g = set == 0 ? d->tx1 : 0;
            for (int64_t k = 0; k < live; k++) {
                double new_p = c2 * p[k] - s2 * m[k] + s * z[k], new_m = c2 * m[k] - s2 * p[k] + s * z[k];
                double new_z = c * z[k] - h * (p[k] + m[k]);
                double by_m = k ? am[k] : 0, by_m2 = k ? m2[k] : 0;
                if (k == 1) by_m += ap[-1], by_m2 += p2[-1];
                found.tr += new_p * (d->t2 * ap[k] + f * p2[k]) + new_m * (d->t2 * by_m + f * by_m2) +
                            new_z * (d->t1 * az[k] + g * z1[k]);
            }
            double seen = c2 * p[0] - s2 * m[0] + s * z[0];
            found.te += seen * echo->t2 * weight[set * stride];
            if (set == 0) found.te += seen * echo->tx2 * weight[2 * stride];
        }
        found.tr -= d->t1 * after[Z * width] + d->tx1 * after[(3 + Z) * width];
    }
    left[0] += weight[0] * echo->e2 + weight[2 * stride] * echo->e2 * echo->x2;
    left[3 * width] += weight[stride] * echo->e2;
    left[6 * width] += weight[2 * stride] * echo->e2;
    double by_flip = 0;
    for (int set = 0; set < SETS; set++) {
        const double *restrict p = state + (3 * set + F_PLUS) * width, *restrict m = state + (3 * set + F_MINUS) * width;
        const double *restrict z = state + (3 * set + Z) * width;
        const double *restrict lp = left + (3 * set + F_PLUS) * width, *restrict lm = left + (3 * set + F_MINUS) * width;
        const double *restrict lz = left + (3 * set + Z) * width;
        double *restrict bp = before + (3 * set + F_PLUS) * width, *restrict bm = before + (3 * set + F_MINUS) * width;
        double *restrict bz = before + (3 * set + Z) * width;
        for (int64_t k = 0; k < live; k++) {
            double sum = p[k] + m[k];
            by_flip += (lp[k] + lm[k]) * (c * z[k] - h * sum) - lz[k] * (c / 2 * sum + s * z[k]);
            bp[k] = c2 * lp[k] - s2 * lm[k] - h * lz[k];
            bm[k] = c2 * lm[k] - s2 * lp[k] - h * lz[k];
            bz[k] = s * (lp[k] + lm[k]) + c * lz[k];
        }
    }
    found.flip = by_flip;
    return found;
}

static void run_tissue(const job *j, int64_t v, double *store, double *work, int64_t width)
{
    const int64_t n_pulses = j->n_pulses, stride = j->n_tissues * n_pulses, step = ROWS * width;
    const double t1 = j->t1[v], t2 = j->t2[v], b1 = j->b1[v], kept = 1 + j->efficiency[v];
    const decay rest = decay_of(j->inversion_time, t1, t2);
    double *states = store + PADDING / 2; /* rows begin after a padding, so that index -1 exists */
    memset(store, 0, sizeof(double) * (size_t)step);
    states[Z * width] = j->is_inverted ? 1 - kept * rest.e1 : 1;
    states[(3 + Z) * width] = j->is_inverted ? -kept * rest.e1 * rest.x1 : 0;
    for (int64_t n = 0; n < n_pulses; n++) {
        const decay d = decay_of(j->tr[n], t1, t2), echo = decay_of(j->te[n], t1, t2);
        double seen[SETS];
        double *here = states + n * step;
        forward_step(here, here + step, width, live_orders(n, n_pulses, j->n_states[v]), b1 * j->flip[n], &d, seen);
        double *signal = j->signal + v * n_pulses + n;
        signal[0] = seen[0] * echo.e2;
        signal[stride] = seen[1] * echo.e2;
        signal[2 * stride] = seen[2] * echo.e2 + seen[0] * echo.e2 * echo.x2;
    }
    if (!j->weight) return;
    memset(work, 0, sizeof(double) * (size_t)(3 * step));
    double *after = work + PADDING / 2, *before = after + step, *left = before + step;
    for (int64_t n = n_pulses - 1; n >= 0; n--) {
        const decay d = decay_of(j->tr[n], t1, t2), echo = decay_of(j->te[n], t1, t2);
        const int64_t at = v * n_pulses + n;
        slopes found = backward_step(states + n * step, after, before, left, width, live_orders(n, n_pulses, j->n_states[v]),
                                     b1 * j->flip[n], &d, &echo, j->weight + at, stride, j->by_tr != NULL);
        j->by_flip[at] = b1 * found.flip;
        if (j->by_tr) j->by_tr[at] = found.tr, j->by_te[at] = found.te;
        double *swap = after;
        after = before, before = swap;
    }
    j->by_inversion_time[v] =
        j->is_inverted ? -kept * (rest.t1 * after[Z * width] + rest.tx1 * after[(3 + Z) * width]) : 0;
}

__attribute__((visibility("default"))) uint64_t epg_adjoint_job_size(void) { return sizeof(job); }

/* 0 if all is well, 1 without memory. */
__attribute__((visibility("default"))) int epg_adjoint_run(const job *j)
{
    int64_t most = 1;
    for (int64_t v = j->first; v < j->last; v++) most = j->n_states[v] > most ? j->n_states[v] : most;
    const int64_t width = most + PADDING;
    const size_t step = sizeof(double) * (size_t)(ROWS * width);
    double *store = malloc(step * (size_t)(j->n_pulses + 2)), *work = malloc(step * 4);
    const int is_good = store && work;
    if (is_good)
        for (int64_t v = j->first; v < j->last; v++) run_tissue(j, v, store, work, width);
    free(store);
    free(work);
    return !is_good;
}
