"""What every page shows: the emergency access that holds now. May import: Django, `patients.access`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from patients import access


def break_glass(request: HttpRequest) -> dict[str, Any]:
    """`break_glass`: the user's uses that hold now; asked only by the pages that show it, and once by each."""
    return {"break_glass": SimpleLazyObject(lambda: access.rights_of(request.user).break_glass)}
