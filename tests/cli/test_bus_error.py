import subprocess
import sys
from pathlib import Path

import pytest

import mrftool

HAS_LIBRARY = any(Path(folder, "_bus_error.so").is_file() for folder in mrftool.__path__)
READS_A_FILE_THAT_IS_CUT = """
import sys
import numpy as np
from mrftool.cli.bus_error import tell_bus_errors

path = sys.argv[1]
tell_bus_errors()
mapped = np.memmap(path, np.uint8, "r")
open(path, "r+b").truncate(100)
print("before", flush=True)
mapped.sum()
print("after")
"""


@pytest.mark.skipif(not HAS_LIBRARY, reason="installed without native libraries")
@pytest.mark.parametrize("name", ["scan.nii", "a b\u00e9.npy"])
def test_a_mapped_file_that_is_cut_short_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(1 << 20))
    command = [sys.executable, "-c", READS_A_FILE_THAT_IS_CUT, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "before\n")
    assert done.stderr == (
        f"mrftool: {path}: became shorter while it was in use, or its disk is full, "
        "expected a file that stays as it is\n"
    )
