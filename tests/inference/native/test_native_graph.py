"""The graph of a model in native code: ONNX Runtime is the reference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from onnx import load_model_from_string

from mrftool.environment.shipped import find_file
from mrftool.errors import CheckFailedError
from mrftool.exporting.make import make_model
from mrftool.exporting.parts import require_same_parts
from mrftool.formats.nifti.read import open_series
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference import session
from mrftool.inference.model.onnx_file import write_model
from mrftool.inference.native import machine
from mrftool.inference.native.checked import CheckedGraph, checked_graph
from mrftool.inference.native.comparison import excess_shares, rounded_otherwise
from mrftool.inference.native.instructions import OPERATIONS, WIDEST
from mrftool.inference.quantify import quantify
from mrftool.inference.session import (
    Model,
    load_model,
    native_rest,
    native_whole,
    run,
    run_compressed,
    split_of,
)
from mrftool.maps import is_fitted
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.compression import sums_of
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

pytestmark = pytest.mark.skipif(not machine.is_available(), reason="native/graph.c was not built")
N_VOXELS = 333
OUTPUTS = ("t1", "t2", "m0", "residual", "sd_t1", "sd_t2", "flags")
N, N_ROWS, AT, ALSO = 1, 8, 10, 11  # places of numbers in an instruction
SPECIAL = slice(0, 12)  # voxels that are no fingerprints in noise


@pytest.fixture(params=machine.WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set that this processor has."""
    name: str = request.param
    if machine.WIDTHS[name] > machine.WIDTHS[machine.widest()]:
        pytest.skip(f"this processor has no {name}")
    monkeypatch.setattr(machine, "widest", lambda: name)
    return name


def signals(sequence: PulseSequence, noises: tuple[int, ...] = (1, 3, 20)) -> np.ndarray:
    """Fingerprints in noise of several strengths, inside and outside the range of models; the first
    are empty, not finite, of a single sample, tiny, and huge.
    """
    random = np.random.default_rng(1)
    t1 = np.exp(random.uniform(np.log(0.08), np.log(5), N_VOXELS))
    t2 = t1 * random.uniform(0.01, 1, N_VOXELS)
    signal = 900 * np.exp(1j) * simulate(sequence, Tissue(t1, t2), threads=1).signal
    noise = random.choice(noises, N_VOXELS)[:, None]
    parts = random.standard_normal((2, *signal.shape))
    signal = (signal + noise * (parts[0] + 1j * parts[1])).astype(np.complex64)
    signal[SPECIAL] = 0
    signal[1, 3], signal[2, 0], signal[3, 2] = np.nan, np.inf, 1
    signal[4:8] = signal[20:24] * np.float32(1e-17)
    signal[8:12] = signal[20:24] * np.float32(1e15)
    return signal


def estimates(
    model: Model, sequence: PulseSequence, **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """By native code, by ONNX Runtime, and by ONNX Runtime with other rounding errors."""
    if model.form == "magnitude":
        return estimates_of_magnitudes(model, sequence, **options)
    split = split_of(model.content)
    assert split is not None
    native = native_rest(split, is_trusted=True)
    assert native is not None
    signal = signals(sequence)
    sums = sums_of(split.compressor, len(signal))
    sums.add(np.ascontiguousarray(signal.T), 0)
    coefficients, energy = sums.columns()
    options |= given_columns(model)
    other = rounded_otherwise(coefficients)
    changed = options | {name: rounded_otherwise(options[name]) for name in model.given}
    with pytest.MonkeyPatch.context() as patch:  # native code has to run to the end
        patch.setattr("mrftool.inference.session._computed", None)
        found = run_compressed(model, split, coefficients, energy, native=native, **options)
    return (
        found,
        run_compressed(model, split, coefficients, energy, **options),
        run_compressed(model, split, other, energy, **changed),
    )


def given_columns(model: Model, low: float = 0.4, high: float = 1.8) -> dict[str, np.ndarray]:
    """Values of the parameters that a model takes, some of them of no use."""
    columns, random = {}, np.random.default_rng(2)
    for name in model.given:
        columns[name] = random.uniform(low, high, N_VOXELS).astype(np.float32)
        columns[name][[0, 30, 31, 32]] = np.nan, np.nan, np.inf, -1
    return columns


def estimates_of_magnitudes(
    model: Model, sequence: PulseSequence, **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """As `estimates`, of a model without parts.

    All values of B1 lie in the model's range, and no noise is so strong that T1 is not determined:
    the end of a fit that cannot converge is a matter of rounding.
    """
    native = native_whole(model, is_trusted=True)
    assert native is not None
    signal = np.abs(signals(sequence, (1, 3)))
    given = given_columns(model, 0.7, 1.3)
    changed = {name: rounded_otherwise(values) for name, values in given.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrftool.inference.session._computed", None)
        found = run(model, signal, native=native, **options, **given)
    return (
        found,
        run(model, signal, **options, **given),
        run(model, rounded_otherwise(signal), **options, **changed),
    )


def assert_same(
    found: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    otherwise: dict[str, np.ndarray],
) -> None:
    """Equal to rounding; voxels without a fit hold the same, bit by bit."""
    assert excess_shares(found, expected, lambda: otherwise) == {}
    unfitted = ~is_fitted(expected["flags"])
    assert 3 <= unfitted.sum() < 20
    for name, values in expected.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        np.testing.assert_array_equal(found[name][unfitted], values[unfitted])


@pytest.mark.parametrize("noise_sd", [None, 5.0])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"polish": 1},
        {"t1_range": (0.5, 2.0), "t2_range": (0.05, 0.2)},
        pytest.param({"b1_range": (0.7, 1.3)}, marks=pytest.mark.slow),
        {"form": "magnitude"},
        {"form": "magnitude", "coils": 8},
        pytest.param(
            {"form": "magnitude", "b1_range": (0.7, 1.3), "polish": 6}, marks=pytest.mark.slow
        ),
    ],
)
def test_models_without_a_network_give_the_same_maps(
    width: str,
    make_onnx: Callable[..., Path],
    short_sequence: PulseSequence,
    options: dict[str, Any],
    noise_sd: float | None,
) -> None:
    """For magnitudes, atoms of neighbouring layers of B1 can be equally similar: further steps lead
    to the same place from each of them.
    """
    model = load_model(make_onnx(**options))
    assert_same(*estimates(model, short_sequence, noise_sd=noise_sd))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "noise_sd"), [("fisp", None), ("fisp", 5.0), ("fisp_magnitude", None)]
)
def test_shipped_models_give_the_same_maps(width: str, name: str, noise_sd: float | None) -> None:
    """With their networks."""
    model = load_model(find_file("models", name, ".onnx"))
    assert_same(*estimates(model, read_sequence("fisp"), noise_sd=noise_sd))


def test_a_scan_of_magnitudes_is_computed_by_native_code(
    make_onnx: Callable[..., Path], short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside its first voxels; its maps are those of the graph."""
    model = load_model(make_onnx(form="magnitude"))
    signal = np.abs(signals(short_sequence))[SPECIAL.stop :]
    image = np.resize(signal, (4, 4, 700, signal.shape[1]))
    expected = quantify(series_from_array(image), model)
    counts = []

    def counted(session: Any, feeds: dict[str, np.ndarray], origin: str) -> list[np.ndarray]:
        counts.append(len(feeds["signal"]))
        return computed(session, feeds, origin)

    computed = session._computed
    monkeypatch.setattr("mrftool.inference.quantify._WORTH_TRANSLATION", 100)
    monkeypatch.setattr("mrftool.inference.session._computed", counted)
    found = quantify(series_from_array(image), model)
    assert sum(counts) < 2500
    same = np.isclose(found.t1, expected.t1, rtol=1e-3)
    assert same.mean() > 0.99


@pytest.fixture(scope="module")
def complex_table(
    tmp_path_factory: pytest.TempPathFactory, short_sequence: PulseSequence
) -> tuple[Model, PulseSequence]:
    """A train with RF phases has fingerprints that no phase makes real."""
    phases = np.linspace(0, 20, len(short_sequence)) ** 2
    sequence = replace(short_sequence, rf_phase=phases)
    path = tmp_path_factory.mktemp("complex") / "model.onnx"
    write_model(make_model(sequence, tolerance=1e-2, check=False)[0], path)
    return load_model(path), sequence


@pytest.mark.slow
def test_complex_tables_give_the_same_maps(
    width: str, complex_table: tuple[Model, PulseSequence]
) -> None:
    assert_same(*estimates(*complex_table))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 300])
def test_any_number_of_voxels_gives_the_same(
    width: str, model: Path, short_sequence: PulseSequence, count: int
) -> None:
    graph, feeds = graph_and_feeds(load_model(model), short_sequence)
    everything = graph.run(feeds, N_VOXELS)
    some = {name: values[:count] for name, values in feeds.items()}
    found = graph.run(some | {"noise_sd": feeds["noise_sd"]}, count)
    assert everything is not None and found is not None
    for part, whole in zip(found, everything, strict=True):
        np.testing.assert_array_equal(part, whole[:count])


def graph_and_feeds(
    model: Model, sequence: PulseSequence
) -> tuple[machine.NativeGraph, dict[str, np.ndarray]]:
    """A model without given parameters in native code, and what it reads of `signals`."""
    split = split_of(model.content)
    assert split is not None
    native = native_rest(split)
    assert native is not None
    sums = sums_of(split.compressor, N_VOXELS)
    sums.add(np.ascontiguousarray(signals(sequence).T), 0)
    coefficients, energy = sums.columns()
    feeds = {split.coefficients: coefficients, split.energy: energy}
    return native.graph, feeds | {"noise_sd": np.zeros(1, np.float32)}


def with_wrong_table(graph: machine.NativeGraph) -> machine.NativeGraph:
    """Coefficients are 1 % too large."""
    pool = graph.pool.copy()
    gathers = graph.code[graph.code[:, 0] == machine_code("gather")]
    weighted = gathers[gathers[:, ALSO] > 0][0]
    count = weighted[N_ROWS] * -(-weighted[N] // WIDEST) * WIDEST
    pool[weighted[AT] : weighted[AT] + count] *= np.float32(1.01)
    return replace(graph, pool=pool)


def machine_code(operation: str) -> int:
    return OPERATIONS.index(operation)


def test_wrong_native_code_is_found_out_by_the_first_voxels(
    model: Path, short_sequence: PulseSequence
) -> None:
    """Every voxel is computed by ONNX Runtime then."""
    loaded = load_model(model)
    split = split_of(loaded.content)
    assert split is not None
    graph, feeds = graph_and_feeds(loaded, short_sequence)
    wrong = CheckedGraph(with_wrong_table(graph))
    columns = (feeds[split.coefficients], feeds[split.energy])
    expected = run_compressed(loaded, split, *columns)
    for native, is_used in ((wrong, False), (CheckedGraph(graph), True)):
        for _ in range(2):
            found = run_compressed(loaded, split, *columns, native=native)
            assert (found["t1"].tobytes() != expected["t1"].tobytes()) == is_used
            if not is_used:
                continue
            assert excess_shares(found, expected, lambda: expected) == {}


def test_rows_that_a_table_lacks_are_left_to_the_graph(
    model: Path, short_sequence: PulseSequence
) -> None:
    """Native code gives up, and reads nothing outside its table."""
    graph, feeds = graph_and_feeds(load_model(model), short_sequence)
    code = graph.code.copy()
    gathers = code[:, 0] == machine_code("gather")
    assert gathers.any()
    code[gathers, N_ROWS] = 2
    assert replace(graph, code=code).run(feeds, N_VOXELS) is None


def test_instructions_that_reach_outside_are_refused_or_harmless(
    model: Path, short_sequence: PulseSequence
) -> None:
    """Any number of any instruction may be wrong; the sanitizers watch this test too."""
    graph, feeds = graph_and_feeds(load_model(model), short_sequence)
    some = {name: values[:70] for name, values in feeds.items()}
    random = np.random.default_rng(4)
    refused = 0
    for _ in range(600):
        code = graph.code.copy()
        place = tuple(random.integers(code.shape))
        values = (-1, 0, 1, 2, 7, 300, graph.n_columns, len(graph.pool), 1 << 30, -(1 << 31))
        code[place] = random.choice(values)
        refused += replace(graph, code=code).run(some, 70) is None
    assert refused > 100


def test_inputs_that_do_not_fit_are_refused(model: Path, short_sequence: PulseSequence) -> None:
    graph, feeds = graph_and_feeds(load_model(model), short_sequence)
    for name, values in feeds.items():
        for wrong in (values.astype(float), values[:-1], values[None]):
            with pytest.raises(ValueError, match="expected"):
                graph.run(feeds | {name: wrong}, N_VOXELS)


def test_export_refuses_native_code_that_does_not_fit(
    short_sequence: PulseSequence, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table whose coefficients are 1 % too large."""
    loaded = load_model(model)
    signal = signals(short_sequence)[SPECIAL.stop :]
    require_same_parts(loaded, signal)
    graph, _ = graph_and_feeds(loaded, short_sequence)
    wrong = CheckedGraph(with_wrong_table(graph), is_trusted=True)
    monkeypatch.setattr("mrftool.exporting.parts.native_rest", lambda *_, **__: wrong)
    with pytest.raises(CheckFailedError, match=r"give another .* when compressed"):
        require_same_parts(loaded, signal)


def test_export_refuses_native_code_of_magnitudes_that_does_not_fit(
    make_onnx: Callable[..., Path], short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table whose coefficients are 1 % too large."""
    loaded = load_model(make_onnx(form="magnitude"))
    signal = np.abs(signals(short_sequence))[SPECIAL.stop :]
    require_same_parts(loaded, signal)
    native = native_whole(loaded)
    assert native is not None
    wrong = CheckedGraph(with_wrong_table(native.graph), is_trusted=True)
    monkeypatch.setattr("mrftool.exporting.parts.native_whole", lambda *_, **__: wrong)
    with pytest.raises(CheckFailedError, match=r"give another .* in native code"):
        require_same_parts(loaded, signal)


def test_without_a_library_onnx_runtime_computes_all(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_of(load_model(model).content)
    assert split is not None
    assert native_rest(split) is not None
    monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    assert native_rest(split) is None


def test_voxels_are_flagged_as_in_the_graph(model: Path, short_sequence: PulseSequence) -> None:
    """Empty, not finite, out of range and misfit voxels all occur in the comparison."""
    found, expected, _ = estimates(load_model(model), short_sequence, noise_sd=1.0)
    for flag in (Flag.MASKED, Flag.NON_FINITE, Flag.OUT_OF_RANGE, Flag.MISFIT):
        assert (expected["flags"] & int(flag)).any()
        np.testing.assert_array_equal(found["flags"] & int(flag), expected["flags"] & int(flag))


def test_a_model_changed_after_its_export_runs_in_onnx_runtime(model: Path) -> None:
    """Each change is one that native code does not know."""
    split = split_of(load_model(model).content)
    assert split is not None
    assert checked_graph(split.rest, OUTPUTS) is not None
    for change in (_other_operator, _other_attribute, _other_type, _no_constant):
        proto = load_model_from_string(split.rest)
        change(proto.graph)
        assert checked_graph(proto.SerializeToString(), OUTPUTS) is None


def _other_operator(graph: Any) -> None:
    next(node for node in graph.node if node.op_type == "Sqrt").op_type = "Tan"


def _other_attribute(graph: Any) -> None:
    gemm = next(node for node in graph.node if node.op_type == "Gemm")
    gemm.attribute.add(name="alpha", f=2.0, type=1)


def _other_type(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = 11


def _no_constant(graph: Any) -> None:
    graph.initializer.remove(next(each for each in graph.initializer if each.name == "table"))


@pytest.mark.parametrize("size", [9, 110])
def test_scans_of_many_voxels_run_in_native_code(
    size: int,
    tmp_path: Path,
    model: Path,
    short_sequence: PulseSequence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few voxels do not repay the translation."""
    signal = np.resize(signals(short_sequence), (size, size, 1, len(short_sequence)))
    nibabel.save(nibabel.Nifti1Image(signal, np.eye(4)), tmp_path / "scan.nii")
    counts: list[int] = []
    run = machine.NativeGraph.run

    def counted(self: Any, feeds: Any, n_voxels: int) -> Any:
        counts.append(n_voxels)
        return run(self, feeds, n_voxels)

    monkeypatch.setattr(machine.NativeGraph, "run", counted)
    maps = quantify(open_series(tmp_path / "scan.nii"), load_model(model))
    assert sum(counts) == (size**2 if size > 100 else 0)
    assert np.isfinite(maps.t1).mean() > 0.9
