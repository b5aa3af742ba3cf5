"""The child process of a demonstration: `itp up` with the demonstration's own settings, no `.env` read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deployments.bootstrap.settings import load_settings
from deployments.up import main

if __name__ == "__main__":
    sys.exit(main(load_settings(os.environ, Path(os.devnull))))
