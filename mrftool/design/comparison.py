"""Sequences side by side: precision, sensitivities, energy and time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.design.adjoint import signals
from mrftool.design.arm_loss import ArmLoss, Order, arm_of_repetition
from mrftool.design.pulse_train import DesignTissue, train_of
from mrftool.errors import ArgumentError
from mrftool.manifold.influences import B1, EFFICIENCY
from mrftool.manifold.sensitivity import sensitivity
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

NOISE = 0.01  # sd per channel [M0] that precisions are given for
RANK = 5


@dataclass(frozen=True, eq=False)
class Characteristics:
    """What a sequence does, in numbers that compare.

    Parameters
    ----------
    name, duration
        Of the sequence [s].
    energy
        Sum of squared flip angles [rad^2].
    largest_flip, largest_step
        Largest flip angle, and change from pulse to pulse [rad].
    relative_sd
        Cramer-Rao bound of T1 and T2 over their values, for noise of NOISE `(tissue, 2)` [1].
    arm_sd
        The same from the repetitions of one arm alone, root mean square over arms `(tissue, 2)`
        [1]; NaN if the sequence is not one train of a designed kind.
    by_b1, by_efficiency
        Relative change of T1 and T2 per relative change of B1, and per change of the inversion
        efficiency `(tissue, 2)` [1]; NaN if the sequence has no inversion.
    left_out
        Root mean square of the relative error that a temporal basis of RANK vectors leaves [1].
    """

    name: str
    duration: float
    energy: float
    largest_flip: float
    largest_step: float
    relative_sd: FloatArray
    arm_sd: FloatArray
    by_b1: FloatArray
    by_efficiency: FloatArray
    left_out: float


def characteristics(
    sequence: PulseSequence, tissue: Tissue, *, arms: int, order: Order
) -> Characteristics:
    """The numbers of one sequence.

    Parameters
    ----------
    sequence
        What is played.
    tissue
        Of M0 = 1.
    arms, order
        Of the trajectory: see `mrftool.design.arm_loss.arm_of_repetition`.
    """
    bound = cramer_rao(sequence, tissue, noise_sd=NOISE)
    flip = np.abs(sequence.flip_angle)
    return Characteristics(
        name=sequence.name,
        duration=sequence.duration,
        energy=float(np.sum(flip**2)),
        largest_flip=float(flip.max()),
        largest_step=float(np.max(np.abs(np.diff(flip)), initial=0)),
        relative_sd=np.stack([bound.sd_t1 / tissue.t1, bound.sd_t2 / tissue.t2], axis=1),
        arm_sd=_arm_sd(sequence, tissue, arms, order),
        **_sensitivities(sequence, tissue),
        left_out=temporal_basis(sequence, min(RANK, len(sequence))).left_out,
    )


def _arm_sd(sequence: PulseSequence, tissue: Tissue, arms: int, order: Order) -> FloatArray:
    try:
        train = train_of(sequence)
        loss = ArmLoss(arm_of_repetition(len(train), arms, order))
    except ArgumentError:
        return np.full((len(tissue), 2), np.nan)
    ones = np.ones(len(tissue))
    efficiency = ones
    if sequence.train is not None and sequence.train.inversion is not None:
        efficiency = sequence.train.inversion.efficiency * ones
    designed = DesignTissue(tissue.t1, tissue.t2, tissue.b1, efficiency)
    sd = loss.relative_sd(signals(train, designed))
    return np.asarray(NOISE * np.sqrt(np.mean(sd**2, axis=1)))


def _sensitivities(sequence: PulseSequence, tissue: Tissue) -> dict[str, FloatArray]:
    found = sensitivity(sequence, tissue)
    slopes = {
        influence.name: slope
        for influence, slope in zip(found.influences, found.slopes, strict=True)
    }
    missing = np.full((len(tissue), 2), np.nan)
    return {
        "by_b1": slopes.get(B1.name, missing),
        "by_efficiency": slopes.get(EFFICIENCY.name, missing),
    }


def compare(
    sequences: Sequence[PulseSequence], tissue: Tissue, *, arms: int, order: Order
) -> list[Characteristics]:
    """The numbers of several sequences; see `characteristics`."""
    return [characteristics(each, tissue, arms=arms, order=order) for each in sequences]
