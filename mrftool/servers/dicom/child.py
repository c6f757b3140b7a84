"""The process that makes the maps of one series."""

import errno
import resource
import sys
from pathlib import Path

from mrftool.environment.child_process import end_with
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MrftoolError

TEMPORARY = 75  # exit code where the machine lacks something that it may have later
_LACKS = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO}


def main() -> int:
    """Arguments: folder of the images, folder for the maps, model, bytes of memory, number of the
    process that waits for the maps, and in what the header may contradict the sequence.
    """
    from mrftool.workflows.quantify import quantify_scan
    from mrftool.workflows.steps.outputs.dicom_output import DicomChoice
    from mrftool.workflows.steps.scan import ScanFiles

    images, folder, model, memory, parent, *allow = sys.argv[1:]
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
            allow=allow,
        )
    except MrftoolError as error:
        print(error)  # noqa: T201  the node reads it
        return exit_code_of(error)
    except OSError as error:
        print(error)  # noqa: T201
        return exit_code_of(error)
    except MemoryError:
        print(f"not enough memory: a series may take {int(memory) >> 20} MB")  # noqa: T201
        return 3
    for failure in result.failures:
        print(failure)  # noqa: T201
    return 0


def exit_code_of(error: BaseException) -> int:
    """The code of an error that tells whether the machine lacked something, such as disk space."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _LACKS:
            return TEMPORARY
        cause = cause.__cause__
    if isinstance(error, MrftoolError):
        return error.exit_code
    return 1


if __name__ == "__main__":
    sys.exit(main())
