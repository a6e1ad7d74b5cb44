"""Every version of every clinical row, kept by triggers in the database: bulk updates and raw SQL are seen as well.

May import: Django, pghistory. Models of both apps are decorated with `tracked`; `patients.selectors` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pghistory
import pgtrigger
from django.db import models
from pghistory.models import Event


class History(Event):
    """A row as it was left by an insert or update, or as it was before its delete.

    `pgh_context` names who did it: `{"user": id, "request": id}`, `{"worker": name}`, or nothing when it was done past
    the application. Append only.
    """

    pgh_id = models.BigAutoField(primary_key=True)

    class Meta:
        abstract = True


#: pghistory's `append_only` refuses UPDATE and DELETE; TRUNCATE passes row triggers by.
_NO_TRUNCATE = pgtrigger.Trigger(
    name="no_truncate",
    when=pgtrigger.Before,
    operation=pgtrigger.Truncate,
    level=pgtrigger.Statement,
    func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';",
)


def tracked(*, by: str = "pgh_obj", exclude: Sequence[str] = ()) -> Callable[[type[models.Model]], type[models.Model]]:
    """Keep the history of a model. `by` is the column by which it is looked up: the row itself, or what it belongs to.

    The context is kept in the row, not in pghistory's table of contexts: no second write, and nothing that two
    writers could wait for. Rows that change by the second (`Job`, `Worker`) or never (`Prediction`, `Finding`, the
    audit) are not tracked: the former tell about machines, the latter are their own history.
    """

    def decorate(model: type[models.Model]) -> type[models.Model]:
        name = f"{model._meta.model_name}_history"
        return pghistory.track(
            pghistory.InsertEvent(),
            pghistory.UpdateEvent(),
            pghistory.DeleteEvent(),
            exclude=list(exclude),
            append_only=True,
            base_model=History,
            obj_field=pghistory.ObjForeignKey(related_name="+", related_query_name="+", db_index=False),
            context_field=pghistory.ContextJSONField(),
            context_id_field=None,  # type: ignore[arg-type]  # documented, and missing in its types
            meta={"indexes": [models.Index(fields=[by], name=name[:30])], "triggers": [_NO_TRUNCATE]},
        )(model)

    return decorate


def history_begin(apps: Any, schema_editor: Any, app_label: str) -> None:
    """For a migration: the rows that are there when the history begins, with the label `found`."""
    for history in apps.get_app_config(app_label).get_models():
        if not history.__name__.endswith("History"):
            continue
        tracked_table = history._meta.get_field("pgh_obj").related_model._meta
        columns = [field.column for field in history._meta.fields if not field.name.startswith("pgh_")]
        names = ", ".join(f'"{column}"' for column in columns)
        schema_editor.execute(
            f'INSERT INTO "{history._meta.db_table}" (pgh_created_at, pgh_label, pgh_obj_id, {names})'  # noqa: S608  # nosec B608
            f' SELECT now(), \'found\', "{tracked_table.pk.column}", {names} FROM "{tracked_table.db_table}"'
        )
