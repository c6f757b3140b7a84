"""Simulate raw k-space data of a phantom, with maps of it beside.

The phantom is sampled on a finer grid than the image, so that partial volume and truncation are
those of a scan.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.formats.atomic import all_or_none
from mrftool.formats.bids import sidecar_path, to_json
from mrftool.formats.coefficients.write import image_file
from mrftool.formats.mrd.header import RawHeader
from mrftool.formats.mrd.write import RawSlice, write_raw_part
from mrftool.formats.nifti.files import deflating
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.grid import Placement
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import Phantom
from mrftool.phantoms.vials import vials_phantom
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.reconstruction.encoding.stack import partitions
from mrftool.reconstruction.simulated.raw_data import sample_scene
from mrftool.reconstruction.simulated.scenes import Reference, phantom_scene
from mrftool.reconstruction.simulated.trajectories import SAMPLES, Kind, make_trajectory
from mrftool.scan.kspace import KSpace
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.outputs.own_files import require_own_simulation
from mrftool.workflows.steps.outputs.places import require_own_sidecar

_NOISE_SAMPLES = 4096  # of the noise scan
_TRUTH = {"t1": "T1map", "t2": "T2map", "m0": "M0map", "b1": "B1map"}


@dataclass(frozen=True)
class KSpaceSettings:
    """What to simulate.

    phantom: "brain" or "vials". matrix: pixels along x and y. slices: of the phantom; encoded as
    partitions of one slab if `is_stack`. factor: points of the object along each edge of a pixel.
    coverage: radius of k-space that is covered [Nyquist radius]. snr: of frames of perfect encoding
    with as many samples; inf for none. b0_peak: of a smooth off-resonance field [Hz]. m0_phase:
    largest phase of M0 [rad]. seed: of the phantom and of the noise.
    """

    phantom: Literal["brain", "vials"] = "brain"
    matrix: int = 128
    slices: int = 1
    is_stack: bool = False
    coils: int = 8
    trajectory: Kind = "spiral48"
    samples: int = SAMPLES
    coverage: float = 1.0
    factor: int = 2
    snr: float = np.inf
    b0_peak: float = 0.0
    b1_spread: float = 0.0
    m0_phase: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.matrix, self.slices, self.coils, self.factor)
        if min(counts) < 1 or self.factor > 8 or self.coils > 128 or not self.snr > 0:
            raise ArgumentError(
                f"{self.matrix} pixels, {self.slices} slices, {self.coils} coils, {self.factor} "
                f"points along each edge and an SNR of {self.snr:g}, expected 1 or more, at most "
                "128 coils and 8 points, and an SNR above 0"
            )


@dataclass(frozen=True, eq=False)
class _Simulated:
    """Slices without noise, their reference, and the off-resonance of the image's grid."""

    slices: list[KSpace]
    references: list[Reference]
    fields: list[FloatArray]
    placement: Placement
    edges: FloatArray


def simulate_kspace(
    sequence: PulseSequence,
    settings: KSpaceSettings,
    path: Path,
    reporter: Reporter,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write raw data `path` (.mrd, .h5), and maps of what was simulated beside it; all or nothing.

    The maps are T1, T2, M0 and B1 on the image's grid, the class of most protons, its share of
    them, and the off-resonance where there is one. overwrite: files that mrftool did not simulate
    are replaced.
    """
    require_own_sidecar(path)
    require_own_simulation([path, sidecar_path(path)], overwrite=overwrite)
    made = _simulated(sequence, settings, reporter)
    noise_sd = _noise_sd(sequence, made, settings)
    random = np.random.default_rng((settings.seed, 1))
    header = _header(sequence, settings, made)
    facts: dict[str, Any] = {
        "sequence_id": sequence.sequence_id,
        "noise_sd": noise_sd,
        "snr": None if np.isinf(settings.snr) else settings.snr,
        **{
            key: getattr(settings, key)
            for key in ("phantom", "matrix", "coils", "trajectory", "coverage", "factor", "seed")
        },
    }
    maps = _reference_files(path, made, settings)
    facts["truth"] = {key: _reference_file(path, name).name for key, name in _TRUTH.items()}
    paths = [path, sidecar_path(path), *maps]
    with all_or_none(paths) as parts:
        noise = None
        if noise_sd:
            noise = np.float32(noise_sd) * complex_noise((settings.coils, _NOISE_SAMPLES), random)
        pieces = _pieces(made, settings, noise_sd, random)
        write_raw_part(parts[0], header, pieces, noise=noise)
        parts[1].write_text(to_json(facts), "utf-8")
        for part, content in zip(parts[2:], maps.values(), strict=True):
            with deflating(part) as file:
                file.write(content)
    return paths


def _simulated(sequence: PulseSequence, settings: KSpaceSettings, reporter: Reporter) -> _Simulated:
    fine = settings.matrix * settings.factor
    phantom = _phantom(settings, (fine, fine, settings.slices))
    trajectory, arm = make_trajectory(
        settings.trajectory,
        settings.matrix,
        len(sequence),
        samples=settings.samples,
        coverage=settings.coverage,
    )
    slices, references, fields = [], [], []
    total = settings.slices * settings.coils
    with reporter.progress("simulating raw data", total) as progress:
        for index in range(settings.slices):
            field = _field((fine, fine), settings.b0_peak)
            scene, reference = phantom_scene(
                sequence,
                _one_slice(phantom, index),
                settings.factor,
                n_coils=settings.coils,
                b1_spread=settings.b1_spread,
                m0_phase=settings.m0_phase,
                field=field if settings.b0_peak else None,
                seed=settings.seed,
            )
            slices.append(sample_scene(scene, trajectory, arm, progress=progress))
            references.append(reference)
            fields.append(_coarse(field, settings.factor))
    placement, edges = _placement(phantom, settings.factor)
    return _Simulated(slices, references, fields, placement, edges)


def _phantom(settings: KSpaceSettings, shape: tuple[int, int, int]) -> Phantom:
    if settings.phantom == "vials":
        return vials_phantom(shape)
    return brain_phantom(shape, seed=settings.seed)


def _one_slice(phantom: Phantom, index: int) -> Phantom:
    fractions = phantom.fractions[:, :, index : index + 1]
    return Phantom(fractions, phantom.classes, phantom.tissue, phantom.affine)


def _field(shape: tuple[int, int], peak: float) -> FloatArray:
    """A bump of `peak` Hz towards the front, as above the sinuses, on a slow saddle `(x, y)`."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    bump = np.exp(-(x**2 + (y - 0.75) ** 2) / 0.15)
    return np.asarray(peak * (bump + 0.375 * x * y - 0.125))


def _coarse(field: FloatArray, factor: int) -> FloatArray:
    x, y = field.shape
    return np.asarray(field.reshape(x // factor, factor, y // factor, factor).mean(axis=(1, 3)))


def _placement(phantom: Phantom, factor: int) -> tuple[Placement, FloatArray]:
    """Placement of the image, and the edges of its voxels [mm]."""
    affine = phantom.affine @ np.diag([factor, factor, 1.0, 1.0])
    centre = (factor - 1) / 2
    affine[:3, 3] = (phantom.affine @ [centre, centre, 0.0, 1.0])[:3]
    return Placement(affine), np.linalg.norm(affine[:3, :3], axis=0)


def _noise_sd(sequence: PulseSequence, made: _Simulated, settings: KSpaceSettings) -> float:
    """Of each channel of the raw data.

    A frame of perfect encoding would have the SNR asked for: root mean square of the fingerprints
    over the noise of an image of as many samples as a readout has in the image's square.
    """
    if np.isinf(settings.snr):
        return 0.0
    tissues = [reference.tissue for reference in made.references]
    powers = [np.mean(abs(simulate(sequence, t, tolerance=1e-3).signal) ** 2) for t in tissues]
    n_samples = made.slices[0].trajectory.inside.sum(axis=1).mean()
    return float(np.sqrt(np.mean(powers)) / settings.snr * np.sqrt(n_samples))


def _header(sequence: PulseSequence, settings: KSpaceSettings, made: _Simulated) -> RawHeader:
    n_slices, n_partitions = settings.slices, 1
    if settings.is_stack:
        n_slices, n_partitions = 1, settings.slices
    matrix = (settings.matrix, settings.matrix, n_partitions)
    edges = made.edges * matrix
    return RawHeader(
        matrix,
        (float(edges[0]), float(edges[1]), float(edges[2])),
        n_slices,
        sequence_to_dict(sequence),
        sequence.sequence_id,
        sequence.flip_angle,
        "1/FOV",
    )


def _pieces(
    made: _Simulated, settings: KSpaceSettings, noise_sd: float, random: np.random.Generator
) -> Iterator[RawSlice]:
    """Slices, or the partitions of a slab, with noise."""
    samples = [kspace.samples for kspace in made.slices]
    if settings.is_stack:
        samples = list(partitions(np.stack(samples)))
    for index, (kspace, values) in enumerate(zip(made.slices, samples, strict=True)):
        noise = np.float32(noise_sd) * complex_noise(values.shape, random)
        noisy = KSpace(
            values + noise, kspace.trajectory, kspace.arm, kspace.repetition, kspace.matrix
        )
        if settings.is_stack:
            yield RawSlice(noisy, made.placement, partition=index)
        else:
            yield RawSlice(noisy, made.placement, index=index)


def _reference_files(path: Path, made: _Simulated, settings: KSpaceSettings) -> dict[Path, bytes]:
    """Maps of the object on the image's grid, by path, not compressed yet."""
    columns: dict[str, list[Any]] = {
        "T1map": [reference.tissue.t1 for reference in made.references],
        "T2map": [reference.tissue.t2 for reference in made.references],
        "M0map": [abs(reference.tissue.m0) for reference in made.references],
        "B1map": [reference.tissue.b1 for reference in made.references],
        "share": [reference.class_share.max(axis=1) for reference in made.references],
        "dseg": [reference.class_share.argmax(axis=1) + 1 for reference in made.references],
    }
    images = {
        name: np.stack(
            [
                _filled(reference.mask, column)
                for reference, column in zip(made.references, parts, strict=True)
            ],
            axis=2,
        )
        for name, parts in columns.items()
    }
    images["dseg"] = images["dseg"].astype(np.uint8)
    if settings.b0_peak:
        images["B0map"] = np.stack(made.fields, axis=2)
    return {
        _reference_file(path, name): image_file(image, made.placement, name)
        for name, image in images.items()
    }


def _reference_file(path: Path, name: str) -> Path:
    """Where a map of the object lies."""
    return path.with_name(f"{path.stem}_truth_{name}.nii.gz")


def _filled(mask: Array, column: Array) -> Array:
    image = np.zeros(mask.shape)
    image[mask] = column
    return image
