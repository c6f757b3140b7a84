/* Vector registers: those that a file is compiled for, and the choice among them at run time.

   A file that includes this is compiled once per instruction set. Its baseline object chooses. */

#ifndef REGISTERS_H
#define REGISTERS_H

#if defined(__AVX512F__)
#define LANES 16 /* floats of a register */
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

#define EXPORT __attribute__((visibility("default")))

/* The widest registers that both a build and this processor have: 0 baseline, 1 AVX2, 2 AVX-512. `dispatch` is 2 where the
   build has objects for the last two, on x86-64 alone: they are compiled with the options that are asked for here. */
static inline int widest_registers(int dispatch)
{
  if (dispatch != 2) return 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

#endif
