"""Ctrl-C, which is not lost: Python raises it wherever the process stands, in a library that swallows it too.

`signal.default_int_handler` alone loses it where a library turns it into an error of its own while it is imported, and
in a `__del__`, whose exceptions Python prints and drops. No library of ours takes care of that.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType

# By then whoever swallowed it has returned.
_AGAIN_S = 0.01


class Interruption:
    """Remembers that Ctrl-C was pressed.

    A library that is being imported makes an error of its own of it; a `__del__` that it hits prints it and goes on.

    Attributes:
        has_come: Whether it was pressed.
    """

    has_come = False

    def install(self) -> None:
        """Takes the signal over, unless whoever started the process wants it to go on (nohup)."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._on_signal)
            sys.unraisablehook = self._on_unraisable

    def check(self) -> None:
        """Raises what came and was swallowed; called between two pieces of work.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed.
        """
        if self.has_come:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        raise KeyboardInterrupt

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Lets one that can go no further up come again."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
            return
        again = threading.Timer(_AGAIN_S, _thread.interrupt_main)
        again.daemon = True
        again.start()


interruption = Interruption()
