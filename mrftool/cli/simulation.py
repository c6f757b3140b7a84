"""The work behind `mrftool simulate`: what to simulate, and where it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrftool.cli.console import note, progress_bar, wrote
from mrftool.errors import InputError, UsageError
from mrftool.formats.atomic import all_or_none
from mrftool.formats.npz import TissueImage, load_tissue_npz, writing_dictionary
from mrftool.formats.sequence_yaml import sequence_to_dict
from mrftool.physics.grids import grid_tissue, paper_tissue, parse_values
from mrftool.physics.noise import add_noise, noise_sd
from mrftool.physics.simulate import simulate, simulate_blocks
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_SAMPLE = 20_000  # voxels whose mean power stands for that of all, where there are more

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Engine:
    """How to simulate: the sequence, the accuracy (or a number of orders instead), the noise."""

    sequence: PulseSequence
    tolerance: float
    n_states: int | None
    snr: float
    seed: int

    def blocks(self, tissue: Tissue, sd: NDArray[np.float64] | None, progress: Any) -> Iterator[NDArray[np.complex64]]:
        """Fingerprints block by block, with noise of sd `(voxel,)` per channel."""
        random, start = np.random.default_rng((self.seed, 1)), 0
        settings = {"tolerance": self.tolerance, "n_states": self.n_states, "progress": progress}
        for block in simulate_blocks(self.sequence, tissue, **settings):
            yield block if sd is None else add_noise(block, sd[start : start + len(block)], random)
            start += len(block)


def dictionary_tissue(t1_ms: str | None, t2_ms: str | None, b1: str | None, adc: float) -> Tissue:
    """Tissue of a dictionary: the paper's grid, or all pairs of the values given."""
    if (t1_ms is None) != (t2_ms is None):
        raise UsageError("expected --t1-ms and --t2-ms together")
    if t1_ms is None or t2_ms is None:
        if b1 is not None or adc:
            raise UsageError("--b1-grid and --adc go with --t1-ms and --t2-ms")
        return paper_tissue()
    values = None if b1 is None else parse_values(b1)
    return grid_tissue(parse_values(t1_ms) / 1e3, parse_values(t2_ms) / 1e3, values, adc=adc)


def dictionary(engine: Engine, tissue: Tissue, path: Path) -> None:
    """Write a dictionary, streamed: every fingerprint has the SNR of the engine."""
    if path.suffix != ".npz":
        raise UsageError(f"{path}: a dictionary is a .npz file, expected that suffix")
    sequence = engine.sequence
    facts = {"sequence": sequence_to_dict(sequence), "sequence_id": sequence.sequence_id}
    with (
        progress_bar("simulating", len(tissue)) as progress,
        writing_dictionary(path, tissue, len(sequence), **facts) as append,
    ):
        random = np.random.default_rng((engine.seed, 1))
        for block in engine.blocks(tissue, None, progress):
            noisy = add_noise(block, noise_sd(block, engine.snr, common=False), random)
            append(block if np.isinf(engine.snr) else noisy)
    wrote(path)


def scene(
    phantom: str | None, brainweb: Path | None, maps: tuple[Path | None, ...], size: Size, fields: Any, seed: int
) -> TissueImage:
    """What lies in the scanner. fields: (b1_spread, m0_phase [deg], adc [m2/s])."""
    b1_spread, m0_phase, adc = fields
    if phantom is not None and phantom.endswith(".npz"):
        image = load_tissue_npz(phantom)
    elif phantom is not None or brainweb is not None:
        image = _from_phantom(phantom, brainweb, size, b1_spread, np.deg2rad(m0_phase), seed)
    else:
        image = _from_maps(*maps)
    columns = {key: getattr(image.tissue, key) for key in Tissue.columns()}
    return replace(image, tissue=Tissue(**{**columns, "adc": adc})) if adc else image


def image(engine: Engine, view: TissueImage, path: Path, form: str) -> None:
    """Write a 4-D image, its sidecar, and the truth: T1, T2, M0, B1 and labels beside it."""
    from mrftool.formats.nifti_write import write_maps, write_series
    from mrftool.series import Placement

    if not path.name.endswith((".nii", ".nii.gz")):
        raise UsageError(f"{path}: an image of a phantom is a NIfTI file, expected .nii or .nii.gz")
    if form not in ("complex", "magnitude"):
        raise UsageError(f"form {form!r}, expected complex or magnitude")
    for sentence in view.assumptions:
        note(sentence)
    sequence, placement = engine.sequence, Placement(view.grid.affine)
    sd = _common_noise(engine, view.tissue)
    truth = _truth(view, path)
    sidecar = {
        "sequence": sequence_to_dict(sequence),
        "sequence_id": sequence.sequence_id,
        "form": form,
        "snr": None if np.isinf(engine.snr) else engine.snr,
        "noise_sd": 0.0 if sd is None else float(sd[0]),
        "seed": engine.seed,
        "truth": {name: file.name for name, (file, _) in truth.items()},
        "classes": list(view.classes),
    }
    chosen: Literal["complex", "magnitude"] = "magnitude" if form == "magnitude" else "complex"
    with progress_bar("simulating", len(view.tissue)) as progress:
        blocks = _placed(engine.blocks(view.tissue, sd, progress), view)
        written = write_series(path, view.grid.shape, placement, len(sequence), blocks, form=chosen, sidecar=sidecar)
    write_maps(((file, values, name, None) for name, (file, values) in truth.items()), placement)
    for file in (*written, *(file for file, _ in truth.values())):
        wrote(file)


def _from_phantom(
    phantom: str | None, brainweb: Path | None, size: Size, b1_spread: float, m0_phase: float, seed: int
) -> TissueImage:
    from mrftool.phantoms.brain import brain_phantom
    from mrftool.phantoms.brainweb import find_brainweb, read_brainweb
    from mrftool.phantoms.phantom import to_tissue
    from mrftool.phantoms.vials import vials_phantom

    if brainweb is not None:
        made = read_brainweb(find_brainweb(brainweb))
    elif phantom == "brain":
        made = brain_phantom(size, seed=seed)
    elif phantom == "vials":
        made = vials_phantom(size)
    else:
        raise InputError(f"phantom {phantom!r}, expected brain, vials or a .npz file")
    tissue, grid, labels = to_tissue(made, b1_spread=b1_spread, m0_phase=m0_phase, seed=seed)
    return TissueImage(tissue, grid, labels, made.classes)


def _from_maps(t1: Path, t2: Path, m0: Path | None, b1: Path | None, mask: Path | None) -> TissueImage:
    from mrftool.formats.nifti_maps import open_maps

    maps = open_maps(t1, t2, m0=m0, b1=b1, mask=mask)
    return TissueImage(maps.tissue, maps.grid, assumptions=maps.assumptions)


def _common_noise(engine: Engine, tissue: Tissue) -> NDArray[np.float64] | None:
    """One noise level for the whole image, as a scanner has it; None without noise."""
    if np.isinf(engine.snr):
        return None
    chosen = np.random.default_rng((engine.seed, 2)).permutation(len(tissue))[:_SAMPLE]
    sample = simulate(engine.sequence, tissue[np.sort(chosen)], tolerance=1e-3)
    return np.full(len(tissue), noise_sd(sample.signal, engine.snr, common=True)[0])


def _placed(
    blocks: Iterator[NDArray[np.complex64]], view: TissueImage
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.complex64]]]:
    voxels, start = np.flatnonzero(view.grid.mask), 0
    for block in blocks:
        yield voxels[start : start + len(block)], block
        start += len(block)


def _truth(view: TissueImage, path: Path) -> dict[str, tuple[Path, NDArray[Any]]]:
    """Truth maps by name: where they go, and the image."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    names = {"t1": "T1map", "t2": "T2map", "m0": "M0map", "b1": "B1map"}
    images = {
        name: (path.with_name(f"{stem}_truth_{suffix}.nii.gz"), view.grid.to_image(abs(getattr(view.tissue, name))))
        for name, suffix in names.items()
    }
    if view.labels is not None:
        labels = view.grid.to_image((view.labels + 1).astype(np.uint8))
        images["labels"] = (path.with_name(f"{stem}_truth_dseg.nii.gz"), labels)
    return images
