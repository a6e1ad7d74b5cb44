"""Settings of the parts that run the site's code in their own processes: those of the tests, and a model that sleeps.

May import: `cxrsite.settings.test`.
"""

from __future__ import annotations

from cxrsite.settings.test import *  # noqa: F403

PREDICTOR_LOADER = "bench.queue_inside.load"
ALLOW_FAKE_RESULTS = True
