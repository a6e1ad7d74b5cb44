"""Settings of the site under faults: those of `make run`, and a model that reads each film's id out of its pixels.

May import: `cxrsite.settings.local`.
"""

from __future__ import annotations

from pathlib import Path

from cxrsite.settings import env
from cxrsite.settings.local import *  # noqa: F403

PREDICTOR_LOADER = "tests.faults.inside.load"
ALLOW_FAKE_RESULTS = True
MODEL_APPROVALS = 1
CELERY_IMPORTS = ["tests.faults.inside"]
#: On the disk that a run fills.
FILE_UPLOAD_TEMP_DIR = str(env.MEDIA_DIR.parent / "incoming")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(parents=True, exist_ok=True)
