"""The errors that mrftool raises on purpose. Each carries the exit code of the command that meets
it.
"""

from collections.abc import Iterable


class MrftoolError(Exception):
    """A fault that the user can understand and mend: one line, and perhaps a hint.

    `arguments` names the quantities that the caller can give, or leave out, to mend it ("te",
    "rank"). The command line adds its options for them: see `mrftool.cli.hints`.
    """

    exit_code = 1
    in_words = "a fault of mrftool"  # the exit code, in the help of the command line

    def __init__(
        self, message: str, *, hint: str | None = None, arguments: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")  # of tracebacks in Python
        self.arguments = tuple(arguments)


class UsageError(MrftoolError):
    """A command line that makes no sense: raised by the command line alone."""

    exit_code = 2
    in_words = "wrong usage"


class ArgumentError(UsageError, ValueError):
    """An argument of a function that is out of range, or contradicts another one."""


class InputError(MrftoolError):
    """One input is missing, unreadable or malformed."""

    exit_code = 3
    in_words = "an input that cannot be used"


class MismatchError(MrftoolError):
    """Each input is valid, but they do not belong together."""

    exit_code = 4
    in_words = "inputs that do not belong together"


class CheckFailedError(MrftoolError):
    """A gate looked at a result and said no."""

    exit_code = 5
    in_words = "a failed check"


class MissingExtraError(MrftoolError):
    """The command needs a package that this installation does not have."""

    exit_code = 6
    in_words = "a missing package"
