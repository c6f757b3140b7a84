"""Model files as untrusted input, and the manifest inside them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mrftool import quantify
from mrftool.errors import InputError, MismatchError
from mrftool.inference.model.manifest import (
    KEY,
    manifest_from_json,
    manifest_to_json,
    weights_sha256,
    write_manifest,
)
from mrftool.inference.session import Model, load_model, run
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def saved(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_model_says_what_it_is(model: Path, short_sequence: PulseSequence) -> None:
    loaded = load_model(model)
    assert (loaded.form, loaded.n_time, loaded.given) == ("complex", 40, ())
    assert loaded.sequence_id == short_sequence.sequence_id
    assert loaded.manifest.sequence_name == "short"
    assert loaded.manifest.rank > 3
    found = run(loaded, simulate(short_sequence, Tissue([0.9], [0.08], m0=2j)).signal)
    assert found["m0"].dtype == np.complex64
    np.testing.assert_allclose(found["m0"], 2j, rtol=0.02)
    other_reader = onnx.load(model)
    facts = json.loads(next(p.value for p in other_reader.metadata_props if p.key == KEY))
    assert facts["parameters"]["t1"] == {
        "unit": "s",
        "transform": "log",
        "fitted": True,
        "range": [0.1, 4.5],
    }
    assert facts["sequence"]["tr_ms"] == 12
    onnx.checker.check_model(other_reader, full_check=True)
    assert {node.domain for node in other_reader.graph.node} == {""}


@pytest.mark.parametrize(
    "content", [b"", b"not a model", b"\x08\x0a\x12\x00", bytes(range(256)) * 40]
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad.onnx.*expected a model made by mrftool export"):
        load_model(path)
    with pytest.raises(
        InputError, match=r"missing.onnx: No such file or directory, expected an .onnx model"
    ):
        load_model(tmp_path / "missing.onnx")
    with pytest.raises(InputError, match=r": is a folder, expected an .onnx model"):
        load_model(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model_is_refused(tmp_path: Path, model: Path, share: float) -> None:
    content = model.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut.onnx"):
        load_model(path)


def test_flipped_bytes_never_pass_unseen(
    tmp_path: Path, model: Path, short_sequence: PulseSequence
) -> None:
    """Every single changed byte is refused, or changes nothing that matters."""
    content = bytearray(model.read_bytes())
    signal = simulate(short_sequence, Tissue([0.9, 1.4], [0.08, 0.05])).signal
    good = run(load_model(model), signal)
    random = np.random.default_rng(0)
    path = tmp_path / "flipped.onnx"
    for place in random.integers(0, len(content), 60):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :])
        try:
            found = run(load_model(path), signal)
        except InputError:
            continue
        for name, column in good.items():
            np.testing.assert_allclose(found[name], column, rtol=1e-5)


def test_numbers_outside_the_file_are_refused(tmp_path: Path, model: Path) -> None:
    proto = onnx.load(model)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(10_000_000))
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], "secret.bin")
    with pytest.raises(InputError, match="another file"):
        load_model(saved(tmp_path / "leaky.onnx", proto))


def test_foreign_operators_are_refused(tmp_path: Path, model: Path) -> None:
    plain = onnx.load(model)
    plain.graph.node[3].domain = "com.microsoft"
    with pytest.raises(InputError, match=r"'com.microsoft'"):
        load_model(saved(tmp_path / "foreign.onnx", plain))
    hidden = onnx.load(model)
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Evil", [], ["x"], domain="evil")], "body", [], []
    )
    hidden.graph.node.append(
        onnx.helper.make_node("If", ["t1"], ["x"], then_branch=body, else_branch=body)
    )
    with pytest.raises(InputError, match="'evil'"):
        load_model(saved(tmp_path / "hidden.onnx", hidden))


def test_models_of_others_and_changed_ones_are_refused(tmp_path: Path, model: Path) -> None:
    bare = onnx.load(model)
    del bare.metadata_props[:]
    with pytest.raises(InputError, match="without mrftool's manifest"):
        load_model(saved(tmp_path / "bare.onnx", bare))
    changed = onnx.load(model)
    weights = changed.graph.initializer[0]
    weights.raw_data = weights.raw_data[:-1] + b"\x01"
    with pytest.raises(InputError, match="unchanged file"):
        load_model(saved(tmp_path / "changed.onnx", changed))
    wrong = onnx.load(model)
    write_manifest(wrong, replace(load_model(model).manifest, n_time=41))
    with pytest.raises(InputError, match="40"):
        load_model(saved(tmp_path / "wrong.onnx", wrong))


@pytest.mark.parametrize("name", ["t1", "m0", "residual", "sd_t2", "flags"])
@pytest.mark.parametrize("change", ["shape", "kind"])
def test_outputs_that_are_no_maps_are_refused(
    tmp_path: Path, model: Path, short_sequence: PulseSequence, name: str, change: str
) -> None:
    proto = onnx.load(model)
    for node in proto.graph.node:
        for place, output in enumerate(node.output):
            if output == name:
                node.output[place] = "inner"
    if change == "shape":
        proto.graph.node.append(onnx.helper.make_node("Constant", [], ["axis"], value_ints=[1]))
        last = onnx.helper.make_node("Unsqueeze", ["inner", "axis"], [name])
    else:
        last = onnx.helper.make_node("Cast", ["inner"], [name], to=onnx.TensorProto.DOUBLE)
    proto.graph.node.append(last)
    for value in proto.graph.output:
        if value.name == name and change == "kind":
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    manifest = replace(load_model(model).manifest, weights_sha256=weights_sha256(proto))
    write_manifest(proto, manifest)
    changed = load_model(saved(tmp_path / "changed.onnx", proto))
    signal = simulate(short_sequence, Tissue([0.9, 1.4], [0.08, 0.05])).signal
    with pytest.raises(InputError, match=rf"gives {name} as .* for 2 voxels, expected"):
        run(changed, signal)
    with pytest.raises(InputError, match=rf"gives {name} as .* expected"):
        quantify(signal.reshape(2, 1, 1, -1), changed)


def test_a_manifest_keeps_everything(model: Path) -> None:
    manifest = replace(
        load_model(model).manifest,
        ranges={"t1": (0.1, 4.5), "t2": (0.01, 2.0), "b1": (0.7, 1.3)},
        adc=2.35e-9,
        scores={"a": 1},
        training={"b": "c"},
    )
    assert manifest_from_json(manifest_to_json(manifest), "x") == manifest


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"schema": 99}, "schema 99, expected 1 or 2"),
    ({"form": "polar"}, "form is 'polar', expected complex or magnitude"),
    ({"encoder": "magic"}, "encoder is 'magic'"),
    ({"parameters": {"t1": {"range": [4.5, 0.1]}}}, "range of t1 is"),
    ({"parameters": {"t1": {"range": [0.1, 4.5]}}}, "range of t2 is None"),
    ({"parameters": {"b1": {"range": [1]}}}, "range of b1 is"),
    ({"parameters": {"t1": {"range": [0.1, 4.5], "unit": "ms"}}}, "unit of t1 is 'ms'"),
    ({"parameters": {"t3": {"range": [0.1, 4.5]}}}, "unknown parameter t3"),
    ({"parameters": []}, r"parameters is \[\]"),
    ({"adc_mm2_per_s": -1}, "adc_mm2_per_s is -1"),
    ({"n_time": 0}, "n_time is 0"),
    ({"n_time": True}, "n_time is True"),
    ({"polish": "two"}, "polish is 'two'"),
    ({"sequence": []}, r"sequence is \[\]"),
    ({"scores": {"noise_free": [1]}}, r"score noise_free is \[1\]"),
    ({"scores": {"noise_free": {"rms_t1": 1}}}, "expected errors of T1 and T2"),
    ({"scores": {"snr_5": 3}}, "score snr_5 is 3, expected scores of T1 and T2"),
    ({"scores": {"snr_5": {"t1": [1]}}}, "score snr_5 is"),
    ({"scores": {"snr_5": {"t2": {"rmse_over_bound": "x"}}}}, "score snr_5 is"),
    ({"training": {"loss": float("inf")}}, "not JSON .Infinity is no finite number"),
    ({"versions": {"numpy": float("nan")}}, "not JSON .NaN is no finite number"),
    ({"polish": 10**400}, "not JSON .1000.* is no finite number"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_manifest_that_is_not_sound_is_refused(
    model: Path, change: dict[str, Any], message: str
) -> None:
    facts = json.loads(manifest_to_json(load_model(model).manifest)) | change
    with pytest.raises(InputError, match=f"x.onnx: .*{message}"):
        manifest_from_json(json.dumps(facts), "x.onnx")


def test_a_manifest_of_schema_1_is_read(model: Path) -> None:
    manifest = replace(
        load_model(model).manifest, ranges={"t1": (0.1, 4.5), "t2": (0.01, 2.0), "b1": (0.7, 1.3)}
    )
    facts = json.loads(manifest_to_json(manifest))
    del facts["parameters"]
    old = facts | {"schema": 1, "t1_range_ms": [100, 4500], "t2_range_ms": [10, 2000]}
    found = manifest_from_json(json.dumps(old | {"b1_range": [0.7, 1.3]}), "x.onnx")
    assert found.given == ("b1",)
    for name, limits in manifest.ranges.items():
        assert found.ranges[name] == pytest.approx(limits)
    assert manifest_from_json(json.dumps(old | {"b1_range": None}), "x.onnx").given == ()
    with pytest.raises(InputError, match="range of t2 is"):
        manifest_from_json(json.dumps(old | {"t2_range_ms": [3]}), "x.onnx")


def test_every_fault_of_a_manifest_is_named() -> None:
    with pytest.raises(InputError) as caught:
        manifest_from_json('{"schema": 2, "form": "complex"}', "x.onnx")
    for key in ("name", "sequence", "parameters", "adc_mm2_per_s", "weights_sha256"):
        assert f"{key} is missing" in str(caught.value)
    for text in ("", "[]", "nonsense", "[" * 100_000):
        with pytest.raises(InputError, match=r"x.onnx: the manifest"):
            manifest_from_json(text, "x.onnx")


@pytest.mark.slow
def test_signals_that_do_not_fit_are_refused(model: Path, make_onnx: Any) -> None:
    plain, with_b1 = load_model(model), load_model(make_onnx(b1_range=(0.8, 1.2)))
    signal = np.ones((3, 40), np.complex64)
    for given, options, message in (
        (signal[:, :39], {}, r"shape \(3, 39\), expected \(voxel, 40\)"),
        (signal[0], {}, "shape"),
        (np.abs(signal), {}, "the signal is magnitude, expected complex"),
        (signal, {"b1": np.ones(3)}, "takes no B1 map"),
    ):
        with pytest.raises(MismatchError, match=message):
            run(plain, given, **options)
    for options, message in (
        ({}, "the model takes a B1 map, expected one"),
        ({"b1": np.ones(2)}, r"shape \(2,\), expected \(3,\)"),
    ):
        with pytest.raises(MismatchError, match=message):
            run(with_b1, signal, **options)


def test_any_layout_of_the_same_numbers_gives_the_same_maps(
    model: Path, short_sequence: PulseSequence
) -> None:
    loaded = load_model(model)
    signal = simulate(short_sequence, Tissue([0.9, 1.4], [0.08, 0.05])).signal
    plain = run(loaded, signal)
    for other in (
        np.asfortranarray(signal),
        signal.astype(np.complex128),
        np.repeat(signal, 2, axis=0)[::2],
    ):
        np.testing.assert_allclose(run(loaded, other)["t1"], plain["t1"], rtol=1e-5)


def test_a_model_keeps_its_bytes_out_of_its_name(model: Path) -> None:
    assert len(repr(load_model(model))) < 300
    assert isinstance(load_model(str(model)), Model)
