"""Stands in for the job of the study: `python -m study_fake_job FOLDER` does what its job.json says
under "do".

It imports as little as it can, to start quickly.
"""

import json
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    job, output = json.loads((folder / "job.json").read_text()), folder.parents[1]
    with (output / "runs.txt").open("a") as runs:
        runs.write(f"{job['name']} {sorted(path.name for path in folder.iterdir())}\n")
    (folder / "checkpoint").touch()
    what = job["train"].get("do", "work")
    if what == "fail":
        print("it does not converge", file=sys.stderr)
        sys.exit(3)
    if what == "hang":
        time.sleep(600)
    if job["start"] is not None:
        assert (output / "jobs" / job["start"] / "record.json").exists()
    if what == "predict":
        import numpy as np

        np.savez(
            folder / "predictions.npz",
            **{x["key"]: np.full((x["voxels"], 2), 0.5) for x in job["tests"]},
        )
    (folder / "record.json").write_text(
        json.dumps({"name": job["name"], "seed": job["seed"], "steps": 10})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
