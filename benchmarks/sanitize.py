"""The native libraries under AddressSanitizer and UBSan: `make sanitize`.

Builds them with GCC's sanitizers into a temporary folder, and runs there the tests of the kernels
and extreme arguments: one voxel, one pulse, T1 of 1 us and of 60 s, B1 of 0, thousands of orders.
The EPG kernel, the compression and the graph run in each instruction set that this processor has.
The first report ends the run, and the exit code is not 0.
"""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("-fPIC", "-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wno-psabi")
CHECKS = ("-fno-sanitize-recover=all", "-fsanitize=address,undefined")
CHECKS_OF_WIDE = (  # what can differ from the baseline: these compile in half the time
    "-fno-sanitize-recover=all",
    "-fsanitize=address,alignment,bounds,shift,signed-integer-overflow",
)
ENTRIES = {"epg": "RUN", "compress": "ADD", "graph": "RUN"}  # compiled once per instruction set
OF_X86: dict[str, tuple[str, ...]] = {  # as in CMakeLists.txt
    "baseline": CHECKS,
    "avx2": ("-mavx2", "-mfma", *CHECKS_OF_WIDE),
    "avx512": (
        *("-mavx512f", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"),
        *CHECKS_OF_WIDE,
    ),
}
OTHERS = {"_toeplitz": "toeplitz.c", "_epg_adjoint": "epg_adjoint.c"}
TESTS = (
    "tests/physics/test_native.py",
    "tests/physics/test_native_cut.py",
    "tests/inference/test_compressed_scans.py",
    "tests/inference/native/test_native_graph.py",
    "tests/reconstruction/test_kernel_product.py",
    "tests/design/test_adjoint.py",
)


def main() -> None:
    """Build the libraries, then use them in a child that loads the sanitizer first."""
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(_use(Path(sys.argv[2])))
    with tempfile.TemporaryDirectory() as folder:
        _build(Path(folder))
        command = [sys.executable, str(Path(__file__).resolve()), "--inside", folder]
        sys.exit(subprocess.run(command, check=False, env=_environment()).returncode)


def _build(folder: Path) -> None:
    """Compile those kernels for each instruction set, and the other libraries."""
    widths, dispatch = {"baseline": CHECKS}, 1
    if platform.machine() in ("x86_64", "AMD64"):
        widths, dispatch = OF_X86, 2
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiling = []
        for (name, entry), (width, options) in product(ENTRIES.items(), widths.items()):
            macro = f"{name.upper()}_{entry}"
            flags = [*options, f"-D{macro}={name}_{entry.lower()}_{width}"]
            if width == "baseline":
                flags.append(f"-D{name.upper()}_DISPATCH={dispatch}")
            output = folder / f"{name}_{width}.o"
            compiling.append(pool.submit(_compile, output, f"{name}.c", "-c", *flags))
        for library, source in OTHERS.items():
            output = folder / f"{library}.so"
            compiling.append(pool.submit(_compile, output, source, "-shared", *CHECKS, "-lm"))
        for task in compiling:
            task.result()
    for name in ENTRIES:
        objects = [str(folder / f"{name}_{width}.o") for width in widths]
        link = ["gcc", "-shared", *CHECKS, *objects, "-lm", "-o", str(folder / f"_{name}.so")]
        subprocess.run(link, check=True)


def _compile(output: Path, source: str, *options: str) -> None:
    path = str(ROOT / "native" / source)
    subprocess.run(["gcc", *FLAGS, path, *options, "-o", str(output)], check=True)


def _environment() -> dict[str, str]:
    """Leaks are not looked for: Python keeps what it has until it ends."""
    libraries = [_library_of_gcc(name) for name in ("libasan.so", "libubsan.so")]
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "OMP_NUM_THREADS": "1",
    }


def _library_of_gcc(name: str) -> str:
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _use(folder: Path) -> int:
    """Run the tests and the extremes with the libraries in `folder`."""
    import mrftool

    mrftool.__path__.insert(0, str(folder))  # the loaders look beside the package
    from mrftool.inference.native import machine
    from mrftool.physics import kernel

    widths = list(kernel.WIDTHS)
    for width in widths[: widths.index(kernel.widest()) + 1]:
        with mock.patch.object(kernel, "widest", return_value=width):
            print(f"EPG, {width}: {_extremes_of_epg()} extreme calls without a report", flush=True)
    print(f"compression: {_extremes_of_compression()} extreme calls without a report", flush=True)
    print(f"adjoint: {_extremes_of_adjoint()} extreme calls without a report", flush=True)
    print(f"Toeplitz: {_extremes_of_toeplitz()} extreme calls without a report", flush=True)
    assert machine.is_available()  # which loads the library that the tests call
    _require_loaded_from(folder)
    import pytest

    tests = [str(ROOT / test) for test in TESTS]
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *tests]))


def _require_loaded_from(folder: Path) -> None:
    loaded = Path("/proc/self/maps").read_text()
    for name in ("_epg", "_compress", "_graph", *OTHERS):
        if str(folder / f"{name}.so") not in loaded:
            sys.exit(f"the sanitized {name} was not loaded")


def _extremes_of_epg() -> int:
    """Simulate sequences and tissues at the edge of what they may be."""
    from mrftool.physics.simulate import signal_and_derivatives, simulate

    done = 0
    for sequence in _sequences():
        for n_voxels in (1, 7, 33):
            tissue = _tissue(n_voxels, sequence.spoiling)
            simulate(sequence, tissue, tolerance=0.1, threads=1)
            for n_states in (None, 1, 2, 5000):
                signal_and_derivatives(
                    sequence, tissue, with_respect_to=("t1", "b1"), n_states=n_states, threads=1
                )
            done += 5
    return done


def _sequences() -> Iterator[Any]:
    """One to hundreds of pulses of any angle, of TR 4 ms to 60 s, after each kind of event."""
    import numpy as np

    from mrftool.sequence import PulseSequence, SelectivePulse, SliceProfile, Spoiler

    profile = SliceProfile(np.array([0.0, 1.0, 1.5]), np.array([0.5, 1.0, -0.5]))
    pulse = SelectivePulse("sinc", 4.0, 1e-6, positions=3)
    for n, spoiled, phase, prepared in product((1, 2, 3, 120), (1, 0), (0.0, 1.2), (0, 1)):
        yield PulseSequence(
            np.linspace(-4 * np.pi, 4 * np.pi, n),
            np.arange(n) * phase,
            np.geomspace(4e-3, 60.0, n),
            np.full(n, 1e-6),
            events=_events(n, prepared),
            spoiling=("none", "gradient")[spoiled],
            spoiler=(None, Spoiler(np.array([0.04]), np.array([1e-3])))[spoiled],
            slice_profile=(None, profile, pulse)[prepared + (n < 3)],
        )


def _events(n_pulses: int, prepared: int) -> tuple[Any, ...]:
    import numpy as np

    from mrftool.sequence import HardPulse, Invert, Pulses, Saturate, T2Prep, Wait

    if not prepared:
        return (Pulses(),)
    return (
        *(HardPulse(np.pi, 1.0), Wait(60.0), Pulses(acquire=False), Invert(0.0)),
        *(Pulses(0, 1), HardPulse(-2 * np.pi), T2Prep(1.0), T2Prep(0.5, 1000), Saturate(1.0)),
        *(Wait(1e-6), HardPulse(1e-3), HardPulse(1e-3), Pulses(n_pulses - 1), Wait(60.0)),
    )


def _tissue(n: int, spoiling: str) -> Any:
    import numpy as np

    from mrftool.tissue import Tissue

    spread = np.linspace(0, 1, n)
    return Tissue(
        t1=10.0 ** (-6 + 7.7 * spread),
        t2=10.0 ** (-6 + 7.0 * spread),
        b1=3 * spread,
        m0=np.where(spread > 0.5, 1e30, 1e-30) + 0j,
        adc=(1e-6 if spoiling == "gradient" else 0.0) * spread,
        off_resonance=1e4 * (spread - 0.5) * (spoiling == "none"),
    )


def _extremes_of_adjoint() -> int:
    """Gradients of short and long trains, for tissues at the edge; more threads than tissues."""
    import numpy as np

    from mrftool.design.adjoint import gradient
    from mrftool.design.pulse_train import PulseTrain, design_tissue

    pairs = [(1e-6, 1e-6), (60.0, 1e-6), (60.0, 60.0)]
    tissue = design_tissue(pairs, [0.1, 3.0], [0.0, 1.0])
    done = 0
    options = product((1, 2, 3, 4, 400), (None, 0.0, 60.0), (True, False), (1, 50))
    for n, inversion_time, with_times, threads in options:
        tr = np.geomspace(60.0, 1e-3, n)
        train = PulseTrain(np.linspace(-12.0, 12.0, n), tr, tr * (n % 2), inversion_time)
        weight = np.full((3, len(tissue), n), 1e30)
        gradient(train, tissue, weight, with_times=with_times, threads=threads)
        done += 1
    return done


def _extremes_of_toeplitz() -> int:
    """Ranks up to the largest, points that fill no block, infinite values."""
    import numpy as np

    from mrftool.reconstruction.encoding.kernel_product import MAX_RANK, multiply_kernel

    done = 0
    options = product((1, 2, MAX_RANK), (1, 127, 128, 129, 1000), (1, 3), (1, 7))
    for rank, n_points, n_coils, threads in options:
        for dtype in (np.float32, np.complex64):
            kernel = np.full((rank * (rank + 1) // 2, n_points), 3e38, dtype)
            spectra = np.full((n_coils, rank, n_points), np.inf, np.complex64)
            multiply_kernel(kernel, spectra, threads)
            done += 1
    return done


def _extremes_of_compression() -> int:
    """One frame to thousands, voxels that fill no strip, vectors that fill no group, infinity."""
    import numpy as np

    from mrftool.scan import compression
    from mrftool.scan.compressor import Compressor

    widths = list(compression.WIDTHS)[: compression.WIDTHS[compression.widest()] + 1]
    done = 0
    for width, n_time, rank in product(widths, (1, 31, 32, 33, 2000), (1, 4, 9)):
        matrix = np.random.default_rng(0).standard_normal((2 * n_time, 2 * rank))
        compressor = Compressor.from_matrix(matrix)
        for n_voxels, start in product((1, 15, 17, 2048, 2049), (0, 1)):
            frames = np.full((n_time, n_voxels + start), 3e38, np.complex64)[:, start:]
            frames[:, ::3] = np.inf
            with mock.patch.object(compression, "widest", return_value=width):
                sums = compression.sums_of(compressor, n_voxels)
                sums.add(frames[: n_time // 2], 0)
                sums.add(frames[n_time // 2 :], n_time // 2)
                sums.columns()
            done += 1
    return done


if __name__ == "__main__":
    main()
