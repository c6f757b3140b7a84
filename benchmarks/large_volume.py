"""Memory and time of `mrftool quantify` against the size of the scan, up to 256 x 256 x 60 x 1000 complex64 (31 GB).

usage: python benchmarks/large_volume.py FOLDER [slices ...]

Writes a scan of 256 x 256 x slices x 1000 to FOLDER, quantifies it with the shipped model in a process of its own, and
removes it. The memory is RssAnon, sampled from /proc: what the process holds, without the pages of the mapped file.
"""

import sys
import threading
import time
from pathlib import Path
from subprocess import Popen

import nibabel
import numpy as np

from mrftool.formats.sequence_yaml import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue

PLANE = 256


def write_scan(path: Path, slices: int) -> None:
    """A slice of random tissue, again and again, one time point after the other as the file has them."""
    random = np.random.default_rng(0)
    t1 = random.uniform(0.3, 3.0, PLANE * PLANE)
    signal = simulate(read_sequence("fisp"), Tissue(t1, t1 * random.uniform(0.03, 0.3, t1.size))).signal
    header = nibabel.Nifti2Header()
    header.set_data_dtype(np.complex64)
    header.set_data_shape((PLANE, PLANE, slices, signal.shape[1]))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(np.eye(4), 1)
    header["vox_offset"], header["magic"] = 544, b"n+2\0\r\n\x1a\n"
    with path.open("wb") as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for frame in np.ascontiguousarray(signal.T):
            for _ in range(slices):
                file.write(frame.tobytes())


def quantify(scan: Path, maps: Path) -> tuple[float, float]:
    """Seconds, and the most memory that the process held [MB]."""
    began, most = time.monotonic(), 0
    child = Popen([sys.executable, "-m", "mrftool", "quantify", str(scan), "-o", str(maps)], stdout=-3, stderr=-3)
    done = threading.Event()
    threading.Thread(target=lambda: (child.wait(), done.set()), daemon=True).start()
    while not done.wait(0.05):
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            break
        most = max(most, *(int(x.split()[1]) for x in status.splitlines() if x.startswith("RssAnon")), 0)
    if child.wait() != 0:
        raise SystemExit("quantify failed")
    return time.monotonic() - began, most / 1024


def main() -> None:
    folder = Path(sys.argv[1])
    print("| slices | scan [GB] | written [s] | quantified [s] | memory [MB] |\n|--:|--:|--:|--:|--:|")
    for slices in [int(x) for x in sys.argv[2:]] or [1, 4, 15, 60]:
        scan = folder / f"scan{slices}.nii"
        try:
            began = time.monotonic()
            write_scan(scan, slices)
            written = time.monotonic() - began
            seconds, memory = quantify(scan, folder / f"maps{slices}")
            size = scan.stat().st_size / 1e9
        finally:
            scan.unlink(missing_ok=True)
        print(f"| {slices} | {size:.1f} | {written:.0f} | {seconds:.0f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
