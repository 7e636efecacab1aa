"""The errors that sunhwan raises: one base class, and an exit code for the command line."""

from __future__ import annotations


class SunhwanError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    message
        One sentence: the thing, what was expected, what came, and where.
    hint
        What to do about it, shown on a line of its own.

    Examples
    --------
    >>> print(SunhwanError("`units` must be at least 1, received 0", hint="try 32"))
    `units` must be at least 1, received 0
    hint: try 32
    """

    #: exit code of the command line: 1 for a failure, 2 for a mistake in how it was called
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nhint: {hint}")
        self.message = message
        self.hint = hint


class UsageError(SunhwanError, ValueError):
    """An option, name or argument that does not exist or does not fit."""

    exit_code = 2


class UnknownOptionError(UsageError, TypeError):
    """A keyword argument that a class does not take, for which Python's error is a TypeError."""


class ShapeError(SunhwanError, ValueError):
    """An array whose rank, size or dtype is not what the operation takes."""


class DataError(SunhwanError, ValueError):
    """A data file or value that cannot be read; names the file and line, or the row."""


class KernelError(SunhwanError, RuntimeError):
    """The compiled kernels are missing, or the one asked for cannot run on this machine."""


class TrainingError(SunhwanError, RuntimeError):
    """Training that cannot go on, such as a loss that is no longer finite."""
