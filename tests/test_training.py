import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mrftool.errors import InputError, UsageError  # noqa: E402
from mrftool.learning import loop  # noqa: E402
from mrftool.learning.batches import draw_batch, draw_tissue, make_batch  # noqa: E402
from mrftool.learning.checkpoint import Run, load_run  # noqa: E402
from mrftool.learning.config import TrainConfig  # noqa: E402
from mrftool.learning.export import encoder_to_onnx  # noqa: E402
from mrftool.learning.loop import prepare_run, resume_run, start_run, train, validate  # noqa: E402
from mrftool.learning.losses import FLOOR, RESIDUAL_FLOOR, embedding_loss, reconstruction_loss  # noqa: E402
from mrftool.physics.crlb import cramer_rao  # noqa: E402
from mrftool.physics.simulate import simulate  # noqa: E402
from mrftool.sequence import PulseSequence  # noqa: E402

CPU = torch.device("cpu")
SMALL = TrainConfig(steps=10, batch=48, validate_every=5, t1_range=(0.1, 3.0), t2_range=(0.02, 0.8), snr_range=(10, 50))
KINDS = {
    "bloch": SMALL,
    "labels": replace(SMALL, decoder="none"),
    "paper": replace(SMALL, encoder="fc", loss="log", optimiser="adam", snr_range=None),
    "b1": replace(SMALL, b1_range=(0.9, 1.1)),
}


class StopError(Exception):
    """Ends a run before its time."""


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.encoder.state_dict().items()}


def begin(sequence: PulseSequence, config: TrainConfig, folder: Path) -> Run:
    return prepare_run(sequence, config, folder, CPU)


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


def test_training_learns_and_the_decoder_takes_part(short_sequence: PulseSequence, tmp_path: Path) -> None:
    config = replace(SMALL, steps=150, batch=128, validate_every=150)
    run = begin(short_sequence, config, tmp_path / "a")
    before = validate(run)["score"]
    losses: list[dict[str, float]] = []
    after = train(run, tmp_path / "a", lambda step, found: losses.append(found))["score"]
    assert after < before / 3
    assert (
        np.mean([x["reconstruction"] for x in losses[-20:]]) < np.mean([x["reconstruction"] for x in losses[:20]]) / 3
    )
    half = begin(short_sequence, replace(config, steps=2, weight=0.5), tmp_path / "b")
    full = begin(short_sequence, replace(config, steps=2), tmp_path / "c")
    train(half, tmp_path / "b", lambda step, losses: None)
    train(full, tmp_path / "c", lambda step, losses: None)
    assert any(not torch.equal(value, weights(full)[name]) for name, value in weights(half).items())


@pytest.mark.parametrize("kind", KINDS)
def test_batch_k_depends_on_seed_and_k_alone(kind: str, short_sequence: PulseSequence, tmp_path: Path) -> None:
    run = begin(short_sequence, KINDS[kind], tmp_path / "a")

    def rows(seed: int, k: int) -> torch.Tensor:
        return draw_batch(run.table, replace(run.config, seed=seed), run.spec.takes, k).rows

    assert torch.equal(rows(0, 3), rows(0, 3))
    assert not torch.equal(rows(0, 3), rows(0, 4))
    assert not torch.equal(rows(0, 3), rows(1, 3))


def test_a_batch_holds_tissue_in_range_its_bound_and_its_noise(short_sequence: PulseSequence, tmp_path: Path) -> None:
    run = begin(short_sequence, replace(SMALL, batch=64), tmp_path / "a")
    random = np.random.default_rng(0)
    tissue = draw_tissue(run.config, random)
    assert (tissue.t2 <= tissue.t1).all()
    assert tissue.t1.min() >= 0.1 and tissue.t1.max() <= 3.0 and tissue.t2.min() >= 0.02 and tissue.t2.max() <= 0.8
    batch = make_batch(run.table, "features", tissue, np.full(64, 20.0), random)
    np.testing.assert_allclose(batch.target.numpy(), np.log(np.stack([tissue.t1, tissue.t2], 1)), rtol=1e-6)
    bound = cramer_rao(short_sequence, tissue, snr=20.0)
    exact = np.stack([bound.sd_t1 / tissue.t1, bound.sd_t2 / tissue.t2], 1)
    np.testing.assert_allclose(batch.bound.numpy(), exact, rtol=0.01)
    np.testing.assert_allclose(batch.noise.numpy(), 1 / (20 * np.sqrt(len(short_sequence))), rtol=1e-6)
    signal = simulate(short_sequence, tissue).signal
    clean = signal / np.linalg.norm(signal, axis=1, keepdims=True) @ run.table.basis.vectors.conj()
    np.testing.assert_allclose(batch.clean.numpy(), clean.real if run.table.basis.is_real else clean, atol=1e-3)


def test_losses_follow_their_formulas() -> None:
    predicted, truth = torch.tensor([[0.3, 0.0]]), torch.tensor([[0.1, 1.0]])
    bound = torch.tensor([[0.1, 0.01]])
    in_units = [0.2 / (0.1 + FLOOR), 1.0 / (0.01 + FLOOR)]
    assert float(embedding_loss(predicted, truth, bound)) == pytest.approx(
        np.mean([x - 0.5 for x in in_units]), rel=1e-5
    )
    assert float(embedding_loss(predicted, truth, None)) == pytest.approx((0.2**2 + 1) / np.log(10) ** 2, rel=1e-5)
    a, b = torch.tensor([[1.0 + 1j, 0.0]]), torch.tensor([[1.0, 0.5j]])
    assert float(reconstruction_loss(a, b, None)) == pytest.approx(1.25)
    expected = np.sqrt(1 + 1.25 / (0.5**2 + RESIDUAL_FLOOR**2)) - 1
    assert float(reconstruction_loss(a, b, torch.tensor([0.5]))) == pytest.approx(expected, rel=1e-5)


def test_t2_never_exceeds_t1_whatever_the_input(short_sequence: PulseSequence, tmp_path: Path) -> None:
    run = begin(short_sequence, SMALL, tmp_path / "a")
    wild = 100 * torch.randn(500, run.spec.n_inputs, generator=torch.Generator().manual_seed(0))
    assert (run.encoder(wild)[:, 1] <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paper", "b1"])
def test_the_exported_encoder_computes_what_torch_computes(
    kind: str, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    import onnxruntime

    run = begin(short_sequence, KINDS[kind], tmp_path / "a")
    model = encoder_to_onnx(run.encoder, run.spec)
    rows = draw_batch(run.table, run.config, run.spec.takes, 7).rows
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {run.spec.takes: rows.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, run.encoder(rows).numpy(), atol=1e-5)


def test_a_folder_with_a_run_is_not_overwritten(short_sequence: PulseSequence, tmp_path: Path) -> None:
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
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        TrainConfig(**change)


def test_an_unknown_encoder_is_refused(short_sequence: PulseSequence, tmp_path: Path) -> None:
    table = begin(short_sequence, SMALL, tmp_path / "a").table
    with pytest.raises(UsageError, match="no encoder 'deep'"):
        start_run(short_sequence, table, replace(SMALL, encoder="deep"), CPU)


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("increment", [0.0, 117.0])
def test_the_truth_is_decoded_to_what_the_encoder_saw(
    form: Any, increment: float, short_sequence: PulseSequence, tmp_path: Path
) -> None:
    n = np.arange(len(short_sequence))
    sequence = replace(short_sequence, rf_phase=np.deg2rad(increment) * n * (n + 1) / 2)
    config = TrainConfig(form=form, batch=64, snr_range=(20, 20))
    run = begin(sequence, config, tmp_path / "run")
    batch = loop._batch(run, 0)
    assert float(loop._reconstruction(run, batch.target, batch)) < 1e-4
    assert float(loop._reconstruction(run, batch.target + 0.1, batch)) > 1
