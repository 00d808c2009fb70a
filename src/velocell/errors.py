"""The errors Velocell raises; each message is one sentence: what, where, what to do.

Every error a user can cause is a `VelocellError`; the command line turns it into one line on
stderr and exit code 1.
"""


class VelocellError(Exception):
    """Base of all errors that a user's input can cause."""


class RecordingError(VelocellError):
    """Events that cannot be a recording: unsorted, outside the sensor, empty, of no known format."""


class NetworkError(VelocellError):
    """A network that cannot run: wrong shapes, decay outside (0, 1], kernels without values."""


class CalibrationError(VelocellError):
    """Bands, radius or time step from which no network follows."""


class EngineError(VelocellError):
    """An engine that is unknown, not built, or cannot run this network."""


class SceneError(VelocellError):
    """A scene description that cannot be simulated."""


class TableError(VelocellError):
    """A table of tracks or spikes that cannot be read or written."""


class OptionError(VelocellError):
    """A value of an option that cannot be understood."""


def reason(error: OSError) -> str:
    """What the system says went wrong, as it fits into a sentence."""
    return (error.strerror or str(error)).lower()


def printable(text: str) -> str:
    """One line, whatever a file's name or content brought in: line breaks become spaces, characters that would act on
    the terminal, and bytes that are not UTF-8, are written out."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in " ".join(text.split()))


def unreadable(path: object, error: OSError) -> str:
    """The sentence for a file that cannot be read."""
    return f"cannot read {path}: {reason(error)}; check the path"


def internal(error: Exception) -> str:
    """The sentence for a mistake of ours."""
    return f"an internal error ({type(error).__name__}: {error}); please report it"
