"""The nouns: every fault has its message, and the sequence id counts what the signal depends on and
nothing else.
"""

import dataclasses
import re

import numpy as np
import pytest
from random_sequences import random_sequence

from mrftool.errors import InputError
from mrftool.fingerprints import Fingerprints
from mrftool.grid import Grid
from mrftool.physics.epg import epg_signal
from mrftool.sequence import (
    Inversion,
    Invert,
    Pulses,
    PulseSequence,
    SliceProfile,
    Spoiler,
    Train,
    Wait,
)
from mrftool.tissue import Tissue

NAN = float("nan")


def good_sequence(**changes):
    """Four repetitions with every option in use."""
    fields = {
        "flip_angle": np.deg2rad([10.0, 40.0, 25.0, 60.0]),
        "rf_phase": np.deg2rad([0.0, 117.0, 351.0, 702.0]),
        "tr": np.array([0.012, 0.013, 0.014, 0.015]),
        "te": np.array([0.002, 0.003, 0.004, 0.005]),
        "events": Train(Inversion(0.95, 0.02), 2, 0.1).events,
        "spoiler": Spoiler([20e-3, -5e-3], [2e-3, 1e-3]),
        "slice_profile": SliceProfile([1.0, 0.5], [0.6, 0.4]),
        "name": "good",
    }
    return PulseSequence(**fields | changes)


SEQUENCE_FAULTS = {
    "empty": ({"flip_angle": []}, "flip_angle has shape (0,), expected one value per repetition"),
    "a number": ({"flip_angle": 0.2}, "flip_angle has shape (), expected one value per repetition"),
    "two dimensions": (
        {"flip_angle": [[0.2]]},
        "flip_angle has shape (1, 1), expected one value per repetition",
    ),
    "length": ({"tr": [0.01, 0.02]}, "tr has shape (2,), expected (4,)"),
    "flip too large": (
        {"flip_angle": np.deg2rad([10, 721, 0, -800])},
        "repetition 1: flip_angle 721 deg (and 1 more), expected -720 to 720 deg",
    ),
    "flip nan": (
        {"flip_angle": [0, 0, NAN, 0]},
        "repetition 2: flip_angle nan deg, expected -720 to 720 deg",
    ),
    "phase": (
        {"rf_phase": [0, np.inf, 0, 0]},
        "repetition 1: rf_phase inf deg, expected a finite angle",
    ),
    "tr zero": (
        {"tr": [0.012, 0, 0.014, 0.015], "te": 4 * [0]},
        "repetition 1: tr 0 ms, expected more than 0 ms",
    ),
    "tr in ms": (
        {"tr": [12, 13, 14, 65]},
        "repetition 3: tr 65000 ms, expected more than 0 ms, at most 60 s",
    ),
    "te negative": (
        {"te": [0, -1e-3, 0, 0]},
        "repetition 1: te -1 ms, expected 0 ms or more, at most 60 s",
    ),
    "te nan": ({"te": [0, 0, 0, NAN]}, "repetition 3: te nan ms, expected 0 ms or more"),
    "te after tr": (
        {"te": [0, 0.02, 0.03, 0]},
        "repetition 1: TE 20 ms is outside TR 13 ms (and 1 more), expected TE <= TR",
    ),
    "efficiency": (
        {"events": [Invert(1.1), Pulses()]},
        "event 0: inversion efficiency 1.1, expected 0 to 1",
    ),
    "efficiency nan": (
        {"events": [Invert(NAN), Pulses()]},
        "event 0: inversion efficiency nan, expected 0 to 1",
    ),
    "negative wait": (
        {"events": [Invert(), Wait(-0.02), Pulses()]},
        "event 1: waiting time -20 ms, expected 0 ms to 60 s",
    ),
    "wait nan": (
        {"events": [Wait(NAN), Pulses()]},
        "event 0: waiting time nan ms, expected 0 ms to 60 s",
    ),
    "pulses beyond the last": (
        {"events": [Pulses(2, 5)]},
        "event 0: pulses 2 to 4, expected at least one of 0 to 3",
    ),
    "no pulses": (
        {"events": [Pulses(2, 2)]},
        "event 0: pulses 2 to 1, expected at least one of 0 to 3",
    ),
    "no echoes": (
        {"events": [Pulses(acquire=False), Wait(1.0)]},
        "no event acquires echoes, expected pulses that do",
    ),
    "spoiling": ({"spoiling": "rf"}, "spoiling 'rf', expected 'gradient' or 'none'"),
    "spoiler of nothing": ({"spoiling": "none"}, "a spoiler waveform needs spoiling 'gradient'"),
    "spoiler lengths": (
        {"spoiler": Spoiler([0.01], [0.001, 0.002])},
        "the spoiler needs one amplitude and one duration per piece",
    ),
    "spoiler axes": (
        {"spoiler": Spoiler([[0.01], [0.01]], [0.001, 0.002])},
        "the spoiler needs one amplitude and one duration per piece",
    ),
    "spoiler axes cancel": (
        {"spoiler": Spoiler([[0.01, -0.01], [0, 0]], [0.001, 0.001])},
        "the spoiler's pieces cancel: it would not spoil; expected a net moment",
    ),
    "spoiler empty": (
        {"spoiler": Spoiler([], [])},
        "the spoiler needs one amplitude and one duration per piece",
    ),
    "spoiler nan": (
        {"spoiler": Spoiler([NAN], [0.001])},
        "spoiler amplitudes and durations must be finite, durations more than 0 ms",
    ),
    "spoiler instant": ({"spoiler": Spoiler([0.1], [0.0])}, "durations more than 0 ms"),
    "spoiler cancels": (
        {"spoiler": Spoiler([0.01, -0.01], [0.001, 0.001])},
        "the spoiler's pieces cancel: it would not spoil; expected a net moment",
    ),
    "spoiler long": (
        {"spoiler": Spoiler([0.01], [0.011])},
        "the spoiler lasts 11 ms, expected at most TR - TE = 10 ms",
    ),
    "profile lengths": (
        {"slice_profile": SliceProfile([1.0], [0.5, 0.5])},
        "the slice profile needs one flip factor and one weight per position",
    ),
    "profile negative": (
        {"slice_profile": SliceProfile([-1.0], [1.0])},
        "slice-profile numbers must be finite, flip factors 0 or more",
    ),
    "profile nan": (
        {"slice_profile": SliceProfile([1.0], [NAN])},
        "slice-profile numbers must be finite",
    ),
    "profile sum": (
        {"slice_profile": SliceProfile([1.0, 0.5], [0.5, 0.4])},
        "slice-profile weights sum to 0.9, expected 1",
    ),
}


@pytest.mark.parametrize("fault", SEQUENCE_FAULTS)
def test_a_faulty_sequence_says_what_is_wrong(fault):
    changes, message = SEQUENCE_FAULTS[fault]
    with pytest.raises(InputError) as raised:
        good_sequence(**changes)
    assert str(raised.value).startswith("sequence good: ")
    assert message in str(raised.value)


def test_all_faults_are_named_at_once():
    with pytest.raises(InputError) as raised:
        good_sequence(
            flip_angle=[99, 0, 0, 0],
            te=4 * [0.1],
            events=[Invert(2.0), Wait(99.0), Pulses()],
            slice_profile=SliceProfile([1], [2]),
        )
    for part in ("flip_angle", "TE 100 ms", "event 0", "event 1", "weights sum to 2"):
        assert part in str(raised.value)


TRAIN_FAULTS = {
    "efficiency": (
        {"inversion": Inversion(1.1, 0.02)},
        "inversion efficiency 1.1, expected 0 to 1",
    ),
    "inversion time": (
        {"inversion": Inversion(1, -0.02)},
        "inversion time -20 ms, expected 0 ms to 60 s",
    ),
    "no repeats": (
        {"repeats": 0},
        "0 repeats of the train, expected a whole number from 1 to 1000",
    ),
    "half a repeat": (
        {"repeats": 1.5},
        "1.5 repeats of the train, expected a whole number from 1 to 1000",
    ),
    "wait": ({"wait": NAN}, "waiting time nan ms, expected 0 ms to 60 s"),
}


@pytest.mark.parametrize("fault", TRAIN_FAULTS)
def test_an_impossible_train_cannot_be_built(fault):
    changes, message = TRAIN_FAULTS[fault]
    with pytest.raises(InputError, match=re.escape(message)):
        Train(**changes)


@pytest.mark.parametrize(
    "train",
    [Train(), Train(Inversion(0.9, 0.02)), Train(None, 2, 0.0), Train(Inversion(0.9, 0.0), 3, 0.1)],
)
def test_a_train_is_known_again_by_its_events(train):
    assert good_sequence(events=train.events).train == train


def test_other_events_are_no_train():
    for events in ([Wait(0.1), Pulses()], [Pulses(1, 3)], [Pulses(), Wait(0.1), Pulses()]):
        assert good_sequence(events=events).train is None


def test_events_that_play_the_same_have_one_id():
    parts = [Pulses(0, 1), Pulses(1, 4)]
    train = good_sequence(events=Train().events)
    assert good_sequence(events=parts) == train
    assert good_sequence(events=[*parts, Wait(0.1), Pulses(acquire=False)]) == train
    split = [Pulses(0, 2), Wait(0.1), Wait(0.2), Pulses(2)]
    assert good_sequence(events=split) == good_sequence(events=[Pulses(0, 2), Wait(0.3), Pulses(2)])
    assert good_sequence(events=split) != good_sequence(
        events=[Pulses(0, 2), Wait(0.31), Pulses(2)]
    )
    assert good_sequence(events=split) != good_sequence(
        events=[Pulses(0, 2, acquire=False), Wait(0.3), Pulses(2)]
    )


def test_the_signal_has_the_echoes_that_are_acquired():
    sequence = good_sequence(
        events=[Pulses(0, 2, acquire=False), Invert(), Pulses(1, 4), Wait(1.0)]
    )
    assert len(sequence) == 3
    assert sequence.played.tolist() == [0, 1, 1, 2, 3]
    assert sequence.observed.tolist() == [1, 2, 3]


def test_limits_are_within():
    columns = {
        "flip_angle": [4 * np.pi, -4 * np.pi],
        "rf_phase": [1e6, -1e6],
        "tr": [60.0, 1e-6],
        "te": [60.0, 0.0],
    }
    PulseSequence(**columns, events=Train(Inversion(0.0, 60.0), np.int64(1000), 60.0).events)


def test_a_sequence_cannot_be_changed():
    flips = np.array([0.1, 0.2])
    sequence = PulseSequence(flips, [0, 0], [0.01, 0.01], [0, 0], spoiler=Spoiler([0.02], [1e-3]))
    flips[0] = 99
    assert sequence.flip_angle[0] == 0.1
    for column in (sequence.flip_angle, sequence.te, sequence.spoiler.gradient):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        sequence.events = ()


def test_duration_counts_every_interval():
    assert good_sequence().duration == pytest.approx(2 * (0.02 + 0.054) + 0.1)
    assert good_sequence(events=Train().events).duration == pytest.approx(0.054)


def _text_round_trip(sequence):
    """Through numbers with 9 decimals in deg, ms and mT/m, as a file would hold them."""

    def text(values, scale):
        return np.array([float(f"{value * scale:.9f}") for value in np.atleast_1d(values)]) / scale

    def angle(values):
        return np.deg2rad([float(f"{value:.9f}") for value in np.rad2deg(values)])

    train, spoiler, profile = sequence.train, sequence.spoiler, sequence.slice_profile
    inversion = train.inversion
    return PulseSequence(
        angle(sequence.flip_angle),
        angle(sequence.rf_phase),
        text(sequence.tr, 1e3),
        text(sequence.te, 1e3),
        Train(
            inversion and Inversion(text(inversion.efficiency, 1)[0], text(inversion.time, 1e3)[0]),
            train.repeats,
            text(train.wait, 1e3)[0],
        ).events,
        sequence.spoiling,
        spoiler and Spoiler(text(spoiler.gradient, 1e3), text(spoiler.duration, 1e3)),
        profile and SliceProfile(text(profile.flip_factor, 1), text(profile.weight, 1)),
    )


@pytest.mark.parametrize("seed", range(16))
def test_the_id_survives_text(seed):
    sequence = random_sequence(seed, pulses=300, with_spoiler=seed % 3 == 0)
    assert _text_round_trip(sequence).sequence_id == sequence.sequence_id


def test_the_id_survives_text_half_way_between_two_millionths():
    """Each number lies just beside a tie of rounding to 6 decimals, and 9 decimals put it on the
    tie.
    """
    beside = np.arange(2000) * 0.01 + 0.0000005 + np.tile([4e-10, -4e-10], 1000)
    sequence = PulseSequence(
        np.deg2rad(beside), np.deg2rad(beside), 0.02 + beside * 1e-3, beside * 1e-3
    )
    assert _text_round_trip(sequence).sequence_id == sequence.sequence_id


# Each number by two of its last counted decimals, 1e-6 deg, ms, mT/m or 1; the signal follows, if
# hardly.
CHANGES = {
    "flip_angle": {"flip_angle": np.deg2rad([10.0, 40.000002, 25.0, 60.0])},
    "sign of a flip": {"flip_angle": np.deg2rad([10.0, -40.0, 25.0, 60.0])},
    "rf_phase": {"rf_phase": np.deg2rad([0.0, 117.000002, 351.0, 702.0])},
    "tr": {"tr": np.array([0.012, 0.013000002, 0.014, 0.015])},
    "last tr of the train": {"tr": np.array([0.012, 0.013, 0.014, 0.015000002])},
    "te": {"te": np.array([0.002, 0.003, 0.004, 0.005000002])},
    "no inversion": {"events": Train(None, 2, 0.1).events},
    "inversion efficiency": {"events": Train(Inversion(0.950002, 0.02), 2, 0.1).events},
    "inversion time": {"events": Train(Inversion(0.95, 0.020000002), 2, 0.1).events},
    "repeats": {"events": Train(Inversion(0.95, 0.02), 3, 0.1).events},
    "wait": {"events": Train(Inversion(0.95, 0.02), 2, 0.100000002).events},
    "spoiler amplitude": {"spoiler": Spoiler([20.000002e-3, -5e-3], [2e-3, 1e-3])},
    "spoiler axis": {
        "spoiler": Spoiler([[20e-3, -5e-3], [0, 20e-6]], [2e-3, 1e-3])
    },  # across: to second order
    "spoiler duration": {"spoiler": Spoiler([20e-3, -5e-3], [2e-3, 1.000002e-3])},
    "no spoiler": {"spoiler": None},
    "spoiling": {"spoiler": None, "spoiling": "none"},
    "flip factor": {"slice_profile": SliceProfile([1.0, 0.500002], [0.6, 0.4])},
    "weight": {"slice_profile": SliceProfile([1.0, 0.5], [0.600002, 0.399998])},
    "no profile": {"slice_profile": None},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_id_and_the_signal_change_together(change):
    sequence, changed = good_sequence(), good_sequence(**CHANGES[change])
    assert changed.sequence_id != sequence.sequence_id
    if changed.spoiler is not None:
        t1, t2 = np.array([0.5]), np.array([0.1])
        difference = epg_signal(changed, t1, t2, adc=2e-9) - epg_signal(sequence, t1, t2, adc=2e-9)
        assert np.abs(difference).max() > 1e-10


def test_an_axis_without_a_gradient_does_not_count():
    spoilers = [Spoiler(axes, [2e-3, 1e-3]) for axes in ([20e-3, -5e-3], [[0, 0], [20e-3, -5e-3]])]
    one, two = (good_sequence(spoiler=spoiler) for spoiler in spoilers)
    assert one.sequence_id == two.sequence_id


def test_every_change_has_its_own_id():
    changed = {good_sequence(**change).sequence_id for change in CHANGES.values()}
    assert len(changed) == len(CHANGES)


def test_te_and_tr_do_not_stand_in_for_each_other():
    columns = {"flip_angle": [1.0, 1.0], "rf_phase": [0, 0], "events": Train(None, 2).events}
    one, other = (
        {"tr": [0.01, 0.02], "te": [0.01, 0.02]},
        {"tr": [0.01, 0.02], "te": [0.01, 0.01]},
    )
    assert (
        PulseSequence(**columns, **one).sequence_id != PulseSequence(**columns, **other).sequence_id
    )


UNSEEN = {
    "name": ({}, {"name": "another"}),
    "constant phase": ({}, {"rf_phase": np.deg2rad([40.0, 157.0, 391.0, 742.0])}),
    "whole turns": ({}, {"rf_phase": np.deg2rad([0.0, 117.0 - 720.0, -9.0, 702.0 - 360.0])}),
    "wait of one train": (
        {"events": Train().events},
        {"events": Train(wait=0.7).events},
    ),
    "rest of the last TR": (
        {"events": Train().events},
        {"events": Train().events, "tr": np.array([0.012, 0.013, 0.014, 0.9])},
    ),
}


@pytest.mark.parametrize("change", UNSEEN)
def test_the_id_ignores_what_no_signal_sees(change):
    one, other = (good_sequence(**changes) for changes in UNSEEN[change])
    t1, t2 = np.array([0.5]), np.array([0.1])
    assert (
        np.abs(epg_signal(one, t1, t2, adc=2e-9) - epg_signal(other, t1, t2, adc=2e-9)).max()
        < 1e-13
    )
    assert one.sequence_id == other.sequence_id


def test_sequences_are_equal_by_what_they_do():
    assert good_sequence() == good_sequence(name="another")
    assert good_sequence() != good_sequence(events=[*Train().events, Wait(0.2), Pulses()])
    assert good_sequence() != "good"
    assert (
        len(
            {
                good_sequence(),
                good_sequence(name="another"),
                good_sequence(events=[*Train().events, Wait(0.2), Pulses()]),
            }
        )
        == 2
    )


def test_estimates_may_lie_where_no_tissue_has_any() -> None:
    """A network that is being trained says anything; one voxel of a map can run away."""
    far = Tissue.of_estimates(t1=[800.0, 900.0], t2=0.1)
    assert len(far[1:]) == 1 and far.t1[1] == 900 and (far.b1 == 1).all()
    assert Tissue([0.8, 0.9, 800], 0.1).t1[2] == 800
    with pytest.raises(InputError, match="more than 0 s"):
        Tissue.of_estimates(t1=[0.0], t2=0.1)


TISSUE_FAULTS = {
    "t1 in ms": (
        {"t1": [80.0, 800.0]},
        "tissue t1 is 800 s at voxel 1, expected 10 ms to 10000 ms: milliseconds taken for",
    ),
    "b1 in percent": ({"b1": 120}, "tissue b1 is 120 at voxel 0, expected 0.1 to 3: percent taken"),
    "adc in mm2/s": ({"adc": 2e-3}, "tissue adc is 0.002 m2/s at voxel 0, expected 1e-12 m2/s to"),
    "t1 zero": ({"t1": [1.0, 0.0]}, "tissue t1 is 0 at voxel 1, expected a time of more than 0 s"),
    "t1 infinite": (
        {"t1": [np.inf, 1.0]},
        "tissue t1 is inf at voxel 0, expected a time of more than 0 s",
    ),
    "t2 negative": (
        {"t2": [-0.1, -0.1]},
        "tissue t2 is -0.1 at voxel 0 and 1 more, expected a time of more than 0 s",
    ),
    "b1 negative": (
        {"b1": [1.0, -0.2]},
        "tissue b1 is -0.2 at voxel 1, expected a fraction of 0 or more",
    ),
    "m0 nan": ({"m0": [NAN, 1j]}, "tissue m0 is nan+0j at voxel 0, expected a finite number"),
    "adc negative": (
        {"adc": -1e-9},
        "tissue adc is -1e-09 at voxel 0 and 1 more, expected 0 m2/s or more",
    ),
    "off-resonance": (
        {"off_resonance": [0, NAN]},
        "tissue off_resonance is nan at voxel 1, expected a finite number",
    ),
    "length": ({"t2": [0.1, 0.1, 0.1]}, "tissue t2 has shape (3,), expected (2,)"),
    "dimensions": ({"b1": [[1.0, 1.0]]}, "tissue b1 has shape (1, 2), expected (2,)"),
}


@pytest.mark.parametrize("fault", TISSUE_FAULTS)
def test_a_faulty_tissue_says_what_is_wrong(fault):
    changes, message = TISSUE_FAULTS[fault]
    with pytest.raises(InputError) as raised:
        Tissue(**{"t1": [1.0, 0.5], "t2": [0.1, 0.1]} | changes)
    assert message in str(raised.value)


def test_a_tissue_broadcasts_slices_and_chunks():
    tissue = Tissue(t1=1.0, t2=[0.1, 0.2, 0.3, 0.4, 0.5], m0=1j)
    assert len(tissue) == 5
    assert np.array_equal(tissue.t1, np.ones(5))
    assert np.array_equal(tissue[np.array([True, False, False, False, True])].t2, [0.1, 0.5])
    pieces = list(tissue.chunks(2))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    for key in Tissue.columns():
        assert np.array_equal(
            np.concatenate([getattr(piece, key) for piece in pieces]), getattr(tissue, key)
        )
    assert len(Tissue(t1=[], t2=[])) == 0
    assert len(Tissue(t1=1.0, t2=0.1)) == 1


AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
GRID_FAULTS = {
    "mask": (np.ones((2, 2)), AFFINE, "the mask has shape (2, 2), expected three dimensions"),
    "affine shape": (
        np.ones((2, 2, 2)),
        np.eye(3),
        "the affine is no 4 x 4 matrix of finite numbers",
    ),
    "affine nan": (
        np.ones((2, 2, 2)),
        AFFINE * NAN,
        "the affine is no 4 x 4 matrix of finite numbers",
    ),
    "affine row": (np.ones((2, 2, 2)), 2 * AFFINE, "the affine's last row is not 0 0 0 1"),
    "affine flat": (
        np.ones((2, 2, 2)),
        np.diag([2.0, 0.0, 4.0, 1.0]),
        "the affine is singular: the voxels have no volume",
    ),
}


@pytest.mark.parametrize("fault", GRID_FAULTS)
def test_a_faulty_grid_says_what_is_wrong(fault):
    mask, affine, message = GRID_FAULTS[fault]
    with pytest.raises(InputError) as raised:
        Grid(mask, affine)
    assert message in str(raised.value)


def test_a_grid_maps_images_to_columns_and_back():
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 0, 2] = mask[0, 2, 1] = mask[1, 0, 3] = True
    rotated = np.array(
        [[0.0, -3.0, 0.0, 5.0], [2.0, 0.0, 0.0, 6.0], [0.0, 0.0, 4.0, 7.0], [0.0, 0.0, 0.0, 1.0]]
    )
    grid = Grid(mask, rotated)
    assert (grid.shape, grid.n_voxels) == ((2, 3, 4), 3)
    assert np.array_equal(grid.voxel_size, [2.0, 3.0, 4.0])
    image = np.arange(48.0).reshape(2, 3, 4, 2)
    columns = grid.to_columns(image)
    assert np.array_equal(columns, [image[0, 2, 1], image[1, 0, 2], image[1, 0, 3]])
    back = grid.to_image(columns, fill=np.nan)
    assert np.array_equal(back[mask], image[mask])
    assert np.isnan(back[~mask]).all()
    with pytest.raises(InputError, match=r"the image has shape \(2, 3, 3\), expected \(2, 3, 4\)"):
        grid.to_columns(image[:, :, :3])
    with pytest.raises(InputError, match="2 voxels, expected 3"):
        grid.to_image(columns[:2])


def test_a_grid_keeps_its_own_mask():
    mask = np.ones((2, 2, 2), bool)
    grid = Grid(mask, AFFINE)
    mask[0] = False
    assert grid.n_voxels == 8
    with pytest.raises(ValueError, match="read-only"):
        grid.mask[0, 0, 0] = False


def test_fingerprints_are_complex_and_two_dimensional():
    fingerprints = Fingerprints(np.ones((3, 4)))
    assert fingerprints.signal.dtype == np.complex64
    assert len(fingerprints) == 3
    assert fingerprints.sequence_id is None
    with pytest.raises(InputError, match=r"the signal has shape \(4,\), expected \(voxel, time\)"):
        Fingerprints(np.ones(4))
