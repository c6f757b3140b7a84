"""Running a model. Never torch."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.errors import InputError, MismatchError
from mrftool.inference.manifest import Manifest, read_manifest
from mrftool.inference.onnx_file import read_model
from mrftool.inference.runtime import InferenceSession, SessionOptions
from mrftool.threads import chosen_threads

BATCH = {"complex": 512, "magnitude": 64}  # voxels whose numbers stay in the processor's cache
_OUTPUTS = ("t1", "t2", "m0", "residual", "sd_t1", "sd_t2", "flags")


@dataclass(frozen=True)
class Model:
    """A model file, checked and ready to run.

    content: the bytes that were checked; they are what runs.
    """

    path: Path
    manifest: Manifest
    content: bytes

    @property
    def takes_b1(self) -> bool:
        """Whether it needs a B1 map."""
        return self.manifest.takes_b1

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
        return f"Model({str(self.path)!r}, {self.manifest.name!r})"


def load_model(path: str | Path) -> Model:
    """The model in the file `path`.

    Raises InputError if it is missing, damaged, no ONNX, not made by mrftool, or reaches outside
    itself.
    """
    path = Path(path)
    content, proto = read_model(path)
    manifest = read_manifest(proto, str(path))
    model = Model(path, manifest, content)
    _check_ends(model, _session(content, str(path)))
    return model


def run(
    model: Model,
    signal: Array,
    *,
    b1: Array | None = None,
    noise_sd: float | None = None,
    batch: int | None = None,
    threads: int | None = None,
) -> dict[str, Array]:
    """Maps of the voxels of `signal` `(voxel, time)`: complex64, or float32 for a magnitude model.

    b1 `(voxel,)` [1] for models that take it. noise_sd: of the noise per channel, in the unit of
    the signal; by default estimated for each voxel. batch: voxels at a time, by default as is
    fastest. threads: batches at a time, by default one per processor.
    Neither changes a result by more than rounding in single precision.
    Returns `(voxel,)` columns t1, t2, sd_t1, sd_t2 [s], residual [1], flags (sums of
    mrftool.maps.Flag, int32), and m0 (complex64; float32 for a magnitude model) in the unit of the
    signal.

    Raises MismatchError if signal or B1 do not fit the model.
    """
    rows = _rows(model, signal)
    batch = batch or BATCH[model.form]
    feeds = {"signal": rows} | _b1_feed(model, b1, len(rows))
    noise = np.array([noise_sd or 0.0], np.float32)
    session = _session(model.content, str(model.path))

    def work(start: int) -> list[Array]:
        part = {name: values[start : start + batch] for name, values in feeds.items()}
        return list(session.run(list(_OUTPUTS), {**part, "noise_sd": noise}))

    with ThreadPoolExecutor(chosen_threads(threads)) as pool:
        parts = list(pool.map(work, range(0, max(len(rows), 1), batch)))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    maps = dict(zip(_OUTPUTS, columns, strict=True))
    if model.form == "complex":
        maps["m0"] = np.ascontiguousarray(maps["m0"]).view(np.complex64)[:, 0]
    return maps


def _check_ends(model: Model, session: InferenceSession) -> None:
    """Raises InputError unless the graph takes and gives what the manifest says."""
    parts = (2,) if model.form == "complex" else ()
    expected = {"signal": (model.n_time, *parts), "noise_sd": ()} | (
        {"b1": ()} if model.takes_b1 else {}
    )
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


def _b1_feed(model: Model, b1: Array | None, count: int) -> dict[str, Float32Array]:
    if model.takes_b1 != (b1 is not None):
        raise MismatchError(
            "a B1 map is needed" if model.takes_b1 else "the model takes no B1 map, expected none"
        )
    if b1 is None:
        return {}
    if b1.shape != (count,):
        raise MismatchError(f"the B1 map has shape {b1.shape}, expected ({count},)")
    return {"b1": np.ascontiguousarray(b1, np.float32)}


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
