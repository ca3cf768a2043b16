"""The entry point of `python -m rnnx` and of the program `rnnx`; it handles Ctrl-C during the first imports."""

import gc
import signal
import sys

from rnnx.errors import lacks_memory


def main() -> None:
    """Runs the command line. Ctrl-C ends it without a traceback, even while modules are imported."""
    # If the process was started with SIGINT ignored, as a shell script does for a background job, Python has not
    # installed its own handler, and the signal stays ignored. Otherwise it ends the process until `cli` handles it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from rnnx import cli

        try:
            cli.main()
        finally:
            # Before it ends, Python looks through all objects twice, for those that only refer to each other. The
            # memory goes back to the operating system anyway, so the objects that are left are kept out of that.
            gc.freeze()
    # `cli` answers its own errors. This is for its import, and for what little memory does outside of a command: Python
    # raises a MemoryError, or an error of nearly any other type.
    except Exception as error:
        if not lacks_memory(error):
            raise
        sys.exit("error: too little memory to start; free some, or raise the limit (ulimit -v)")


if __name__ == "__main__":
    main()
