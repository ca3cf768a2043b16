"""Hides the log of TensorFlow, which goes to file descriptor 2 past `sys.stderr`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rnnx.errors import RnnxError, lacks_memory


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Hides the log that TensorFlow writes directly to file descriptor 2; `sys.stderr` still works.

    After an unexpected exception, the log is printed.
    """
    import logging
    import tempfile
    import warnings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore")  # Keras prints warnings of several lines that users cannot act on
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # and TensorFlow those of functions traced again
    sys.stderr.flush()
    python_stderr, terminal_fd = sys.stderr, os.dup(2)
    with tempfile.TemporaryFile() as log, os.fdopen(os.dup(2), "w", errors="backslashreplace") as stream:
        sys.stderr = stream
        os.dup2(log.fileno(), 2)
        is_expected = False
        try:
            yield
            is_expected = True
        except (RnnxError, OSError, KeyboardInterrupt):
            is_expected = True
            raise
        except Exception as error:
            is_expected = lacks_memory(error)
            raise
        finally:
            stream.flush()
            os.dup2(terminal_fd, 2)
            os.close(terminal_fd)
            sys.stderr = python_stderr
            if not is_expected:
                log.seek(0)
                os.write(2, log.read())
