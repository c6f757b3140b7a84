"""The process that makes the maps of one series."""

import resource
import sys
from pathlib import Path

from mrftool.environment.child_process import end_with
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MrftoolError


def main() -> int:
    """Arguments: folder of the images, folder for the maps, model, bytes of memory, number of the
    process that waits for the maps.
    """
    from mrftool.workflows.quantify import quantify_scan
    from mrftool.workflows.steps.outputs.dicom_output import DicomChoice
    from mrftool.workflows.steps.scan import ScanFiles

    images, folder, model, memory, parent = sys.argv[1:]
    end_with(int(parent))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), before[1]))
    try:
        result = quantify_scan(
            ScanFiles(Path(images)),
            Path(folder),
            SilentReporter(),
            model=model,
            dicom=DicomChoice(wanted=True),
        )
    except MrftoolError as error:
        print(error)  # noqa: T201  the node reads it
        return error.exit_code
    except MemoryError:
        print(f"not enough memory: a series may take {int(memory) >> 20} MB")  # noqa: T201
        return 3
    for failure in result.failures:
        print(failure)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
