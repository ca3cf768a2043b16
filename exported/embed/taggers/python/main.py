"""The command of the package next to this file, without an installation of it: `python main.py --help`."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the command leaves no files
sys.path.insert(0, str(Path(__file__).resolve().parent))

from rnnx_tagger.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
