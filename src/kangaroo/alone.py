"""A run's folder, and that one process at a time writes into it. Imports without torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kangaroo.errors import OptionError

_LOCK = "lock"


def make_folder(folder: Path) -> None:
    """Make a run's folder where there is none.

    Raises:
        OptionError: There is a file of that name, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OptionError(f"{folder} is, or lies in, a file; name another folder") from None
    except OSError as error:
        raise OptionError(f"{folder} cannot be made ({error.strerror}); name another folder") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes out of it while the block runs.

    The system lets go of the lock when the process ends, however it does.

    Raises:
        OptionError: Another process writes into the folder, or it cannot be made.
    """
    make_folder(folder)
    with (folder / _LOCK).open("a") as file:
        try:
            import fcntl  # no such module on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OptionError(
                f"another process writes into {folder}; wait until it ends, or give another folder"
            ) from None
        except (ImportError, OSError):
            pass  # a file system without locks: no reason to refuse who is alone
        yield
