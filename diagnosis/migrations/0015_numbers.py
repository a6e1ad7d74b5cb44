"""Distributions of a clinic's films and answers; reports are found by when they were signed or became preliminary."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False
    dependencies = [
        ('diagnosis', '0014_follow_up'),
        ('patients', '0010_critical_contacts'),
    ]

    operations = [
        migrations.CreateModel(
            name='Distribution',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.CharField(help_text='An input (`view`, `age`), or `finding:` and a label.', max_length=72)),
                ('bins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), size=None)),
                ('edges', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), default=list, size=None)),
                ('reference', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None)),
                ('reference_until', models.DateTimeField(null=True)),
                ('last_7', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None)),
                ('last_30', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None)),
                ('alarm_since', models.DateTimeField(null=True)),
                ('measured_at', models.DateTimeField(db_index=True)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='patients.clinic')),
                ('model_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='diagnosis.modelversion')),
            ],
            options={
                'ordering': ['clinic', 'model_version', 'quantity'],
                'indexes': [models.Index(condition=models.Q(('alarm_since__isnull', False)), fields=['alarm_since'], name='distribution_alarm')],
                'constraints': [models.UniqueConstraint(fields=('clinic', 'model_version', 'quantity'), name='distribution_once')],
            },
        ),
        AddIndexConcurrently(
            model_name='report',
            index=models.Index(condition=models.Q(('signed_at__isnull', False)), fields=['signed_at'], name='report_signed'),
        ),
        AddIndexConcurrently(
            model_name='report',
            index=models.Index(condition=models.Q(('preliminary_at__isnull', False)), fields=['preliminary_at'], name='report_preliminary'),
        ),
    ]
