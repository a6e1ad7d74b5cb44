"""The worklist: a row per study, open until its report is signed, and people's own choices of filters.

Two triggers: one notes when a row changed (but for the renewal of a claim), by which a page knows that it is out of date;
one closes the row of a study whose report is signed, whoever signs it. Studies that are there get their rows as intake and
infer would have written them; those without a signed report are open.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


TRIGGERS = """
CREATE FUNCTION cxr_reading_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at = clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER reading_changed BEFORE INSERT OR UPDATE OF stands_at, emergency, finding_id, answered, closed_at,
    claimed_by_id ON diagnosis_reading FOR EACH ROW EXECUTE FUNCTION cxr_reading_changed();

CREATE FUNCTION cxr_reading_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE diagnosis_reading
       SET closed_at = clock_timestamp(), claimed_by_id = NULL, claimed_at = NULL, claimed_until = NULL
     WHERE study_id = NEW.study_id AND closed_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER report_closes_reading AFTER INSERT OR UPDATE OF status ON diagnosis_report FOR EACH ROW
    WHEN (NEW.status IN ('final', 'amended')) EXECUTE FUNCTION cxr_reading_close();
"""
NO_TRIGGERS = """
DROP TRIGGER report_closes_reading ON diagnosis_report;
DROP FUNCTION cxr_reading_close();
DROP TRIGGER reading_changed ON diagnosis_reading;
DROP FUNCTION cxr_reading_changed();
"""
#: Shown are the active model's results, else the newest. Without a history the head start is 0.75 of the maximum wait.
ROWS = """
WITH films AS (
    SELECT s.id AS study_id, s.clinic_id, s.urgency AS requested, min(r.created_at) AS received_at,
           count(*) = count(p.id) AS answered, array_remove(array_agg(p.id), NULL) AS predictions
      FROM diagnosis_study s JOIN diagnosis_radiograph r ON r.study_id = s.id
      LEFT JOIN LATERAL (
           SELECT p.id FROM diagnosis_prediction p JOIN diagnosis_modelversion m ON m.id = p.model_version_id
            WHERE p.radiograph_id = r.id AND NOT p.shadow
            ORDER BY (m.status = 'active') DESC, p.created_at DESC, p.id DESC LIMIT 1) p ON true
     GROUP BY s.id
), findings AS (
    SELECT f.id, f.label, p.id AS prediction_id, f.calibrated * coalesce((
               SELECT (spec->>'severity')::float FROM jsonb_array_elements(m.card->'labels') spec
                WHERE spec->>'key' = f.label), 0.5) AS weight
      FROM diagnosis_finding f JOIN diagnosis_prediction p ON p.id = f.prediction_id
      JOIN diagnosis_modelversion m ON m.id = p.model_version_id
     WHERE f.calibrated >= f.threshold AND f.label <> 'normal'
), placed AS (
    SELECT films.*, top.id AS finding_id, coalesce(top.weight, 0) AS found,
           CASE WHEN requested = 'routine' THEN 0 ELSE 1 END AS asked,
           coalesce((SELECT array_agg(DISTINCT f.label ORDER BY f.label) FROM findings f
                      WHERE f.prediction_id = ANY (films.predictions)), '{}') AS labels
      FROM films LEFT JOIN LATERAL (
           SELECT f.id, f.weight FROM findings f WHERE f.prediction_id = ANY (films.predictions) AND f.weight > 0
            ORDER BY f.weight DESC LIMIT 1) top ON true
)
INSERT INTO diagnosis_reading (id, study_id, clinic_id, received_at, emergency, stands_at, urgency, critical, answered,
                               finding_id, labels, closed_at, changed_at)
SELECT gen_random_uuid(), study_id, clinic_id, received_at, requested = 'emergency',
       received_at - 0.75 * greatest(asked, found, CASE WHEN answered THEN 0 ELSE 0.5 END)
                   * max_wait_minutes * interval '1 minute',
       greatest(asked, found, CASE WHEN answered THEN 0 ELSE 0.5 END), greatest(asked, found) >= 0.5, answered,
       finding_id, labels,
       (SELECT min(signed_at) FROM diagnosis_report r WHERE r.study_id = placed.study_id
         AND r.status IN ('final', 'amended')), now()
  FROM placed JOIN patients_clinic c ON c.id = clinic_id;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0010_job_moves'),
        ('patients', '0008_break_glass'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('received_at', models.DateTimeField()),
                ('emergency', models.BooleanField(default=False)),
                ('stands_at', models.DateTimeField()),
                ('urgency', models.FloatField()),
                ('critical', models.BooleanField(default=False)),
                ('answered', models.BooleanField(default=False)),
                ('labels', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, size=None)),
                ('closed_at', models.DateTimeField(null=True)),
                ('claimed_at', models.DateTimeField(null=True)),
                ('claimed_until', models.DateTimeField(null=True)),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, help_text='set by a trigger')),
                ('claimed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('finding', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.finding')),
                ('study', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='reading', to='diagnosis.study')),
            ],
            options={
                'ordering': ['-emergency', 'stands_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='ReadingHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('received_at', models.DateTimeField()),
                ('emergency', models.BooleanField(default=False)),
                ('stands_at', models.DateTimeField()),
                ('urgency', models.FloatField()),
                ('critical', models.BooleanField(default=False)),
                ('answered', models.BooleanField(default=False)),
                ('labels', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, size=None)),
                ('closed_at', models.DateTimeField(null=True)),
                ('claimed_at', models.DateTimeField(null=True)),
                ('claimed_by', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic')),
                ('finding', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.finding')),
                ('pgh_obj', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.reading')),
                ('study', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('query', models.CharField(max_length=500)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('closed_at__isnull', True)), fields=['clinic', '-emergency', 'stands_at', 'id'], name='reading_order'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('closed_at__isnull', True)), fields=['clinic', 'received_at'], name='reading_waiting'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('closed_at__isnull', True), ('critical', True)), fields=['clinic'], name='reading_critical'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('claimed_by__isnull', False)), fields=['claimed_by'], name='reading_claimed'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('closed_at__isnull', False)), fields=['clinic', '-closed_at'], name='reading_closed'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(fields=['clinic', '-changed_at'], name='reading_changed'),
        ),
        migrations.AddConstraint(
            model_name='reading',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('claimed_at__isnull', True), ('claimed_by__isnull', True), ('claimed_until__isnull', True)), models.Q(('claimed_at__isnull', False), ('claimed_by__isnull', False), ('claimed_until__isnull', False), ('closed_at__isnull', True)), _connector='OR'), name='reading_claim_whole'),
        ),
        migrations.AddConstraint(
            model_name='reading',
            constraint=models.CheckConstraint(condition=models.Q(('urgency__range', (0, 1))), name='reading_urgency_range'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reading',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_readinghistory" ("answered", "claimed_at", "claimed_by_id", "clinic_id", "closed_at", "critical", "emergency", "finding_id", "id", "labels", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "received_at", "stands_at", "study_id", "urgency") VALUES (NEW."answered", NEW."claimed_at", NEW."claimed_by_id", NEW."clinic_id", NEW."closed_at", NEW."critical", NEW."emergency", NEW."finding_id", NEW."id", NEW."labels", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."received_at", NEW."stands_at", NEW."study_id", NEW."urgency"); RETURN NULL;', hash='68ac8bee52cc9a7ebd13101c88cb49c54738df2f', operation='INSERT', pgid='pgtrigger_insert_insert_10805', table='diagnosis_reading', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reading',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."answered" IS DISTINCT FROM (NEW."answered") OR OLD."claimed_at" IS DISTINCT FROM (NEW."claimed_at") OR OLD."claimed_by_id" IS DISTINCT FROM (NEW."claimed_by_id") OR OLD."clinic_id" IS DISTINCT FROM (NEW."clinic_id") OR OLD."closed_at" IS DISTINCT FROM (NEW."closed_at") OR OLD."critical" IS DISTINCT FROM (NEW."critical") OR OLD."emergency" IS DISTINCT FROM (NEW."emergency") OR OLD."finding_id" IS DISTINCT FROM (NEW."finding_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."labels" IS DISTINCT FROM (NEW."labels") OR OLD."received_at" IS DISTINCT FROM (NEW."received_at") OR OLD."stands_at" IS DISTINCT FROM (NEW."stands_at") OR OLD."study_id" IS DISTINCT FROM (NEW."study_id") OR OLD."urgency" IS DISTINCT FROM (NEW."urgency"))', func='INSERT INTO "diagnosis_readinghistory" ("answered", "claimed_at", "claimed_by_id", "clinic_id", "closed_at", "critical", "emergency", "finding_id", "id", "labels", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "received_at", "stands_at", "study_id", "urgency") VALUES (NEW."answered", NEW."claimed_at", NEW."claimed_by_id", NEW."clinic_id", NEW."closed_at", NEW."critical", NEW."emergency", NEW."finding_id", NEW."id", NEW."labels", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."received_at", NEW."stands_at", NEW."study_id", NEW."urgency"); RETURN NULL;', hash='1376eb263e70235002b53ec8502c7bbbe18e6b84', operation='UPDATE', pgid='pgtrigger_update_update_0321e', table='diagnosis_reading', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reading',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_readinghistory" ("answered", "claimed_at", "claimed_by_id", "clinic_id", "closed_at", "critical", "emergency", "finding_id", "id", "labels", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "received_at", "stands_at", "study_id", "urgency") VALUES (OLD."answered", OLD."claimed_at", OLD."claimed_by_id", OLD."clinic_id", OLD."closed_at", OLD."critical", OLD."emergency", OLD."finding_id", OLD."id", OLD."labels", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."received_at", OLD."stands_at", OLD."study_id", OLD."urgency"); RETURN NULL;', hash='a20d234c3f9b4aeef29d437f0581090bd3b53d66', operation='DELETE', pgid='pgtrigger_delete_delete_e8346', table='diagnosis_reading', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='readinghistory',
            index=models.Index(fields=['study'], name='reading_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='readinghistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='59429f25db7dbd5a1627bcc6cec2cc9d8e8534c3', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_1ca57', table='diagnosis_readinghistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='readinghistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='504080ee6ec7a70b79a7742d3f698911e9ea68af', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_503fd', table='diagnosis_readinghistory', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('user', 'name'), name='saved_view_once'),
        ),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.RunSQL(ROWS, migrations.RunSQL.noop),
    ]
