"""Planted faults: does the test suite see them? Each is one token of an engine, changed in a copy
of the project.

`make mutants` runs the suite of each engine on every copy and lists what got through; it fails if
anything did. The native kernel is compiled for the baseline instruction set only, which has the
same source.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON_TESTS = (
    "test_epg_bloch.py",
    "test_epg_closed_forms.py",
    "test_epg_gradients.py",
    "test_simulate.py",
    "test_events.py",
    "test_readout.py",
)
EXCITATION_TESTS = (*PYTHON_TESTS, "test_selective_pulse.py")
KERNEL_TESTS = ("test_native.py", "test_simulate.py", "test_events.py", "test_readout.py")
READOUT_TESTS = ("test_events.py", "test_readout.py")

# name of the fault, what stands there (once in the file), what stands there instead
EXCITATION = [
    (
        "sign of sin in F+",
        "turn**2 * sin2 * f_minus - 1j * turn * sin * z",
        "turn**2 * sin2 * f_minus + 1j * turn * sin * z",
    ),
    ("sign of sin in Z", "-0.5j * back * sin * f_plus", "0.5j * back * sin * f_plus"),
    (
        "factor of Z",
        "0.5j * turn * sin * f_minus + cos * z",
        "1.0j * turn * sin * f_minus + cos * z",
    ),
    ("phase not squared", "turn**2 * sin2", "turn * sin2"),
    ("lost conjugate of the axis", "back = turn.conjugate()", "back = turn"),
    ("cos2 for sin2", "(1 + cos) / 2, (1 - cos) / 2", "(1 + cos) / 2, (1 + cos) / 2"),
    ("B1 ignored", "field = b1 * float(factor)", "field = b1**0 * float(factor)"),
    ("slice profile ignored", "field = b1 * float(factor)", "field = b1 * 1.0"),
    (
        "weights of the slice ignored",
        "yield Position(float(weight), partial(_by_flip",
        "yield Position(1.0, partial(_by_flip",
    ),
    (
        "weights of selective positions ignored",
        "yield Position(float(weight), partial(_by_spinor",
        "yield Position(1.0, partial(_by_spinor",
    ),
    (
        "selective pulses without B1",
        "_spinor, sequence, alpha, beta), b1)",
        "_spinor, sequence, alpha, beta), b1**0)",
    ),
    ("lost conjugate of alpha", "back, mirrored = xp.conj(alpha)", "back, mirrored = alpha"),
    ("lost conjugate of beta", "xp.conj(alpha), xp.conj(beta)", "xp.conj(alpha), beta"),
    ("phase of selective pulses ignored", "alpha[n], axis * beta[n]", "alpha[n], beta[n]"),
]
SELECTIVE = [
    (
        "precession in the pulse",
        "np.pi * pulse.time_bandwidth * places / steps",
        "0.9 * np.pi * pulse.time_bandwidth * places / steps",
    ),
    ("no rephasing", "1j * (half - missing / 2)", "1j * (0 * half - missing / 2)"),
    ("sign of what rephasing leaves", "np.exp(1j * missing / 2)", "np.exp(-1j * missing / 2)"),
    ("one window for all", "WINDOW_DEPTHS[pulse.apodisation]", "0.5"),
    ("width of the Gauss pulse", "np.exp(-np.pi * x**2)", "np.exp(-3 * x**2)"),
    ("coarse integration", "(4 * each - rough) / 3", "rough"),
    ("positions off centre", "(np.arange(pulse.positions) + 0.5)", "np.arange(pulse.positions)"),
    ("mirror images not counted", "weight[places != 0] *= 2", "weight[places != 0] *= 1"),
    ("middle counted twice", "weight[places != 0] *= 2", "weight *= 2"),
]
SELECTIVE_KERNEL = [
    (
        "axis of the spinor",
        "u = -beta[1] * size, v = beta[0] * size",
        "u = beta[1] * size, v = beta[0] * size",
    ),
    ("precession after the pulse", "r.precession[1] = -2 * c * s", "r.precession[1] = 2 * c * s"),
    ("half of the precession", "r.axis[0] = u * c - v * s", "r.axis[0] = u"),
    ("frame forgotten", "    if (selective) turn_back(&c, &s, g->frame);", "    (void)turn_back;"),
    ("receiver in the old frame", "    turn_back(c, s, t->precession);", ""),
    ("frame of hard pulses", "flip, g->series != NULL, NULL", "flip, 0, NULL"),
    (
        "series without B1",
        "n_series_of(g->j), g->j->flip[n] * g->b1)",
        "n_series_of(g->j), g->j->flip[n] + 0 * g->b1)",
    ),
    ("common table without B1", "a[l] = j->flip[n + l] * j->b1[0];", "a[l] = j->flip[n + l];"),
    (
        "one position for all",
        "j->series + position * N_SERIES * j->n_terms",
        "j->series + 0 * position * N_SERIES * j->n_terms",
    ),
    ("real part of mirror images", "if (g->j->is_mirrored) column[0] = splat(0);", ""),
    (
        "sign of mirrored signals",
        "g->parts == 2 ? -x[l + LANES] : x[l]",
        "g->parts == 2 ? x[l + LANES] : x[l]",
    ),
    ("derivative about x", "r.slope[0] = -2 *", "r.slope[0] = 2 *"),
    ("derivative about y", "r.slope[1] = 2 *", "r.slope[1] = -2 *"),
    ("derivative about z", "r.slope[2] = -2 *", "r.slope[2] = 2 *"),
    (
        "derivative in the wrong frame",
        "in_frame[2] = {u * *c - v * *s, u * *s + v * *c}",
        "in_frame[2] = {u, v}",
    ),
    ("derivative of beta", "sum[2] + 4 * scale * a * a * sum[6]", "sum[2]"),
]
EPG = [
    (
        "E1 and E2 swapped",
        "xp.exp(-time / voxels.t1)[:, None], xp.exp(-time / voxels.t2)",
        "xp.exp(-time / voxels.t2)[:, None], xp.exp(-time / voxels.t1)",
    ),
    ("no recovery", "recovered = (1 - e1)", "recovered = (1 - 1)"),
    (
        "recovery of every order",
        "recovered = (1 - e1) * xp.asarray(orders == 0,",
        "recovered = (1 - e1) * xp.asarray(orders >= 0,",
    ),
    ("lost conjugate of precession", "e2 * xp.conj(turn) * f_minus", "e2 * turn * f_minus"),
    ("sign of precession", "xp.exp(1j * time * voxels.omega)", "xp.exp(-1j * time * voxels.omega)"),
    (
        "precession without 2 pi",
        "2 * np.pi * _column(off_resonance",
        "1 * np.pi * _column(off_resonance",
    ),
    ("lost conjugate of the shift", "xp.conj(f_minus[:, :1])", "f_minus[:, :1]"),
    (
        "no spoiler",
        "for _ in range(int(cycles[n])):",
        "for _ in range(0):",
    ),
    (
        "one cycle in place of several",
        "for _ in range(int(cycles[n])):",
        "for _ in range(min(int(cycles[n]), 1)):",
    ),
    ("TE counted twice", "float(sequence.tr[n] - starts[n])", "float(sequence.tr[n])"),
    (
        "echo before TE",
        "states = relax(states, voxels, orders, float(between), rest)",
        "states = relax(states, voxels, orders, 0.0 * float(between), rest)",
    ),
    (
        "later echoes count from the pulse",
        "np.diff(sequence.te[n] + sequence.echoes, prepend=0.0)",
        "sequence.te[n] + sequence.echoes",
    ),
    (
        "receiver does not follow",
        "complex(np.exp(-1j * sequence.receiver[pulse]))",
        "complex(np.exp(-0j * sequence.receiver[pulse]))",
    ),
    (
        "receiver runs away",
        "complex(np.exp(-1j * sequence.receiver[pulse]))",
        "complex(np.exp(1j * sequence.receiver[pulse]))",
    ),
    (
        "receiver of the RF phase",
        "sequence.receiver[pulse]",
        "sequence.rf_phase[pulse]",
    ),
    ("R2' from TE on", "float(sequence.te[pulse]) + sequence.echoes", "sequence.echoes"),
    ("R2' grows", "exp(-float(time) * voxels.r2_prime)", "exp(float(time) * voxels.r2_prime)"),
    (
        "R2' in any sequence",
        "if len(np.unique(sequence.cycles",
        "if True or len(np.unique(sequence.cycles",
    ),
    (
        "sign of the inversion",
        "crush(states, -event.efficiency)",
        "crush(states, event.efficiency)",
    ),
    (
        "inversion without crusher",
        "return 0 * f_plus, 0 * f_minus, factor",
        "return f_plus, f_minus, factor",
    ),
    ("no waiting", "orders, event.time, rest", "orders, 0.0, rest"),
    ("dummy pulses observed", "if not block.acquire:", "if False:"),
    ("sums for means of a frame", "sum(echo) / size", "sum(echo)"),
    ("efficiency ignored", "crush(states, -event.efficiency)", "crush(states, -1.0)"),
    ("saturation for inversion", "crush(states, 1 - event.efficiency)", "crush(states, -1)"),
    ("no T2 in the preparation", "xp.exp(-event.te / voxels.t2)", "xp.exp(-0 / voxels.t2)"),
    ("T1 for T2 in the preparation", "exp(-event.te / voxels.t2)", "exp(-event.te / voxels.t1)"),
    ("no diffusion while prepared", "(orders, event.te)", "(orders, 0 * event.te)"),
    ("refocused too early", "event.te / event.refocusing / 2", "event.te / event.refocusing / 3"),
    ("refocused about x", "field * np.pi, np.pi / 2)", "field * np.pi, 0.0)"),
    ("tipped down again", "rotate(xp, states, -field", "rotate(xp, states, field"),
    (
        "refocused with a nominal B1",
        "rotate(xp, states, field * np.pi, ",
        "rotate(xp, states, field**0 * np.pi, ",
    ),
    (
        "preparation without efficiency",
        "return crush(states, event.efficiency)\n\n\ndef _decay",
        "return crush(states, 1.0)\n\n\ndef _decay",
    ),
    ("diffusion: sign of the order", "transverse(-orders, time)", "transverse(orders, time)"),
    ("all pulses played", "range(len(cycles))[block.slice]", "range(len(cycles))[:]"),
    (
        "states cut too early",
        "[:-1].sum()) // 2 + 1",
        "[:-1].sum()) // 2",
    ),
]
DEPHASING = [
    (
        "diffusion: lost factor 2",
        "2 * order * self.step * self.first",
        "1 * order * self.step * self.first",
    ),
    ("diffusion: b of a ramp", "slope**2 * dt**3 / 3", "slope**2 * dt**3 / 2"),
    (
        "diffusion: none while Z",
        "(order * self.step) ** 2 * time\n\n\ndef at_rest",
        "(order * self.step) ** 2 * 0\n\n\ndef at_rest",
    ),
]
KERNEL = [
    (
        "real: sign of delta",
        "vec delta = r->less * p + r->sin * z;",
        "vec delta = r->less * p - r->sin * z;",
    ),
    (
        "real: sign in Z",
        ": r->rho_cos * z - r->rho_half_sin * p;",
        ": r->rho_cos * z + r->rho_half_sin * p;",
    ),
    (
        "real: F- not turned",
        "x[0].a[0] += delta, x[0].b[0] += delta, x[0].z[0]",
        "x[0].a[0] += delta, x[0].z[0]",
    ),
    (
        "real: no T2 in the derivative",
        "if (s == RATE2) w += r->tr * new_z;",
        "if (s == BOTH_RATES) w += r->tr * new_z;",
    ),
    (
        "real: sign of the derivative to B1",
        "d += r->field_delta * new_z;",
        "d -= r->field_delta * new_z;",
    ),
    (
        "real: half of the derivative to B1",
        "w -= r->field_z * (0.5f * p + delta);",
        "w -= r->field_z * (1.0f * p + delta);",
    ),
    (
        "complex: sign of the axis",
        "q[0] = s * (y->a[0] + y->b[0]) - c *",
        "q[0] = s * (y->a[0] + y->b[0]) + c *",
    ),
    ("complex: parts swapped", "q[1] = s * (y->a[1] + y->b[1])", "q[1] = s * (y->a[0] + y->b[1])"),
    ("complex: sign of F-", "y->b[0] += u0 - u1;", "y->b[0] += u0 + u1;"),
    ("complex: sign of F+", "y->a[1] += v0 - v1,", "y->a[1] += v0 + v1,"),
    (
        "complex: no T2 in the derivative",
        "if (set == RATE2) w[i] += r->tr * new_z[i];",
        "if (set == RATE2) w[i] -= r->tr * new_z[i];",
    ),
    (
        "complex: derivative to B1",
        "d[i] = r->sin * d[i] + r->field_delta * new_z[i];",
        "d[i] = r->sin * d[i] - r->field_delta * new_z[i];",
    ),
    ("lost conjugate of order 0", "x[s].a[1] = -x[s].b[1];", "x[s].a[1] = x[s].b[1];"),
    ("lost conjugate without spoiler", "p ? -x[s].a[p] : x[s].a[p];", "x[s].a[p];"),
    (
        "recovery of every order",
        "if (m == zero_level && p == 0) x[s].z[p] += r[m].recovery[s];",
        "if (p == 0) x[s].z[p] += r[m].recovery[s];",
    ),
    (
        "states cut too early",
        "if (n_orders > left) n_orders = left;",
        "if (n_orders > left - 2) n_orders = left - 2;",
    ),
    (
        "orders grow too slowly",
        "int64_t n_orders = g->n_live + levels - 1;",
        "int64_t n_orders = g->n_live / 2 + levels;",
    ),
    (
        "top order acts beyond the cut",
        "if (m < n_outside) x[s].a[p] = x[s].b[p] = x[s].z[p] = (vec){0};",
        "if (m < n_outside) x[s].a[p] = x[s].b[p] = x[s].z[p] = (vec){0} + 0.01f;",
    ),
    ("F+ one order late", "late[m][s].a_next[p] = x[s].a[p];", "late[m][s].a_last[p] = x[s].a[p];"),
    ("Z not kept back", "x[s].a[p] = a, x[s].z[p] = z;", "x[s].a[p] = a;"),
    (
        "scale: T1 for T2",
        "dvec growth = exponential(smaller(g->r2 * tr, LARGEST_STEP));",
        "dvec growth = exponential(smaller(g->r1 * tr, LARGEST_STEP));",
    ),
    (
        "scale not measured again",
        "g->grown = narrow(exponential(g->r2 * g->since));",
        "g->grown = narrow(exponential(g->r2 * g->tr));",
    ),
    ("rounding adds up", "return is_zero ? z +", "return 0 ? z +"),
    (
        "rescale: derivative forgotten",
        "by * (x[RATE2 * stride + i] - t * x[i]);",
        "by * x[RATE2 * stride + i];",
    ),
    ("TE ignored", "r->echo = g->shrunk * g->e2_te", "r->echo = g->shrunk"),
    (
        "TE missing in the derivative",
        "r->echo_time = splat((float)(g->since + g->te));",
        "r->echo_time = splat((float)g->since);",
    ),
    (
        "sign of the phase",
        "r->echo_sin = c * g->te_sin - s * g->te_cos;",
        "r->echo_sin = c * g->te_sin + s * g->te_cos;",
    ),
    (
        "off-resonance in the wrong sense",
        "phase / (2 * PI) - g->turns * g->elapsed",
        "phase / (2 * PI) + g->turns * g->elapsed",
    ),
    ("axis without its sign", "narrow(1.0 - 8.0 * (turns", "narrow(1.0 - 0.0 * (turns"),
    ("off-resonance stops while waiting", "    g->elapsed += time;\n}", "}"),
    (
        "inversion does not invert",
        "case INVERT: crush(g, -e->number[0]); break;",
        "case INVERT: crush(g, e->number[0]); break;",
    ),
    ("recovery while waiting", "VALUE, 2, 0) += narrow(1.0 - e1);", "VALUE, 2, 0) += narrow(e1);"),
    (
        "derivative while waiting",
        "BOTH_RATES, 2, 0) += narrow(time * e1);",
        "BOTH_RATES, 2, 0) -= narrow(time * e1);",
    ),
    (
        "B1 ignored",
        "splat((float)(flip / (2 * PI))) * narrow(g->b1)",
        "splat((float)(flip / (2 * PI)))",
    ),
    ("common B1 ignored", "j->flip[n] * factor * j->b1[0] / 2", "j->flip[n] * factor / 2"),
    ("slice factor ignored", "j->flip[n] * flip_factor, t);", "j->flip[n], t);"),
    (
        "slice not summed",
        "g, j->flip_factor[position], j->weight[position], position > 0);",
        "g, j->flip_factor[position], j->weight[position], 0);",
    ),
    (
        "diffusion: sign of the cross term",
        "{still + cross, still - cross, still}",
        "{still + cross, still + cross, still}",
    ),
    (
        "diffusion: none of Z",
        "{still + cross, still - cross, still}",
        "{still + cross, still - cross, 0}",
    ),
    ("T1 derivative without -1/T1^2", "s == 1 ? -g->r1 * g->r1", "s == 1 ? g->r1 * g->r1"),
    ("rest of a long TR forgotten", "if (p->tr < j->tr[n]) rest(g, j->tr[n] - p->tr);", ";"),
    ("m0 conjugated", "vec re = n * x[l], im = -m * x[l];", "vec re = -n * x[l], im = -m * x[l];"),
    (
        "last tissue of a group left out",
        "j->last - first < LANES ? j->last - first : LANES;",
        "j->last - first < LANES ? j->last - first : LANES - 1;",
    ),
]
KERNEL += [
    ("saturation for inversion", "crush(g, 1 - e->number[0])", "crush(g, -e->number[0])"),
    ("crusher of half of F", "splat(0), splat((float)factor)", "splat(0.5f), splat((float)factor)"),
    (
        "preparation: T1 for T2",
        "efficiency * exponential(-smaller(g->r2",
        "efficiency * exponential(-smaller(g->r1",
    ),
    ("preparation: derivative", "of_z = {0, (float)te}", "of_z = {(float)te, 0}"),
    ("preparation: no derivative", "of_z = {0, (float)te}", "of_z = {0, 0}"),
    ("preparation: no diffusion", "+ 2, te, 0, 0, 0)", "+ 2, 0, 0, 0, 0)"),
    (
        "waiting: derivatives of F and Z",
        "of_f = {0, (float)time}, of_z = {(float)time, 0}",
        "of_f = {(float)time, 0}, of_z = {(float)time, 0}",
    ),
    ("refocused too early", "te / (double)n_refocusing / 2;", "te / (double)n_refocusing / 3;"),
    (
        "refocused about x",
        "nutate(sets, g, flip_factor * PI, PI / 2);",
        "nutate(sets, g, flip_factor * PI, 0);",
    ),
    (
        "refocused with the whole slice",
        "nutate(sets, g, flip_factor * PI, PI / 2);",
        "nutate(sets, g, PI, PI / 2);",
    ),
    ("tipped down again", "nutate(sets, g, -flip_factor", "nutate(sets, g, flip_factor"),
    ("hard preparation without efficiency", "    crush(g, efficiency);\n}", "    crush(g, 1);\n}"),
    (
        "order 0 not joined",
        "if (k == 0 && g->j->is_spoiled) join",
        "if (k < 0 && g->j->is_spoiled) join",
    ),
    (
        "order 0 not joined without spoiler",
        "x[s].b[0] = x[s].a[0], x[s].b[1] = -x[s].a[1];",
        "x[s].b[0] = x[s].a[0];",
    ),
    ("common table forgotten", "g->flips = NULL; /*", "g->flips = g->flips; /*"),
]
KERNEL += [
    ("one cycle for all", "if (cycles != 1) move", "if (cycles < 0) move"),
    ("no cycle is one", "if (cycles != 1) move", "if (cycles > 1) move"),
    (
        "further cycles: lost conjugate",
        "const float sign = p ? -1.0f : 1.0f;",
        "const float sign = 1.0f;",
    ),
    (
        "further cycles: F+ one order off",
        "rows, k - more, s, 0, p);",
        "rows, k - more + 1, s, 0, p);",
    ),
    (
        "further cycles: F- stays",
        "k + more < n_orders ? *at(parts, sets, g->rows, k + more, s, 1, p)",
        "k + more < n_orders ? *at(parts, sets, g->rows, k, s, 1, p)",
    ),
    (
        "two pulses with one spoiler",
        "if (cycles_after(j, n) != 1 || cycles_after(j, n + 1) != 1) return 1;",
        ";",
    ),
    (
        "pulses counted for orders",
        "g->n_left -= levels == 2 ? 2 : cycles;",
        "g->n_left -= levels == 2 ? 2 : cycles + 1;",
    ),
    ("last spoiler counted", "g->n_left += 1 - last;", "g->n_left += 0 - last;"),
    (
        "diffusion: another cycle of the same strength",
        "if (quiet == j->quiet[0] && !j->cycles) longer",
        "if (quiet == j->quiet[0]) longer",
    ),
]
KERNEL += [
    (
        "off-resonance: derivative backwards",
        "d->a[0] -= turn * x->a[1]",
        "d->a[0] += turn * x->a[1]",
    ),
    ("off-resonance: F- like F+", "d->b[1] -= turn * x->b[0]", "d->b[1] += turn * x->b[0]"),
    ("off-resonance: derivative of a wait", "d[2] += turn * x[3]", "d[2] += 0 * x[3]"),
    ("off-resonance: none of TE", "splat((float)(2 * PI * (g->te - g->tr)))", "splat(0)"),
    (
        "off-resonance: sign of the echo",
        "const vec across = p ? e[VALUE][0] : -e[VALUE][1];",
        "const vec across = p ? e[VALUE][0] : e[VALUE][1];",
    ),
]
READOUT = [
    (
        "derivative by off-resonance of TE alone",
        "change += np.complex64(2j",
        "change += np.complex64(0j",
    ),
    ("later echoes without T2", "rate = -1 / tissue.t2", "rate = 0 * tissue.t2"),
    ("precession backwards", "+ 2j * np.pi * tissue", "- 2j * np.pi * tissue"),
    ("R2' from TE on", "[:, None] + sequence.echoes)", "[:, None] * 0 + sequence.echoes)"),
    ("receiver turns back", "np.exp(-1j * turn)", "np.exp(1j * turn)"),
    ("receiver counts from 0", "(sequence.receiver - sequence.rf_phase)", "(sequence.receiver)"),
    ("derivative by T2 of the echo", "change += rate", "change += 0 * rate"),
    (
        "derivative by R2' of TE alone",
        "-_echo_times(sequence).astype",
        "-0 * _echo_times(sequence).astype",
    ),
    ("sums for means of a frame", "axis=1) / sizes[:, None]", "axis=1)"),
]
CUTS = [
    ("Z counted once", "y * y : 2.0f * y * y;", "y * y : 1.0f * y * y;"),
    (
        "decay not squared",
        "smaller(2 * g->r2 * g->j->shortest[k], 700)",
        "smaller(1 * g->r2 * g->j->shortest[k], 700)",
    ),
    (
        "one order too many",
        "any(sum * g->descent[k - CUT_BY] > limit)",
        "any(sum * g->descent[k] > limit)",
    ),
    (
        "every look spends all",
        "const double share = j->tolerance / (double)g->n_looks;",
        "const double share = j->tolerance;",
    ),
    (
        "scale forgotten",
        "const vec limit = allowed(g, left), shrunk = g->shrunk;",
        "const vec limit = allowed(g, left), shrunk = splat(1);",
    ),
    ("echoes so far ignored", "ivec is_more = so_far > power;", "ivec is_more = so_far < power;"),
    (
        "echoes to come ignored",
        "(double)j->n_echoes / (double)left : 1.0",
        "(double)j->n_echoes / (double)j->n_echoes : 1.0",
    ),
    ("level not squared", "(float)(j->level[i] * j->level[i])", "(float)j->level[i]"),
]
TRUNCATION = [
    (
        "bound: K for 2 K",
        "np.cumsum(shortest_tr(sequence, 2 * most))[1::2]",
        "np.cumsum(2 * shortest_tr(sequence, 2 * most))[1::2]",
    ),
    ("bound: no derivative", "with_derivative * _log_slope(late, t2)", "0 * _log_slope(late, t2)"),
    (
        "bound: level ignored",
        "allowed = tolerance * np.asarray(level, np.float64)",
        "allowed = tolerance * np.ones(np.shape(level))",
    ),
    (
        "weak fingerprints left",
        "weak = np.flatnonzero(level < truncation.TYPICAL_LEVEL)",
        "weak = np.flatnonzero(level < 0)",
    ),
]


def plant(text, old, new):
    """The text with the fault; it must have one place."""
    if text.count(old) != 1:
        raise SystemExit(
            f"{old!r} stands {text.count(old)} times, expected once: update benchmarks/mutants.py"
        )
    return text.replace(old, new)


COMPRESSION = [
    ("first frame again", "(first + t - j->first) * j->stride", "t * j->stride"),
    (
        "vectors of the first frames",
        "(g * j->n_frames + first) * GROUP",
        "(g * j->n_frames) * GROUP",
    ),
    ("sums overwritten", "LANES * a) += sum[k][a]", "LANES * a) = sum[k][a]"),
    ("squares overwritten", "LANES * a) += squares[a]", "LANES * a) = squares[a]"),
    ("last block cut", "j->n_values - start < BLOCK ?", "j->n_values - start < 0 ?"),
    ("imaginary part of the neighbour", "im_row[c] * j->row + 1", "im_row[c] * j->row"),
    ("energy of one part", "j->power[2 * v] + j->power[2 * v + 1]", "j->power[2 * v]"),
]
SPLITTING = [
    (
        "parts swapped",
        "np.concatenate([matrix[0::2].T, matrix[1::2].T])",
        "np.concatenate([matrix[1::2].T, matrix[0::2].T])",
    ),
    ("no sign", "alike = both * signs[:, None]", "alike = both * abs(signs[:, None])"),
]


def copy(folder, compiled):
    """What the tests need of the project, and the kernel, in `folder`."""
    for part in ("mrftool", "tests", "sequences"):
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    if compiled:
        shutil.copy(compiled, folder / "mrftool" / "_epg.so")


def build(source, target):
    """Compile the kernel quickly; the baseline instruction set is enough."""
    flags = [
        "-O1",
        "-ffp-contract=fast",
        "-fno-math-errno",
        "-w",
        f"-I{ROOT / 'native'}",
        "-Wno-psabi",
        "-DEPG_RUN=epg_run_baseline",
        "-DEPG_DISPATCH=1",
        "-DCOMPRESS_ADD=compress_add_baseline",
        "-DCOMPRESS_DISPATCH=1",
    ]
    subprocess.run(["cc", *flags, "-shared", "-fPIC", "-o", target, source, "-lm"], check=True)


def survives(folder, tests):
    """Whether the suite passes in `folder`, which must not see the installed mrftool."""
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if not "
        "type(f).__module__.startswith('_editable')]; "
        f"sys.path.insert(0, {str(folder)!r}); import pytest; "
        f"sys.exit(pytest.main(['-x', '-q', '-p', 'no:cacheprovider', '--no-header', "
        f"*{[str(next((ROOT / 'tests').rglob(t)).relative_to(ROOT)) for t in tests]!r}]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if result.returncode > 1:  # less than 0: the fault crashed it, and so was seen
        raise SystemExit(f"the tests did not run:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 0


def check(name, path, tests, mutants, only):
    """Plant each fault in turn; return those that got through."""
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        sound = Path(temporary) / "sound.so"
        build(ROOT / "native/epg.c", sound)
        for fault, old, new in [("none", "", ""), *mutants]:
            if fault != "none" and only not in f"{name}: {fault}":
                continue
            folder = Path(temporary) / "copy"
            shutil.rmtree(folder, ignore_errors=True)
            copy(folder, sound)
            text = (ROOT / path).read_text()
            text = text if fault == "none" else plant(text, old, new)
            if path.endswith(".c"):
                (folder / "mutant.c").write_text(text)
                build(folder / "mutant.c", folder / "mrftool" / f"_{Path(path).stem}.so")
            else:
                (folder / path).write_text(text)
            passed = survives(folder, tests)
            if fault == "none" and not passed:
                raise SystemExit(f"{name}: the tests fail without any fault")
            if fault != "none":
                print(f"{name}: {fault}: {'NOT SEEN' if passed else 'seen'}", flush=True)
                missed += [f"{name}: {fault}"] * passed
    return missed


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    simulate = [mutant for mutant in TRUNCATION if mutant[0].startswith("weak")]
    bound = [mutant for mutant in TRUNCATION if not mutant[0].startswith("weak")]
    suites = [
        ("readable engine", "mrftool/physics/epg.py", PYTHON_TESTS, EPG),
        ("excitation", "mrftool/physics/rf/excitation.py", EXCITATION_TESTS, EXCITATION),
        (
            "selective pulses",
            "mrftool/physics/rf/slice_rotations.py",
            ("test_selective_pulse.py",),
            SELECTIVE,
        ),
        ("selective kernel", "native/epg.c", ("test_selective_pulse.py",), SELECTIVE_KERNEL),
        ("dephasing", "mrftool/physics/dephasing.py", PYTHON_TESTS, DEPHASING),
        ("native kernel", "native/epg.c", KERNEL_TESTS, KERNEL),
        ("readout", "mrftool/physics/readout.py", READOUT_TESTS, READOUT),
        ("cuts on the way", "native/epg.c", ("test_native_cut.py",), CUTS),
        ("compression", "native/compress.c", ("test_compressed_scans.py",), COMPRESSION),
        ("splitting", "mrftool/scan/compressor.py", ("test_compressed_scans.py",), SPLITTING),
        ("bound", "mrftool/physics/orders/truncation.py", ("test_simulate.py",), bound),
        ("front door", "mrftool/physics/simulate.py", ("test_simulate.py",), simulate),
    ]
    suites = [
        suite for suite in suites if any(only in f"{suite[0]}: {fault}" for fault, _, _ in suite[3])
    ]
    missed = [fault for suite in suites for fault in check(*suite, only)]
    total = sum(only in f"{suite[0]}: {fault}" for suite in suites for fault, _, _ in suite[3])
    print(
        f"{total} faults planted, {len(missed)} not seen"
        + "".join(f"\n  {fault}" for fault in missed)
    )
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
