"""Which signed reports radiologists took out as a table, and why: append only."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0020_study_requests'),
        ('patients', '0011_consent'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReportExport',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reason', models.CharField(max_length=500)),
                ('first', models.DateField()),
                ('last', models.DateField()),
                ('label', models.CharField(blank=True, default='', max_length=64)),
                ('studies', models.PositiveIntegerField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['clinic', '-at'], name='report_export_of_clinic'), models.Index(fields=['user', '-at'], name='report_export_of_user')],
                'constraints': [models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='report_export_has_reason'), models.CheckConstraint(condition=models.Q(('studies__gte', 1), ('first__lte', models.F('last'))), name='report_export_of_something')],
            },
        ),
        migrations.RunSQL(
            "CREATE TRIGGER report_export_append_only BEFORE UPDATE OR DELETE ON diagnosis_reportexport"
            " FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();",
            "DROP TRIGGER report_export_append_only ON diagnosis_reportexport;",
        ),
    ]
