"""Versions on trial, the history of every version, and one recipe (not one file of weights) per name and version."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0003_guards'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verb', models.CharField(choices=[('register', 'Registered'), ('activate', 'Activated'), ('shadow', 'Made a shadow'), ('replace', 'Replaced by another version'), ('retire', 'Retired'), ('rollback', 'Activated again by going back')], max_length=10)),
                ('after', models.CharField(choices=[('registered', 'Registered'), ('shadow', 'Shadow'), ('active', 'Active'), ('retired', 'Retired')], max_length=10)),
                ('by', models.CharField(help_text='A username, or who acted without one: `command line: root`.', max_length=150)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.AddField(
            model_name='job',
            name='shadow',
            field=models.BooleanField(default=False, help_text='For a version on trial: its result is shown to nobody.'),
        ),
        migrations.AddField(
            model_name='prediction',
            name='shadow',
            field=models.BooleanField(default=False, help_text='Made on trial: shown to nobody, also not later.'),
        ),
        migrations.AlterField(
            model_name='job',
            name='priority',
            field=models.PositiveSmallIntegerField(default=2, help_text='0 emergency, 1 urgent, 2 routine, 9 shadow'),
        ),
        migrations.AlterField(
            model_name='modelversion',
            name='folder',
            field=models.CharField(help_text='Folder name under the model store.', max_length=255),
        ),
        migrations.AlterField(
            model_name='modelversion',
            name='sha256',
            field=models.CharField(help_text='Of the weights: a worker refuses any other file.', max_length=64),
        ),
        migrations.AlterField(
            model_name='modelversion',
            name='status',
            field=models.CharField(choices=[('registered', 'Registered'), ('shadow', 'Shadow'), ('active', 'Active'), ('retired', 'Retired')], default='registered', max_length=10),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['registered', 'shadow', 'active', 'retired'])), name='model_status'),
        ),
        migrations.AddField(
            model_name='modelchange',
            name='model_version',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='diagnosis.modelversion'),
        ),
        migrations.RunSQL(
            """
CREATE TRIGGER model_change_append_only BEFORE UPDATE OR DELETE ON diagnosis_modelchange
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();
""",
            "DROP TRIGGER model_change_append_only ON diagnosis_modelchange;",
        ),
    ]
