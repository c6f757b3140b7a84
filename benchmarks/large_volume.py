"""Memory and time of `mrftool quantify` against the size of the scan, up to 256 x 256 x 60 x 1000
complex64 (31 GB).

    python benchmarks/large_volume.py FOLDER [--gz] [slices ...]

Writes a scan of 256 x 256 x slices x 1000 to FOLDER, quantifies it with the shipped model in a
process of its own, and removes it. The memory is VmHWM, the most that was resident, pages of the
mapped file included, and RssAnon, sampled from /proc, without them. All slices of a scan are the
same, so their maps must be, to the last bit: among each other, and those of other sizes.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import DEVNULL, Popen

import nibabel
import numpy as np

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

PLANE = 256


def write_scan(
    path: Path, slices: int, sequence: PulseSequence, *, magnitudes: bool = False
) -> None:
    """A slice of random tissue, again and again, one time point after the other as the file has
    them.
    """
    random = np.random.default_rng(0)
    t1 = random.uniform(0.3, 3.0, PLANE * PLANE)
    signal = simulate(sequence, Tissue(t1, t1 * random.uniform(0.03, 0.3, t1.size))).signal
    if magnitudes:
        signal = np.abs(signal)
    header = nibabel.Nifti2Header()
    header.set_data_dtype(signal.dtype)
    header.set_data_shape((PLANE, PLANE, slices, signal.shape[1]))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(np.eye(4), 1)
    header["vox_offset"], header["magic"] = 544, b"n+2\0\r\n\x1a\n"
    with path.open("wb") as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for frame in np.ascontiguousarray(signal.T):
            for _ in range(slices):
                file.write(frame.tobytes())


def quantify(scan: Path, maps: Path, options: list[str]) -> tuple[float, float, float]:
    """Seconds, and the most memory that the process held, resident and anonymous [MB]."""
    began, most = time.monotonic(), {"VmHWM": 0, "RssAnon": 0}
    command = [sys.executable, "-m", "mrftool", "quantify", str(scan), "-o", str(maps), *options]
    child = Popen(
        command, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, "TMPDIR": str(scan.parent)}
    )
    done = threading.Event()
    threading.Thread(target=lambda: (child.wait(), done.set()), daemon=True).start()
    while not done.wait(0.05):
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            key, _, value = line.partition(":")
            if key in most:
                most[key] = max(most[key], int(value.split()[0]))
    if child.wait() != 0:
        raise SystemExit("quantify failed")
    return time.monotonic() - began, most["VmHWM"] / 1024, most["RssAnon"] / 1024


def compress(scan: Path) -> Path:
    """The scan as .nii.gz, in place of the plain one."""
    packed = scan.with_name(f"{scan.name}.gz")
    with packed.open("wb") as out:
        subprocess.run(
            [sys.executable, "-m", "isal.igzip", "-1", "-c", str(scan)], stdout=out, check=True
        )
    scan.unlink()
    return packed


def alike(maps: Path, first: dict[str, bytes]) -> bool:
    """True if every slice of every map is, bit by bit, the first slice of the first run."""
    same = True
    for path in sorted(maps.glob("*.nii.gz")):
        image = np.asarray(nibabel.load(path).dataobj)
        known = first.setdefault(path.name, image[..., 0].tobytes())
        same &= all(image[..., k].tobytes() == known for k in range(image.shape[2]))
    return same


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("slices", type=int, nargs="*", default=[1, 4, 15, 60])
    parser.add_argument(
        "--gz", action="store_true", help="compress the scans; needs room for both forms"
    )
    parser.add_argument("--no-report", action="store_true", help="without picture and report")
    options = parser.parse_intermixed_args()
    further = ["--no-report"] * options.no_report
    print(
        "| slices | numbers [GB] | file [GB] | quantified [s] | 1000 voxels/s | resident [MB] "
        "| anonymous [MB] | slices alike |\n|--:|--:|--:|--:|--:|--:|--:|---|"
    )
    first: dict[str, bytes] = {}
    for slices in options.slices:
        scan = options.folder / f"scan{slices}.nii"
        try:
            write_scan(scan, slices, read_sequence("fisp"))
            size = scan.stat().st_size / 1e9
            scan = compress(scan) if options.gz else scan
            stored = scan.stat().st_size / 1e9
            maps = options.folder / f"maps{slices}"
            seconds, resident, anonymous = quantify(scan, maps, further)
        finally:
            scan.unlink(missing_ok=True)
        same = "yes" if alike(options.folder / f"maps{slices}", first) else "NO"
        print(
            f"| {slices} | {size:.1f} | {stored:.1f} | {seconds:.1f} | "
            f"{slices * PLANE**2 / seconds / 1e3:.0f} | {resident:.0f} | {anonymous:.0f} | "
            f"{same} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
