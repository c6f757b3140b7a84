"""Feed mrftool with mutated files: `make fuzz`, or `python -m fuzz --cases 1000 --formats yaml`.

Case k of a format depends on the seed, the format and k alone. Every case ends with an exit code of
mrftool's own and no traceback, within 30 s of processor time and 2 GB, and leaves no part of an
output behind. What does not is kept in a folder, and the campaign exits with 1.
"""

import argparse
import gc
import importlib
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

from fuzz.cases import CASES
from fuzz.run_case import Outcome, clear, run_case
from fuzz.seeds import make_seeds

FULL = 0.02  # of the cases draw real pictures


def main() -> None:
    """Run the campaign that the command line describes."""
    options = _options()
    print(f"seed {options.seed}, {options.cases} cases of {', '.join(options.formats)}", flush=True)
    work = clear(options.folder)
    seeds = work / "seeds"
    seeds.mkdir()
    prepare(seeds)
    begun, done = time.monotonic(), 0
    found: Counter[str] = Counter()
    for k in range(options.first, options.first + options.cases):
        name = options.formats[k % len(options.formats)]
        outcome = _run(options.seed, name, k, seeds, work)
        done += 1
        for fault in outcome.faults:
            found[f"{name}: {fault}"] += 1
            print(f"{name} {k}: {fault}", flush=True)
        if time.monotonic() - begun > options.minutes * 60:
            break
    minutes = (time.monotonic() - begun) / 60
    print(f"{done} cases in {minutes:.1f} min: {sum(found.values())} faults")
    for text, count in found.most_common():
        print(f"{count:6} x {text}")
    sys.exit(1 if found else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d")))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--formats", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--minutes", type=float, default=180.0, help="stop after so many")
    default = Path(tempfile.gettempdir(), "mrftool-fuzz")
    parser.add_argument("--folder", type=Path, default=default, help="cleared first")
    return parser.parse_args()


def prepare(seeds: Path, left_out: tuple[str, ...] = ()) -> None:
    """Make the seeds in a child, then import here, once for all cases, what that needed.

    left_out: packages that each case imports itself.
    """
    here = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(here / "tests" / "support"))

    def make() -> int:
        make_seeds(seeds)
        (seeds / "modules").write_text("\n".join(sys.modules))
        return 0

    outcome = run_case(make, clear(seeds), [], seconds=300)
    if outcome.code != 0:
        sys.exit(outcome.said or f"the seeds cannot be made: exit code {outcome.code}")
    for module in (seeds / "modules").read_text().splitlines():
        if module.partition(".")[0] not in left_out:
            with suppress(ImportError):
                importlib.import_module(module)
    gc.freeze()


def _run(seed: int, name: str, k: int, seeds: Path, work: Path) -> Outcome:
    rng = np.random.default_rng((seed, list(CASES).index(name), k))
    folder = clear(work / f"{name}-{k}")
    with warnings.catch_warnings():  # libraries warn of the values that they are made to write
        warnings.simplefilter("ignore")
        arguments = CASES[name](rng, seeds, folder)
    is_full = rng.random() < FULL

    def command() -> int:
        from mrftool.cli.app import run

        if not is_full:
            _draw_nothing()
        return run(arguments)

    outcome = run_case(command, folder, arguments)
    if outcome.faults:
        (folder / "outcome.json").write_text(json.dumps(outcome.as_dict(), indent=1))
    else:
        shutil.rmtree(folder)
    return outcome


def _draw_nothing() -> None:
    """Pictures take most of the time of a command: put an empty file in their place."""
    import mrftool.figures.errors
    import mrftool.figures.scatter
    import mrftool.pages.maps
    from mrftool.formats.atomic import writing

    def draw(*arguments: object, **options: object) -> None:
        path = next(value for value in arguments if isinstance(value, str | Path))
        with writing(path) as part:
            Path(part).touch()

    for module, names in (
        (mrftool.pages.maps, ("overview_figure", "error_figure")),
        (mrftool.figures.scatter, ("scatter_figure",)),
        (mrftool.figures.errors, ("bin_figure",)),
    ):
        for name in names:
            if not hasattr(module, name):
                raise AttributeError(f"{module.__name__} has no {name}")
            setattr(module, name, draw)


if __name__ == "__main__":
    main()
