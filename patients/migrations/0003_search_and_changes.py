"""Search by the words of a name, identifiers and ABHA numbers once per clinic whatever their case, and the audit's
before and after. The name index splits at spaces itself: PostgreSQL's text parser cuts Indian words at vowel signs."""

import django.contrib.postgres.indexes
import django.db.models.functions.text
import patients.models
from django.db import migrations, models

NAME_WORDS = """
CREATE INDEX patient_name_words ON patients_patient
    USING gin (array_to_tsvector(array_remove(string_to_array(search_name, ' '), '')));
"""


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0002_audit_append_only'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='patientidentifier',
            name='identifier_once_per_clinic',
        ),
        migrations.RemoveIndex(
            model_name='patient',
            name='patient_search_name',
        ),
        migrations.AddField(
            model_name='auditevent',
            name='changes',
            field=models.JSONField(default=dict, help_text='field: [before, after]'),
        ),
        migrations.AlterField(
            model_name='clinic',
            name='time_zone',
            field=models.CharField(default='UTC', max_length=64, validators=[patients.models.validate_time_zone]),
        ),
        migrations.AddIndex(
            model_name='patientidentifier',
            index=models.Index(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('value'), name='text_pattern_ops'), name='identifier_value'),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.UniqueConstraint(condition=models.Q(('abha_number', ''), _negated=True), fields=('clinic', 'abha_number'), name='abha_number_once_per_clinic'),
        ),
        migrations.AddConstraint(
            model_name='patientidentifier',
            constraint=models.UniqueConstraint(models.F('clinic'), django.db.models.functions.text.Upper('system'), django.db.models.functions.text.Upper('value'), name='identifier_once_per_clinic'),
        ),
        migrations.RunSQL(NAME_WORDS, "DROP INDEX patient_name_words;"),
    ]
