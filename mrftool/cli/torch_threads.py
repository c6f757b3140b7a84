"""A setting of this process that must stand before torch is loaded."""

import os


def let_torch_threads_sleep() -> None:
    """Let torch's threads sleep while they wait.

    Threads that spin hold up the one that draws the next batch: five times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
