"""`python -m rnnx`, and the program `rnnx`: what runs before the command line is imported."""

import signal


def main() -> None:
    """Runs the command line; Ctrl-C ends it without a traceback from its first imports on."""
    # Unless whoever started it wants it to go on (nohup), in which case Python handles the signal in neither way.
    is_handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_handled:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rnnx import cli

    if is_handled:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
