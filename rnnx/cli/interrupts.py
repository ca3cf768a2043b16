"""Makes sure that Ctrl-C is not lost, even if it arrives inside a library that catches it.

With `signal.default_int_handler` alone it is lost in two cases: a library that is being imported turns it into another
exception; and Python prints and drops every exception of a `__del__`. No library that rnnx uses handles these cases.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType

# After this time the `__del__` that lost the exception has returned.
_RETRY_S = 0.01


class Interruption:
    """Remembers that Ctrl-C was pressed.

    Attributes:
        has_come: Whether Ctrl-C was pressed.
    """

    has_come = False

    def install(self) -> None:
        """Installs the handler, unless the process was started to ignore the signal (nohup)."""
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(signal.SIGINT, self._on_signal)
            sys.unraisablehook = self._on_unraisable

    def end(self) -> None:
        """Lets the signal end the process, once there is nothing left to be said: Python handles it no more."""
        if signal.getsignal(signal.SIGINT) == self._on_signal:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def check(self) -> None:
        """Raises a KeyboardInterrupt that was lost; called between two pieces of work.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed.
        """
        if self.has_come:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        raise KeyboardInterrupt

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raises a KeyboardInterrupt again that Python has dropped in a `__del__`."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
            return
        retry = threading.Timer(_RETRY_S, _thread.interrupt_main)
        retry.daemon = True
        retry.start()


interruption = Interruption()
