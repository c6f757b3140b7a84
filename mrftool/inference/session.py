"""Running a model. Never torch."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.environment.notebook import ShownInNotebooks
from mrftool.environment.threads import chosen_threads
from mrftool.errors import InputError, MismatchError
from mrftool.inference.model.graph_limits import require_bounded
from mrftool.inference.model.manifest import Manifest, read_manifest
from mrftool.inference.model.onnx_file import read_model
from mrftool.inference.model.split import SplitModel, split_model
from mrftool.inference.model.summary import range_text
from mrftool.inference.native.checked import CheckedGraph, checked_graph
from mrftool.inference.runtime import InferenceSession, SessionOptions
from mrftool.manifold.parameters import FITTED, parameter_named

COMPRESSED_BATCH = 2048  # voxels whose coefficients stay in the processor's cache
NATIVE_BATCH = 1024  # voxels of magnitudes that native code computes at a time, in one thread
BATCH = {"complex": 512, "magnitude": 64}  # voxels whose numbers stay in the processor's cache
_NOISE = "noise_sd"
_FITTED = tuple(parameter.name for parameter in FITTED)
_OUTPUTS = (*_FITTED, "m0", "residual", *(f"sd_{name}" for name in _FITTED), "flags")


@dataclass(frozen=True)
class Model(ShownInNotebooks):
    """A model file, checked and ready to run.

    content: the bytes that were checked; they are what runs.
    """

    path: Path
    manifest: Manifest
    content: bytes

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the parameters whose maps it takes."""
        return self.manifest.given

    @property
    def form(self) -> str:
        """What signals it takes: "complex" or "magnitude"."""
        return self.manifest.form

    @property
    def n_time(self) -> int:
        """Samples of a signal."""
        return self.manifest.n_time

    @property
    def sequence_id(self) -> str:
        """Of the sequence that it was made for."""
        return self.manifest.sequence_id

    def __repr__(self) -> str:
        ranges = [f"{name} {range_text(name, own)}" for name, own in self.manifest.ranges.items()]
        text = f"Model({self.path.name!r}, {self.n_time} {self.form} samples"
        return ", ".join([text, *ranges]) + ")"


def load_model(path: str | Path) -> Model:
    """The model in the file `path`.

    Raises InputError if it is missing, damaged, no ONNX, not made by mrftool, or reaches outside
    itself.
    """
    path = Path(path)
    content, proto = read_model(path)
    manifest = read_manifest(proto, str(path))
    require_bounded(proto, str(path))
    model = Model(path, manifest, content)
    _check_ends(model, _session(content, str(path)))
    return model


def run(
    model: Model,
    signal: Array,
    *,
    noise_sd: float | None = None,
    batch: int | None = None,
    threads: int | None = None,
    native: CheckedGraph | None = None,
    **given: Array | None,
) -> dict[str, Array]:
    """Maps of the voxels of `signal` `(voxel, time)`: complex64, or float32 for a magnitude model.

    given: the parameters that the model takes, by name, as b1 `(voxel,)` [1]. noise_sd: of the
    noise per channel, in the unit of the signal; by default estimated for each voxel. batch: voxels
    at a time, by default as is fastest. threads: batches at a time, by default one per processor.
    native: see `native_whole`; without, ONNX Runtime runs the graph. None of these changes a result
    by more than rounding in single precision.
    Returns `(voxel,)` columns t1, t2, sd_t1, sd_t2 [s], residual [1], flags (sums of
    mrftool.quantities.Flag, int32), and m0 (complex64; float32 for a magnitude model) in the unit
    of the signal.

    Raises MismatchError if the signal or the given parameters do not fit the model.
    """
    rows = _rows(model, signal)
    size = batch or BATCH[model.form]
    feeds = {"signal": rows} | _given_feeds(model, given, len(rows)) | _noise_feed(noise_sd)
    reference = _by_onnx(model, model.content, size)
    if native is not None:
        size = NATIVE_BATCH

    def work(start: int) -> list[Array]:
        part = _part(feeds, start, size)
        if native is None:
            return reference(part)
        return native.run(part, _n_voxels(part), reference)

    with ThreadPoolExecutor(chosen_threads(threads)) as pool:
        parts = list(pool.map(work, range(0, max(len(rows), 1), size)))
    return _maps(model, _joined(parts))


@lru_cache(maxsize=4)
def split_of(content: bytes) -> SplitModel | None:
    """The model of these bytes in two parts, where its graph reads signals for compression
    alone.
    """
    return split_model(content)


def run_compressed(
    model: Model,
    split: SplitModel,
    coefficients: Float32Array,
    energy: Float32Array,
    *,
    native: CheckedGraph | None = None,
    noise_sd: float | None = None,
    **given: Array | None,
) -> dict[str, Array]:
    """What `run` gives of signals, from their coefficients `(voxel, column)` and energies
    `(voxel, 1)`, in the thread that asks for it.

    Parameters
    ----------
    model, split
        The model, and its two parts.
    coefficients, energy
        What the compressor of `split` makes of the signals [scanner's unit, and squared].
    native
        See `native_rest`; without, ONNX Runtime runs the graph.
    noise_sd
        Of the noise per channel; by default estimated for each voxel [scanner's unit].
    given
        See `run`.

    Raises
    ------
    MismatchError
        If the given parameters do not fit the model.
    """
    feeds = {split.coefficients: coefficients, split.energy: energy}
    feeds |= _given_feeds(model, given, len(energy)) | _noise_feed(noise_sd)
    reference = _by_onnx(model, split.rest, COMPRESSED_BATCH)
    if native is None:
        return _maps(model, reference(feeds))
    return _maps(model, native.run(feeds, len(energy), reference))


def native_rest(split: SplitModel, *, is_trusted: bool | None = None) -> CheckedGraph | None:
    """What follows compression, in native code for the voxels of one scan; see `checked_graph`.

    None also where the model gives something else than maps: ONNX Runtime tells what.
    """
    return _native(split.rest, "complex", is_trusted)


def native_whole(model: Model, *, is_trusted: bool | None = None) -> CheckedGraph | None:
    """The graph of a model of magnitudes in native code, for the voxels of one scan; None as in
    `native_rest`, and for another model.
    """
    if model.form != "magnitude":
        return None
    return _native(model.content, model.form, is_trusted)


def _native(content: bytes, form: str, is_trusted: bool | None) -> CheckedGraph | None:
    native = checked_graph(content, _OUTPUTS, is_trusted=is_trusted)
    if native is None:
        return None
    for port in native.graph.outputs:
        if (port.shape_of(1), port.dtype) != _column(port.name, form, 1):
            return None
    return native


def _by_onnx(
    model: Model, content: bytes, batch: int
) -> Callable[[Mapping[str, Array]], list[Array]]:
    """What computes all outputs by ONNX Runtime, of `batch` voxels at a time."""
    session = _session(content, str(model.path))

    def outputs(feeds: Mapping[str, Array]) -> list[Array]:
        parts = []
        for start in range(0, max(_n_voxels(feeds), 1), batch):
            part = _part(feeds, start, batch)
            parts.append(_computed(session, part, str(model.path)))
            _check_columns(model, parts[-1], _n_voxels(part))
        return _joined(parts)

    return outputs


def _part(feeds: Mapping[str, Array], start: int, count: int) -> dict[str, Array]:
    """The inputs of some voxels."""
    part = {name: values[start : start + count] for name, values in feeds.items()}
    part[_NOISE] = feeds[_NOISE]
    return part


def _n_voxels(feeds: Mapping[str, Array]) -> int:
    return next(len(values) for name, values in feeds.items() if name != _NOISE)


def _check_columns(model: Model, outputs: list[Array], n_voxels: int) -> None:
    """Raises InputError unless each output has a number for each voxel (m0 two of them), of the
    kind that maps have.
    """
    for name, values in zip(_OUTPUTS, outputs, strict=True):
        shape, kind = _column(name, model.form, n_voxels)
        if values.shape != shape or values.dtype != kind:
            raise InputError(
                f"{model.path}: gives {name} as {values.dtype} {values.shape} for {n_voxels} "
                f"voxels, expected {np.dtype(kind)} {shape}"
            )


def _column(name: str, form: str, n_voxels: int) -> tuple[tuple[int, ...], type]:
    """Shape and kind of an output."""
    kind: type = np.float32
    if name == "flags":
        kind = np.int32
    if name == "m0" and form == "complex":
        return (n_voxels, 2), kind
    return (n_voxels,), kind


def _joined(parts: list[list[Array]]) -> list[Array]:
    """Each output of all batches."""
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _maps(model: Model, outputs: list[Array]) -> dict[str, Array]:
    """The outputs by name."""
    maps = dict(zip(_OUTPUTS, outputs, strict=True))
    if model.form == "complex":
        maps["m0"] = np.ascontiguousarray(maps["m0"]).view(np.complex64)[:, 0]
    return maps


def _noise_feed(noise_sd: float | None) -> dict[str, Array]:
    """The noise level as the graph takes it; 0 to estimate it."""
    return {_NOISE: np.array([noise_sd or 0.0], np.float32)}


def _check_ends(model: Model, session: InferenceSession) -> None:
    """Raises InputError unless the graph takes and gives what the manifest says."""
    expected: dict[str, tuple[int, ...]] = {"signal": (model.n_time,), "noise_sd": ()}
    if model.form == "complex":
        expected["signal"] = (model.n_time, 2)
    expected |= dict.fromkeys(model.given, ())
    found = {x.name: tuple(x.shape[1:]) for x in session.get_inputs()}
    if found != expected:
        raise InputError(f"{model.path}: takes {found}, expected {expected} as its manifest says")
    if [x.name for x in session.get_outputs()] != list(_OUTPUTS):
        raise InputError(f"{model.path}: gives other maps than {', '.join(_OUTPUTS)}")


def _rows(model: Model, signal: Array) -> Float32Array:
    """The signal as the graph takes it, without a copy where it is complex64 or float32 and
    contiguous.
    """
    if signal.ndim != 2 or signal.shape[1] != model.n_time:
        raise MismatchError(
            f"the signal has shape {signal.shape}, expected (voxel, {model.n_time}) as the model"
        )
    if np.iscomplexobj(signal) != (model.form == "complex"):
        given = "complex" if np.iscomplexobj(signal) else "magnitude"
        raise MismatchError(f"the signal is {given}, expected {model.form} as the model")
    if model.form == "magnitude":
        return np.ascontiguousarray(signal, np.float32)
    rows = np.ascontiguousarray(signal, np.complex64)
    return rows.view(np.float32).reshape(*rows.shape, 2)


def _given_feeds(
    model: Model, given: Mapping[str, Array | None], count: int
) -> dict[str, Float32Array]:
    """Columns of the given parameters, as the graph takes them."""
    check_given(model.given, [name for name, values in given.items() if values is not None])
    feeds = {}
    for name in model.given:
        values = np.asarray(given[name])
        if values.shape != (count,):
            label = parameter_named(name).label
            raise MismatchError(f"the {label} map has shape {values.shape}, expected ({count},)")
        feeds[name] = np.ascontiguousarray(values, np.float32)
    return feeds


def check_given(taken: Collection[str], given: Collection[str]) -> None:
    """Raises MismatchError unless exactly those parameters are given that the model takes."""
    for name in taken:
        if name not in given:
            label = parameter_named(name).label
            raise MismatchError(f"the model takes a {label} map, expected one")
    for name in given:
        if name not in taken:
            label = parameter_named(name).label
            raise MismatchError(
                f"the model takes no {label} map, expected none",
                hint=f"export (or train) a model with a {label} range, or give the sequence in "
                "place of a model without a network",
                arguments=("seq",),
            )


def _computed(session: InferenceSession, feeds: dict[str, Array], origin: str) -> list[Array]:
    """All outputs for one batch. Raises InputError where the graph fails on it."""
    try:
        return list(session.run(list(_OUTPUTS), feeds))
    except Exception as error:  # onnxruntime raises classes of its own, without a common base
        raise InputError(
            f"{origin}: onnxruntime cannot run it ({str(error).partition(chr(10))[0][:200]})"
        ) from error


@lru_cache(maxsize=4)
def _session(content: bytes, origin: str) -> InferenceSession:
    options = SessionOptions()
    options.intra_op_num_threads = (
        1  # whole batches go to different threads: they need not wait for each other
    )
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, without a common base
        raise InputError(
            f"{origin}: onnxruntime cannot run it ({str(error).splitlines()[0]})"
        ) from error
