import json
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from mrftool.errors import CheckFailedError, InputError, MismatchError, UsageError  # noqa: E402
from mrftool.formats.sequence.yaml_file import sequence_to_dict  # noqa: E402
from mrftool.learning import checkpoint, export, training  # noqa: E402
from mrftool.learning.batches import draw_batches, draw_tissue, grid_tissue, make_batch  # noqa: E402
from mrftool.learning.checkpoint import TrainingRun, load_run  # noqa: E402
from mrftool.learning.config import TrainConfig  # noqa: E402
from mrftool.learning.export import encoder_to_onnx, source_of  # noqa: E402
from mrftool.learning.losses import FLOOR, RESIDUAL_FLOOR, embedding_loss, reconstruction_loss  # noqa: E402
from mrftool.learning.step import batch_losses, reconstruct  # noqa: E402
from mrftool.learning.training import prepare_run, resume_run, start_run, train, validate  # noqa: E402
from mrftool.physics.cramer_rao import cramer_rao  # noqa: E402
from mrftool.physics.simulate import simulate  # noqa: E402
from mrftool.physics.tissue_grids import paper_tissue  # noqa: E402
from mrftool.sequence import PulseSequence  # noqa: E402
from mrftool.workflows.steps.training_curve import TrainingCurve  # noqa: E402

CPU = torch.device("cpu")
SMALL = TrainConfig(
    steps=10,
    batch=48,
    validate_every=5,
    t1_range=(0.1, 3.0),
    t2_range=(0.02, 0.8),
    snr_range=(10, 50),
)
KINDS = {
    "bloch": SMALL,
    "labels": replace(SMALL, decoder="none"),
    "paper": replace(SMALL, encoder="fc", loss="log", optimiser="adam", snr_range=None),
    "b1": replace(SMALL, b1_range=(0.9, 1.1)),
    "rnn": replace(SMALL, encoder="rnn", decoder="rnn", decode_voxels=20, b1_range=(0.9, 1.1)),
    "rnn-whole": replace(SMALL, encoder="rnn-whole", decoder="fc", loss="log", snr_range=None),
    "hydra": replace(SMALL, encoder="hydra", decoder="none", b1_range=(0.9, 1.1)),
    "hydra-fast": replace(SMALL, encoder="hydra-fast", decoder="bloch", decode_voxels=10),
    "grid": replace(
        SMALL, encoder="fc", decoder="fc", tissue="grid", share=1e-3, b1_range=(0.9, 1.1)
    ),
    "no labels": replace(SMALL, encoder="fc", labels=False),
}


@pytest.fixture(autouse=True)
def small_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_VALIDATION_VOXELS", 256)
    monkeypatch.setattr(training, "_STANDARD_VOXELS", 512)


class StopError(Exception):
    """Ends a run before its time."""


def weights(run: TrainingRun) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.encoder.state_dict().items()}


def begin(sequence: PulseSequence, config: TrainConfig, folder: Path) -> TrainingRun:
    return prepare_run([sequence], config, folder, CPU)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_are_five_a_resume_and_five_bit_for_bit(
    kind: str, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    whole = begin(short_sequence, KINDS[kind], tmp_path / "whole")
    start = weights(whole)
    train(whole, tmp_path / "whole", lambda step, losses: None)
    cut = begin(short_sequence, KINDS[kind], tmp_path / "cut")

    def stop_at_five(step: int, losses: dict[str, float]) -> None:
        if step == 5:
            raise StopError

    with pytest.raises(StopError):
        train(cut, tmp_path / "cut", stop_at_five)
    again = resume_run(tmp_path / "cut", CPU)
    assert again.step == 5
    train(again, tmp_path / "cut", lambda step, losses: None)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name]), name
    assert any(not torch.equal(value, start[name]) for name, value in weights(whole).items())


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "missing"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    short_sequence: PulseSequence, tmp_path: Path, damage: bytes | None
) -> None:
    config = replace(KINDS["labels"], steps=6, validate_every=2)
    whole, cut = (begin(short_sequence, config, tmp_path / name) for name in ("whole", "cut"))
    train(whole, tmp_path / "whole", lambda step, losses: None)

    def stop_at_four(step: int, losses: dict[str, float]) -> None:
        if step == 4:
            raise StopError

    with pytest.raises(StopError):
        train(cut, tmp_path / "cut", stop_at_four)
    last = tmp_path / "cut" / checkpoint.LAST
    last.unlink()
    if damage is not None:
        last.write_bytes(damage)
    notes: list[str] = []
    again = resume_run(tmp_path / "cut", CPU, notes.append)
    assert again.step == 2
    assert [note[-37:] for note in notes] == ["the checkpoint before it is taken, step 2"[-37:]]
    train(again, tmp_path / "cut", lambda step, losses: None)
    for name in (checkpoint.LAST, checkpoint.BEST):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut" / checkpoint.PREVIOUS).exists()


def test_without_a_sound_checkpoint_the_last_one_is_told(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    for name in (checkpoint.LAST, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="holds a run already"):
        prepare_run([short_sequence], SMALL, tmp_path, CPU)
    with pytest.raises(InputError, match="expected a checkpoint"):
        resume_run(tmp_path, CPU)


@pytest.mark.slow
def test_training_learns_and_the_decoder_takes_part(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    config = replace(SMALL, steps=150, batch=128, validate_every=150)
    run = begin(short_sequence, config, tmp_path / "a")
    before = validate(run)["score"]
    losses: list[dict[str, float]] = []
    after = train(run, tmp_path / "a", lambda step, found: losses.append(found))["score"]
    assert after < before / 3
    assert (
        np.mean([x["reconstruction"] for x in losses[-20:]])
        < np.mean([x["reconstruction"] for x in losses[:20]]) / 3
    )
    half = begin(short_sequence, replace(config, steps=2, weight=0.5), tmp_path / "b")
    full = begin(short_sequence, replace(config, steps=2), tmp_path / "c")
    train(half, tmp_path / "b", lambda step, losses: None)
    train(full, tmp_path / "c", lambda step, losses: None)
    assert any(not torch.equal(value, weights(full)[name]) for name, value in weights(half).items())


@pytest.mark.parametrize("kind", KINDS)
def test_batch_k_depends_on_seed_and_k_alone(
    kind: str, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, KINDS[kind], tmp_path / "a")

    def rows(seed: int, k: int) -> torch.Tensor:
        return draw_batches(run.sources, replace(run.config, seed=seed), run.spec.takes, k)[0].rows

    assert torch.equal(rows(0, 3), rows(0, 3))
    assert not torch.equal(rows(0, 3), rows(0, 4))
    assert not torch.equal(rows(0, 3), rows(1, 3))


def test_a_batch_holds_tissue_in_range_its_bound_and_its_noise(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, replace(SMALL, batch=64), tmp_path / "a")
    random = np.random.default_rng(0)
    tissue = draw_tissue(run.config, random)
    assert (tissue.t2 <= tissue.t1).all()
    assert (
        tissue.t1.min() >= 0.1
        and tissue.t1.max() <= 3.0
        and tissue.t2.min() >= 0.02
        and tissue.t2.max() <= 0.8
    )
    batch = make_batch(run.sources[0], "features", tissue, np.full(64, 20.0), random)
    np.testing.assert_allclose(
        batch.target.numpy(), np.log(np.stack([tissue.t1, tissue.t2], 1)), rtol=1e-6
    )
    bound = cramer_rao(short_sequence, tissue, snr=20.0)
    exact = np.stack([bound.sd_t1 / tissue.t1, bound.sd_t2 / tissue.t2], 1)
    np.testing.assert_allclose(batch.bound.numpy(), exact, rtol=0.01)
    np.testing.assert_allclose(
        batch.noise.numpy(), 1 / (20 * np.sqrt(len(short_sequence))), rtol=1e-6
    )
    signal = simulate(short_sequence, tissue).signal
    clean = (
        signal
        / np.linalg.norm(signal, axis=1, keepdims=True)
        @ run.sources[0].table.basis.vectors.conj()
    )
    np.testing.assert_allclose(
        batch.clean.numpy(), clean.real if run.sources[0].table.basis.is_real else clean, atol=1e-3
    )


def test_losses_follow_their_formulas() -> None:
    predicted, reference = torch.tensor([[0.3, 0.0]]), torch.tensor([[0.1, 1.0]])
    bound = torch.tensor([[0.1, 0.01]])
    in_units = [0.2 / (0.1 + FLOOR), 1.0 / (0.01 + FLOOR)]
    assert float(embedding_loss(predicted, reference, bound)) == pytest.approx(
        np.mean([x - 0.5 for x in in_units]), rel=1e-5
    )
    assert float(embedding_loss(predicted, reference, None)) == pytest.approx(
        (0.2**2 + 1) / np.log(10) ** 2, rel=1e-5
    )
    a, b = torch.tensor([[1.0 + 1j, 0.0]]), torch.tensor([[1.0, 0.5j]])
    assert float(reconstruction_loss(a, b, None)[0]) == pytest.approx(1.25)
    expected = np.sqrt(1 + 1.25 / (0.5**2 + RESIDUAL_FLOOR**2)) - 1
    assert float(reconstruction_loss(a, b, torch.tensor([0.5]))[0]) == pytest.approx(
        expected, rel=1e-5
    )


def test_t2_never_exceeds_t1_whatever_the_input(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    wild = 100 * torch.randn(500, run.spec.n_inputs, generator=torch.Generator().manual_seed(0))
    assert (run.encoder(wild)[:, 1] <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paper", "b1", "rnn", "rnn-whole", "hydra", "hydra-fast"])
def test_the_exported_encoder_computes_what_torch_computes(
    kind: str, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    import onnxruntime

    run = begin(short_sequence, KINDS[kind], tmp_path / "a")
    model = encoder_to_onnx(run)
    rows = draw_batches(run.sources, run.config, run.spec.takes, 7)[0].rows
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {run.spec.takes: rows.numpy()}
    )[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, run.encoder(rows).numpy(), atol=1e-5)


def test_a_folder_with_a_run_is_not_overwritten(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, replace(SMALL, steps=1), tmp_path / "a")
    train(run, tmp_path / "a", lambda step, losses: None)
    with pytest.raises(UsageError, match="holds a run already"):
        begin(short_sequence, SMALL, tmp_path / "a")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no last\.safetensors"):
        resume_run(tmp_path, CPU)
    (tmp_path / "last.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="expected a checkpoint"):
        load_run(tmp_path / "last.safetensors", CPU)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"decoder": "some"}, "decoder 'some'"),
        ({"loss": "l2"}, "loss 'l2'"),
        ({"t1_range": (2.0, 1.0)}, "t1_range"),
        ({"t2_range": (6.0, 9.0)}, "T2 range lies above"),
        ({"steps": 0}, "steps 0"),
        ({"weight": -1.0}, "weight"),
        ({"weight": float("nan")}, "weight nan, expected 0 or more"),
        ({"rate": float("inf")}, "rate inf, expected more than 0"),
        ({"steps": 10**20}, "steps 1e+20, expected at most 1e+07"),
        ({"batch": 2**31}, "batch 2.14748e+09, expected at most 1e+06"),
        ({"seed": 2**63}, "seed 9.22337e+18, expected at most"),
        ({"steps": 2.5}, "steps '2.5', expected a whole number"),
        ({"labels": {"a": float("inf")}}, "expected true or false"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        TrainConfig(**change)


def test_an_unknown_encoder_is_refused(short_sequence: PulseSequence, tmp_path: Path) -> None:
    sources = begin(short_sequence, SMALL, tmp_path / "a").sources
    with pytest.raises(UsageError, match="no encoder 'deep'"):
        start_run(sources, replace(SMALL, encoder="deep"), CPU)


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("increment", [0.0, 117.0])
def test_the_truth_is_decoded_to_what_the_encoder_saw(
    form: Any, increment: float, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    n = np.arange(len(short_sequence))
    sequence = replace(short_sequence, rf_phase=np.deg2rad(increment) * n * (n + 1) / 2)
    config = TrainConfig(form=form, batch=64, snr_range=(20, 20))
    run = begin(sequence, config, tmp_path / "run")
    batch = training._batch(run, 0)[0]
    assert float(reconstruct(run, run.sources[0], batch.target, batch).mean()) < 1e-4
    assert float(reconstruct(run, run.sources[0], batch.target + 0.1, batch).mean()) > 1


def mixed(short_sequence: PulseSequence) -> list[PulseSequence]:
    """Two trains of one length whose fingerprints have little in common."""
    return [
        short_sequence,
        replace(short_sequence, flip_angle=short_sequence.flip_angle[::-1].copy(), name="reversed"),
    ]


@pytest.mark.parametrize("decoder", ["bloch", "rnn"])
def test_each_part_of_a_mixed_batch_is_decoded_with_its_own_sequence(
    decoder: Any, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    config = replace(SMALL, encoder="fc", decoder=decoder, snr_range=None, batch=32)
    run = prepare_run(mixed(short_sequence), config, tmp_path / "run", CPU)
    parts = draw_batches(run.sources, run.config, run.spec.takes, 3)
    assert [len(part.rows) for part in parts] == [16, 16]
    right = [
        reconstruct(run, *item)
        for item in zip(run.sources, [x.target for x in parts], parts, strict=True)
    ]
    wrong = [
        reconstruct(run, *item)
        for item in zip(run.sources[::-1], [x.target for x in parts], parts, strict=True)
    ]
    if decoder == "bloch":
        assert float(torch.cat(right).max()) < 1e-3 < float(torch.cat(wrong).min())
    assert not torch.allclose(torch.cat(right), torch.cat(wrong), rtol=1e-4)
    losses = batch_losses(run, parts)
    each = [
        reconstruct(run, source, y, part)
        for source, y, part in zip(run.sources, _predicted(run, parts), parts, strict=True)
    ]
    torch.testing.assert_close(losses["reconstruction"], torch.cat(each).mean())


def _predicted(run: TrainingRun, parts: list[Any]) -> list[torch.Tensor]:
    out = [run.encoder(part.rows) for part in parts]
    return [torch.stack([x[:, 0], x[:, 0] + x[:, 1]], dim=1) for x in out]


def test_a_run_of_several_sequences_learns_all_and_exports_each(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    both = mixed(short_sequence)
    config = replace(SMALL, encoder="fc", decoder="none", steps=6, validate_every=3)
    run = prepare_run(both, config, tmp_path / "run", CPU)
    train(run, tmp_path / "run", lambda step, losses: None)
    again = resume_run(tmp_path / "run", CPU)
    assert [source.sequence.sequence_id for source in again.sources] == [
        x.sequence_id for x in both
    ]
    files = [tmp_path / f"{sequence.name}.yaml" for sequence in both]
    for sequence, file in zip(both, files, strict=True):
        file.write_text(yaml.safe_dump(sequence_to_dict(sequence)))
        assert source_of(again, str(file)).sequence.name == sequence.name
    with pytest.raises(UsageError, match="several sequences"):
        source_of(again, None)
    with pytest.raises(MismatchError, match="learned short, reversed, not fisp"):
        source_of(again, "fisp")


def test_sequences_that_no_encoder_can_take_together_are_refused(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="belongs to a sequence"):
        prepare_run(mixed(short_sequence), SMALL, tmp_path / "a", CPU)
    half = PulseSequence(
        *(getattr(short_sequence, x)[:20] for x in ("flip_angle", "rf_phase", "tr", "te")),
        name="half",
    )
    with pytest.raises(UsageError, match="20, 40 repetitions"):
        prepare_run([short_sequence, half], replace(SMALL, encoder="fc"), tmp_path / "b", CPU)


def test_an_epoch_takes_every_pair_of_the_grid_once() -> None:
    config = TrainConfig(
        tissue="grid", share=0.01, batch=89, t1_range=(0.001, 5.0), t2_range=(0.001, 2.0)
    )
    size = round(0.01 * len(paper_tissue()))
    assert size == 18 * 89
    random = np.random.default_rng(0)
    epoch = [grid_tissue(config, random, k) for k in range(18)]
    pairs = {pair for part in epoch for pair in zip(part.t1, part.t2, strict=True)}
    assert len(pairs) == size
    assert pairs < set(zip(paper_tissue().t1, paper_tissue().t2, strict=True))
    following = [grid_tissue(config, random, k) for k in range(18, 36)]
    assert {pair for part in following for pair in zip(part.t1, part.t2, strict=True)} == pairs
    assert any((a.t1 != b.t1).any() for a, b in zip(epoch, following, strict=True))
    inside = grid_tissue(
        replace(config, share=1.0, t1_range=(0.5, 1.0), t2_range=(0.1, 0.2)), random, 0
    )
    assert (
        inside.t1.min() >= 0.5
        and inside.t1.max() <= 1.0
        and inside.t2.min() >= 0.1
        and inside.t2.max() <= 0.2
    )


def test_labels_teach_only_where_they_may(short_sequence: PulseSequence, tmp_path: Path) -> None:
    config = replace(SMALL, encoder="fc", weight=0.5)
    with_labels = prepare_run([short_sequence], config, tmp_path / "a", CPU)
    without = prepare_run([short_sequence], replace(config, labels=False), tmp_path / "b", CPU)
    a, b = (batch_losses(run, training._batch(run, 0)) for run in (with_labels, without))
    torch.testing.assert_close(a["loss"], a["embedding"] + 0.5 * a["reconstruction"])
    torch.testing.assert_close(b["loss"], 0.5 * b["reconstruction"])
    with pytest.raises(UsageError, match="only the Bloch or the table decoder"):
        replace(config, labels=False, decoder="fc")
    with pytest.raises(UsageError, match="expected decoder bloch or table"):
        replace(config, labels=False, decoder="table", weight=0)
    assert not replace(config, labels=False, decoder="table").labels


@pytest.mark.slow
def test_a_learned_decoder_learns(short_sequence: PulseSequence, tmp_path: Path) -> None:
    for decoder in ("fc", "rnn"):
        config = replace(
            SMALL,
            encoder="fc",
            decoder=decoder,
            steps=60,
            validate_every=60,
            loss="log",
            snr_range=None,
        )
        run = prepare_run([short_sequence], config, tmp_path / decoder, CPU)
        assert run.decoder is not None
        before = {name: value.clone() for name, value in run.decoder.named_parameters()}
        losses: list[float] = []
        train(
            run,
            tmp_path / decoder,
            lambda step, found, seen=losses: seen.append(found["reconstruction"]),
        )
        assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
        assert all(
            not torch.equal(value, before[name]) for name, value in run.decoder.named_parameters()
        )


@pytest.mark.slow
def test_an_export_that_computes_something_else_is_refused(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    model = encoder_to_onnx(run)
    with torch.no_grad():
        run.encoder.center += 1e-3
    with pytest.raises(CheckFailedError, match="differs from torch by 0"):
        export._check(model, run)


def test_a_checkpoint_states_its_schema_and_an_unknown_one_is_refused(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    path = tmp_path / "a" / "last.safetensors"
    checkpoint.save_run(run, tmp_path / "a", checkpoint.LAST, {})
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["run"])
    assert facts["schema"] == checkpoint.SCHEMA == 1
    tensors = load_file(path)
    save_file(tensors, path, {"run": json.dumps({**facts, "schema": 2})})
    with pytest.raises(InputError, match="checkpoint schema 2, expected 1"):
        load_run(path, CPU)
    del facts["schema"]  # as version 0.1.0 wrote them
    save_file(tensors, path, {"run": json.dumps(facts)})
    assert load_run(path, CPU)[0].config == SMALL
    del facts["config"]["steps"]  # the default of a new training is no stand-in
    save_file(tensors, path, {"run": json.dumps(facts)})
    with pytest.raises(InputError, match="the setting steps is missing"):
        load_run(path, CPU)
    facts["scores"] = {"score": float("inf")}
    save_file(tensors, path, {"run": json.dumps(facts)})
    with pytest.raises(InputError, match="Infinity is no finite number"):
        load_run(path, CPU)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_inputs", "6"),
        ("n_inputs", -1),
        ("n_inputs", 2**53),
        ("n_inputs", 1),
        ("n_inputs", 65535),
        ("takes", 0.0),
    ],
)
def test_a_checkpoint_of_an_impossible_encoder_is_refused(
    short_sequence: PulseSequence, tmp_path: Path, key: str, value: object
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    checkpoint.save_run(run, tmp_path / "a", checkpoint.LAST, {})
    path = tmp_path / "a" / "last.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["run"])
    facts["spec"][key] = value
    save_file(load_file(path), path, {"run": json.dumps(facts)})
    with pytest.raises(InputError, match=r"last\.safetensors: (n_|takes).* is .*, expected"):
        load_run(path, CPU)


@pytest.mark.slow
def test_an_export_changes_neither_the_run_nor_the_log_level(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    run.encoder.train()
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    encoder_to_onnx(run)
    assert run.encoder.training
    assert logger.level == before


def test_validation_leaves_the_encoder_in_training_mode(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    run.encoder.train()
    validate(run)
    assert run.encoder.training


def test_a_run_that_diverges_is_stopped(short_sequence: PulseSequence, tmp_path: Path) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    with torch.no_grad():
        run.encoder.center += 1000
    with pytest.raises(CheckFailedError, match="step 0: training diverged"):
        batch_losses(run, training._batch(run, 0))


@pytest.mark.parametrize("name", [checkpoint.LAST, "curve.csv"])
def test_a_pipe_in_the_place_of_a_file_of_the_run_is_not_waited_for(
    tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is no regular file"):
        load_run(tmp_path / name, CPU)
    with pytest.raises(InputError, match="is no regular file"):
        TrainingCurve(tmp_path / name, from_step=3)


@pytest.mark.parametrize("text", ["step,loss\n1,x\n", "loss\n1\n", "step,loss\n1,2,3\n", "\0\xff"])
def test_a_damaged_curve_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(text, "latin-1")
    with pytest.raises(InputError, match=r"curve\.csv: is damaged"):
        TrainingCurve(path, from_step=3)
