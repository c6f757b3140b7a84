"""Third-party EPG engines, and the textbook loop, behind one signature: (sequence, tissue,
n_states) -> signal.

All play the same train: perfect inversion, TE 0, one spoiler cycle per repetition.
"""

import sys
from unittest.mock import MagicMock

import numpy as np
import torch

torch.set_num_threads(1)


def torchsim(sequence, n_states):
    """The simulator of torchsim, built once per train: forward(tissue) and gradient(tissue)."""
    from torchsim.simulators import MRFSimulator

    def column(values, scale=1.0):
        values = scale * values
        return (
            float(values[0]) if np.ptp(values) == 0 else torch.tensor(values, dtype=torch.float32)
        )

    phases = {"phases": column(np.rad2deg(sequence.rf_phase))} if sequence.rf_phase.any() else {}
    simulator = MRFSimulator(
        flip=torch.tensor(np.rad2deg(sequence.flip_angle), dtype=torch.float32),
        TR=column(sequence.tr, 1e3),
        TI=0.0,
        states=n_states,
        **phases,
    )

    def times(tissue):
        return {
            key: torch.tensor(1e3 * x, dtype=torch.float32)
            for key, x in (("T1", tissue.t1), ("T2", tissue.t2))
        }

    def forward(tissue):
        return simulator.simulate(**times(tissue)).numpy()

    def gradient(tissue):
        """Backward of one number: less than the derivatives that we give, and torchsim's quickest
        way.
        """
        leaves = {key: x.requires_grad_() for key, x in times(tissue).items()}
        simulator.simulate(**leaves).abs().sum().backward()
        return [x.grad.numpy() for x in leaves.values()]

    return forward, gradient


def mrpro(sequence, n_states):
    """The EPG of mrpro: forward(tissue) and gradient(tissue)."""
    for name in (
        "",
        ".transforms",
        ".transforms.functional",
    ):  # it does not load beside torch for the CPU, nor serve here
        sys.modules.setdefault("torchvision" + name, MagicMock())
    from mrpro.operators.models.EPG import (
        EPGSequence,
        FispBlock,
        InversionBlock,
        Parameters,
        initial_state,
    )

    columns = [
        torch.tensor(x, dtype=torch.float32)
        for x in (sequence.flip_angle, sequence.rf_phase, sequence.te, sequence.tr)
    ]
    blocks = EPGSequence([InversionBlock(0.0), FispBlock(*columns)])

    def signal(t1, t2):
        parameters = Parameters(torch.ones_like(t1), t1, t2)
        states = initial_state(parameters.shape, n_states=n_states, device=torch.device("cpu"))
        return torch.stack(blocks(parameters, states)[1], -1)

    def times(tissue):
        return [torch.tensor(x, dtype=torch.float32) for x in (tissue.t1, tissue.t2)]

    def forward(tissue):
        with torch.no_grad():
            return signal(*times(tissue)).numpy()

    def gradient(tissue):
        leaves = [x.requires_grad_() for x in times(tissue)]
        signal(*leaves).abs().sum().backward()
        return [x.grad.numpy() for x in leaves]

    return forward, gradient


def sycomore(sequence, threshold):
    """Regular EPG of sycomore, one tissue at a time, states below `threshold` pruned:
    forward(tissue).
    """
    import sycomore as library
    from sycomore.units import deg, rad, s

    def one(t1, t2):
        model = library.epg.Regular(library.Species(t1 * s, t2 * s))
        model.threshold = threshold
        model.apply_pulse(180 * deg)
        echoes = np.empty(len(sequence), complex)
        for n, (flip, phase, tr) in enumerate(
            zip(sequence.flip_angle, sequence.rf_phase, sequence.tr, strict=True)
        ):
            model.apply_pulse(flip * rad, phase * rad)
            echoes[n] = model.echo * np.exp(-1j * phase)
            model.relaxation(tr * s)
            model.shift()
        return echoes

    return lambda tissue: np.array(
        [one(t1, t2) for t1, t2 in zip(tissue.t1, tissue.t2, strict=True)]
    )


def python_loop(sequence, n_states):
    """The textbook: one signature at a time, the states a 3 x K matrix of numpy; n_states: of each
    tissue.
    """

    def one(t1, t2, k):
        states = np.zeros((3, k), complex)
        states[2, 0] = -1
        echoes = np.empty(len(sequence), complex)
        for n, (flip, phase, tr) in enumerate(
            zip(sequence.flip_angle, sequence.rf_phase, sequence.tr, strict=True)
        ):
            c, s, e = np.cos(flip / 2) ** 2, np.sin(flip / 2) ** 2, np.exp(1j * phase)
            rotation = np.array(
                [
                    [c, e**2 * s, -1j * e * np.sin(flip)],
                    [s / e**2, c, 1j / e * np.sin(flip)],
                    [-0.5j / e * np.sin(flip), 0.5j * e * np.sin(flip), np.cos(flip)],
                ]
            )
            states = rotation @ states
            echoes[n] = states[0, 0] / e
            e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
            states *= np.array([[e2], [e2], [e1]])
            states[2, 0] += 1 - e1
            states[0, 1:] = states[0, :-1].copy()
            states[1, :-1] = states[1, 1:].copy()
            states[1, -1] = 0
            states[0, 0] = states[1, 0].conj()
        return echoes

    return lambda tissue: np.array(
        [one(t1, t2, k) for t1, t2, k in zip(tissue.t1, tissue.t2, n_states, strict=True)]
    )
