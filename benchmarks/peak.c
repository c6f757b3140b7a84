/* Peak of this processor in single-precision vector instructions per second: multiply-adds alone, and the mix that
   the EPG recurrence has (four multiply-adds or products, three sums). Independent chains, all in registers. */
#include <time.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vec __attribute__((vector_size(4 * LANES)));

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
#define KEEP(x) __asm__ volatile("" : "+v"(x))
#else
#define KEEP(x) __asm__ volatile("" : "+w"(x))
#endif
#define FMA(x) x = x * m + c; KEEP(x)
#define ADD(x) x = x + c; KEEP(x)

/* Instructions per second; is_mix: 8 multiply-adds and 6 sums per round, else 8 multiply-adds. */
double peak(int is_mix)
{
    const vec m = (vec){0} + 0.999f, c = (vec){0} + 0.001f;
    vec a0 = c, a1 = c, a2 = c, a3 = c, a4 = c, a5 = c, a6 = c, a7 = c, b0 = c, b1 = c, b2 = c, b3 = c, b4 = c, b5 = c;
    const long rounds = 4000000;
    double start = now();
    if (is_mix)
        for (long i = 0; i < rounds; i++) {
            FMA(a0); ADD(b0); FMA(a1); ADD(b1); FMA(a2); ADD(b2); FMA(a3);
            FMA(a4); ADD(b3); FMA(a5); ADD(b4); FMA(a6); ADD(b5); FMA(a7);
        }
    else
        for (long i = 0; i < rounds; i++) {
            FMA(a0); FMA(a1); FMA(a2); FMA(a3); FMA(a4); FMA(a5); FMA(a6); FMA(a7);
        }
    return (double)(is_mix ? 14 : 8) * (double)rounds / (now() - start);
}

int lanes(void) { return LANES; }
