"""Memory of matching stays bounded, however large the dictionary file. Maps of files are not
counted: RssAnon.
"""

import subprocess
import sys
from pathlib import Path

import pytest

if not Path("/proc/self/status").exists():
    pytest.skip("needs /proc/self/status", allow_module_level=True)

SCRIPT = """
import sys, threading
import numpy as np
from mrftool.formats.npz.dictionary import writing_dictionary
from mrftool.matching.dictionary import compress_dictionary, dictionary_from_file
from mrftool.matching.match import match_series
from mrftool.scan.series import series_from_array
from mrftool.tissue import Tissue

path, count, TIMES = sys.argv[1], int(sys.argv[2]), 1000
time = np.arange(TIMES) / TIMES

def anonymous():
    lines = open("/proc/self/status")
    return next(int(l.split()[1]) for l in lines if l.startswith("RssAnon")) / 1024

tissue = Tissue(np.geomspace(0.5, 3, count), np.geomspace(0.05, 0.3, count))
with writing_dictionary(path, tissue, TIMES) as append:
    for part in tissue.chunks(1000):
        append((np.exp(-time / part.t1[:, None]) * (1 + 1j)).astype(np.complex64))
rows = np.exp(-time / tissue.t1[:: count // 250, None]).astype(np.complex64)
stop, peak, before = threading.Event(), [0.0], anonymous()
def watch():
    while not stop.wait(0.005):
        peak[0] = max(peak[0], anonymous())
thread = threading.Thread(target=watch)
thread.start()
dictionary = compress_dictionary(dictionary_from_file(path), "complex")
maps = match_series(series_from_array(rows.reshape(-1, 5, 5, TIMES)), dictionary)
stop.set()
thread.join()
assert abs(maps.t1.ravel() / tissue.t1[:: count // 250] - 1).max() < 1e-3
print(peak[0] - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_dictionary(tmp_path: Path) -> None:
    peaks = []
    for count in (10_000, 50_000):  # 80 and 400 MB
        line = [sys.executable, "-c", SCRIPT, str(tmp_path / "d.npz"), str(count)]
        peaks.append(float(subprocess.run(line, capture_output=True, text=True, check=True).stdout))
    assert peaks[0] < 200
    assert peaks[1] < peaks[0] + 60  # the file grows by 320 MB
