"""How clinics came by their own thresholds: append only, approved by another person than proposed them. And which active
version gave an open study its place, so that the sweeper finds those that another one answers for now."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0016_film_expiry'),
        ('patients', '0011_consent'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ThresholdChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(max_length=64)),
                ('verb', models.CharField(choices=[('propose', 'Proposed'), ('approve', 'Approved'), ('decline', 'Declined'), ('restore', "Back to the card's threshold")], max_length=8)),
                ('threshold', models.FloatField(help_text="Proposed, approved or declined; of a restoration, the card's.")),
                ('before', models.FloatField(help_text='The threshold that applied at the clinic until then.')),
                ('reason', models.CharField(max_length=300)),
                ('positives', models.PositiveIntegerField(default=0, help_text='Signed cases with the finding, when it was proposed.')),
                ('negatives', models.PositiveIntegerField(default=0, help_text='Signed cases without it, when it was proposed.')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('model_version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.modelversion')),
                ('proposed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['model_version', 'clinic', 'label', '-id'], name='threshold_change_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('before__range', (0, 1)), ('threshold__range', (0, 1))), name='threshold_change_range'), models.CheckConstraint(condition=models.Q(models.Q(('verb', 'approve'), _negated=True), models.Q(('proposed_by__isnull', False), models.Q(('proposed_by', models.F('user')), _negated=True)), _connector='OR'), name='threshold_two_people')],
            },
        ),
        migrations.AddField(
            model_name='reading',
            name='placed_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.modelversion'),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER threshold_change_append_only BEFORE UPDATE OR DELETE ON diagnosis_thresholdchange"
            " FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();",
            "DROP TRIGGER threshold_change_append_only ON diagnosis_thresholdchange;",
        ),
    ]
