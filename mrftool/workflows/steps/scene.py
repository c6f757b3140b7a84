"""What lies in the scanner of a simulation: a phantom, BrainWeb's head, or maps of tissue."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrftool.errors import ArgumentError
from mrftool.formats.nifti.tissue_maps import open_maps
from mrftool.formats.npz.tissue import TissueImage, load_tissue_npz
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.brainweb import SHAPE as BRAINWEB_SHAPE
from mrftool.phantoms.brainweb import find_brainweb, read_brainweb
from mrftool.phantoms.phantom import Phantom, to_tissue
from mrftool.phantoms.vials import vials_phantom
from mrftool.tissue import Tissue

PHANTOMS = ("brain", "vials")
_MOST_VOXELS = 1 << 25


@dataclass(frozen=True)
class SceneSource:
    """Where the tissue comes from: one of a phantom, BrainWeb, or a T1 and a T2 map.

    Parameters
    ----------
    phantom : str, optional
        "brain", "vials", or a .npz file with tissue maps.
    brainweb : Path, optional
        Folder with BrainWeb's fuzzy class volumes.
    t1, t2 : Path, optional
        Maps (NIfTI) [s or ms].
    m0, b1, mask : Path, optional
        Maps beside T1 and T2 [1].

    """

    phantom: str | None = None
    brainweb: Path | None = None
    t1: Path | None = None
    t2: Path | None = None
    m0: Path | None = None
    b1: Path | None = None
    mask: Path | None = None

    def __post_init__(self) -> None:
        chosen = [self.phantom, self.brainweb, self.t1 or self.t2]
        if self.is_file and Path(str(self.phantom)).suffix != ".npz":
            known = ", ".join(PHANTOMS)
            raise ArgumentError(
                f"there is no phantom {self.phantom}, expected {known} or a .npz file",
                arguments=("phantom",),
            )
        n_chosen = sum(source is not None for source in chosen)
        if n_chosen > 1 or (self.t1 is None) != (self.t2 is None):
            raise ArgumentError(
                "expected one of a phantom, BrainWeb, or a T1 map with a T2 map",
                arguments=("phantom", "brainweb", "t1", "t2"),
            )

    @property
    def is_empty(self) -> bool:
        """Whether no tissue is named: what remains to be simulated is a dictionary."""
        return self.phantom is None and self.brainweb is None and self.t1 is None

    @property
    def is_file(self) -> bool:
        """Whether the phantom is a file."""
        return self.phantom is not None and self.phantom not in PHANTOMS

    def files(self) -> Iterator[Path]:
        """Files that are read."""
        if self.is_file:
            yield Path(str(self.phantom))
        for path in (self.t1, self.t2, self.m0, self.b1, self.mask):
            if path is not None:
                yield path


@dataclass(frozen=True)
class PhantomSettings:
    """What a phantom of classes leaves open.

    Parameters
    ----------
    size : (int, int, int)
        Voxels along x, y, z; of BrainWeb, only the number of slices counts.
    b1_spread : float
        Largest deviation of a smooth B1 field from 1 [1].
    m0_phase : float
        Largest phase of M0 [rad].
    adc : float, optional
        Diffusion coefficient of all voxels [m2/s]; None keeps that of the source.
    r2_prime : float, optional
        R2' of all voxels [1/s]; None keeps that of the source.
    seed : int
        Seed of what is random in it.

    """

    size: tuple[int, int, int] = (128, 128, 1)
    b1_spread: float = 0.0
    m0_phase: float = 0.0
    adc: float | None = None
    r2_prime: float | None = None
    seed: int = 0


def open_scene(source: SceneSource, settings: PhantomSettings) -> TissueImage:
    """Tissue on a grid of voxels, as `source` names it."""
    scene = _read_scene(source, settings)
    return replace(scene, tissue=with_common(scene.tissue, settings.adc, settings.r2_prime))


def with_common(tissue: Tissue, adc: float | None = None, r2_prime: float | None = None) -> Tissue:
    """`tissue` with one value everywhere, of those that are given: adc [m2/s], r2_prime [1/s]."""
    common = {"adc": adc, "r2_prime": r2_prime}
    columns = {
        name: np.full(len(tissue), value) for name, value in common.items() if value is not None
    }
    return replace(tissue, **columns)


def _read_scene(source: SceneSource, settings: PhantomSettings) -> TissueImage:
    if source.is_file:
        return load_tissue_npz(str(source.phantom))
    if source.t1 is not None and source.t2 is not None:
        maps = open_maps(source.t1, source.t2, m0=source.m0, b1=source.b1, mask=source.mask)
        return TissueImage(maps.tissue, maps.grid, assumptions=maps.assumptions)
    phantom = _phantom(source, settings)
    tissue, grid, labels = to_tissue(
        phantom,
        b1_spread=settings.b1_spread,
        m0_phase=settings.m0_phase,
        seed=settings.seed,
    )
    return TissueImage(tissue, grid, labels, phantom.classes)


def _phantom(source: SceneSource, settings: PhantomSettings) -> Phantom:
    if source.brainweb is not None:
        return read_brainweb(
            find_brainweb(source.brainweb), slices=_middle_slices(settings.size[2])
        )
    if np.prod(settings.size, dtype=float) > _MOST_VOXELS:
        size = " x ".join(map(str, settings.size))
        raise ArgumentError(
            f"a phantom of {size} voxels, expected at most {_MOST_VOXELS}",
            arguments=("matrix", "slices"),
        )
    if source.phantom == "vials":
        return vials_phantom(settings.size)
    return brain_phantom(settings.size, seed=settings.seed)


def _middle_slices(count: int) -> slice:
    """The middle `count` slices of BrainWeb."""
    available = BRAINWEB_SHAPE[2]
    if count > available:
        raise ArgumentError(
            f"{count} slices, expected at most the {available} of BrainWeb", arguments=("slices",)
        )
    first = (available - count) // 2
    return slice(first, first + count)
