"""What a scanner can play, and how the pulses of an exported train look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scanner:
    """Limits of the scanner, and choices where the train leaves one.

    Parameters
    ----------
    max_gradient
        Largest gradient amplitude [T/m].
    max_slew
        Largest slew rate [T/m/s].
    max_b1
        Largest RF amplitude [T].
    raster
        Times of blocks and gradients are multiples of it [s].
    rf_raster, adc_raster
        Likewise for RF pulses and samples [s].
    rf_dead_time, rf_ringdown_time, adc_dead_time
        Before and after each RF pulse, and around each readout [s].
    pulse_duration
        Of each RF pulse; longer where `max_b1` asks for it [s].
    readout_duration
        Of the samples of each echo, which begin at TE [s].
    voxel_size
        A readout goes to its k-space edge, and a spoiler of unknown size dephases it by one cycle
        [m].
    crusher_cycles
        Cycles over a voxel by which a crusher after a preparation dephases [1].
    """

    max_gradient: float = 0.03
    max_slew: float = 120.0
    max_b1: float = 20e-6
    raster: float = 10e-6
    rf_raster: float = 1e-6
    adc_raster: float = 100e-9
    rf_dead_time: float = 100e-6
    rf_ringdown_time: float = 20e-6
    adc_dead_time: float = 10e-6
    pulse_duration: float = 0.5e-3
    readout_duration: float = 0.5e-3
    voxel_size: float = 2e-3
    crusher_cycles: float = 4.0
