"""Tissue that methods are tested on: our digital head, the paper's anatomical maps, and tissue
above the range of training.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.atomic import writing
from mrftool.formats.npz.members import read_member, reading_npz
from mrftool.formats.npz.tissue import load_tissue_npz
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Grid
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.tissue import Tissue

TEST_SEQUENCE = "fisp"
ANATOMICAL = Path("brain_maps", "hydra_anatomical_128.npz")  # in the data folder
MATRIX, QUICK_MATRIX = (96, 96, 2), (48, 48, 1)  # of the digital head
ABOVE_T1, ABOVE_T2 = (2.5, 5.0), (1.0, 2.0)  # [s]: above the shorter range of the ablation
_ABOVE_VOXELS, _QUICK_ABOVE_VOXELS = 2000, 300


@dataclass(frozen=True, eq=False)
class TestSet:
    """Tissue with its place in an image.

    Parameters
    ----------
    name
        "phantom", "anatomical" or "above".
    tissue, grid
        The tissue of each voxel, and where it lies.
    bound
        Cramer-Rao bound of T1 and T2 at SNR 1 under the test sequence `(voxel, 2)` [s].
    """

    name: str
    tissue: Tissue
    grid: Grid
    bound: FloatArray

    @property
    def reference(self) -> FloatArray:
        """T1 and T2 `(voxel, 2)` [s]."""
        return np.stack([self.tissue.t1, self.tissue.t2], axis=1)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the tissue."""
        return f"{zlib.crc32(self.reference.tobytes()):08x}"


def tissue_folder(output: Path) -> Path:
    """Where the sets lie in the folder of a study."""
    return output / "tissue"


def make_sets(output: Path, data: Path | None, *, quick: bool) -> dict[str, TestSet]:
    """Make all sets, in files that jobs read.

    Parameters
    ----------
    output
        Folder of the study.
    data
        Folder of measured data. None: the anatomical maps are those that an earlier run made.
    quick
        Fewer voxels.

    Raises
    ------
    InputError
        If a file cannot be read or written.
    """
    folder = tissue_folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    sets = {name: _saved(folder, name, tissue, grid) for name, tissue, grid in _all(data, quick)}
    for path in folder.glob("*.npz"):
        if path.stem not in sets:
            sets[path.stem] = load_set(folder, path.stem)
    return sets


def load_set(folder: Path, name: str) -> TestSet:
    """A set from the folder of sets. Raises InputError if it is missing or damaged."""
    with reading_npz(folder / f"{name}.npz") as archive:
        found = {key: read_member(archive, key) for key in ("t1", "t2", "bound", "mask", "affine")}
    return TestSet(
        name, Tissue(found["t1"], found["t2"]), Grid(found["mask"], found["affine"]), found["bound"]
    )


def load_sets(output: Path) -> dict[str, TestSet]:
    """All sets of a study."""
    folder = tissue_folder(output)
    return {path.stem: load_set(folder, path.stem) for path in sorted(folder.glob("*.npz"))}


def _all(data: Path | None, quick: bool) -> Iterator[tuple[str, Tissue, Grid]]:
    """Name, tissue and grid of every set that can be made."""
    matrix, count = MATRIX, _ABOVE_VOXELS
    if quick:
        matrix, count = QUICK_MATRIX, _QUICK_ABOVE_VOXELS
    head, grid, _ = to_tissue(brain_phantom(matrix))
    yield "phantom", head, grid
    if data is not None and (data / ANATOMICAL).exists():
        image = load_tissue_npz(data / ANATOMICAL)
        yield "anatomical", image.tissue, image.grid
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(ABOVE_T1[0]), np.log(ABOVE_T1[1]), count))
    t2 = np.exp(random.uniform(np.log(ABOVE_T2[0]), np.log(ABOVE_T2[1]), count))
    yield "above", Tissue(t1, t2), Grid(np.ones((count, 1, 1), bool), np.eye(4))


def _saved(folder: Path, name: str, tissue: Tissue, grid: Grid) -> TestSet:
    """The set as its file gives it back; a file of the same tissue is kept."""
    path = folder / f"{name}.npz"
    tissue = Tissue(tissue.t1, tissue.t2)  # signals are scaled, and B1 belongs to the test
    if path.exists():
        earlier = load_set(folder, name)
        if earlier.digest == TestSet(name, tissue, grid, earlier.bound).digest:
            return earlier
    with np.errstate(invalid="ignore"):  # tissue without any signal has no bound
        bound = cramer_rao(read_sequence(TEST_SEQUENCE), tissue, 1.0)
    with writing(path) as part:
        np.savez_compressed(
            part,
            bound=np.stack([bound.sd_t1, bound.sd_t2], axis=1),
            t1=tissue.t1,
            t2=tissue.t2,
            mask=grid.mask,
            affine=grid.affine,
        )
    return load_set(folder, name)
