/* Extended phase graphs of many tissues at once: the native kernel of mrftool.

   What it computes is defined by mrftool/physics/epg.py, the readable engine; read that first. This file does the
   same, faster, by these ideas:

   - One tissue per lane of the vector registers: a group of LANES tissues walks through the train together.
   - Where all RF phases differ by multiples of 180 degrees, F+ is i times a real number, and F- and Z are real:
     one part per state ("real"). Otherwise two, the real and the imaginary part.
   - An RF pulse turns (F+, F-, Z) of one order about a transverse axis. What changes is one number, delta:
     with p = F+ + F- (turned so that the axis is y),  delta = (cos - 1)/2 p + sin z,   F+ and F- both gain delta,
     and Z becomes cos z - sin/2 p: seven instructions per order.
   - Relaxation costs nothing: all states are kept divided by exp(-t/T2) ("scaled"), so that F does not decay, and
     Z grows by rho = exp(TR/T2 - TR/T1), which goes into the pulse's coefficients. Before the scale leaves the range
     of float, `rescale` brings it back to 1.
   - Two pulses per pass over the orders (`pass`): what the first one leaves of order k is shifted in registers, and
     the second one acts on order k-1 at once. Loads and stores are halved.
   - Order k is computed only where it can still reach an echo: after n pulses of N only k <= n and k <= N-1-n exist
     or matter. High orders that have become too small to change an echo are cut off on the way (`cut`).
   - Derivatives are carried along as further sets of states. In scaled states, the derivative along the direction
     (dR1 + dR2), R = 1/T, obeys the equations of the states themselves, since rho depends on R2 - R1 only.

   It is compiled once per instruction set from this one source; `mrftool/physics/kernel.py` picks at run time.
   Vector types are those of GCC and Clang. Nothing here keeps state between calls, so threads need no lock. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registers.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef double dvec __attribute__((vector_size(8 * LANES)));
typedef int64_t lvec __attribute__((vector_size(8 * LANES)));
typedef double half __attribute__((vector_size(4 * LANES)));
typedef int64_t half_mask __attribute__((vector_size(4 * LANES)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define EACH(i, n) UNROLL for (int i = 0; i < (n); i++)
#if defined(__x86_64__)
#define IN_REGISTER(x) __asm__("" : "+v"(x)) /* load once, although an instruction could load it by itself */
#else
#define IN_REGISTER(x) (void)(x)
#endif

enum { MAX_SETS = 5, MAX_LEVELS = 2 };
/* Sets: the states; their derivatives to R1 + R2, to R2, to B1, and to the off-resonance, which is that of states which
   turn with it, in the frame that does so too. */
enum { VALUE, BOTH_RATES, RATE2, FIELD, FREQUENCY };
static const double LARGEST_SCALE = 60;   /* rescale before exp(t/T2) exceeds exp of this; float ends at exp(88) */
static const double DERIVATIVE_SCALE = 15; /* likewise; derivatives lose as many digits as t/T2 has */
static const double LARGEST_STEP = 30;    /* TR/T2 in one step: exp(-30) = 1e-13 of F is left */
static const double LARGEST_CHANGE = 0.15; /* of TR/T1 and TR/T2, by a series that ends before x^6: error 2e-8 */
enum { EXACT_EVERY = 8 }; /* orders; see set_longer_decay, whose powers rest on it */
enum { CUT_EVERY = 16, CUT_BY = 4 }; /* repetitions between two looks for orders to cut off; orders cut at a time */
static const double PI = 3.14159265358979323846;

/* What happens in a sequence, see mrftool/sequence/events.py; mirrored in mrftool/physics/kernel.py. */
enum { PULSES, INVERT, WAIT, SATURATE, T2PREP, HARD_PULSE }; /* `code` of each class */
typedef struct {
    int32_t code, acquire;
    int64_t first, stop; /* pulses first .. stop-1 */
    double number[4];    /* of any other event */
} event;

/* All that one call needs; mirrored in mrftool/physics/kernel.py. Times in s, angles in rad. */
typedef struct {
    /* the sequence: one entry per pulse; what is played, in order */
    int64_t n_pulses, n_echoes, n_events;
    const double *flip, *phase, *sign, *tr, *te; /* sign: real path only, -1 where the pulse's phase is 180 degrees */
    const event *events;
    int32_t is_spoiled, is_real;
    /* diffusion: see Dephasing in epg.py; quiet: from a pulse to its spoiler, which the tail of TR begins with */
    int32_t is_diffusing;
    double step;
    const double *quiet, *tail_first, *tail_second;
    const int64_t *cycles; /* of the spoiler after each pulse, or NULL: one each */
    /* slice profile */
    int64_t n_positions;
    const double *flip_factor, *weight;
    /* selective pulse, see slice_rotations.py: the largest flip angle times B1; for each position, N_SERIES Chebyshev
       series of n_terms coefficients, or NULL; whether each position stands for its mirror image, too */
    double largest;
    int64_t n_terms;
    const double *series;
    int32_t is_mirrored;
    /* tissues `first` .. `last`-1 of the list `index`, each with its own number of states */
    int64_t first, last;
    const int64_t *index, *n_states;
    const double *t1, *t2, *b1, *adc, *off_resonance, *m0; /* m0: real, imaginary, real, ... */
    /* cutting on the way, see truncation.py: what all cuts together may change, relative to the root mean square of a
       fingerprint, 0 for no cut; that root mean square at least, per tissue, for m0 = 1; the sum of the k shortest TR
       for k = 0, 1, ... */
    double tolerance;
    const double *level, *shortest;
    int32_t is_same_b1;
    /* results, one row of n_echoes per tissue: complex, or real numbers that wait for a factor -i */
    int32_t is_complex_out, n_derivatives; /* 0, 2 (t1, t2), 3 (and b1) or 4 (and off_resonance) */
    float *signal, *derivative[4]; /* derivatives that nobody wants: NULL */
    double *norm; /* per tissue: sum over time of |signal|^2 for m0 = 1, or NULL */
} job;

/* ---- small functions of vectors ------------------------------------------------------------------------------- */

INLINE vec splat(float x) { return x - (vec){0}; }
/* By halves, of one register each: GCC would write the numbers to memory one by one. */
INLINE dvec dsplat(double x)
{
    const half part[2] = {x - (half){0}, x - (half){0}};
    dvec y;
    memcpy(&y, part, sizeof y);
    return y;
}
INLINE vec narrow(dvec x) { return __builtin_convertvector(x, vec); }
INLINE dvec widen(vec x) { return __builtin_convertvector(x, dvec); }

/* The smaller of x and limit; in halves, since GCC compares only vectors of a register's size in one instruction. */
INLINE dvec smaller(dvec x, double limit)
{
    half part[2];
    memcpy(part, &x, sizeof x);
    EACH(i, 2) {
        half_mask is = part[i] < limit;
        part[i] = (half)((is & (half_mask)part[i]) | (~is & (half_mask)(limit - (half){0})));
    }
    memcpy(&x, part, sizeof x);
    return x;
}

INLINE int any(ivec x)
{
    int64_t part[LANES / 2], found = 0;
    memcpy(part, &x, sizeof x);
    EACH(i, LANES / 2) found |= part[i];
    return found != 0;
}

INLINE double largest(dvec x)
{
    double most = x[0];
    for (int l = 1; l < LANES; l++) most = x[l] > most ? x[l] : most;
    return most;
}

/* exp(x) for |x| < 700: x = n ln 2 + r, Taylor series of exp(r), |r| <= ln 2 / 2: error 1e-11. */
INLINE dvec exponential(dvec x)
{
    const double round = 6755399441055744.0; /* 1.5 x 2^52: adding it leaves the nearest integer in the low bits */
    dvec shifted = x * 1.4426950408889634 + round;
    dvec n = shifted - round;
    dvec r = x - n * 0.6931471805599453;
    static const double inverse_factorial[] = {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24,
                                               1.0 / 6,     0.5,        1.0,       1.0};
    dvec y = dsplat(1.0 / 362880);
    EACH(i, 9) y = y * r + inverse_factorial[i];
    return (dvec)((lvec)y + ((lvec)shifted << 52));
}

/* sin and cos of pi x for |x| <= 1/2, by Taylor series: error 1e-7. */
INLINE void sine_cosine(vec x, vec *sine, vec *cosine)
{
    vec y = x * (float)PI, y2 = y * y;
    vec s = splat(-2.50521084e-8f), c = splat(2.08767570e-9f);
    s = s * y2 + 2.75573192e-6f;
    c = c * y2 - 2.75573192e-7f;
    s = s * y2 - 1.98412698e-4f;
    c = c * y2 + 2.48015873e-5f;
    s = s * y2 + 8.33333333e-3f;
    c = c * y2 - 1.38888889e-3f;
    s = s * y2 - 1.66666667e-1f;
    c = c * y2 + 4.16666667e-2f;
    *sine = y + y * y2 * s;
    c = c * y2 - 0.5f;
    *cosine = c * y2 + 1.0f;
}

INLINE vec fraction(vec x) { const float round = 12582912.0f; return x - ((x + round) - round); } /* 1.5 x 2^23 */
INLINE dvec dfraction(dvec x) { const double round = 6755399441055744.0; return x - ((x + round) - round); }

/* ---- one order of the states ---------------------------------------------------------------------------------- */

typedef struct { vec a[2], b[2], z[2]; } order; /* F+(k), F-(k), Z(k), each in one or two parts */

/* What one pulse, and the interval after it, do to every order; and to order 0 alone. */
typedef struct {
    vec less;                     /* (cos - 1)/2; in the complex path divided by sin */
    vec sin;                      /* sin of the flip angle */
    vec rho_cos, rho_half_sin;    /* rho cos, rho sin/2 */
    vec excess;                   /* rho cos - 1 */
    vec axis_cos, axis_sin;       /* complex path: direction of the pulse's axis */
    vec gain_cos, gain_sin;       /* complex path: the same, times sin of the flip angle */
    vec tr;                       /* [s] */
    vec field_delta, field_z;     /* d flip / d B1: divided by rho, and times rho */
    vec recovery[MAX_SETS];       /* what order 0 of Z gains */
    vec echo;                     /* exp(-(t + TE)/T2): from scaled F to the signal */
    vec echo_time;                /* t + TE [s] */
    vec echo_cos, echo_sin;       /* complex path: the receiver's phase */
    vec turn, echo_turn;          /* 2 pi TR, and 2 pi (TE - TR): by the off-resonance [rad s] */
} pulse;

/* How B1 turns what a selective pulse leaves: about x and y of the states' frame, divided by rho and times half of rho;
   and about z. */
typedef struct { vec f[2], half_z[2], about_z; } field_turn;

/* rho cos z - rho sin/2 p. Order 0 keeps Z for as long as T1, so there the rounding of rho cos would add up over a
   train of equal pulses; rho cos - 1 is rounded finer. */
INLINE vec turned_z(const int is_zero, vec z, vec p, const pulse *r)
{
    return is_zero ? z + (r->excess * z - r->rho_half_sin * p) : r->rho_cos * z - r->rho_half_sin * p;
}

/* Let `r` act on all sets of one order; is_zero: of order 0. */
INLINE void turn_real(const int sets, const int is_zero, order *x, const pulse *r)
{
    vec p = x[0].a[0] + x[0].b[0], z = x[0].z[0];
    vec delta = r->less * p + r->sin * z;
    vec new_z = turned_z(is_zero, z, p, r);
    UNROLL for (int s = 1; s < sets; s++) {
        vec q = x[s].a[0] + x[s].b[0], w = x[s].z[0];
        vec d = r->less * q + r->sin * w;
        w = turned_z(is_zero, w, q, r);
        if (s == RATE2) w += r->tr * new_z;
        if (s == FIELD) {
            d += r->field_delta * new_z;
            w -= r->field_z * (0.5f * p + delta);
        }
        x[s].a[0] += d, x[s].b[0] += d, x[s].z[0] = w;
    }
    x[0].a[0] += delta, x[0].b[0] += delta, x[0].z[0] = new_z;
}

/* Derivative by B1 of what a selective pulse left, which turns about an axis in any direction. */
INLINE void turn_with_field(const order *x, order *slope, const field_turn *by)
{
    const vec *f = by->f, *h = by->half_z, t = by->about_z;
    slope->a[0] += f[0] * x->z[1] + f[1] * x->z[0] - t * x->a[1];
    slope->a[1] += f[1] * x->z[1] - f[0] * x->z[0] + t * x->a[0];
    slope->b[0] += f[1] * x->z[0] - f[0] * x->z[1] + t * x->b[1];
    slope->b[1] += f[0] * x->z[0] + f[1] * x->z[1] - t * x->b[0];
    slope->z[0] += h[0] * (x->a[1] - x->b[1]) - h[1] * (x->a[0] + x->b[0]);
    slope->z[1] += h[0] * (x->b[0] - x->a[0]) - h[1] * (x->a[1] + x->b[1]);
}

/* What precession after the pulse adds to the derivative `d` by the off-resonance of the states `x`. */
INLINE void turn_derivative(order *d, const order *x, vec turn)
{
    d->a[0] -= turn * x->a[1], d->a[1] += turn * x->a[0];
    d->b[0] += turn * x->b[1], d->b[1] -= turn * x->b[0];
}

/* p = i (F+ / e - F- e), e = exp(i phase); F+ gains -i e delta, F- gains i delta / e. by: of a selective pulse, or
   NULL. */
INLINE void turn_complex(const int sets, const int is_zero, order *x, const pulse *r, const field_turn *by)
{
    const vec c = r->axis_cos, s = r->axis_sin;
    vec p[2], delta[2], new_z[2];
    UNROLL for (int set = 0; set < sets; set++) {
        order *y = x + set;
        vec q[2], d[2], w[2], gain_c = r->gain_cos, gain_s = r->gain_sin;
        q[0] = s * (y->a[0] + y->b[0]) - c * (y->a[1] - y->b[1]);
        q[1] = s * (y->a[1] + y->b[1]) + c * (y->a[0] - y->b[0]);
        EACH(i, 2) {
            d[i] = r->less * q[i] + y->z[i]; /* delta / sin */
            w[i] = turned_z(is_zero, y->z[i], q[i], r);
            if (set == VALUE) p[i] = q[i], delta[i] = r->sin * d[i], new_z[i] = w[i];
            if (set == RATE2) w[i] += r->tr * new_z[i];
            if (set == FIELD) {
                d[i] = r->sin * d[i] + r->field_delta * new_z[i];
                w[i] -= r->field_z * (0.5f * p[i] + delta[i]);
                gain_c = c, gain_s = s;
            }
            y->z[i] = w[i];
        }
        vec u0 = gain_s * d[0], u1 = gain_c * d[1], v0 = gain_s * d[1], v1 = gain_c * d[0];
        IN_REGISTER(u0); /* two products and two sums take less time than one product and two multiply-adds */
        IN_REGISTER(v0);
        IN_REGISTER(u1);
        IN_REGISTER(v1);
        y->a[0] += u0 + u1, y->b[0] += u0 - u1;
        y->a[1] += v0 - v1, y->b[1] += v0 + v1;
    }
    if (sets > FIELD && by) turn_with_field(x + VALUE, x + FIELD, by);
    if (sets > FREQUENCY) turn_derivative(x + FREQUENCY, x + VALUE, r->turn);
}

/* F+(0) is the conjugate of F-(0). (In the real path both hold the same number.) */
INLINE void join_order_0(const int parts, const int sets, order *x)
{
    EACH(s, sets) {
        x[s].a[0] = x[s].b[0];
        if (parts == 2) x[s].a[1] = -x[s].b[1];
    }
}

/* ---- all orders ----------------------------------------------------------------------------------------------- */

/* States in memory: rows of orders; a row holds F+, F-, Z of each set, each in one or two parts. */
INLINE vec *at(const int parts, const int sets, vec *rows, int64_t k, int set, int state, int part)
{
    return rows + ((k * sets + set) * 3 + state) * parts + part;
}

typedef struct { vec of[MAX_LEVELS][MAX_SETS][2]; } echoes; /* F+(0) after each pulse, scaled */

/* Registers between two pulses of one pass: F+ comes out two orders late, Z one order late. */
typedef struct { vec a_next[2], a_last[2], z_last[2]; } delay;

/* Bring order k in, let pulse m act on order k-m, and write what the spoiler has moved back.
   zero_level: the pulse that meets order 0 now, or -1; later ones are not there yet.
   n_outside: this many pulses, the first ones, are beyond the last order: they see nothing. */
INLINE void step(const int parts, const int sets, const int levels, const int diffusing, const int zero_level,
                 const int n_outside, vec *restrict rows, int64_t k, const pulse *r, const field_turn *by, const vec *decay,
                 delay (*late)[MAX_SETS], echoes *e)
{
    order x[MAX_SETS];
    EACH(s, sets) EACH(p, parts) {
        vec a = {0}, b = {0}, z = {0};
        if (n_outside == 0) {
            a = *at(parts, sets, rows, k, s, 0, p), b = *at(parts, sets, rows, k, s, 1, p);
            z = *at(parts, sets, rows, k, s, 2, p);
            IN_REGISTER(a);
            IN_REGISTER(b);
            IN_REGISTER(z);
        }
        x[s].a[p] = a, x[s].b[p] = b, x[s].z[p] = z;
    }
    EACH(m, levels) {
        if (zero_level >= 0 && m > zero_level) return;
        if (m == zero_level) join_order_0(parts, sets, x);
        if (m >= n_outside && parts == 1) turn_real(sets, m == zero_level, x, r + m);
        if (m >= n_outside && parts == 2) turn_complex(sets, m == zero_level, x, r + m, by ? by + m : NULL);
        EACH(s, sets) EACH(p, parts) {
            if (m < n_outside) x[s].a[p] = x[s].b[p] = x[s].z[p] = (vec){0};
            if (m == zero_level) e->of[m][s][p] = x[s].a[p];
            if (diffusing && n_outside == 0) {
                x[s].a[p] *= decay[3 * k];
                x[s].b[p] *= decay[3 * k + 1];
                x[s].z[p] *= decay[3 * k + 2];
            }
            if (m == zero_level && p == 0) x[s].z[p] += r[m].recovery[s];
            vec a = late[m][s].a_last[p], z = late[m][s].z_last[p];
            if (levels == 1) { /* only F+ has to wait, for one order: its row is still to be read */
                late[m][s].a_last[p] = x[s].a[p];
                x[s].a[p] = a;
            } else if (m + 1 < levels) {
                late[m][s].a_last[p] = late[m][s].a_next[p];
                late[m][s].a_next[p] = x[s].a[p];
                late[m][s].z_last[p] = x[s].z[p];
                x[s].a[p] = a, x[s].z[p] = z;
            }
        }
    }
    int64_t row = k - levels + 1; /* the order that the last pulse acted on; the spoiler moves F+ up and F- down */
    EACH(s, sets) EACH(p, parts) {
        *at(parts, sets, rows, levels == 1 ? k : row + 1, s, 0, p) = x[s].a[p];
        *at(parts, sets, rows, row, s, 2, p) = x[s].z[p];
        if (zero_level < 0) *at(parts, sets, rows, row - 1, s, 1, p) = x[s].b[p];
    }
}

/* `levels` pulses, the intervals after them and the spoiler, for orders 0 .. n_orders-1; n_orders >= levels.
   F- of order n_orders-1 stays the 0 that it was: nothing comes down from beyond. */
INLINE void pass(const int parts, const int sets, const int levels, const int diffusing, vec *restrict rows,
                 int64_t n_orders, const pulse *pulses, const field_turn *turns, const vec *decay, echoes *e)
{
    delay late[MAX_LEVELS][MAX_SETS];
    field_turn copied[MAX_LEVELS];
    const field_turn *by = turns ? copied : NULL;
    pulse r[MAX_LEVELS]; /* a copy that nobody else can write to: it stays in registers */
    EACH(m, levels) {
        r[m] = pulses[m];
        if (turns) copied[m] = turns[m];
        EACH(s, sets) EACH(p, parts) late[m][s].a_next[p] = late[m][s].a_last[p] = late[m][s].z_last[p] = (vec){0};
    }
    EACH(k, levels) step(parts, sets, levels, diffusing, k, 0, rows, k, r, by, decay, late, e);
    for (int64_t k = levels; k < n_orders; k++)
        step(parts, sets, levels, diffusing, -1, 0, rows, k, r, by, decay, late, e);
    const int beyond = levels == 1 ? 1 : levels - 1;
    EACH(i, beyond)
        step(parts, sets, levels, diffusing, -1, i + 1, rows, n_orders + i, r, by, decay, late, e);
}

/* Without a spoiler there is only order 0: F-(0) is the conjugate of F+(0), and nothing moves. */
INLINE void balanced(const int sets, vec *rows, const pulse *r, const field_turn *by, echoes *e)
{
    order x[MAX_SETS];
    EACH(s, sets) EACH(p, 2) {
        x[s].a[p] = *at(2, sets, rows, 0, s, 0, p);
        x[s].b[p] = p ? -x[s].a[p] : x[s].a[p];
        x[s].z[p] = *at(2, sets, rows, 0, s, 2, p);
    }
    turn_complex(sets, 1, x, r, by);
    EACH(s, sets) EACH(p, 2) {
        *at(2, sets, rows, 0, s, 0, p) = e->of[0][s][p] = x[s].a[p];
        *at(2, sets, rows, 0, s, 2, p) = x[s].z[p] + (p ? (vec){0} : r->recovery[s]);
    }
}

/* ---- one group of tissues ------------------------------------------------------------------------------------- */

typedef struct { float sin, less, cosine, fall, half_sin; } flip_terms; /* see set_flip */

/* A selective pulse at one position: half its flip angle; its axis, and the precession after it, as complex numbers;
   the derivative by the amplitude of what it leaves, as a rotation about x, y and z. */
enum { N_SERIES = 8, N_VALUES = 4, N_ROTATION = 9 }; /* N_VALUES: series of alpha and beta, without their slopes */
typedef union {
    struct { dvec sine, cosine, axis[2], precession[2], slope[3]; };
    dvec number[N_ROTATION];
} rotation;

/* Of an interval between two pulses: exp(TR/T2), exp(-TR/T2), exp(-TR/T1), 1 - that; rho, and rho - 1. */
typedef struct { vec growth, shrink, e1, regain, rho, rho_excess; } interval_factors;

typedef struct {
    const job *j;
    int parts, sets;
    int64_t n_lanes, n_states;
    const int64_t *index;        /* of the tissue in each lane */
    dvec r1, r2, b1, adc, turns; /* 1/T1, 1/T2 [1/s], [1], [m2/s], off-resonance [Hz] */
    vec rate1, rate2;            /* 1/T1 and 1/T2 in single precision */
    double fastest, quickest;    /* largest 1/T2; largest of 1/T1 and 1/T2 */
    vec *rows, *decay;           /* states; decay of F(k), F(-k), Z(k) by diffusion */
    int64_t n_used;              /* rows that can hold anything but 0 */
    int64_t n_live;              /* orders that are not 0 before the next pulse */
    int64_t n_left, n_looks;     /* orders that can still come back to an echo, which are as many as the pulses
                                    still to be played where all spoilers are alike; looks for orders to cut off */
    vec *descent;                /* how much at most is left of order k when it comes back to an echo, squared */
    vec level_squared;           /* mean square of the signal at least */
    vec grown, shrunk;           /* the scale: true F = scaled F x shrunk; grown = 1 / shrunk = exp(since/T2) */
    double since, elapsed;       /* since the scale was 1, and since the first pulse, for off-resonance [s] */
    /* factors of an interval, kept while TR and TE stay the same */
    double tr, te, decay_quiet, decay_tail, decay_first;
    int64_t decay_orders, shortest_tail;
    vec *base_decay;             /* of an interval with the shortest tail */
    int has_base;
    vec growth, shrink, regain, tr_e1, rho, rho_excess, rho_inverse, e2_te, te_cos, te_sin;
    interval_factors base;       /* of an interval of `base_tr`, from which those of other TR are found */
    double base_tr;
    const flip_terms *flips;     /* one B1 for all tissues: of each pulse; else NULL */
    const double *series;        /* of a selective pulse at this position, or NULL */
    const rotation *rotations;   /* of it, for one B1: LANES pulses in each entry; else NULL */
    dvec frame[2];               /* exp(i angle) by which selective pulses have turned the states' frame about z */
    vec *tile;                   /* LANES repetitions of results: [result][part][repetition] */
    vec power;                   /* sum of |signal|^2 in the tile */
    dvec norm;                   /* and in all tiles */
} group;

INLINE int64_t cycles_after(const job *j, int64_t n) { return j->cycles ? j->cycles[n] : 1; }

/* Orders that can still come back to an echo, and looks for orders to cut off. */
static void count_pulses(group *g)
{
    const job *j = g->j;
    int64_t last = 1;
    g->n_left = g->n_looks = 0;
    for (const event *e = j->events; e < j->events + j->n_events; e++)
        if (e->code == PULSES) {
            for (int64_t n = e->first; n < e->stop; n++) g->n_left += last = cycles_after(j, n);
            g->n_looks += (e->stop - e->first + CUT_EVERY - 1) / CUT_EVERY;
        }
    g->n_left += 1 - last; /* no echo follows the last spoiler */
}

static void set_equilibrium(group *g)
{
    memset(g->rows, 0, sizeof(vec) * (size_t)((g->n_states + 2) * g->sets * 3 * g->parts));
    *at(g->parts, g->sets, g->rows, 0, VALUE, 2, 0) = splat(1.0f);
    g->n_used = g->n_live = 1;
    count_pulses(g);
    g->grown = g->shrunk = splat(1.0f);
    g->since = g->elapsed = 0.0;
    g->frame[0] = dsplat(1), g->frame[1] = dsplat(0);
}

/* How long a state decays with 1/T1 and with 1/T2 [s]. */
typedef struct { float r1, r2; } decay_times;

/* All orders: F x f, Z x z, and what that means for the derivatives when these decayed for such times. */
static void multiply(group *g, vec f, vec z, decay_times of_f, decay_times of_z, int decaying)
{
    for (int64_t k = 0; k < g->n_used; k++)
        for (int state = 0; state < 3; state++)
            for (int p = 0; p < g->parts; p++) {
                vec factor = state < 2 ? f : z;
                if (decaying) factor *= g->decay[3 * k + (state < 2 ? 0 : 2)];
                vec *x = at(g->parts, g->sets, g->rows, k, VALUE, state, p);
                int stride = 3 * g->parts;
                if (g->sets > RATE2) {
                    const decay_times t = state < 2 ? of_f : of_z;
                    x[BOTH_RATES * stride] = factor * (x[BOTH_RATES * stride] - (t.r1 + t.r2) * *x);
                    x[RATE2 * stride] = factor * (x[RATE2 * stride] - t.r2 * *x);
                }
                for (int s = FIELD; s < g->sets; s++) x[s * stride] *= factor;
                *x *= factor;
            }
}

/* Make the scaled states the true ones: scale 1 from now on. F and Z carry the same scale. */
static void rescale(group *g)
{
    const vec by = g->shrunk, t = splat((float)g->since);
    const int stride = 3 * g->parts;
    vec *x = g->rows;
    for (int64_t k = 0; k < g->n_used; k++, x += g->sets * stride)
        for (int i = 0; i < stride; i++) {
            if (g->sets > RATE2) {
                x[BOTH_RATES * stride + i] = by * (x[BOTH_RATES * stride + i] - t * x[i]);
                x[RATE2 * stride + i] = by * (x[RATE2 * stride + i] - t * x[i]);
            }
            for (int s = FIELD; s < g->sets; s++) x[s * stride + i] *= by;
            x[i] *= by;
        }
    g->grown = g->shrunk = splat(1.0f);
    g->since = 0.0;
}

static dvec decayed(dvec exponent) { return exponential(-smaller(exponent, 700)); }

/* Decay by diffusion in an interval: order k of F(k), F(-k), Z(k). first, second: see Dephasing in epg.py. The
   exponents are quadratic in k, so the ratio of an order to the one below changes by the same factor each time. */
static void set_decay(const group *g, vec *decay, int64_t n_orders, double rest, double tail, double first, double second)
{
    const double still = g->j->step * g->j->step * (rest + tail), cross = 2 * g->j->step * first;
    const double slopes[3] = {still + cross, still - cross, still}, starts[3] = {second, second, 0};
    const dvec bend = decayed(g->adc * (2 * still));
    for (int state = 0; state < 3; state++) {
        dvec left = decayed(g->adc * starts[state]), ratio = decayed(g->adc * slopes[state]);
        for (int64_t k = 0; k < n_orders; k++) {
            decay[3 * k + state] = narrow(left);
            left *= ratio;
            ratio *= bend;
        }
    }
}

/* Decay by diffusion in an interval that is quiet as long as the first one and has a tail that is longer than the shortest one: at rest, wave
   vectors are those of the next order. */
static void set_longer_decay(group *g, int64_t n_orders, double longer)
{
    const job *j = g->j;
    if (!g->has_base) {
        const int64_t s = g->shortest_tail;
        set_decay(g, g->base_decay, g->n_states + 2, j->quiet[0], j->tr[s] - j->quiet[s], j->tail_first[s],
                  j->tail_second[s]);
        g->has_base = 1;
    }
    const double still = j->step * j->step * longer;
    const dvec q = decayed(g->adc * still), q2 = q * q, q4 = q2 * q2, q8 = q4 * q4, ratio_bend = q8 * q8;
    const dvec q32 = ratio_bend * ratio_bend, jump_bend = q32 * q32 * (q32 * q32);
    dvec left = dsplat(1.0), ratio = q, jump = q32 * q32; /* q^(k k); from it to the next order; to the next block */
    const vec bend = narrow(q2);
    vec below = narrow(ratio);
    for (int64_t first = 0; first < n_orders; first += EXACT_EVERY) {
        vec here = narrow(left), to_next = narrow(ratio);
        const int64_t stop = first + EXACT_EVERY < n_orders ? first + EXACT_EVERY : n_orders;
        for (int64_t k = first; k < stop; k++) {
            const vec above = here * to_next, *base = g->base_decay + 3 * k;
            g->decay[3 * k] = base[0] * above;
            g->decay[3 * k + 1] = base[1] * below;
            g->decay[3 * k + 2] = base[2] * here;
            below = here, here = above, to_next *= bend;
        }
        left *= jump, jump *= jump_bend, ratio *= ratio_bend;
    }
}

/* The pulse with the shortest tail of those that are quiet as long as the first one. */
static int64_t shortest_tail(const job *j)
{
    int64_t found = 0;
    for (int64_t n = 1; n < j->n_pulses; n++)
        if (j->quiet[n] == j->quiet[0] && j->tr[n] < j->tr[found]) found = n;
    return found;
}

/* Decay by diffusion between pulse n and the next one, of orders 0 .. n_orders-1 at least; of twice as many where the
   interval stays the same, as later pulses will ask for them. */
static void set_interval_decay(group *g, int64_t n, int64_t n_orders)
{
    const job *j = g->j;
    double quiet = j->quiet[n], tail = j->tr[n] - quiet;
    const int is_same = quiet == g->decay_quiet && tail == g->decay_tail && j->tail_first[n] == g->decay_first;
    if (is_same && n_orders <= g->decay_orders) return;
    g->decay_orders = is_same && 2 * n_orders < g->n_states ? 2 * n_orders : n_orders;
    double longer = -1;
    if (quiet == j->quiet[0] && !j->cycles) longer = tail - (j->tr[g->shortest_tail] - quiet);
    if (longer > 0) set_longer_decay(g, g->decay_orders, longer);
    else set_decay(g, g->decay, g->decay_orders, quiet, tail, j->tail_first[n], j->tail_second[n]);
    g->decay_quiet = quiet, g->decay_tail = tail, g->decay_first = j->tail_first[n];
}

/* How much order k decays at least before it can be seen, squared; see truncation.py. */
static void set_descent(group *g)
{
    for (int64_t k = 0; k < g->n_states; k++)
        g->descent[k] = narrow(exponential(-smaller(2 * g->r2 * g->j->shortest[k], 700)));
}

/* What one cut may change in each of the `left` echoes that follow, squared: of all looks an equal share. The signal so
   far is a lower bound of its norm. */
INLINE vec allowed(const group *g, int64_t left)
{
    const job *j = g->j;
    const double share = j->tolerance / (double)g->n_looks;
    vec power = g->level_squared;
    if (j->n_positions == 1 && !j->series) {
        vec so_far = narrow(g->norm) * (float)(1.0 / (double)j->n_echoes);
        ivec is_more = so_far > power;
        power = (vec)((is_more & (ivec)so_far) | (~is_more & (ivec)power));
    }
    return power * (float)(share * share * (left < j->n_echoes ? (double)j->n_echoes / (double)left : 1.0));
}

/* Cut off the highest orders, CUT_BY at a time, as many as change none of the `left` echoes by more than allowed. */
INLINE void cut(const int parts, group *g, int64_t left)
{
    if (left < 1) return;
    const vec limit = allowed(g, left), shrunk = g->shrunk;
    vec sum = {0};
    int64_t k = g->n_live < left ? g->n_live : left;
    for (; k > CUT_BY; k -= CUT_BY) {
        const vec *x = at(parts, 1, g->rows, k - CUT_BY, VALUE, 0, 0);
        EACH(i, 3 * parts * CUT_BY) {
            vec y = x[i] * shrunk;
            sum += i % (3 * parts) < 2 * parts ? y * y : 2.0f * y * y; /* Z(-k) is the conjugate of Z(k) */
        }
        if (any(sum * g->descent[k - CUT_BY] > limit)) break;
    }
    if (k >= g->n_used) return;
    memset(at(parts, 1, g->rows, k, VALUE, 0, 0), 0, sizeof(vec) * (size_t)((g->n_used - k) * 3 * parts));
    g->n_live = g->n_used = k;
}

/* What precession by `turn` adds to the derivatives by the off-resonance of all orders. */
static void precess_derivative(group *g, vec turn)
{
    for (int64_t k = 0; k < g->n_used; k++) {
        vec *x = at(2, g->sets, g->rows, k, VALUE, 0, 0), *d = at(2, g->sets, g->rows, k, FREQUENCY, 0, 0);
        d[0] -= turn * x[1], d[1] += turn * x[0]; /* F+ */
        d[2] += turn * x[3], d[3] -= turn * x[2]; /* F- */
    }
}

/* Free relaxation for `time`, without RF and spoiler: waiting, or the inversion time. */
static void rest(group *g, double time)
{
    rescale(g);
    if (g->j->is_diffusing) set_decay(g, g->decay, g->n_states + 2, time, 0, 0, 0);
    g->decay_quiet = -1;
    dvec e1 = exponential(-smaller(g->r1 * time, 700));
    const decay_times of_f = {0, (float)time}, of_z = {(float)time, 0};
    multiply(g, narrow(exponential(-smaller(g->r2 * time, 700))), narrow(e1), of_f, of_z, g->j->is_diffusing);
    *at(g->parts, g->sets, g->rows, 0, VALUE, 2, 0) += narrow(1.0 - e1);
    if (g->sets > RATE2) *at(g->parts, g->sets, g->rows, 0, BOTH_RATES, 2, 0) += narrow(time * e1);
    if (g->sets > FREQUENCY) precess_derivative(g, splat((float)(2 * PI * time)));
    g->elapsed += time;
}

/* Z becomes factor x Z, and the crusher leaves no F: inversion and saturation. */
static void crush(group *g, double factor)
{
    const decay_times none = {0, 0};
    rescale(g);
    multiply(g, splat(0), splat((float)factor), none, none, 0);
}

/* A T2 preparation with perfect pulses: Z decays with T2 for `te`. */
static void keep_transverse(group *g, double te, double efficiency)
{
    const decay_times none = {0, 0}, of_z = {0, (float)te};
    rescale(g);
    if (g->j->is_diffusing) set_decay(g, g->decay, g->n_states + 2, te, 0, 0, 0);
    g->decay_quiet = -1;
    dvec left = efficiency * exponential(-smaller(g->r2 * te, 700));
    multiply(g, splat(0), narrow(left), none, of_z, g->j->is_diffusing);
}

/* Factors of an interval of TR in double precision. */
static void set_base(group *g, double tr)
{
    const dvec e1 = exponential(-smaller(g->r1 * tr, 700));
    const dvec growth = exponential(smaller(g->r2 * tr, LARGEST_STEP));
    const dvec rho = e1 * growth;
    interval_factors *f = &g->base;
    f->growth = narrow(growth), f->shrink = 1.0f / f->growth;
    f->e1 = narrow(e1), f->regain = narrow(1.0 - e1);
    f->rho = narrow(rho), f->rho_excess = narrow(rho - 1.0);
    g->base_tr = tr;
}

/* Factors of an interval that is longer than the base by `change`: series of exp(x) - 1, exp(-x) - 1, x = change / T2,
   and of exp(-change / T1) - 1. */
INLINE void change_interval(group *g, double change)
{
    const interval_factors *f = &g->base;
    const vec x = g->rate2 * (float)change, y = g->rate1 * (float)-change, x2 = x * x;
    const vec even = x2 * (0.5f + x2 * (1.0f / 24)), odd = x + x * x2 * (1.0f / 6 + x2 * (1.0f / 120));
    const vec more = even + odd;
    const vec less = y + y * y * (0.5f + y * (1.0f / 6 + y * (1.0f / 24 + y * (1.0f / 120))));
    const vec of_rho = f->rho * (more + less + more * less), lost = f->e1 * less;
    g->growth = f->growth + f->growth * more;
    g->shrink = f->shrink + f->shrink * (even - odd);
    g->regain = f->regain - lost;
    g->rho = f->rho + of_rho;
    g->rho_excess = f->rho_excess + of_rho;
    if (g->sets > RATE2) g->tr_e1 = (float)(g->base_tr + change) * (f->e1 + lost);
    if (g->sets > FIELD) g->rho_inverse = 1.0f / g->rho;
}

/* Factors of the interval between two pulses. */
static void set_interval(group *g, double tr, double te)
{
    if (tr != g->tr) {
        const double most = g->quickest * fabs(tr - g->base_tr);
        if (g->base_tr < 0 || most > LARGEST_CHANGE || g->quickest * tr > LARGEST_STEP) set_base(g, tr);
        change_interval(g, tr - g->base_tr);
        g->tr = tr;
    }
    if (te != g->te) {
        g->e2_te = narrow(exponential(-smaller(g->r2 * te, 700)));
        if (g->parts == 2) {
            vec s, c;
            sine_cosine(narrow(dfraction(g->turns * te)), &s, &c); /* of half the angle */
            g->te_cos = 1.0f - 2.0f * s * s, g->te_sin = 2.0f * s * c;
        }
        g->te = te;
    }
}

/* The scale anew, so that the rounding of single steps does not add up. */
static void measure_scale(group *g)
{
    g->grown = narrow(exponential(g->r2 * g->since));
    g->shrunk = 1.0f / g->grown;
}

/* Keep the cosine of half the flip angle from 0, where the complex path divides by it. */
INLINE vec nonzero(vec c)
{
    const vec small = splat(1e-6f);
    ivec is_small = (c < small) & (c > -small);
    return (vec)((is_small & (ivec)small) | (~is_small & (ivec)c));
}

INLINE dvec root(dvec x)
{
    double y[LANES];
    memcpy(y, &x, sizeof x);
    for (int l = 0; l < LANES; l++) y[l] = sqrt(y[l]);
    memcpy(&x, y, sizeof x);
    return x;
}

/* Chebyshev series at y2 / 2 by Clenshaw's recurrence, see slice_rotations.py; in halves, as dsplat. */
static void sum_series(const job *j, const double *series, int n_series, dvec y2, dvec *sum)
{
    half y[2], part[2];
    memcpy(y, &y2, sizeof y2);
    for (int i = 0; i < n_series; i++, series += j->n_terms) {
        half last[2] = {{0}, {0}}, before[2] = {{0}, {0}};
        for (int64_t k = j->n_terms - 1; k > 0; k--) EACH(h, 2) {
            const half next = series[k] - before[h] + y[h] * last[h];
            before[h] = last[h], last[h] = next;
        }
        EACH(h, 2) part[h] = series[0] - before[h] + 0.5 * y[h] * last[h];
        memcpy(&sum[i], part, sizeof part);
    }
}

/* The rotation by a selective pulse of flip angle times B1 `a` in each lane. With its spinor (alpha, beta) and
   alpha = c exp(-i turn / 2), it is one by the flip angle about a transverse axis, and then one by `turn` about z.
   n_series: N_SERIES, or N_VALUES where nobody asks for the slopes. */
static rotation solve(const job *j, const double *series, int n_series, dvec a)
{
    rotation r;
    dvec sum[N_SERIES];
    const double scale = 1 / (j->largest * j->largest);
    const dvec y2 = 4 * scale * a * a - 2;
    sum_series(j, series, n_series, y2, sum);
    const dvec alpha[2] = {sum[0] + 1e-150, sum[1]}, beta[2] = {a * sum[2], a * sum[3]}; /* alpha / |alpha| exists */
    r.sine = root(beta[0] * beta[0] + beta[1] * beta[1]);
    r.cosine = root(alpha[0] * alpha[0] + alpha[1] * alpha[1]);
    const dvec inverse = 1 / r.cosine, c = alpha[0] * inverse, s = alpha[1] * inverse; /* exp(-i turn / 2) */
    const dvec size = 1 / (r.sine + 1e-150), u = -beta[1] * size, v = beta[0] * size; /* i beta / |beta| */
    r.axis[0] = u * c - v * s, r.axis[1] = u * s + v * c;
    r.precession[0] = c * c - s * s, r.precession[1] = -2 * c * s;
    if (n_series < N_SERIES) return r;
    const dvec alpha_slope[2] = {4 * scale * a * sum[4], 4 * scale * a * sum[5]};
    const dvec beta_slope[2] = {sum[2] + 4 * scale * a * a * sum[6], sum[3] + 4 * scale * a * a * sum[7]};
    /* with ' the derivative: x + i y = 2 i (beta' conj(alpha) - conj(alpha') beta), z = -2 Im(alpha' conj(alpha) +
       conj(beta') beta) */
    const dvec *p = alpha_slope, *q = beta_slope;
    r.slope[0] = -2 * (q[1] * alpha[0] - q[0] * alpha[1] - p[0] * beta[1] + p[1] * beta[0]);
    r.slope[1] = 2 * (q[0] * alpha[0] + q[1] * alpha[1] - p[0] * beta[0] - p[1] * beta[1]);
    r.slope[2] = -2 * (p[1] * alpha[0] - p[0] * alpha[1] + q[0] * beta[1] - q[1] * beta[0]);
    return r;
}

/* Slopes serve the derivative by B1. */
static int n_series_of(const job *j) { return j->n_derivatives >= 3 ? N_SERIES : N_VALUES; }

/* The table for one B1. */
static void fill_rotations(const job *j, rotation *table, const double *series)
{
    for (int64_t n = 0; n < j->n_pulses; n += LANES) {
        dvec a = dsplat(0);
        for (int64_t l = 0; l < LANES && n + l < j->n_pulses; l++) a[l] = j->flip[n + l] * j->b1[0];
        table[n / LANES] = solve(j, series, n_series_of(j), a);
    }
}

/* What selective pulse n does. */
static rotation rotation_of(const group *g, int64_t n)
{
    if (!g->rotations) return solve(g->j, g->series, n_series_of(g->j), g->j->flip[n] * g->b1);
    rotation r;
    const int n_numbers = n_series_of(g->j) == N_SERIES ? N_ROTATION : N_ROTATION - 3;
    for (int i = 0; i < n_numbers; i++) r.number[i] = dsplat(g->rotations[n / LANES].number[i][n % LANES]);
    return r;
}

/* What pulse n turns, from half its flip angle: a common table, a selective pulse's rotation, or single precision with
   each lane's own B1. */
INLINE void set_flip(const int parts, const int sets, const group *g, pulse *r, int64_t n, double flip, const rotation *t)
{
    vec cosine, fall, half_sin; /* fall: cosine - 1 */
    if (g->flips) {
        const flip_terms *f = g->flips + n;
        r->sin = splat(f->sin), r->less = splat(f->less);
        cosine = splat(f->cosine), fall = splat(f->fall), half_sin = splat(f->half_sin);
    } else if (t) {
        r->sin = narrow(2.0 * t->sine * t->cosine), r->less = narrow(-0.5 * t->sine) / nonzero(narrow(t->cosine));
        half_sin = 0.5f * r->sin, fall = narrow(-2.0 * t->sine * t->sine), cosine = narrow(1.0 - 2.0 * t->sine * t->sine);
    } else {
        vec s, c;
        sine_cosine(fraction(splat((float)(flip / (2 * PI))) * narrow(g->b1)), &s, &c);
        if (parts == 2) c = nonzero(c); /* half a turn changes the signs of both: no product sees it */
        half_sin = s * c, fall = -2.0f * s * s, cosine = 1.0f + fall;
        r->sin = 2.0f * half_sin;
        r->less = parts == 2 ? -0.5f * s / c : -s * s;
    }
    r->rho_cos = cosine * g->rho;
    r->rho_half_sin = half_sin * g->rho;
    r->excess = fall * g->rho + g->rho_excess;
    if (sets > FIELD && !t) {
        r->field_delta = (float)flip * g->rho_inverse;
        r->field_z = (float)flip * g->rho;
    }
}

/* The table for one B1, in double precision. */
static void fill_flips(const job *j, flip_terms *flips, int parts, double factor)
{
    for (int64_t n = 0; n < j->n_pulses; n++) {
        double half = j->flip[n] * factor * j->b1[0] / 2, s = sin(half), c = cos(half);
        if (parts == 2 && fabs(c) < 1e-6) c = 1e-6;
        flips[n].sin = (float)(2 * s * c), flips[n].half_sin = (float)(s * c);
        flips[n].cosine = (float)(1 - 2 * s * s), flips[n].fall = (float)(-2 * s * s);
        flips[n].less = (float)(parts == 2 ? -0.5 * s / c : -s * s);
    }
}

/* c + i s times the conjugate of a direction. */
INLINE void turn_back(vec *c, vec *s, const dvec *by)
{
    const vec x = narrow(by[0]), y = narrow(by[1]), old = *c;
    *c = old * x + *s * y;
    *s = *s * x - old * y;
}

/* The axis of a selective pulse `t` from that of its phase, c + i s, which becomes that of the receiver: the frame takes
   the precession after the pulse, and each position's rotation by B1. */
INLINE void set_selective_axis(group *g, pulse *r, double flip, const rotation *t, field_turn *by, vec *c, vec *s)
{
    const vec x = narrow(t->axis[0]), y = narrow(t->axis[1]);
    r->axis_cos = *c * x - *s * y, r->axis_sin = *s * x + *c * y;
    const dvec re = g->frame[0], im = g->frame[1];
    g->frame[0] = re * t->precession[0] - im * t->precession[1];
    g->frame[1] = im * t->precession[0] + re * t->precession[1];
    turn_back(c, s, t->precession);
    if (!by) return;
    const vec u = narrow(flip * t->slope[0]), v = narrow(flip * t->slope[1]);
    const vec in_frame[2] = {u * *c - v * *s, u * *s + v * *c};
    EACH(i, 2) by->f[i] = in_frame[i] * g->rho_inverse, by->half_z[i] = 0.5f * in_frame[i] * g->rho;
    by->about_z = narrow(flip * t->slope[2]);
}

/* The axis of the pulse in the frame that turns with the off-resonance, and the receiver in the same frame. t: of a
   selective pulse, else NULL. */
INLINE void set_axis(group *g, pulse *r, double phase, double flip, const int selective,
                     const rotation *t, field_turn *by)
{
    vec s, c;
    dvec turns = dfraction(phase / (2 * PI) - g->turns * g->elapsed);
    dvec within = 0.5 * dfraction(2.0 * turns); /* the axis up to its sign: exact at 180 degrees, where errors would add up */
    vec sign = narrow(1.0 - 8.0 * (turns - within) * (turns - within));
    sine_cosine(narrow(within), &s, &c);
    const vec sine = sign * (2.0f * s * c);
    c = sign * (1.0f - 2.0f * s * s), s = sine;
    if (selective) turn_back(&c, &s, g->frame);
    r->axis_cos = c, r->axis_sin = s;
    if (t) set_selective_axis(g, r, flip, t, by, &c, &s);
    r->gain_cos = r->sin * r->axis_cos;
    r->gain_sin = r->sin * r->axis_sin;
    r->echo_cos = c * g->te_cos + s * g->te_sin;
    r->echo_sin = c * g->te_sin - s * g->te_cos;
}

/* How much of TR is played in the scale of the train. In a very long TR, when no F is left, the rest is `rest`. */
INLINE double played_tr(const group *g, double tr)
{
    return g->fastest * tr <= LARGEST_STEP || g->j->is_diffusing ? tr : LARGEST_STEP / g->fastest;
}

/* Coefficients of repetition n at one position of the slice; moves the scale and the clock on by TR. */
INLINE void prepare(const int parts, const int sets, const int selective, group *g, pulse *r, int64_t n, double tr,
                    double flip_factor, field_turn *by)
{
    const job *j = g->j;
    if (tr != g->tr || j->te[n] != g->te) set_interval(g, tr, j->te[n]);
    rotation found;
    const rotation *t = NULL;
    if (selective) found = rotation_of(g, n), t = &found;
    set_flip(parts, sets, g, r, n, j->flip[n] * flip_factor, t);
    if (parts == 2) set_axis(g, r, j->phase[n], j->flip[n], selective, t, by);
    if (sets > RATE2) r->tr = splat((float)g->tr), r->echo_time = splat((float)(g->since + g->te));
    r->echo = g->shrunk * g->e2_te * (float)j->sign[n];
    g->grown *= g->growth;
    g->shrunk *= g->shrink;
    g->since += g->tr;
    g->elapsed += g->tr;
    r->recovery[VALUE] = g->regain * g->grown;
    if (sets > RATE2) {
        r->recovery[RATE2] = (float)g->since * r->recovery[VALUE];
        r->recovery[BOTH_RATES] = r->recovery[RATE2] + g->tr_e1 * g->grown;
    }
    if (sets > FIELD) r->recovery[FIELD] = splat(0);
    if (sets > FREQUENCY) {
        r->recovery[FREQUENCY] = splat(0);
        r->turn = splat((float)(2 * PI * g->tr)), r->echo_turn = splat((float)(2 * PI * (g->te - g->tr)));
    }
}

/* ---- results -------------------------------------------------------------------------------------------------- */

/* From the echoes of one pulse to signal and derivatives, into column t of the tile. */
INLINE void collect(const int parts, const int sets, group *g, int64_t t, vec (*e)[2], const pulse *r)
{
    vec y[MAX_SETS][2];
    EACH(p, parts) {
        y[0][p] = r->echo * e[VALUE][p];
        if (sets > RATE2) {
            y[1][p] = r->echo * (e[BOTH_RATES][p] - e[RATE2][p]);
            y[2][p] = r->echo * (e[RATE2][p] - r->echo_time * e[VALUE][p]);
        }
        if (sets > FIELD) y[3][p] = r->echo * e[FIELD][p];
        if (sets > FREQUENCY) {
            const vec across = p ? e[VALUE][0] : -e[VALUE][1];
            y[4][p] = r->echo * (e[FREQUENCY][p] + r->echo_turn * across);
        }
    }
    EACH(s, sets) {
        vec *column = g->tile + s * parts * LANES + t;
        if (parts == 1) column[0] = y[s][0];
        else {
            column[0] = y[s][0] * r->echo_cos - y[s][1] * r->echo_sin;
            column[LANES] = y[s][0] * r->echo_sin + y[s][1] * r->echo_cos;
            if (g->j->is_mirrored) column[0] = splat(0); /* the mirror image has the opposite real part */
        }
    }
    vec power = g->tile[t] * g->tile[t];
    if (parts == 2) power += g->tile[LANES + t] * g->tile[LANES + t];
    g->power += power;
}

#if LANES == 16
static const ivec LANE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif LANES == 8
static const ivec LANE = {0, 1, 2, 3, 4, 5, 6, 7};
#else
static const ivec LANE = {0, 1, 2, 3};
#endif

/* Element l of the result is element which[l] of a followed by b. */
INLINE vec pick(vec a, vec b, ivec which)
{
#if defined(__clang__)
    vec x;
    for (int l = 0; l < LANES; l++) x[l] = which[l] < LANES ? a[which[l]] : b[which[l] - LANES];
    return x;
#else
    return __builtin_shuffle(a, b, which);
#endif
}

/* LANES repetitions of LANES tissues: from one vector per repetition to one per tissue. */
INLINE void transpose(vec *x)
{
    UNROLL for (int h = LANES / 2; h > 0; h /= 2) {
        ivec odd = (LANE & h) != 0;
        ivec low = LANE + (odd & (LANES - h)), high = LANE + h + (odd & (LANES - h));
        EACH(i, LANES)
            if (!(i & h)) {
                vec a = x[i], b = x[i + h];
                x[i] = pick(a, b, low), x[i + h] = pick(a, b, high);
            }
    }
}

INLINE void put(float *row, vec x, int64_t count, int adding)
{
    if (count == LANES) {
        if (adding) {
            vec old;
            memcpy(&old, row, sizeof old);
            x += old;
        }
        memcpy(row, &x, sizeof x);
    } else
        for (int64_t i = 0; i < count; i++) row[i] = adding ? row[i] + x[i] : x[i];
}

/* Ask for the memory that the next tile will be written to. */
INLINE void prefetch(const group *g, int64_t t0)
{
    const job *j = g->j;
    const int size = j->is_complex_out ? 2 : 1;
    for (int s = 0; s <= j->n_derivatives; s++) {
        const float *out = s == 0 ? j->signal : j->derivative[s - 1];
        if (!out) continue;
        for (int64_t l = 0; l < g->n_lanes; l++) {
            const float *row = out + size * (g->index[l] * j->n_echoes + t0);
            __builtin_prefetch(row, 1), __builtin_prefetch(row + size * LANES - 1, 1);
        }
    }
}

/* Write the tile's `count` repetitions, which begin at t0, to the rows of the results. */
static void flush(group *g, int64_t t0, int64_t count, double weight, int adding)
{
    const job *j = g->j;
    g->norm += widen(g->power);
    g->power = splat(0);
    for (int s = 0; s <= j->n_derivatives; s++) {
        vec *x = g->tile + s * g->parts * LANES;
        dvec scale = weight * (s == 1 ? -g->r1 * g->r1 : s == 2 ? -g->r2 * g->r2 : dsplat(1.0));
        float *out = s == 0 ? j->signal : j->derivative[s - 1];
        if (!out) continue;
        transpose(x);
        if (g->parts == 2) transpose(x + LANES);
        for (int64_t l = 0; l < g->n_lanes; l++) {
            int64_t i = g->index[l];
            if (!j->is_complex_out) {
                const vec number = g->parts == 2 ? -x[l + LANES] : x[l];
                put(out + i * j->n_echoes + t0, (float)scale[l] * number, count, adding);
                continue;
            }
            float m = (float)(scale[l] * j->m0[2 * i]), n = (float)(scale[l] * j->m0[2 * i + 1]);
            vec re = n * x[l], im = -m * x[l]; /* real path: the signal is -i times x */
            if (g->parts == 2) re = m * x[l] - n * x[l + LANES], im = n * x[l] + m * x[l + LANES];
            float *row = out + 2 * (i * j->n_echoes + t0);
            ivec half = LANE / 2 + (LANE & 1) * LANES;
            vec first = pick(re, im, half), second = pick(re, im, half + LANES / 2);
            if (count == LANES) put(row, first, LANES, adding), put(row + LANES, second, LANES, adding);
            else
                for (int64_t t = 0; t < count; t++) {
                    row[2 * t] = adding ? row[2 * t] + re[t] : re[t];
                    row[2 * t + 1] = adding ? row[2 * t + 1] + im[t] : im[t];
                }
        }
    }
}

/* ---- the train ------------------------------------------------------------------------------------------------ */

/* What one pass plays: from pulse n on, orders 0 .. n_orders-1, for echoes from `echo` on. tr: how much of the first
   TR. */
typedef struct {
    int64_t n, echo, n_orders;
    double tr, flip_factor, weight;
    int is_observed, is_adding;
} stretch;

typedef void passes(group *, const stretch *);

/* `levels` pulses: prepare them, play them and collect their echoes. */
INLINE void advance(const int parts, const int sets, const int levels, const int diffusing, const int selective, group *g,
                    const stretch *p)
{
    const job *j = g->j;
    pulse r[MAX_LEVELS] = {0};
    field_turn by[MAX_LEVELS] = {0}, *turns = sets > FIELD && selective ? by : NULL;
    echoes e;
    EACH(m, levels) {
        const double tr = m ? j->tr[p->n + m] : p->tr;
        prepare(parts, sets, selective, g, r + m, p->n + m, tr, p->flip_factor, turns ? turns + m : NULL);
    }
    if (diffusing) set_interval_decay(g, p->n, p->n_orders);
    if (parts == 2 && levels == 1 && !j->is_spoiled) balanced(sets, g->rows, r, turns, &e);
    else pass(parts, sets, levels, diffusing, g->rows, p->n_orders, r, turns, g->decay, &e);
    if (!p->is_observed) return;
    EACH(m, levels) {
        int64_t echo = p->echo + m, t = echo % LANES;
        collect(parts, sets, g, t, e.of[m], r + m);
        if (t == LANES - 1 || echo + 1 == j->n_echoes) flush(g, echo - t, t + 1, p->weight, p->is_adding);
    }
}

/* How many pulses the next pass plays: two, unless the block ends, or what follows a pulse needs a look of its own. */
INLINE int next_levels(const group *g, int64_t n, int64_t stop, int diffusing)
{
    const job *j = g->j;
    if (diffusing || !j->is_spoiled || g->n_states == 1 || n + 1 == stop) return 1;
    if (cycles_after(j, n) != 1 || cycles_after(j, n + 1) != 1) return 1;
    return played_tr(g, j->tr[n]) == j->tr[n] && played_tr(g, j->tr[n + 1]) == j->tr[n + 1] ? 2 : 1;
}

/* Keep the scale in range and precise before an interval of `ahead`. */
INLINE void keep_scale(group *g, double ahead, int64_t played, int sets, int diffusing)
{
    const double limit = sets > 1 || diffusing ? DERIVATIVE_SCALE : LARGEST_SCALE;
    if (g->since > 0 && g->fastest * (g->since + ahead) > limit) rescale(g);
    if (played % LANES <= 1 && (!diffusing || g->fastest * g->since < LARGEST_STEP)) measure_scale(g);
}

/* Orders of the next pass: each pulse adds one, and those below `left` can still come back to an echo. */
INLINE int64_t window(group *g, int64_t left, int levels)
{
    int64_t n_orders = g->n_live + levels - 1;
    if (n_orders > g->n_states) n_orders = g->n_states;
    if (n_orders > left) n_orders = left;
    g->n_live = n_orders < g->n_states ? n_orders + 1 : n_orders;
    if (g->n_used < n_orders + 1) g->n_used = n_orders + 1;
    return n_orders;
}

/* The spoiler moved F up and down by one order, F+(0) joining F-(0) only at the next pulse. It has other than one
   cycle: move by `more`, at least -1. n_orders: of the pulse. */
static void move_further(group *g, int64_t more, int64_t n_orders)
{
    const int parts = g->parts, sets = g->sets;
    int64_t top = n_orders + more; /* the highest order of F+ */
    if (top > g->n_states) top = g->n_states;
    for (int s = 0; s < sets; s++)
        for (int p = 0; p < parts; p++) {
            const float sign = p ? -1.0f : 1.0f; /* F+(-k) is the conjugate of F-(k) */
            if (more < 0) {
                for (int64_t k = 0; k < n_orders; k++)
                    *at(parts, sets, g->rows, k, s, 0, p) = *at(parts, sets, g->rows, k + 1, s, 0, p);
                *at(parts, sets, g->rows, n_orders, s, 0, p) = (vec){0};
                for (int64_t k = n_orders - 1; k > 0; k--)
                    *at(parts, sets, g->rows, k, s, 1, p) = *at(parts, sets, g->rows, k - 1, s, 1, p);
                *at(parts, sets, g->rows, 0, s, 1, p) = sign * *at(parts, sets, g->rows, 0, s, 0, p);
                continue;
            }
            for (int64_t k = top; k > more; k--)
                *at(parts, sets, g->rows, k, s, 0, p) = *at(parts, sets, g->rows, k - more, s, 0, p);
            for (int64_t k = more < top ? more : top; k >= 0; k--) {
                const vec below = more - k < n_orders ? *at(parts, sets, g->rows, more - k, s, 1, p) : (vec){0};
                *at(parts, sets, g->rows, k, s, 0, p) = sign * below;
            }
            for (int64_t k = 0; k <= top; k++)
                *at(parts, sets, g->rows, k, s, 1, p) =
                    k + more < n_orders ? *at(parts, sets, g->rows, k + more, s, 1, p) : (vec){0};
        }
    for (int64_t k = n_orders + 1; k <= top; k++)
        for (int s = 0; s < sets; s++)
            for (int p = 0; p < parts; p++) *at(parts, sets, g->rows, k, s, 2, p) = (vec){0};
    if (g->n_used < top + 1) g->n_used = top + 1;
    g->n_live = top + 1 < g->n_states ? top + 1 : g->n_states;
}

/* The pulses of one block. */
INLINE void play_pulses(const int parts, const int sets, const int diffusing, passes *one, passes *two, group *g,
                        stretch *p, const event *block)
{
    const job *j = g->j;
    p->is_observed = block->acquire;
    for (int64_t n = block->first, levels; n < block->stop; n += levels) {
        const int64_t played = n - block->first;
        levels = next_levels(g, n, block->stop, diffusing);
        p->n = n, p->tr = played_tr(g, j->tr[n]);
        keep_scale(g, levels == 2 ? p->tr + j->tr[n + 1] : p->tr, played, sets, diffusing);
        if (p->is_observed && p->echo % LANES <= 1) prefetch(g, p->echo);
        p->n_orders = window(g, g->n_left, (int)levels);
        (levels == 2 ? two : one)(g, p);
        const int64_t cycles = cycles_after(j, n);
        if (cycles != 1) move_further(g, cycles - 1, p->n_orders);
        if (p->tr < j->tr[n]) rest(g, j->tr[n] - p->tr);
        g->n_left -= levels == 2 ? 2 : cycles;
        if (p->is_observed) p->echo += levels;
        const int is_due = played / CUT_EVERY != (played + levels) / CUT_EVERY;
        if (sets == 1 && j->tolerance > 0 && is_due) cut(parts, g, g->n_left);
    }
}

/* An RF pulse without an interval after it, on all orders. */
INLINE void nutate(const int sets, group *g, double flip, double phase)
{
    const flip_terms *common = g->flips;
    pulse r = {0};
    rescale(g);
    g->flips = NULL; /* the table holds the pulses of the trains only */
    set_interval(g, 0, 0);
    set_flip(2, sets, g, &r, 0, flip, NULL);
    set_axis(g, &r, phase, flip, g->series != NULL, NULL, NULL);
    g->flips = common;
    for (int64_t k = 0; k < g->n_used; k++) {
        order x[MAX_SETS];
        EACH(s, sets) EACH(p, 2) {
            x[s].a[p] = *at(2, sets, g->rows, k, s, 0, p), x[s].b[p] = *at(2, sets, g->rows, k, s, 1, p);
            x[s].z[p] = *at(2, sets, g->rows, k, s, 2, p);
        }
        if (k == 0 && g->j->is_spoiled) join_order_0(2, sets, x);
        if (k == 0 && !g->j->is_spoiled) EACH(s, sets) x[s].b[0] = x[s].a[0], x[s].b[1] = -x[s].a[1];
        turn_complex(sets, k == 0, x, &r, NULL);
        EACH(s, sets) EACH(p, 2) {
            *at(2, sets, g->rows, k, s, 0, p) = x[s].a[p], *at(2, sets, g->rows, k, s, 1, p) = x[s].b[p];
            *at(2, sets, g->rows, k, s, 2, p) = x[s].z[p];
        }
    }
}

/* A T2 preparation with hard pulses, see T2Prep in mrftool/sequence/events.py. */
INLINE void prepare_t2(const int sets, group *g, double te, int64_t n_refocusing, double efficiency,
                       double flip_factor)
{
    const double half = te / (double)n_refocusing / 2;
    nutate(sets, g, flip_factor * PI / 2, 0);
    for (int64_t n = 0; n < n_refocusing; n++) {
        rest(g, half);
        nutate(sets, g, flip_factor * PI, PI / 2);
        rest(g, half);
    }
    nutate(sets, g, -flip_factor * PI / 2, 0);
    crush(g, efficiency);
}

/* All events at one position of the slice. */
INLINE void play(const int parts, const int sets, const int diffusing, passes *one, passes *two, group *g,
                 double flip_factor, double weight, int adding)
{
    const job *j = g->j;
    stretch p = {.flip_factor = flip_factor, .weight = weight, .is_adding = adding};
    set_equilibrium(g);
    for (const event *e = j->events; e < j->events + j->n_events; e++) switch (e->code) {
        case PULSES: play_pulses(parts, sets, diffusing, one, two, g, &p, e); break;
        case INVERT: crush(g, -e->number[0]); break;
        case WAIT: rest(g, e->number[0]); break;
        case SATURATE: crush(g, 1 - e->number[0]); break;
        case T2PREP:
            if (e->number[1] == 0) keep_transverse(g, e->number[0], e->number[2]);
            else if (parts == 2) prepare_t2(sets, g, e->number[0], (int64_t)e->number[1], e->number[2], flip_factor);
            break;
        case HARD_PULSE:
            if (parts == 2) nutate(sets, g, flip_factor * e->number[0], e->number[1]);
            break;
        }
}

/* One instance per kind of train, so that the compiler knows the sizes. */
#define KIND(name, parts, sets, diffusing, selective)                                                               \
    static __attribute__((noinline)) void name##_one(group *g, const stretch *p)                                    \
    { advance(parts, sets, 1, diffusing, selective, g, p); }                                                        \
    static __attribute__((noinline)) void name##_two(group *g, const stretch *p)                                    \
    { advance(parts, sets, diffusing ? 1 : 2, diffusing, selective, g, p); }                                        \
    static void name(group *g, double factor, double weight, int adding)                                            \
    { play(parts, sets, diffusing, name##_one, name##_two, g, factor, weight, adding); }
KIND(real, 1, 1, 0, 0)
KIND(real_rates, 1, 3, 0, 0)
KIND(real_all, 1, 4, 0, 0)
KIND(real_diffusing, 1, 1, 1, 0)
KIND(real_rates_diffusing, 1, 3, 1, 0)
KIND(real_all_diffusing, 1, 4, 1, 0)
KIND(complex, 2, 1, 0, 0)
KIND(complex_rates, 2, 3, 0, 0)
KIND(complex_all, 2, 4, 0, 0)
KIND(complex_frequency, 2, 5, 0, 0)
KIND(complex_diffusing, 2, 1, 1, 0)
KIND(complex_rates_diffusing, 2, 3, 1, 0)
KIND(complex_all_diffusing, 2, 4, 1, 0)
KIND(complex_frequency_diffusing, 2, 5, 1, 0)
KIND(selective, 2, 1, 0, 1)
KIND(selective_rates, 2, 3, 0, 1)
KIND(selective_all, 2, 4, 0, 1)
KIND(selective_frequency, 2, 5, 0, 1)
KIND(selective_diffusing, 2, 1, 1, 1)
KIND(selective_rates_diffusing, 2, 3, 1, 1)
KIND(selective_all_diffusing, 2, 4, 1, 1)
KIND(selective_frequency_diffusing, 2, 5, 1, 1)

typedef void kind(group *, double, double, int);
static kind *const kinds[3][2][4] = { /* real, complex, of selective pulses */
    {{real, real_rates, real_all, NULL}, {real_diffusing, real_rates_diffusing, real_all_diffusing, NULL}},
    {{complex, complex_rates, complex_all, complex_frequency},
     {complex_diffusing, complex_rates_diffusing, complex_all_diffusing, complex_frequency_diffusing}},
    {{selective, selective_rates, selective_all, selective_frequency},
     {selective_diffusing, selective_rates_diffusing, selective_all_diffusing, selective_frequency_diffusing}},
};

/* Put the tissues of the next lanes into the group; lanes left over repeat the last tissue. */
static void fill_lanes(group *g, int64_t first)
{
    const job *j = g->j;
    g->index = j->index + first;
    g->n_lanes = j->last - first < LANES ? j->last - first : LANES;
    g->n_states = 1;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t i = g->index[l < g->n_lanes ? l : g->n_lanes - 1];
        g->r1[l] = 1 / j->t1[i], g->r2[l] = 1 / j->t2[i];
        g->level_squared[l] = j->level ? (float)(j->level[i] * j->level[i]) : 0;
        g->b1[l] = j->b1[i], g->adc[l] = j->adc[i], g->turns[l] = j->off_resonance[i];
        if (j->n_states[i] > g->n_states) g->n_states = j->n_states[i];
    }
    g->rate1 = narrow(g->r1), g->rate2 = narrow(g->r2);
    g->fastest = largest(g->r2), g->quickest = largest(g->r1);
    if (g->fastest > g->quickest) g->quickest = g->fastest;
    if (j->tolerance > 0) set_descent(g);
    g->tr = g->te = g->base_tr = g->decay_quiet = -1;
    g->has_base = 0;
    g->norm = dsplat(0), g->power = splat(0);
}

/* On: numbers below 1e-38 count as 0, a hundred times faster; returns what was set before. Off: set that again. */
static uint64_t flush_tiny_numbers(int on, uint64_t before)
{
#if defined(__SSE__)
    if (on) before = _mm_getcsr();
    _mm_setcsr((unsigned)before | (on ? 0x8040u : 0u));
#elif defined(__aarch64__)
    if (on) __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (on ? 1ull << 24 : 0ull)));
#else
    (void)on;
#endif
    return before;
}

/* Simulate tissues first .. last-1 of the job's list. Returns 0, or 1 if there is no memory. */
int EPG_RUN(const job *j)
{
    static const int n_sets[5] = {1, 0, 3, 4, 5};
    int64_t most = 1;
    for (int64_t i = j->first; i < j->last; i++)
        if (j->n_states[j->index[i]] > most) most = j->n_states[j->index[i]];
    group g;
    memset(&g, 0, sizeof g);
    g.j = j, g.parts = j->is_real && j->is_spoiled && !j->series ? 1 : 2, g.sets = n_sets[j->n_derivatives];
    size_t n_rows = (size_t)(most + 2) * (size_t)(g.sets * 3 * g.parts), n_decay = (size_t)(most + 2) * 3 * (j->is_diffusing ? 2 : 1);
    size_t n_tile = (size_t)(g.sets * g.parts * LANES), n_descent = (size_t)most;
    const int has_table = j->series && j->is_same_b1;
    size_t n_table = has_table ? sizeof(rotation) / sizeof(vec) * (size_t)((j->n_pulses + LANES - 1) / LANES) : 0;
    vec *memory = aligned_alloc(sizeof(vec), sizeof(vec) * (n_rows + n_decay + n_tile + n_descent + n_table));
    flip_terms *flips = malloc(sizeof(flip_terms) * (size_t)j->n_pulses);
    if (!memory || !flips) return free(memory), free(flips), 1;
    g.rows = memory, g.decay = memory + n_rows, g.tile = g.decay + n_decay, g.descent = g.tile + n_tile;
    g.base_decay = g.decay + (size_t)(most + 2) * 3;
    g.shortest_tail = shortest_tail(j);
    rotation *table = has_table ? (rotation *)(g.descent + n_descent) : NULL;
    g.rotations = table;
    g.flips = j->is_same_b1 && !j->series ? flips : NULL;
    const uint64_t control = flush_tiny_numbers(1, 0);
    for (int64_t position = 0; position < j->n_positions; position++) {
        if (g.flips) fill_flips(j, flips, g.parts, j->flip_factor[position]);
        if (j->series) g.series = j->series + position * N_SERIES * j->n_terms;
        if (table) fill_rotations(j, table, g.series);
        for (int64_t first = j->first; first < j->last; first += LANES) {
            fill_lanes(&g, first);
            kinds[j->series ? 2 : g.parts - 1][j->is_diffusing][g.sets > 1 ? g.sets - 2 : 0](
                &g, j->flip_factor[position], j->weight[position], position > 0);
            for (int64_t l = 0; j->norm && l < g.n_lanes; l++) j->norm[g.index[l]] = g.norm[l];
        }
    }
    flush_tiny_numbers(0, control);
    free(memory), free(flips);
    return 0;
}

/* ---- choice of the instruction set, in the baseline object only ------------------------------------------------ */

#if defined(EPG_DISPATCH)
int epg_run_avx2(const job *);
int epg_run_avx512(const job *);

/* The widest registers that both this build and this processor have: 0 baseline, 1 AVX2, 2 AVX-512. */
EXPORT int epg_widest(void) { return widest_registers(EPG_DISPATCH); }

/* Run `j` with registers of the given width, at most epg_widest(). */
EXPORT int epg_run(const job *j, int width)
{
#if EPG_DISPATCH == 2
    if (width == 2) return epg_run_avx512(j);
    if (width == 1) return epg_run_avx2(j);
#endif
    (void)width;
    return EPG_RUN(j);
}

EXPORT size_t epg_job_size(void) { return sizeof(job); }
#endif
