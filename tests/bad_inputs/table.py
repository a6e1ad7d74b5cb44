"""The bad-input table, whole. Walked by `test_table.py` against the site's real web process.

May import `tests.bad_inputs.film_rows`, `.request_rows`.
"""

from __future__ import annotations

from tests.bad_inputs.film_rows import FILES, REPEATS, SENDING, WHOSE
from tests.bad_inputs.request_rows import FIELDS, FILM_FIELDS, WHO
from tests.bad_inputs.row import Row

ROWS: tuple[Row, ...] = (*FILES, *SENDING, *WHOSE, *REPEATS, *FIELDS, *FILM_FIELDS, *WHO)
