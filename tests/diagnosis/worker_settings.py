"""Settings of the real worker processes that tests start: the test's database, folders and predictor.

May import: `cxrsite.settings.test`. The test says what is its own in `CXR_TEST_WORKER`, as JSON of settings.
"""

from __future__ import annotations

import json
import os

from cxrsite.settings.test import *  # noqa: F403

globals().update(json.loads(os.environ["CXR_TEST_WORKER"]))
