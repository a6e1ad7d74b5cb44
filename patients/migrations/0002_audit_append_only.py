"""The audit cannot be rewritten: triggers refuse UPDATE, DELETE and TRUNCATE."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION cxr_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON patients_auditevent
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON patients_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION cxr_refuse_change();
"""
BACKWARD = """
DROP TRIGGER audit_no_truncate ON patients_auditevent;
DROP TRIGGER audit_append_only ON patients_auditevent;
DROP FUNCTION cxr_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
