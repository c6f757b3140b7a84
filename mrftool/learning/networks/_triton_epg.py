"""The EPG kernel for CUDA, in Triton: states of a few voxels in the registers of a program, from
the first pulse to the last, with the derivatives by T1 and T2 beside them.

Only for signals that are -i m0 times real numbers (see `kernel.is_real`), without diffusion. With
F(k) = -i p(k), conj(F(-k)) = i m(k) and real z(k), a pulse of flip angle a is

    p + m  <-  cos a (p + m) + 2 sin a z,    p - m stays,    z  <-  cos a z - sin a (p + m) / 2.

The conventions and the sources are those of `mrftool.physics.epg`.
"""

import triton
import triton.language as tl


@triton.jit
def _rotated(p, m, z, cos, sin):
    total = p + m
    difference = p - m
    turned = cos * total + 2 * sin * z
    return 0.5 * (turned + difference), 0.5 * (turned - difference), cos * z - 0.5 * sin * total


@triton.jit
def _shifted(p, m, up, down, is_first, n_orders):
    """One cycle of spoiling; orders from `n_orders` on are left out."""
    m = tl.where(down < n_orders, tl.gather(m, tl.minimum(down, m.shape[1] - 1), axis=1), 0.0)
    p = tl.where(is_first, m, tl.gather(p, up, axis=1))
    return tl.where(down <= n_orders, p, 0.0), m


@triton.jit
def epg_kernel(  # noqa: PLR0915
    signal,
    by_t1,
    by_t2,
    t1,
    t2,
    b1,
    blocks,
    windows,
    pulses,
    n_voxels,
    n_blocks,
    n_pulses,
    n_orders,
    VOXELS: tl.constexpr,
    ORDERS: tl.constexpr,
    WITH_DERIVATIVES: tl.constexpr,
    IS_NOMINAL: tl.constexpr,
    HAS_ONE_TIME: tl.constexpr,
):
    """Fill `signal`, `by_t1` and `by_t2` `(echo, voxel)`.

    t1, t2: `(voxel,)` [s]. b1: actual over nominal flip angle `(voxel,)` [1]. blocks: keep (0
    crushes), factor of z, T2 decay time [s], waiting time [s] `(4, block)`. windows: first pulse,
    stop, first echo (-1: none) `(3, block)`. pulses: flip angle [rad], its cosine and sine, sign of
    the receiver, TE [s], TR [s] `(6, pulse)`. Tiles are `(VOXELS, ORDERS)`.
    """
    voxel = tl.program_id(0).to(tl.int64) * VOXELS + tl.arange(0, VOXELS)
    is_inside = voxel < n_voxels
    r1 = 1 / tl.load(t1 + voxel, mask=is_inside, other=1.0)[:, None]
    r2 = 1 / tl.load(t2 + voxel, mask=is_inside, other=1.0)[:, None]
    field = tl.load(b1 + voxel, mask=is_inside, other=1.0)[:, None]
    order = tl.arange(0, ORDERS)[None, :] + tl.zeros((VOXELS, ORDERS), tl.int32)
    is_first = order == 0
    is_stored = is_first & is_inside[:, None]
    up, down = tl.maximum(order - 1, 0), order + 1
    z = tl.where(is_first, 1.0, 0.0)
    equilibrium = z
    nothing = tl.zeros((VOXELS, ORDERS), tl.float32)
    p, m = nothing, nothing
    p1, m1, z1 = nothing, nothing, nothing  # derivatives by T1
    p2, m2, z2 = nothing, nothing, nothing  # derivatives by T2
    te = tl.load(pulses + 4 * n_pulses)
    tr = tl.load(pulses + 5 * n_pulses)
    seen, e1, e2 = tl.exp(-te * r2), tl.exp(-tr * r1), tl.exp(-tr * r2)
    for block in range(n_blocks):
        keep = tl.load(blocks + block)
        decay_time = tl.load(blocks + 2 * n_blocks + block)
        wait = tl.load(blocks + 3 * n_blocks + block)
        factor = tl.load(blocks + n_blocks + block) * tl.exp(-decay_time * r2)
        f1, f2 = tl.exp(-wait * r1), keep * tl.exp(-wait * r2)
        if WITH_DERIVATIVES:
            p1, m1 = f2 * p1, f2 * m1
            p2 = f2 * (p2 + wait * r2 * r2 * p)
            m2 = f2 * (m2 + wait * r2 * r2 * m)
            z2 = f1 * factor * (z2 + decay_time * r2 * r2 * z)
            z1 = f1 * (factor * z1 + wait * r1 * r1 * (factor * z - equilibrium))
        p, m = f2 * p, f2 * m
        z = f1 * factor * z + (1 - f1) * equilibrium
        first = tl.load(windows + block)
        stop = tl.load(windows + n_blocks + block)
        echo = tl.load(windows + 2 * n_blocks + block)
        for n in range(first, stop):
            if IS_NOMINAL:
                cos = tl.load(pulses + n_pulses + n)
                sin = tl.load(pulses + 2 * n_pulses + n)
            else:
                flip = tl.load(pulses + n) * field
                cos, sin = tl.cos(flip), tl.sin(flip)
            if not HAS_ONE_TIME:
                te = tl.load(pulses + 4 * n_pulses + n)
                tr = tl.load(pulses + 5 * n_pulses + n)
                seen, e1, e2 = tl.exp(-te * r2), tl.exp(-tr * r1), tl.exp(-tr * r2)
            receiver = tl.load(pulses + 3 * n_pulses + n) * seen
            p, m, z = _rotated(p, m, z, cos, sin)
            place = (echo + n - first).to(tl.int64) * n_voxels + voxel[:, None] + 0 * order
            is_acquired = is_stored & (echo >= 0)
            tl.store(signal + place, receiver * p, mask=is_acquired)
            if WITH_DERIVATIVES:
                p1, m1, z1 = _rotated(p1, m1, z1, cos, sin)
                p2, m2, z2 = _rotated(p2, m2, z2, cos, sin)
                tl.store(by_t1 + place, receiver * p1, mask=is_acquired)
                tl.store(by_t2 + place, receiver * (p2 + te * r2 * r2 * p), mask=is_acquired)
                z1 = e1 * (z1 + tr * r1 * r1 * (z - equilibrium))
                z2 = e1 * z2
                p2 = e2 * (p2 + tr * r2 * r2 * p)
                m2 = e2 * (m2 + tr * r2 * r2 * m)
                p1, m1 = _shifted(e2 * p1, e2 * m1, up, down, is_first, n_orders)
                p2, m2 = _shifted(p2, m2, up, down, is_first, n_orders)
            p, m = _shifted(e2 * p, e2 * m, up, down, is_first, n_orders)
            z = e1 * z + (1 - e1) * equilibrium
