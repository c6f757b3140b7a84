"""The native libraries under AddressSanitizer and UBSan: `make sanitize`.

Builds them with GCC's sanitizers into a temporary folder, and runs there the tests of the kernels
and extreme arguments: one voxel, one pulse, T1 of 1 us and of 60 s, B1 of 0, thousands of orders.
The first report ends the run, and the exit code is not 0.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLAGS = (
    *("-shared", "-fPIC", "-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wno-psabi"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)
LIBRARIES = (  # of the baseline instruction set: the others are the same source
    ("epg.c", "_epg", ("-DEPG_RUN=epg_run_baseline", "-DEPG_DISPATCH=1")),
    ("toeplitz.c", "_toeplitz", ()),
    ("epg_adjoint.c", "_epg_adjoint", ()),
)
TESTS = (
    "tests/physics/test_native.py",
    "tests/physics/test_native_cut.py",
    "tests/reconstruction/test_kernel_product.py",
    "tests/design/test_adjoint.py",
)


def main() -> None:
    """Build the libraries, then use them in a child that loads the sanitizer first."""
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(_use(Path(sys.argv[2])))
    with tempfile.TemporaryDirectory() as folder:
        for source, name, options in LIBRARIES:
            output = Path(folder, f"{name}.so")
            compiler = ["gcc", *FLAGS, *options, str(ROOT / "native" / source), "-lm"]
            subprocess.run([*compiler, "-o", str(output)], check=True)
        command = [sys.executable, str(Path(__file__).resolve()), "--inside", folder]
        sys.exit(subprocess.run(command, check=False, env=_environment()).returncode)


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
    _require_loaded_from(folder)
    count = _extremes()
    print(f"{count} extreme calls without a report")
    import pytest

    tests = [str(ROOT / test) for test in TESTS]
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *tests]))


def _require_loaded_from(folder: Path) -> None:
    from mrftool.physics import kernel

    if not kernel.is_available() or str(folder) not in Path("/proc/self/maps").read_text():
        sys.exit("the sanitized kernel was not loaded")


def _extremes() -> int:
    """Simulate sequences and tissues at the edge of what they may be."""
    import numpy as np

    from mrftool.errors import MrftoolError
    from mrftool.physics.simulate import signal_and_derivatives
    from mrftool.sequence import PulseSequence, Spoiler
    from mrftool.tissue import Tissue

    spoiler = Spoiler(np.array([0.04]), np.array([1e-3]))
    done = 0
    for n_pulses in (1, 2, 3, 600):
        for spoiling in ("gradient", "none"):
            for phase in (0.0, np.pi, 1.2345):
                sequence = PulseSequence(
                    np.linspace(-4 * np.pi, 4 * np.pi, n_pulses),
                    np.arange(n_pulses) * phase,
                    np.geomspace(4e-3, 60.0, n_pulses),
                    np.full(n_pulses, 0.0),
                    spoiling=spoiling,
                    spoiler=spoiler if spoiling == "gradient" else None,
                )
                for n_voxels in (1, 7, 300):
                    tissue = _tissue(Tissue, n_voxels, spoiling)
                    for n_states in (None, 1, 2, 5000):
                        try:
                            signal_and_derivatives(
                                sequence, tissue, with_respect_to=("t1", "b1"), n_states=n_states
                            )
                        except MrftoolError:
                            continue
                        done += 1
    return done


def _tissue(kind, n, spoiling):  # type: ignore[no-untyped-def]
    import numpy as np

    spread = np.linspace(0, 1, n)
    return kind(
        t1=10.0 ** (-6 + 7.7 * spread),
        t2=10.0 ** (-6 + 7.0 * spread),
        b1=3 * spread,
        m0=np.where(spread > 0.5, 1e30, 1e-30) + 0j,
        adc=(1e-6 if spoiling == "gradient" else 0.0) * spread,
        off_resonance=1e4 * (spread - 0.5) * (spoiling == "none"),
    )


if __name__ == "__main__":
    main()
