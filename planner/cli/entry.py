"""The installed command: imports inside the try, so that Ctrl-C while starting is no traceback."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Start `planner`."""
    try:
        from planner.cli.app import main as start

        start()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # the process ends: a last look for cycles takes a tenth of a second after an import
