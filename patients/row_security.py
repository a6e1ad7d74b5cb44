"""The second wall: PostgreSQL's row security, so that a query which forgot `visible_to` still shows no foreign row.

Here is how it is put up; `diagnosis/row_security.py` is the table of which rows are whose. Who asks comes from
`patients/actor.py`, whose rows those are from the memberships in the database. Run by the owner at the end of every
`migrate`. May import: Django only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from django.apps import apps
from django.db import connection, models, transaction

#: Each is asked once per query: a policy calls it as `(SELECT f())`. Access on other grounds than a membership joins
#: `cxr_clinics`. A function that must see every row, a trigger's perhaps, is `PAST_THE_WALL`.
PAST_THE_WALL = " SECURITY DEFINER SET cxr.actor = 'system'"
FUNCTIONS = {
    "cxr_person() RETURNS bigint": """
        SELECT CASE WHEN current_setting('cxr.actor', true) ~ '^[0-9]+$'
                    THEN current_setting('cxr.actor', true)::bigint END""",
    "cxr_is_system() RETURNS boolean": """
        SELECT coalesce(current_setting('cxr.actor', true) = 'system', false)""",
    "cxr_reads_all() RETURNS boolean": """
        SELECT cxr_is_system() OR EXISTS (
            SELECT FROM patients_user WHERE is_active AND is_superuser
               AND current_setting('cxr.actor', true) = 'administrator ' || id)""",
    "cxr_clinics_as(doctor boolean) RETURNS uuid[]": """
        SELECT coalesce(array_agg(DISTINCT m.clinic_id), '{}')
          FROM patients_membership m JOIN patients_user u ON u.id = m.user_id
         WHERE u.id = cxr_person() AND u.is_active AND (m.role = 'doctor') = doctor
           AND m.valid_from <= statement_timestamp() AND (m.valid_to IS NULL OR m.valid_to > statement_timestamp())""",
    # Where the person works; everything of these clinics passes this wall.
    "cxr_clinics() RETURNS uuid[]": "SELECT cxr_clinics_as(doctor => false)",
    # Where the person reads: there, and what they opened in an emergency.
    "cxr_read_clinics() RETURNS uuid[]": """
        SELECT cxr_clinics() || ARRAY(
            SELECT b.clinic_id FROM patients_breakglass b JOIN patients_user u ON u.id = b.user_id
             WHERE u.id = cxr_person() AND u.is_active AND b.ends_at > statement_timestamp()
               AND (u.is_superuser OR EXISTS (
                     SELECT FROM patients_membership m WHERE m.user_id = u.id AND m.role = 'radiologist'
                        AND m.valid_from <= statement_timestamp()
                        AND (m.valid_to IS NULL OR m.valid_to > statement_timestamp()))))""",
    # Where films are referred to the person; of these clinics the patients of such films pass.
    "cxr_referral_clinics() RETURNS uuid[]": "SELECT cxr_clinics_as(doctor => true)",
    # Past the wall, because what is readable of studies is decided by it.
    "cxr_patients_referred_to(person bigint, clinics uuid[]) RETURNS SETOF uuid" + PAST_THE_WALL: """
        SELECT patient_id FROM diagnosis_study WHERE referring_doctor_id = person AND clinic_id = ANY (clinics)""",
    "cxr_studies_referred_to(person bigint, clinics uuid[]) RETURNS SETOF uuid" + PAST_THE_WALL: """
        SELECT id FROM diagnosis_study WHERE clinic_id = ANY (clinics)
           AND patient_id IN (SELECT cxr_patients_referred_to(person, clinics))""",
}
_FUNCTION = """
CREATE OR REPLACE FUNCTION {} LANGUAGE sql STABLE PARALLEL SAFE SET search_path = public, pg_temp AS $body${}$body$
"""

#: PostgreSQL asks an index only what cannot tell of rows that a policy hides. What the patient search asks could, to
#: somebody who writes SQL; here nobody does. Allowed where the owner is a superuser; elsewhere the search is slower.
SEARCH_FUNCTIONS = (
    "array_remove(anycompatiblearray, anycompatible)",
    "array_to_tsvector(text[])",
    "string_to_array(text, text)",
    "textlike(text, text)",
    "ts_match_vq(tsvector, tsquery)",
    "upper(text)",
)

SYSTEM_ONLY = "false"
OF_OWN_CLINIC = "{table}.clinic_id = ANY ((SELECT cxr_clinics())::uuid[])"
OF_READ_CLINIC = "{table}.clinic_id = ANY ((SELECT cxr_read_clinics())::uuid[])"


@dataclass(frozen=True, slots=True)
class Rows:
    """Conditions in SQL on the rows of one table that a person may select, insert, update and delete; `{table}` is its
    name. The system needs none; an administrator selects all. Without a condition nobody has the right at all."""

    select: str
    insert: str = ""
    update: str = ""
    delete: str = ""

    def conditions(self, table: str) -> dict[str, str]:
        """The whole condition of each right that is granted, by its SQL command."""
        granted = {"INSERT": self.insert, "UPDATE": self.update, "DELETE": self.delete}
        system = {command: f"(SELECT cxr_is_system()) OR {text}" for command, text in granted.items() if text}
        conditions = {"SELECT": f"(SELECT cxr_reads_all()) OR {self.select}", **system}
        return {command: text.format(table=table) for command, text in conditions.items()}


def history_of(rows: Rows) -> Rows:
    """Who sees and changes a row sees and writes its history; nobody rewrites it."""
    return Rows(select=rows.select, insert=" OR ".join(filter(None, (rows.insert, rows.update))) or SYSTEM_ONLY)


def holds_patient_data(model: type[models.Model], seen: frozenset[type[models.Model]] = frozenset()) -> bool:
    """Does some chain of foreign keys lead from this model to a patient or a clinic?"""
    if model._meta.label in ("patients.Patient", "patients.Clinic"):
        return True
    targets = {field.related_model for field in model._meta.concrete_fields if field.related_model} - seen - {model}
    return any(holds_patient_data(target, seen | {model}) for target in targets)


def tracked_by(history: type[models.Model]) -> type[models.Model] | None:
    """The model whose rows this one keeps the history of (django-pghistory), if it is a history."""
    return getattr(history, "pgh_tracked_model", None)


def rows_by_table(rules: Mapping[str, Rows], exempt: Mapping[str, str]) -> dict[str, Rows | None]:
    """Every table of the site with its rows; None for one without patient data.

    Raises ValueError for a model that leads to a patient or a clinic and is in neither `rules` nor `exempt`.
    """
    tables: dict[str, Rows | None] = {}
    for model in filter(lambda each: each._meta.managed and not each._meta.proxy, apps.get_models(True)):
        tracked = tracked_by(model)
        label = (tracked or model)._meta.label
        if label in rules:
            tables[model._meta.db_table] = history_of(rules[label]) if tracked else rules[label]
        elif holds_patient_data(model) and label not in exempt:
            raise ValueError(f"{label} leads to a patient or a clinic: say whose its rows are in row_security.py")
        else:
            tables[model._meta.db_table] = None
    return tables


def row_security_apply(*, tables: Mapping[str, Rows | None], append_only: frozenset[str], login: str) -> None:
    """Functions, policies and grants as `rows_by_table` says; `login` is whom the site connects as. Run as the owner.

    What is in place already is not touched, so that a running site is not made to wait. `append_only` names models
    without patient data whose rows the site only adds.
    """
    fixed = {each._meta.db_table for each in apps.get_models() if each._meta.label in append_only or tracked_by(each)}
    with connection.cursor() as cursor:
        for head, body in FUNCTIONS.items():
            cursor.execute(_FUNCTION.format(head, body))
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone()[0]:
            cursor.execute("; ".join(f"ALTER FUNCTION pg_catalog.{name} LEAKPROOF" for name in SEARCH_FUNCTIONS))
        for table, rows in tables.items():
            if rows is not None:
                _policies_apply(table, rows.conditions(table))
    if login == connection.settings_dict["USER"]:
        return  # one login for everything: its rights are the owner's
    name = connection.ops.quote_name(login)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name};"
            f"GRANT USAGE ON SCHEMA public TO {name};"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name};"
            f"GRANT SELECT ON django_migrations TO {name}"
        )
        for table, rows in tables.items():
            rights = rows.conditions(table) if rows else _RIGHTS[: 2 if table in fixed else 4]
            cursor.execute(f'GRANT {", ".join(rights)} ON "{table}" TO {name}')


_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def _policies_apply(table: str, conditions: Mapping[str, str]) -> None:
    """One policy per command, each marked with the hash of all of them, so that the next time says what is in place."""
    statements = [f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY']
    for command, condition in conditions.items():
        clause = "WITH CHECK" if command == "INSERT" else "USING"
        statements.append(f'CREATE POLICY cxr_{command.lower()} ON "{table}" FOR {command} {clause} ({condition})')
    mark = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    wanted = {f"cxr_{command.lower()}": mark for command in conditions}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT polname, obj_description(pg_policy.oid, 'pg_policy') FROM pg_policy JOIN pg_class ON"
            " pg_class.oid = polrelid AND relrowsecurity AND relforcerowsecurity WHERE polrelid = %s::regclass",
            [f'"{table}"'],
        )
        found = dict(cursor.fetchall())
        if found == wanted:
            return
        cursor.execute("SET LOCAL lock_timeout = '10s'")
        cursor.execute("SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [f'"{table}"'])
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP POLICY "{name}" ON "{table}"')
        for statement in statements:
            cursor.execute(statement)
        for name in wanted:
            cursor.execute(f"COMMENT ON POLICY {name} ON \"{table}\" IS '{mark}'")
