from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pulseq_factory import Fisp, pp, system
from pulseq_oracle import play_file

from mrftool.errors import InputError
from mrftool.formats.sequence.importing import import_sequence
from mrftool.formats.sequence.pulseq.file import read_pulseq
from mrftool.formats.sequence.pulseq.shots import list_shots, slice_gradient, sort_into_trains
from mrftool.formats.sequence.sources import Given
from mrftool.physics.dephasing import GAMMA
from mrftool.physics.epg import epg_signal
from mrftool.physics.rf.pulse import flip_across
from mrftool.sequence import Invert, Preparation, PulseSequence, Saturate, T2Prep, Trigger
from mrftool.sequence.timeline import trigger_times

FLIPS = (10, 30, 60, 40, 20, 15)
QUADRATIC = [150 * n * (n + 1) / 2 % 360 for n in range(6)]


def imported(tmp_path: Path, train: Fisp, **given: Any) -> PulseSequence:
    path = tmp_path / "train.seq"
    train.write(path)
    return import_sequence(path, Given(**given)).sequence


def echo_times(path: Path, te: np.ndarray) -> list[float]:
    file = read_pulseq(path)
    train = sort_into_trains(list_shots(file)[0])[0][-1]
    return [shot.centre + float(t) for shot, t in zip(train.shots, te, strict=True)]


@pytest.mark.parametrize("v141_compat", [False, True])
@pytest.mark.parametrize("readout", ["cartesian", "spiral"])
@pytest.mark.parametrize("rf", ["sinc", "block"])
def test_a_file_gives_back_what_was_put_in(
    tmp_path: Path, rf: str, readout: str, v141_compat: bool
) -> None:
    train = Fisp(rf=rf, readout=readout, phases=QUADRATIC, noise=2).write(
        tmp_path / "t.seq", v141_compat=v141_compat
    )
    result = import_sequence(tmp_path / "t.seq")
    sequence = result.sequence
    np.testing.assert_allclose(
        np.rad2deg(sequence.flip_angle), FLIPS, atol=1e-4
    )  # the file has 6 digits
    apart = np.rad2deg(sequence.rf_phase) - QUADRATIC
    np.testing.assert_allclose((apart + 180) % 360 - 180, 0, atol=1e-3)
    np.testing.assert_allclose(sequence.tr, train.tr, atol=1e-9)
    first_sample = 15e-6 if readout == "spiral" else 0.0  # dead time and half a dwell time
    np.testing.assert_allclose(sequence.te, 4e-3 + first_sample, atol=1e-9)
    assert sequence.train.inversion is not None
    assert sequence.train.inversion.time == pytest.approx(
        21e-3, abs=5e-6
    )  # the factory rounds a delay to 10 us
    assert (sequence.spoiling, sequence.train.repeats) == ("gradient", 1)
    assert any("2 readouts before the first RF pulse" in note for note in result.notes)
    assert not any("altered" in note for note in result.notes)


def test_times_are_those_of_pypulseqs_own_trajectory(tmp_path: Path) -> None:
    train = Fisp(rf="block", tr=(14e-3, 17e-3, 15e-3, 16e-3, 14e-3, 14e-3))
    sequence = imported(tmp_path, train)
    k, _, excitation, _, samples = train.seq.calculate_kspace()
    k, samples = k.T.reshape(6, 128, 3), samples.reshape(6, 128)
    nearest = samples[range(6), np.linalg.norm(k, axis=2).argmin(axis=1)]
    np.testing.assert_allclose(sequence.tr[:-1], np.diff(excitation), atol=1e-9)
    np.testing.assert_allclose(
        sequence.te, nearest - excitation, atol=5.1e-6
    )  # k = 0 lies between two samples


@pytest.mark.parametrize(
    ("offset", "phases"), [(0.0, [0] * 6), (0.02, QUADRATIC), (-0.013, [0, 180] * 3)]
)
def test_a_slice_off_centre_keeps_flip_angle_and_phase(
    tmp_path: Path, offset: float, phases: list[float]
) -> None:
    sequence = imported(tmp_path, Fisp(slice_offset=offset, phases=phases, receiver=phases))
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), FLIPS, atol=1e-4)
    apart = np.rad2deg(sequence.rf_phase) - phases
    np.testing.assert_allclose((apart + 180) % 360 - 180, 0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "t1", "t2", "expected"),
    [
        (Fisp(rf="block", spoil=100, inversion="hard", phases=QUADRATIC), 1.0, 0.2, 4e-3),
        (Fisp(rf="block", spoil=0, inversion="hard", phases=[0, 180] * 3), 1.0, 0.2, 4e-3),
        (Fisp(rf="block", spoil=100, inversion="hypsec"), 100.0, 50.0, 2e-3),
    ],
    ids=["spoiled", "balanced", "adiabatic"],
)
def test_the_engine_on_the_import_agrees_with_bloch_on_the_file(
    tmp_path: Path, train: Fisp, t1: float, t2: float, expected: float
) -> None:
    """`expected`: relaxation during pulses of 0.4 ms (T2 0.2 s), or of 10 ms (T2 50 s), which the
    engine leaves out.
    """
    sequence = imported(tmp_path, train)
    z = (
        np.arange(64) / 64 * 1e-2
    )  # one cycle of the spoiler, twenty of the crusher: no echo of what that crushed
    bloch = play_file(
        tmp_path / "train.seq", echo_times(tmp_path / "train.seq", sequence.te), z, t1, t2
    )
    epg = epg_signal(sequence, np.array([t1]), np.array([t2]))[0]
    assert abs(bloch - epg).max() < expected * abs(epg).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flips", "offset", "expected"),
    [
        ((8, 10, 12, 10, 8, 12), 0.0, 5e-4),
        ((8, 10, 12, 10, 8, 12), 0.02, 5e-4),
        ((25, 30, 35, 30, 25, 35), 0.0, 4e-3),
    ],
)
def test_the_slice_profile_agrees_with_bloch_on_the_file(
    tmp_path: Path, flips: tuple[float, ...], offset: float, expected: float
) -> None:
    """`expected` grows with the flip angle: one profile speaks for all, and its phase is left
    out.
    """
    train = Fisp(flips=flips, inversion="hard", phases=QUADRATIC, slice_offset=offset)
    sequence = imported(tmp_path, train, slice_positions=40)
    assert sequence.slice_profile is not None
    z = (np.arange(1200) - 599.5) / 1200 * 0.012 + offset
    bloch = play_file(
        tmp_path / "train.seq", echo_times(tmp_path / "train.seq", sequence.te), z, 10.0, 5.0
    )
    apart = {}
    for name, model in (("profile", sequence), ("flat", imported(tmp_path, train))):
        epg = epg_signal(model, np.array([10.0]), np.array([5.0]))[0]
        scale = np.vdot(epg, bloch) / np.vdot(epg, epg)
        apart[name] = abs(bloch / scale - epg).max() / abs(epg).max()
    assert apart["profile"] < expected < apart["flat"] / 2


def test_flip_angles_across_the_slice_are_those_of_bloch(tmp_path: Path) -> None:
    """Transverse magnetisation after one pulse and its rephaser, at single positions."""
    train = Fisp(flips=(60,), phases=(0,), tr=(20e-3,), inversion="none", spoil=0)
    train.write(tmp_path / "one.seq")
    file = read_pulseq(tmp_path / "one.seq")
    shot = list_shots(file)[0][0]
    z = np.linspace(-4e-3, 4e-3, 9)
    at = file.start[shot.block + 2] + 1e-9
    seen = [
        abs(play_file(tmp_path / "one.seq", [at], np.array([position]), 1e6, 1e6)[0])
        for position in z
    ]
    gradient = slice_gradient(file.blocks[shot.block])[0][:, 2]
    np.testing.assert_allclose(np.sin(flip_across(shot.rf.pulse, gradient, z)), seen, atol=1e-3)


@pytest.mark.parametrize("kind", ["hypsec", "hard"])
def test_inversion_pulses_have_the_efficiency_of_bloch(tmp_path: Path, kind: str) -> None:
    sequence = imported(
        tmp_path,
        Fisp(flips=(90,), phases=(0,), tr=(20e-3,), rf="block", inversion=kind),
        spoiling="none",
    )
    assert sequence.train.inversion is not None
    at = echo_times(tmp_path / "train.seq", sequence.te)
    z = (
        np.arange(64) / 64 * 0.5e-3
    )  # one cycle of the crusher: what the inversion leaves across is gone
    left = play_file(tmp_path / "train.seq", at, z, 1e6, 1e6)[
        0
    ]  # a 90 deg pulse about x: Mz becomes -My
    assert sequence.train.inversion.efficiency == pytest.approx(left.imag, abs=1e-4)
    assert sequence.train.inversion.efficiency > 0.99


def test_the_spoilers_waveform_dephases_like_the_files_gradient(tmp_path: Path) -> None:
    sequence = imported(tmp_path, Fisp(rf="block", spoil=900))
    assert sequence.spoiler is not None
    gradient, duration = sequence.spoiler.gradient, sequence.spoiler.duration
    assert GAMMA / (2 * np.pi) * gradient @ duration == pytest.approx(900, abs=0.01)
    trap = pp.make_trapezoid("z", area=900, duration=1.5e-3, system=system())
    begin = duration.sum() - 1.5e-3  # it plays last
    t = np.linspace(0, begin + 1.5e-3, 200_001)
    corners = begin + np.cumsum([0, trap.rise_time, trap.flat_time, trap.fall_time])
    k = np.cumsum(np.interp(t, corners, [0, trap.amplitude, trap.amplitude, 0])) * t[1]
    edges = np.concatenate([[0], np.cumsum(duration)])
    ours = np.interp(
        t, edges, np.concatenate([[0], np.cumsum(gradient * duration)]) * GAMMA / (2 * np.pi)
    )
    assert (ours**2).mean() == pytest.approx(
        (k**2).mean(), rel=0.01
    )  # b-value; ramps are steps of their mean
    assert ours.mean() == pytest.approx(k.mean(), rel=1e-3)


def test_repeated_trains_become_repeats_with_their_waiting_time(tmp_path: Path) -> None:
    sequence = imported(tmp_path, Fisp(trains=3, wait=0.5, phases=QUADRATIC))
    assert (len(sequence), sequence.train.repeats) == (6, 3)
    train = Fisp(trains=3, wait=0.5, phases=QUADRATIC)
    train.write(tmp_path / "again.seq")
    shots, _ = list_shots(read_pulseq(tmp_path / "again.seq"))
    gap = shots[7].centre - shots[6].centre  # last pulse of a train to the next inversion
    assert sequence.train.wait + sequence.tr[-1] == pytest.approx(gap, abs=1e-8)


def test_balanced_and_single_repetitions(tmp_path: Path) -> None:
    assert imported(tmp_path, Fisp(rf="block", spoil=0)).spoiling == "none"
    assert imported(tmp_path, Fisp(rf="sinc", spoil=0, phases=[0, 180] * 3)).spoiling == "none"
    alone = Fisp(flips=(30,), phases=(0,), tr=(20e-3,))
    with pytest.raises(InputError, match="a single repetition does not tell, expected 'gradient'"):
        imported(tmp_path, alone)
    assert imported(tmp_path, alone, spoiling="gradient").spoiling == "gradient"


def test_what_the_user_says_comes_first_and_is_told(tmp_path: Path) -> None:
    Fisp().write(tmp_path / "t.seq")
    given = Given(
        te=np.array([4.5e-3]),
        inversion_efficiency=0.9,
        inversion_time=0.03,
        repeats=2,
        wait=1.0,
        name="mine",
    )
    result = import_sequence(tmp_path / "t.seq", given)
    sequence = result.sequence
    assert (sequence.te == 4.5e-3).all()
    assert sequence.train.inversion is not None
    assert (sequence.train.inversion.efficiency, sequence.train.inversion.time) == (0.9, 0.03)
    assert (sequence.train.repeats, sequence.train.wait, sequence.name) == (2, 1.0, "mine")
    for words in (
        "te is 4.5 ms",
        "inversion efficiency 0.9",
        "TI 30 ms",
        "plays 2 x",
        "waiting time 1000 ms",
    ):
        assert any(words in note and "as the user says" in note for note in result.notes), words


class Odd(Fisp):
    """Trains with something that has no place in a sequence, by the name of `odd`."""

    odd = ""

    def _invert(self) -> None:
        pulse = pp.make_block_pulse(
            np.pi / 2, duration=400e-6, delay=1e-4, system=self.sys, use="preparation"
        )
        turn = pp.make_block_pulse(
            np.pi, duration=400e-6, delay=1e-4, system=self.sys, use="preparation"
        )
        if self.odd == "saturation":
            self.seq.add_block(pulse)
        elif self.odd == "t2 preparation":
            for event in (pulse, pp.make_delay(10e-3), turn, pp.make_delay(10e-3), pulse):
                self.seq.add_block(event)
        elif self.odd == "double inversion":
            super()._invert()
            super()._invert()
        elif self.odd == "fat saturation":
            fat = pp.make_gauss_pulse(
                np.deg2rad(110),
                duration=8e-3,
                freq_offset=-440,
                system=self.sys,
                delay=1e-4,
                use="saturation",
            )
            self.seq.add_block(fat)
            super()._invert()

    def _repeat(self, n: int) -> None:
        if self.odd == "slices":
            self.slice_offset = 0.01 * (n % 2)
        if self.odd == "dummy" and n == 2:
            self.seq.add_block(
                pp.make_block_pulse(
                    0.3, duration=400e-6, delay=1e-4, system=self.sys, use="excitation"
                )
            )
        super()._repeat(n)

    def _cartesian(self, n: int, time: float, phase: float) -> None:
        if self.odd == "two readouts" and n == 1:
            super()._cartesian(n, time - 1e-3, phase)
            super()._cartesian(n, 1.5e-3, phase)
        elif self.odd == "free decay":
            self.seq.add_block(pp.make_adc(64, dwell=1e-5, delay=time, system=self.sys))
        elif self.odd == "rosette":
            self._delay(time)
            wave = 4e5 * np.sin(8 * np.pi * (np.arange(300) + 0.5) / 300)
            gx = pp.make_arbitrary_grad("x", wave, system=self.sys, first=0, last=0)
            self.seq.add_block(gx, pp.make_adc(280, dwell=1e-5, delay=1e-4, system=self.sys))
        elif self.odd == "outer line":
            there, back = (
                pp.make_trapezoid("y", area=area, duration=6e-4, system=self.sys)
                for area in (100, -100)
            )
            self.seq.add_block(there)
            super()._cartesian(n, time - 6e-4, phase)
            self.seq.add_block(back)
        elif self.odd == "unbalanced":
            self.seq.add_block(
                pp.make_trapezoid("y", area=30.0 * n, duration=6e-4, system=self.sys)
            )
            super()._cartesian(n, time - 6e-4, phase)
        else:
            super()._cartesian(n, time, phase)


def refusal(tmp_path: Path, odd: str, train: Fisp | None = None, **given: Any) -> str:
    train = train or Odd(rf="sinc" if odd == "slices" else "block")
    train.odd = odd  # type: ignore[attr-defined]
    with pytest.raises(InputError) as caught:
        imported(tmp_path, train, **given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ("dummy", "1 x pulse without a readout (block 15): expected a preparation, or a dummy"),
        ("slices", "pulses excite 2 slices (at 0, 10 mm), expected a file of one slice"),
        ("two readouts", "1 x pulse with several readouts"),
        (
            "free decay",
            "no gradient plays during the readouts, so that k = 0 is everywhere; expected TE [ms]",
        ),
        ("outer line", "no readout crosses the centre of k-space"),
        ("rosette", "samples near k = 0 lie "),
        ("unbalanced", "expected one constant moment or none; 'gradient' assumes"),
    ],
)
def test_what_is_no_sequence_is_refused_in_a_sentence(
    tmp_path: Path, odd: str, expected: str
) -> None:
    assert expected in refusal(tmp_path, odd)


def test_what_an_option_can_settle_is_settled(tmp_path: Path) -> None:
    train = Odd(rf="block", inversion="none")
    train.odd = "free decay"
    assert imported(tmp_path, train, te=np.array([3e-3])).te[0] == 3e-3
    train.odd = "unbalanced"
    assert imported(tmp_path, train, spoiling="gradient").spoiler is None
    train.odd = "fat saturation"
    train.write(tmp_path / "fat.seq")
    assert any("as fat saturation" in note for note in import_sequence(tmp_path / "fat.seq").notes)


def test_an_echo_after_the_next_pulse_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path, "", Fisp(), te=np.array([14.5e-3]))
    assert "TE 14.5 ms is outside TR 14 ms (and 3 more)" in text


def test_a_receiver_that_does_not_follow_is_refused_unless_told(tmp_path: Path) -> None:
    train = Fisp(phases=QUADRATIC, receiver=[0] * 6)
    assert "receiver: in repetition 3 it is 180 deg off the RF phase" in refusal(
        tmp_path, "", train
    )
    assert imported(tmp_path, train, receiver_follows=True).rf_phase[1] == pytest.approx(
        np.deg2rad(150), abs=1e-5
    )
    constant = [phase + 90 for phase in QUADRATIC]
    assert imported(tmp_path, Fisp(phases=QUADRATIC, receiver=constant)).rf_phase[0] == 0


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    train = Odd(rf="block", flips=(30,), phases=(0,), tr=(20e-3,))
    text = refusal(tmp_path, "free decay", train)
    assert text.splitlines()[0].endswith("2 faults in the sequence")
    assert "te: " in text and "spoiling: " in text


def test_trains_that_differ_are_events(tmp_path: Path) -> None:
    class Growing(Fisp):
        def _invert(self) -> None:
            self.flips = [flip + 1 for flip in self.flips]
            super()._invert()

    sequence = imported(tmp_path, Growing(trains=2, wait=0.1))
    assert sequence.train is None and len(sequence) == 12
    flips = np.rad2deg(sequence.flip_angle)
    np.testing.assert_allclose(flips[6:], flips[:6] + 1, atol=1e-3)
    kinds = [type(event).__name__ for event in sequence.events]
    assert kinds == ["Invert", "Wait", "Pulses"] * 2 or kinds[3:4] == ["Wait"]


V13 = """# hand-made
[VERSION]
major 1
minor 3
revision 1

[DEFINITIONS]
Name tiny

[BLOCKS]
1 0 1 0 0 0 0 0
2 0 0 1 0 0 0 0
3 0 0 2 0 0 1 0
4 0 0 1 0 0 0 0
5 1 0 0 0 0 0 0
6 0 2 0 0 0 0 0
7 0 0 1 0 0 0 0
8 0 0 2 0 0 1 0
9 0 0 1 0 0 0 0

[RF]
1 250 1 2 100 0 0
2 250 1 2 100 0 3.14159265

[TRAP]
1 -500000 100 400 100 0
2 500000 100 900 100 0

[ADC]
1 90 10000 100 0 0

[DELAYS]
1 3000

[SHAPES]

shape_id 1
num_samples 400
1
0
0
397

shape_id 2
num_samples 400
0
0
398
"""


def test_version_1_3_is_read_with_its_delays(tmp_path: Path) -> None:
    path = tmp_path / "old.seq"
    path.write_text(V13)
    result = import_sequence(path, Given(no_inversion=True, receiver_follows=True))
    sequence = result.sequence
    np.testing.assert_allclose(
        np.rad2deg(sequence.flip_angle), 36, atol=1e-6
    )  # 360 x 250 Hz x 0.4 ms
    np.testing.assert_allclose(np.rad2deg(sequence.rf_phase), [0, 180], atol=1e-6)
    assert sequence.tr[0] == pytest.approx(0.5e-3 + 0.6e-3 + 1.1e-3 + 0.6e-3 + 3e-3)
    assert sequence.te == pytest.approx(0.2e-3 + 0.6e-3 + 0.55e-3)
    assert sequence.spoiling == "none"
    assert any("version 1.3 does not say its rasters" in note for note in result.notes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[VERSION]", "[VERSIONS]"), "is no Pulseq file"),
        (("minor 3", "minor 9"), "Pulseq version 1.9.1, expected 1.2 to 1.5"),
        (("minor 3", "minor x"), "version is not readable"),
        (("num_samples 400", "num_samples 4000000000"), "a shape of 4000000000 samples"),
        (("num_samples 400", "num_samples 300"), "expected"),
        (("1 250 1 2", "1 250 7 2"), "expected"),
        (("1 0 1 0 0 0 0 0", "1 0 5 0 0 0 0 0"), "event or shape 5 is missing"),
        (("2 500000 100", "2 nan 100"), "finite"),
        (("1 250 1 2", "1 inf 1 2"), "finite"),
        (("1 -500000 100", "1 -500000 oops"), "expected a complete Pulseq file"),
        (("1 -500000 100 400 100 0", "1 -500000 100"), "is no event of [TRAP]"),
        (("1 250 1 2 100 0 0", "1 250"), "is no event of [RF]"),
        (("1 90 10000 100 0 0", "1 90 10000"), "is no event of [ADC]"),
        (("1 0 1 0 0 0 0 0", "1 0 1"), "is no block"),
        (("minor 3", "minor 4"), "does not define BlockDurationRaster"),
        (("1 90 10000", "1 0 10000"), "a readout of 0 samples"),
    ],
)
def test_damaged_files_stop_with_one_line(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    path = tmp_path / "bad.seq"
    path.write_text(V13.replace(change[0], change[1], 1))
    with pytest.raises(InputError) as caught:
        import_sequence(path)
    assert str(caught.value).startswith(f"{path}:") and expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_no_damage_hangs_or_escapes(tmp_path: Path) -> None:
    """Cut anywhere, or with a few characters changed: a sequence, or an InputError. pypulseq alone
    hangs on some.
    """
    Fisp(flips=(10, 20), phases=(0, 0), rf="block", inversion="none").write(tmp_path / "good.seq")
    good = (tmp_path / "good.seq").read_text()
    random = np.random.default_rng(1)
    texts = [good[:n] for n in random.integers(0, len(good), 25)]
    for _ in range(75):
        letters = list(good)
        for place in random.integers(0, len(good), 3):
            letters[place] = "0123456789.-e \n[#x"[random.integers(18)]
        texts.append("".join(letters))
    stopped = 0
    for text in texts:
        (tmp_path / "cut.seq").write_text(text)
        try:
            import_sequence(tmp_path / "cut.seq")
        except InputError as error:
            stopped += 1
            assert str(error).startswith(f"{tmp_path / 'cut.seq'}:")
    assert 25 <= stopped < 100


def test_offsets_in_ppm_need_the_field(tmp_path: Path) -> None:
    train = Fisp(flips=(30, 30), phases=(0, 0), rf="block", inversion="none")
    path = tmp_path / "ppm.seq"
    train.write(path)
    lines = path.read_text().split("\n")
    at = lines.index("[RF]") + 1
    cells = lines[at].split()
    cells[7] = "-3.45"  # 1.5: id amp mag phase time center delay freqPPM phasePPM freq phase use
    lines[at] = " ".join(cells)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match="an offset is given in ppm, expected the field"):
        import_sequence(path)
    result = import_sequence(path, Given(field=3.0))
    x = (
        np.pi * 3.45e-6 * GAMMA / (2 * np.pi) * 3.0 * 400e-6
    )  # half the turn of the offset in 0.4 ms
    assert np.rad2deg(result.sequence.flip_angle[0]) == pytest.approx(
        30 * np.sin(x) / x, rel=0.02
    )  # small tips
    assert any("altered after it was signed" in note for note in result.notes)


def test_a_wait_for_the_heart_needs_no_interval_where_it_begins_the_file(tmp_path: Path) -> None:
    class Gated(Fisp):
        def _invert(self) -> None:
            self.seq.add_block(pp.make_trigger("physio1", duration=1e-3, system=self.sys))
            super()._invert()

    gated = imported(tmp_path, Gated())
    assert isinstance(gated.events[0], Trigger) and gated.events[0].time == 0
    assert "the file waits for 2 triggers, expected the RR intervals between them" in refusal(
        tmp_path, "", Gated(trains=2, wait=0.1)
    )
    twice = imported(tmp_path, Gated(trains=2, wait=0.1), rr=np.array([0.9]))
    assert "the file waits for no trigger" in refusal(tmp_path, "", Fisp(), rr=np.array([0.9]))
    triggers = trigger_times(twice)
    np.testing.assert_allclose(triggers, [0.0, 0.9])
    assert "trigger 2 is missed" in refusal(
        tmp_path, "", Gated(trains=2, wait=0.1), rr=np.array([0.01])
    )


@pytest.mark.parametrize(
    ("odd", "event"),
    [
        ("saturation", Saturate(1.0)),
        ("t2 preparation", T2Prep(0.02084, 0, 1.0)),
        ("double inversion", Invert(0.996)),
    ],
)
def test_preparations_become_events(tmp_path: Path, odd: str, event: Preparation) -> None:
    train = Odd(rf="block")
    train.odd = odd
    first = imported(tmp_path, train).events[0]
    assert type(first) is type(event)
    np.testing.assert_allclose(first.numbers, event.numbers, atol=2e-3)


def test_files_are_read_without_pypulseq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.seq").write_text(V13)
    monkeypatch.setitem(__import__("sys").modules, "pypulseq", None)
    given = Given(no_inversion=True, receiver_follows=True)
    assert len(import_sequence(tmp_path / "a.seq", given).sequence) == 2
