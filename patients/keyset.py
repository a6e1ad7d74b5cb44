"""Pages of long lists that cost the same however long the list is: what stands first after a position, by an index.

"Of one of my clinics, or referred to me, or sent by me" is no range of any index: asked for the newest such rows,
PostgreSQL would find them all and sort them. So each clinic and each other ground of access is a part by itself, read
in the order of an index that begins with the clinic, and only what stands first of all parts is read whole.
`visible_to` still decides what is seen; the parts only have to miss nothing of it. May import: Django.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

NEWEST_FIRST = ("-created_at", "-id")


def keyset_page(
    rows: QuerySet[Any],
    user: Any,
    *,
    size: int,
    bare: QuerySet[Any] | None = None,
    after: Any = None,
    oldest_first: bool = False,
) -> tuple[list[Any], bool]:
    """`size` of these rows, which the user sees, that follow the row `after` (anything with `created_at` and `id`), and
    whether more do: one query, and those of what is prefetched. `bare`: see `first_rows`."""
    order = tuple(name.removeprefix("-") for name in NEWEST_FIRST) if oldest_first else NEWEST_FIRST
    bare = rows if bare is None else bare
    if after is not None:
        side = "gt" if oldest_first else "lt"
        # The first condition alone lets the index do the work.
        beyond = Q(**{f"created_at__{side}": after.created_at}) | Q(**{f"id__{side}": after.id})
        beyond &= Q(**{f"created_at__{side}e": after.created_at})
        rows, bare = rows.filter(beyond), bare.filter(beyond)
    if (parts_for := getattr(rows, "parts_for", None)) is not None:
        found = list(first_rows(rows, parts_for(user), bare=bare, order=order, count=size + 1))
    else:  # a table without a clinic of its own: by the index on arrival alone
        found = list(rows.order_by(*order)[: size + 1])
    return found[:size], len(found) > size


def first_rows(
    rows: QuerySet[Any],
    parts: Iterable[Q],
    *,
    bare: QuerySet[Any] | None = None,
    order: Sequence[str] = NEWEST_FIRST,
    count: int,
) -> QuerySet[Any]:
    """The first `count` of `rows` in this order, looked for in the parts, which may overlap.

    `bare` has the same filters and nothing that joins: PostgreSQL takes a clinic that is asked for in each of three
    joined tables for three coincidences, expects next to no rows, and sorts them all.
    """
    among = among_first(rows.model, [(rows if bare is None else bare).filter(part) for part in parts], order, count)
    return rows.filter(among).order_by(*order)


def among_first(model: Any, parts: Iterable[QuerySet[Any]], order: Sequence[str], count: int) -> RawSQL:
    """Condition on rows of the model: they are among the first `count` of the parts. `order` ends with `id`.

    As an array, which PostgreSQL works out before all else: of a subquery among many joined tables it thinks last, when
    it has joined everything.
    """
    names = [name.removeprefix("-") for name in order]
    sorted_by = ", ".join(f"{name} DESC" if given[0] == "-" else name for name, given in zip(names, order, strict=True))
    union: list[str] = []
    values: list[Any] = []
    for rows in parts:
        try:
            sql, given = rows.order_by(*order).values_list(*names)[:count].query.sql_with_params()
        except EmptyResultSet:
            continue
        union.append(f"({sql})")
        values += given
    if not union:
        return RawSQL("false", (), BooleanField())  # nosec B611
    found = f"SELECT id FROM ({' UNION '.join(union)}) AS parts ({', '.join(names)})"  # noqa: S608
    first = f"ARRAY({found} ORDER BY {sorted_by} LIMIT {count:d})"
    table = model._meta.db_table
    return RawSQL(f'"{table}"."id" = ANY ({first})', values, BooleanField())  # noqa: S611  # nosec B611
