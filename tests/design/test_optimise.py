"""Design of trains: the loss, the limits, and the search."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrftool.design.adjoint import signals
from mrftool.design.arm_loss import ArmLoss, arm_of_repetition
from mrftool.design.limits import Limits, limit_steps, penalty, within_limits
from mrftool.design.optimise import Problem, _Objective, optimise, train_loss
from mrftool.design.pulse_train import PulseTrain, design_tissue, sequence_of
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import ArgumentError
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

N = 60
START = PulseTrain(
    np.deg2rad(15 + 10 * np.sin(np.arange(N) / 5)), np.full(N, 0.012), np.full(N, 0.002), 0.02
)
BLANK = PulseSequence(
    np.ones(N),
    np.zeros(N),
    np.full(N, 0.012),
    np.full(N, 0.002),
    events=Train(Inversion(1.0, 0.02)).events,
)
LIMITS = Limits(max_flip=np.deg2rad(75), max_step=np.deg2rad(4))


def problem(limits: Limits = LIMITS, *, arms: int = 6, **weights: float) -> Problem:
    tissue = design_tissue([(1.084, 0.069), (1.82, 0.099)], [0.9, 1.0], [1.0])
    return Problem(tissue, ArmLoss(arm_of_repetition(N, arms, "golden"), **weights), limits)


def test_the_loss_of_one_group_is_the_cramer_rao_bound_of_a_voxel() -> None:
    tissue = design_tissue([(1.084, 0.069), (1.82, 0.099)], [1.0], [1.0])
    loss = ArmLoss(arm_of_repetition(N, 1, "golden"))
    found = loss.relative_sd(signals(START, tissue))[:, 0]
    bound = cramer_rao(sequence_of(START, BLANK, "x"), Tissue(tissue.t1, tissue.t2), noise_sd=1.0)
    expected = np.stack([bound.sd_t1 / tissue.t1, bound.sd_t2 / tissue.t2], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    value, _ = loss.value_and_weight(signals(START, tissue))
    assert value == pytest.approx(np.log((expected**2).sum(axis=1)).mean(), rel=1e-4)


def test_the_loss_of_an_arm_counts_its_repetitions_alone() -> None:
    given = problem()
    found = signals(START, given.tissue)
    whole = given.loss.relative_sd(found)
    mine = given.loss.arm == 2
    alone = ArmLoss(np.zeros(int(mine.sum()), np.int64)).relative_sd(found[:, :, mine])
    np.testing.assert_allclose(whole[:, 2], alone[:, 0], rtol=1e-6)


@pytest.mark.parametrize("weights", [{}, {"weight_t1": 3.0}, {"weight_t1": 0.0}])
def test_the_weight_is_the_derivative_of_the_loss(weights: dict[str, float]) -> None:
    given = problem(**weights)
    found = signals(START, given.tissue)
    _, weight = given.loss.value_and_weight(found)
    direction = np.random.default_rng(0).normal(size=found.shape) * abs(found).max()
    ends = [given.loss.value_and_weight(found + h * direction)[0] for h in (1e-6, -1e-6)]
    assert (weight * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


VARIED = Limits(
    np.deg2rad(75),
    max_step=np.deg2rad(1),
    max_energy=3.0,
    max_time=0.5,
    tr_range=(0.008, 0.015),
    te_range=(0.001, 0.006),
    inversion_time_range=(0.01, 0.03),
)


def test_the_gradient_of_all_variables_is_that_of_finite_differences() -> None:
    """Of loss and penalties together; all of the penalties act."""
    objective = _Objective(problem(VARIED), START, 1, lambda: False)
    x = objective.variables(START)
    x = x * (1 + 0.02 * np.random.default_rng(0).normal(size=len(x)))
    _, found = objective(x)
    assert len(x) == 3 * N + 1
    added = penalty(VARIED, objective.train(x))
    assert added.value > 0
    assert added.tr.all()
    for n in (0, 7, N - 1, N, N + 9, 2 * N + 3, 3 * N):
        unit = 1e-5 * np.eye(len(x))[n]
        expected = (objective(x + unit)[0] - objective(x - unit)[0]) / 2e-5
        assert found[n] == pytest.approx(expected, rel=1e-6, abs=1e-9 * abs(found).max()), n


def test_a_design_is_better_and_keeps_its_limits() -> None:
    given = problem()
    design = optimise(given, {"start": START}, SilentReporter(), iterations=60)
    assert design.loss < design.start_loss - 0.5
    assert design.start_loss == pytest.approx(train_loss(given, START))
    assert design.loss == pytest.approx(train_loss(given, design.train))
    flip = np.rad2deg(design.train.flip_angle)
    assert flip.min() >= 0
    assert flip.max() <= 75 + 1e-9
    assert abs(np.diff(flip)).max() <= 4 + 1e-9
    np.testing.assert_array_equal(design.train.tr, START.tr)
    assert not design.was_stopped


def test_every_limit_holds_exactly() -> None:
    given = problem(VARIED)
    start = replace(START, tr=np.full(N, 0.008))
    train = optimise(given, {"start": start}, SilentReporter(), iterations=60).train
    assert np.sum(train.flip_angle**2) <= 3.0 + 1e-9
    assert train.duration <= 0.5 + 1e-9
    assert train.tr.min() >= 0.008 - 1e-12
    assert train.tr.max() <= 0.015 + 1e-12
    assert train.te.min() >= 0.001 - 1e-12
    assert train.te.max() <= 0.006 + 1e-12
    assert 0.01 <= train.inversion_time <= 0.03
    assert np.ptp(train.te) > 1e-4
    assert np.ptp(train.tr) > 1e-4
    assert train.inversion_time != START.inversion_time


@pytest.mark.parametrize(
    "changed",
    [
        lambda p: replace(p, limits=replace(LIMITS, max_flip=np.deg2rad(25))),
        lambda p: replace(p, limits=replace(LIMITS, max_step=np.deg2rad(1))),
        lambda p: replace(p, limits=replace(LIMITS, max_energy=4.0)),
        lambda p: replace(p, loss=replace(p.loss, weight_t1=10.0)),
        lambda p: replace(p, loss=ArmLoss(arm_of_repetition(N, 6, "blocks"))),
        lambda p: replace(p, tissue=design_tissue([(1.084, 0.069)], [1.0], [1.0])),
        lambda p: replace(p, tissue=design_tissue([(1.084, 0.069)], [1.0], [0.8])),
    ],
)
def test_everything_that_is_asked_for_changes_the_design(
    changed: Callable[[Problem], Problem],
) -> None:
    plain = problem()
    before, after = (
        optimise(each, {"start": START}, SilentReporter(), iterations=15).train
        for each in (plain, changed(plain))
    )
    assert abs(before.flip_angle - after.flip_angle).max() > np.deg2rad(0.1)


def test_the_best_of_several_starts_is_returned() -> None:
    other = replace(START, flip_angle=np.full(N, np.deg2rad(8.0)))
    starts = {"waves": START, "constant": other}
    both = optimise(problem(), starts, SilentReporter(), iterations=20)
    each = [
        optimise(problem(), {name: train}, SilentReporter(), iterations=20)
        for name, train in starts.items()
    ]
    assert both.loss == pytest.approx(min(design.loss for design in each))
    assert both.evaluations == sum(design.evaluations for design in each)


def test_a_search_that_is_stopped_keeps_the_best_so_far() -> None:
    calls = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 8

    design = optimise(
        problem(), {"a": START, "b": START}, SilentReporter(), iterations=50, should_stop=stop
    )
    assert design.was_stopped
    assert design.evaluations == 8
    assert design.loss < design.start_loss


def test_steps_are_limited_from_above_only() -> None:
    flip = np.array([1.0, 1.0, 5.0, 5.0, 0.0, 9.0])
    limited = limit_steps(flip, 2.0)
    np.testing.assert_array_equal(limited, [1, 1, 3, 2, 0, 2])
    unlimited = within_limits(Limits(np.pi), START)
    np.testing.assert_array_equal(unlimited.flip_angle, START.flip_angle)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_flip": 0.0}, "largest flip angle 0 deg"),
        ({"max_flip": 1.0, "max_step": 0.0}, "largest step 0"),
        ({"max_flip": 1.0, "max_energy": -1.0}, "energy limit -1"),
        ({"max_flip": 1.0, "te_range": (0.004, 0.002)}, "TE from 4 to 2 ms"),
        ({"max_flip": 1.0, "tr_range": (0.01, 0.02)}, "without a limit on the total time"),
    ],
)
def test_contradictory_limits_are_refused(limits: dict[str, Any], expected: str) -> None:
    with pytest.raises(ArgumentError, match=expected):
        Limits(**limits)


@pytest.mark.parametrize(
    ("limits", "start", "expected"),
    [
        (Limits(1.0, max_time=0.1), START, "last at least 0.74 s, expected at most 0.1 s"),
        (Limits(1.0, te_range=(0.001, 0.02)), START, "TE up to 20 ms with TR from 12 ms"),
        (
            Limits(1.0, inversion_time_range=(0.01, 0.02)),
            replace(START, inversion_time=None),
            "has no inversion",
        ),
        (LIMITS, replace(START, flip_angle=np.zeros(N)), "does not determine T1 and T2"),
    ],
)
def test_what_cannot_be_reached_is_refused(
    limits: Limits, start: PulseTrain, expected: str
) -> None:
    with pytest.raises(ArgumentError, match=expected):
        optimise(problem(limits), {"start": start}, SilentReporter(), iterations=5)


def test_the_golden_order_is_that_of_the_simulated_trajectory() -> None:
    _, arm = make_trajectory("spiral48", 64, 500)
    np.testing.assert_array_equal(arm_of_repetition(500, 48, "golden"), arm)
    np.testing.assert_array_equal(arm_of_repetition(7, 2, "blocks"), [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(arm_of_repetition(7, 1, "golden"), np.zeros(7))


def test_arms_with_too_few_repetitions_are_refused() -> None:
    with pytest.raises(ArgumentError, match="48 arms for 100 repetitions"):
        arm_of_repetition(100, 48, "golden")
    with pytest.raises(ArgumentError, match="order 'random'"):
        arm_of_repetition(100, 4, "random")  # type: ignore[arg-type]
