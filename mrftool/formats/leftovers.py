"""What a killed process leaves of its outputs is removed by a watcher.

`kill -9` and the system's out-of-memory killer give a process no time to clean up. A small shell
process waits at a pipe for as long as outputs are being written; when the writer has ended without
a word, it removes the parts and brings back what they were about to replace.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_SHELL = "/bin/sh"
_END_OF_FILES = "/"  # no file can have this name
_SCRIPT = """
state=begun
while read -r line; do state=$line; done
while [ "$1" != / ]; do
  part=$1 old=$2 target=$3
  shift 3
  if [ "$state" = settled ]; then
    rm -f -- "$old"
  else
    if [ "$state" = publishing ]; then
      if [ -e "$old" ]; then mv -f -- "$old" "$target"
      elif [ ! -e "$part" ]; then rm -f -- "$target"
      fi
    fi
    rm -f -- "$part"
  fi
done
shift
if [ "$state" != settled ]; then rmdir -- "$@"; fi
"""


class Watch:
    """The writer's end of the pipe to the watcher, or of none where there is no shell."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe

    def publishing(self) -> None:
        """Tell that the parts are complete: from here on, all or none of them are renamed."""
        self._tell(b"publishing\n")

    def settled(self) -> None:
        """Tell that the outputs are in place, or that the writer has cleaned up itself."""
        self._tell(b"settled\n")

    def _tell(self, word: bytes) -> None:
        if self._pipe is not None:
            with suppress(OSError):  # somebody ended the watcher
                os.write(self._pipe.fileno(), word)


@contextmanager
def watched(files: Sequence[tuple[Path, Path, Path]], folders: Sequence[Path]) -> Iterator[Watch]:
    """A watcher of files for as long as the block runs.

    Parameters
    ----------
    files : sequence of (Path, Path, Path)
        Part, where the old file goes while the part takes its place, and target; absolute.
    folders : sequence of Path
        Folders that are made for them, the innermost first.
    """
    names = [str(path) for paths in files for path in paths]
    arguments = [*names, _END_OF_FILES, *map(str, folders)]
    watcher = _started(arguments)
    if watcher is None:
        yield Watch(None)
        return
    try:
        yield Watch(watcher.stdin)
    finally:
        with suppress(OSError):
            watcher.stdin.close()  # type: ignore[union-attr]
        watcher.wait()


def _started(arguments: Sequence[str]) -> "subprocess.Popen[bytes] | None":
    """The watcher, in a session of its own: Ctrl-C is not for it. None where there is no shell."""
    if not os.access(_SHELL, os.X_OK):
        return None
    try:
        return subprocess.Popen(  # noqa: S603  our own script
            [_SHELL, "-c", _SCRIPT, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    except OSError:
        return None
