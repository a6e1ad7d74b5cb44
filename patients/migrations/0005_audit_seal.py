"""The hash chain over the audit, as protected as the audit itself."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER seal_append_only BEFORE UPDATE OR DELETE ON patients_auditseal
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();
CREATE TRIGGER seal_no_truncate BEFORE TRUNCATE ON patients_auditseal
    FOR EACH STATEMENT EXECUTE FUNCTION cxr_refuse_change();
"""
BACKWARD = """
DROP TRIGGER seal_no_truncate ON patients_auditseal;
DROP TRIGGER seal_append_only ON patients_auditseal;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0004_audit_purpose'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('position', models.BigIntegerField(primary_key=True, serialize=False)),
                ('sha256', models.CharField(max_length=64)),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='seal', to='patients.auditevent')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
