"""What every page shows: the emergency access that holds now. May import: Django, `patients.access`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from patients import access


def break_glass(request: HttpRequest) -> dict[str, Callable[[], Any]]:
    """`break_glass`: the user's uses that hold now; asked only by the pages that show it."""
    return {"break_glass": lambda: access.break_glass(request.user).select_related("clinic")}
