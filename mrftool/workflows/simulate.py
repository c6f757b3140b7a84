"""Simulate the fingerprints of a sequence: a dictionary, or a scan with its ground truth beside
it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, ComplexArray, FloatArray, Progress
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.formats.bids import sidecar_path
from mrftool.formats.nifti.write import write_series
from mrftool.formats.npz.dictionary import writing_dictionary
from mrftool.formats.npz.tissue import TissueImage
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.grid import Placement
from mrftool.physics.noise import add_noise, noise_sd
from mrftool.physics.simulate import simulate, simulate_blocks
from mrftool.physics.tissue_grids import grid_tissue, paper_tissue, parse_values
from mrftool.quantities import quantity
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.doubts import note_doubts
from mrftool.workflows.steps.outputs.own_files import require_own_dictionary, require_own_simulation
from mrftool.workflows.steps.outputs.places import (
    file_stem,
    keep_inputs,
    require_own_sidecar,
    tell_size,
)
from mrftool.workflows.steps.scene import with_common

_SAMPLE = 20_000  # voxels whose mean power stands for that of all, where there are more

_BYTES = {"complex": 8, "magnitude": 4}  # of a sample in a file

Form = Literal["complex", "magnitude"]


@dataclass(frozen=True)
class Simulation:
    """How to simulate.

    Parameters
    ----------
    sequence : PulseSequence
        The sequence.
    tolerance : float
        Largest error of each fingerprint that is allowed, relative to its norm [1].
    n_states : int, optional
        Number of EPG orders to keep instead.
    snr : float
        Root mean square of the fingerprints over the noise of each channel [1]; inf for no noise.
    seed : int
        Seed of the noise.

    """

    sequence: PulseSequence
    tolerance: float = 1e-5
    n_states: int | None = None
    snr: float = float("inf")
    seed: int = 0

    @property
    def has_noise(self) -> bool:
        """Whether noise is added."""
        return bool(np.isfinite(self.snr))

    def blocks(
        self, tissue: Tissue, sd: FloatArray | None, progress: Progress
    ) -> Iterator[ComplexArray]:
        """Fingerprints block by block, with noise of sd `(voxel,)` per channel."""
        random, start = np.random.default_rng((self.seed, 1)), 0
        settings: dict[str, Any] = {"tolerance": self.tolerance, "n_states": self.n_states}
        for block in simulate_blocks(self.sequence, tissue, **settings, progress=progress):
            if sd is None:
                yield block
            else:
                yield add_noise(block, sd[start : start + len(block)], random)
            start += len(block)

    def facts(self) -> dict[str, Any]:
        """What the sidecar of a scan says."""
        facts: dict[str, Any] = {
            "sequence": sequence_to_dict(self.sequence),
            "sequence_id": self.sequence.sequence_id,
            "snr": None,
            "seed": self.seed,
        }
        if self.has_noise:
            facts["snr"] = self.snr
        return facts


def dictionary_tissue(
    t1_ms: str | None = None,
    t2_ms: str | None = None,
    b1: str | None = None,
    adc: float = 0.0,
    r2_prime: float = 0.0,
) -> Tissue:
    """Tissue of a dictionary: the paper's 160,200 pairs, or all combinations of the values given.

    Parameters
    ----------
    t1_ms, t2_ms, b1 : str, optional
        Values of T1 [ms], T2 [ms] and B1 [1], as `parse_values` reads them.
    adc : float
        Diffusion coefficient of all entries [m2/s].
    r2_prime : float
        R2' of all entries [1/s].

    Raises
    ------
    ArgumentError
        If only one of T1 and T2 is given, or B1 without them.

    """
    if t1_ms is None or t2_ms is None:
        if (t1_ms, t2_ms, b1) != (None, None, None):
            raise ArgumentError(
                "expected values of both T1 and T2, and those of B1 only with them",
                arguments=("t1_ms", "t2_ms", "b1_grid"),
            )
        return with_common(paper_tissue(), adc, r2_prime)
    b1_values = None
    if b1 is not None:
        b1_values = parse_values(b1)
    times = (parse_values(t1_ms) / 1e3, parse_values(t2_ms) / 1e3)
    return with_common(grid_tissue(*times, b1_values, adc=adc), r2_prime=r2_prime)


def simulate_dictionary(
    simulation: Simulation,
    tissue: Tissue,
    output: Path | None,
    reporter: Reporter,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a dictionary, block by block; every fingerprint has the SNR of the simulation.

    overwrite: whether a file that is no dictionary of mrftool is replaced.

    Returns
    -------
    Path
        The file, by default named after the sequence.

    """
    sequence = simulation.sequence
    path = output or Path(f"{file_stem(sequence.name)}.npz")
    if path.suffix != ".npz":
        raise ArgumentError(f"{path}: a dictionary is a .npz file, expected that suffix")
    require_own_dictionary(path, overwrite=overwrite)
    note_doubts(sequence, reporter)
    tell_size(path, len(tissue) * len(sequence) * 8, reporter)
    facts, name = sequence_to_dict(sequence), sequence.sequence_id
    with (
        reporter.progress("simulating", len(tissue)) as progress,
        writing_dictionary(path, tissue, len(sequence), facts, sequence_id=name) as append,
    ):
        random = np.random.default_rng((simulation.seed, 1))
        for block in simulation.blocks(tissue, None, progress):
            if simulation.has_noise:
                sd = noise_sd(block, simulation.snr, common=False)
                append(add_noise(block, sd, random))
            else:
                append(block)
    return path


def simulate_scan(
    simulation: Simulation,
    scene: TissueImage,
    output: Path | None,
    reporter: Reporter,
    *,
    form: Form = "complex",
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write a scan of `scene` (4-D NIfTI), its sidecar, and its ground truth beside it.

    The ground truth is maps of T1, T2, M0 and B1, and labels where the scene has them.

    Parameters
    ----------
    simulation : Simulation
        How to simulate.
    scene : TissueImage
        Tissue on a grid of voxels: see `open_scene`.
    output : Path, optional
        The NIfTI file; by default named after the sequence.
    reporter : Reporter
        Hears of progress and notes.
    form : {"complex", "magnitude"}
        Of the samples.
    inputs : iterable of Path
        Files that the scene was read from: none of them is overwritten.
    overwrite : bool
        Whether files that mrftool did not simulate are replaced.

    Returns
    -------
    list of Path
        The files that were written, the scan first.

    """
    sequence = simulation.sequence
    path = output or Path(f"{file_stem(sequence.name)}.nii.gz")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ArgumentError(
            f"{path}: an image of a phantom is a NIfTI file, expected .nii or .nii.gz"
        )
    truth = _truth_maps(scene, path)
    outputs = [path, sidecar_path(path), *(file for file, _ in truth.values())]
    keep_inputs(inputs, outputs)
    require_own_sidecar(path)
    require_own_simulation(outputs, overwrite=overwrite)
    for sentence in scene.assumptions:
        reporter.note(sentence)
    sd = _common_noise(simulation, scene.tissue)
    sidecar = {
        **simulation.facts(),
        "form": form,
        "noise_sd": 0.0,
        "truth": {name: file.name for name, (file, _) in truth.items()},
        "classes": list(scene.classes),
    }
    if sd is not None:
        sidecar["noise_sd"] = float(sd[0])
    maps = [(file, values, name, None) for name, (file, values) in truth.items()]
    shape, placement = scene.grid.shape, Placement(scene.grid.affine)
    note_doubts(sequence, reporter)
    tell_size(path, prod(shape) * len(sequence) * _BYTES[form], reporter)
    with reporter.progress("simulating", len(scene.tissue)) as progress:
        blocks = _with_voxels(simulation.blocks(scene.tissue, sd, progress), scene)
        write_series(
            path, shape, placement, len(sequence), blocks, form=form, sidecar=sidecar, maps=maps
        )
    return outputs


def _common_noise(simulation: Simulation, tissue: Tissue) -> FloatArray | None:
    """One noise level for the whole image, as a scanner has it; None without noise."""
    if not simulation.has_noise:
        return None
    random = np.random.default_rng((simulation.seed, 2))
    chosen = random.permutation(len(tissue))[:_SAMPLE]
    sample = simulate(simulation.sequence, tissue[np.sort(chosen)], tolerance=1e-3)
    sd = noise_sd(sample.signal, simulation.snr, common=True)
    return np.full(len(tissue), sd[0])


def _with_voxels(
    blocks: Iterator[ComplexArray], scene: TissueImage
) -> Iterator[tuple[NDArray[np.intp], ComplexArray]]:
    """Blocks of fingerprints with the voxels that they belong to."""
    voxels, start = np.flatnonzero(scene.grid.mask), 0
    for block in blocks:
        yield voxels[start : start + len(block)], block
        start += len(block)


def _truth_maps(scene: TissueImage, path: Path) -> dict[str, tuple[Path, Array]]:
    """Maps of the ground truth by name: where they go, and the image."""
    stem, tissue = path.name.removesuffix(".gz").removesuffix(".nii"), scene.tissue
    columns = {"t1": tissue.t1, "t2": tissue.t2, "m0": abs(tissue.m0), "b1": tissue.b1}
    for name in ("adc", "off_resonance", "r2_prime"):
        if getattr(tissue, name).any():
            columns[name] = getattr(tissue, name)
    images: dict[str, tuple[Path, Array]] = {}
    for name, column in columns.items():
        file = path.with_name(f"{stem}_truth_{quantity(name).suffix}.nii.gz")
        images[name] = (file, scene.grid.to_image(column))
    if scene.labels is not None:
        labels = scene.grid.to_image((scene.labels + 1).astype(np.uint8))
        images["labels"] = (path.with_name(f"{stem}_truth_dseg.nii.gz"), labels)
    return images
