"""Memory stays bounded, whatever the size of the file. Maps of files count as resident, so RssAnon
is measured.
"""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

if not Path("/proc/self/status").exists():
    pytest.skip("needs /proc/self/status", allow_module_level=True)

SCRIPT = """
import sys, threading
import numpy as np
from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.write import write_series
from mrftool.grid import Placement
from mrftool.scan.series import c_order

path, task, n_z = sys.argv[1], sys.argv[2], int(sys.argv[3])
SHAPE, TIMES = (64, 64, n_z), 400

def anonymous():
    lines = open("/proc/self/status")
    return next(int(l.split()[1]) for l in lines if l.startswith("RssAnon")) / 1024

def made():
    for start in range(0, 4096 * n_z, 4096):
        signal = np.arange(start, start + 4096)[:, None] + 1j * np.arange(TIMES)
        yield c_order(np.arange(start, start + 4096), SHAPE), signal.astype(np.complex64)

stop, peak, before = threading.Event(), [0.0], anonymous()
def watch():
    while not stop.wait(0.005):
        peak[0] = max(peak[0], anonymous())
thread = threading.Thread(target=watch)
thread.start()
if task == "write":
    write_series(path, SHAPE, Placement(np.eye(4)), TIMES, made())
else:
    seen = 0
    for voxels, signal in open_series(path).blocks(max_bytes=16 << 20):
        assert (signal[:, 7].imag == 7).all()
        seen += len(voxels)
    assert seen == 4096 * n_z
stop.set()
thread.join()
print(peak[0] - before)
"""


def peak_of(path, task, n_z):
    """Anonymous memory that one process adds at its peak [MiB]."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), task, str(n_z)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path, name, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    peaks = {}
    for n_z in (24, 48):  # 300 and 600 MiB; one or two blocks of 16 MiB are alive in either
        path = tmp_path / f"{n_z}{name}"
        peaks[n_z] = [peak_of(path, task, n_z) for task in ("write", "read")]
        path.unlink()
    for small, large in zip(peaks[24], peaks[48], strict=True):
        assert small < 90
        assert large < small + 16 + 4


RESIDENT = """
import sys
import numpy as np
from mrftool.formats.nifti.read import open_series
from mrftool.scan.compressor import Compressor

def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))

series, compressor = open_series(sys.argv[1]), Compressor.from_matrix(np.ones((800, 1)))
before = peak()
for positions in series.pieces(None, 8192):
    assert not series.read.compressed(positions, compressor)[1].any()
print((peak() - before) / 1024)
for voxels, signal in series.blocks():
    assert not signal.any()
print((peak() - before) / 1024)
"""


@pytest.mark.slow
def test_pages_of_a_scan_do_not_stay_resident(tmp_path):
    """A scan of 800 MiB of zeros, all of which are read; its file has holes in their place."""
    shape = (64, 64, 64, 400)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.complex64)
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = tmp_path / "scan.nii"
    with path.open("wb") as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        file.truncate(352 + 8 * np.prod(shape))
    command = [sys.executable, "-c", RESIDENT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    compressed, transposed = map(float, done.stdout.split())
    assert compressed < 300
    assert transposed < 400
