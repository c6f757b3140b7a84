"""The work behind `mrftool simulate`: what to simulate, and where it goes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.cli.console import file_stem, note, progress_bar, wrote
from mrftool.cli.options import keep_inputs
from mrftool.errors import ArgumentError
from mrftool.formats.bids import sidecar_path
from mrftool.formats.nifti.maps import open_maps
from mrftool.formats.nifti.write import write_series
from mrftool.formats.npz.dictionary import writing_dictionary
from mrftool.formats.npz.tissue import TissueImage, load_tissue_npz
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.grid import Placement
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.brainweb import SHAPE as BRAINWEB_SHAPE
from mrftool.phantoms.brainweb import find_brainweb, read_brainweb
from mrftool.phantoms.phantom import Phantom, to_tissue
from mrftool.phantoms.vials import vials_phantom
from mrftool.physics.noise import add_noise, noise_sd
from mrftool.physics.simulate import simulate, simulate_blocks
from mrftool.physics.tissue_grids import grid_tissue, paper_tissue, parse_values
from mrftool.quantities import quantity
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.simulate_sources import Fields, Sources

_MOST_VOXELS = 1 << 25
_SAMPLE = 20_000  # voxels whose mean power stands for that of all, where there are more

Form = Literal["complex", "magnitude"]


@dataclass(frozen=True)
class Engine:
    """How to simulate: the sequence, the accuracy (or a number of orders instead), the noise."""

    sequence: PulseSequence
    tolerance: float
    n_states: int | None
    snr: float
    seed: int

    def blocks(
        self, tissue: Tissue, sd: FloatArray | None, progress: Any
    ) -> Iterator[ComplexArray]:
        """Fingerprints block by block, with noise of sd `(voxel,)` per channel."""
        random, start = np.random.default_rng((self.seed, 1)), 0
        settings = {"tolerance": self.tolerance, "n_states": self.n_states, "progress": progress}
        for block in simulate_blocks(self.sequence, tissue, **settings):
            yield block if sd is None else add_noise(block, sd[start : start + len(block)], random)
            start += len(block)

    def facts(self) -> dict[str, Any]:
        """For a sidecar."""
        return {
            "sequence": sequence_to_dict(self.sequence),
            "sequence_id": self.sequence.sequence_id,
            "snr": None if np.isinf(self.snr) else self.snr,
            "seed": self.seed,
        }


def dictionary_tissue(t1_ms: str | None, t2_ms: str | None, b1: str | None, adc: float) -> Tissue:
    """Tissue of a dictionary: the paper's grid, or all pairs of the values given."""
    if t1_ms is None or t2_ms is None:
        if not t1_ms == t2_ms == b1:
            raise ArgumentError(
                "expected --t1-ms and --t2-ms together, and --b1-grid only with them"
            )
        return _diffusing(paper_tissue(), adc)
    values = None if b1 is None else parse_values(b1)
    return grid_tissue(parse_values(t1_ms) / 1e3, parse_values(t2_ms) / 1e3, values, adc=adc)


def _diffusing(tissue: Tissue, adc: float) -> Tissue:
    """`tissue` with this diffusion coefficient [m2/s] everywhere."""
    return replace(tissue, adc=np.full(len(tissue), adc))


def dictionary(engine: Engine, tissue: Tissue, output: Path | None) -> None:
    """Write a dictionary, streamed: every fingerprint has the SNR of the engine."""
    sequence = engine.sequence
    path = output or Path(f"{file_stem(sequence.name)}.npz")
    if path.suffix != ".npz":
        raise ArgumentError(f"{path}: a dictionary is a .npz file, expected that suffix")
    facts, name = sequence_to_dict(sequence), sequence.sequence_id
    with (
        progress_bar("simulating", len(tissue)) as progress,
        writing_dictionary(path, tissue, len(sequence), facts, sequence_id=name) as append,
    ):
        random = np.random.default_rng((engine.seed, 1))
        for block in engine.blocks(tissue, None, progress):
            noisy = add_noise(block, noise_sd(block, engine.snr, common=False), random)
            append(block if np.isinf(engine.snr) else noisy)
    wrote(path)


def scene(sources: Sources, fields: Fields) -> TissueImage:
    """What lies in the scanner."""
    if sources.kind == "a phantom file":
        image = load_tissue_npz(str(sources.phantom))
    elif sources.t1 is not None and sources.t2 is not None:
        maps = open_maps(sources.t1, sources.t2, m0=sources.m0, b1=sources.b1, mask=sources.mask)
        image = TissueImage(maps.tissue, maps.grid, assumptions=maps.assumptions)
    else:
        made = _phantom(sources, fields)
        phase = float(np.deg2rad(fields.m0_phase))
        tissue, grid, labels = to_tissue(
            made, b1_spread=fields.b1_spread, m0_phase=phase, seed=fields.seed
        )
        image = TissueImage(tissue, grid, labels, made.classes)
    return (
        image if fields.adc is None else replace(image, tissue=_diffusing(image.tissue, fields.adc))
    )


def image(
    engine: Engine, view: TissueImage, sources: Sources, output: Path | None, form: Form
) -> None:
    """Write a 4-D image, its sidecar, and the truth: T1, T2, M0, B1 and labels beside it."""
    sequence = engine.sequence
    path = output or Path(f"{file_stem(sequence.name)}.nii.gz")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ArgumentError(
            f"{path}: an image of a phantom is a NIfTI file, expected .nii or .nii.gz"
        )
    truth = _truth(view, path)
    outputs = [path, sidecar_path(path), *(file for file, _ in truth.values())]
    keep_inputs(sources.files(), outputs)
    for sentence in view.assumptions:
        note(sentence)
    sd = _common_noise(engine, view.tissue)
    sidecar = {
        **engine.facts(),
        "form": form,
        "noise_sd": 0.0 if sd is None else float(sd[0]),
        "truth": {name: file.name for name, (file, _) in truth.items()},
        "classes": list(view.classes),
    }
    maps = [(file, values, name, None) for name, (file, values) in truth.items()]
    shape, placement = view.grid.shape, Placement(view.grid.affine)
    with progress_bar("simulating", len(view.tissue)) as progress:
        blocks = _placed(engine.blocks(view.tissue, sd, progress), view)
        write_series(
            path, shape, placement, len(sequence), blocks, form=form, sidecar=sidecar, maps=maps
        )
    for file in outputs:
        wrote(file)


def _phantom(sources: Sources, fields: Fields) -> Phantom:
    if sources.brainweb is not None:
        count = fields.size[2]
        if count > BRAINWEB_SHAPE[2]:
            raise ArgumentError(
                f"--slices {count}, expected at most the {BRAINWEB_SHAPE[2]} of BrainWeb"
            )
        first = (BRAINWEB_SHAPE[2] - count) // 2
        return read_brainweb(find_brainweb(sources.brainweb), slices=slice(first, first + count))
    if np.prod(fields.size, dtype=float) > _MOST_VOXELS:
        raise ArgumentError(
            f"a phantom of {' x '.join(map(str, fields.size))} voxels, expected at most {_MOST_VOXELS}"
        )
    return (
        vials_phantom(fields.size)
        if sources.phantom == "vials"
        else brain_phantom(fields.size, seed=fields.seed)
    )


def _common_noise(engine: Engine, tissue: Tissue) -> FloatArray | None:
    """One noise level for the whole image, as a scanner has it; None without noise."""
    if np.isinf(engine.snr):
        return None
    chosen = np.random.default_rng((engine.seed, 2)).permutation(len(tissue))[:_SAMPLE]
    sample = simulate(engine.sequence, tissue[np.sort(chosen)], tolerance=1e-3)
    return np.full(len(tissue), noise_sd(sample.signal, engine.snr, common=True)[0])


def _placed(
    blocks: Iterator[ComplexArray], view: TissueImage
) -> Iterator[tuple[NDArray[np.intp], ComplexArray]]:
    voxels, start = np.flatnonzero(view.grid.mask), 0
    for block in blocks:
        yield voxels[start : start + len(block)], block
        start += len(block)


def _truth(view: TissueImage, path: Path) -> dict[str, tuple[Path, Array]]:
    """Truth maps by name: where they go, and the image."""
    stem, tissue = path.name.removesuffix(".gz").removesuffix(".nii"), view.tissue
    columns = {"t1": tissue.t1, "t2": tissue.t2, "m0": abs(tissue.m0), "b1": tissue.b1}
    for name in ("adc", "off_resonance"):
        if getattr(tissue, name).any():
            columns[name] = getattr(tissue, name)
    images: dict[str, tuple[Path, Array]] = {}
    for name, column in columns.items():
        place = path.with_name(f"{stem}_truth_{quantity(name).suffix}.nii.gz")
        images[name] = (place, view.grid.to_image(column))
    if view.labels is not None:
        labels = view.grid.to_image((view.labels + 1).astype(np.uint8))
        images["labels"] = (path.with_name(f"{stem}_truth_dseg.nii.gz"), labels)
    return images
