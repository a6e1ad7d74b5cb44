"""Films repeat, for lists, the words of their findings, whether a model has read them and whether work on them failed.

Triggers keep the three columns: on each finding and job that is written, whoever writes it.
"""

import django.contrib.postgres.fields
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


#: The film is locked first: what two of its jobs say at once is read after the other has committed.
FORWARD = """
CREATE FUNCTION cxr_film_follows_findings() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET cxr.actor = 'system' SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE diagnosis_radiograph r
       SET words = ARRAY(SELECT DISTINCT word FROM unnest(r.words || said.words) word ORDER BY word)
      FROM (SELECT p.radiograph_id, array_agg(f.word) AS words
              FROM written f JOIN diagnosis_prediction p ON p.id = f.prediction_id
             WHERE f.label <> 'normal' AND NOT p.shadow GROUP BY p.radiograph_id) said
     WHERE r.id = said.radiograph_id AND NOT r.words @> said.words;
    RETURN NULL;
END $$;
CREATE TRIGGER film_follows_findings AFTER INSERT ON diagnosis_finding REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION cxr_film_follows_findings();

CREATE FUNCTION cxr_film_follows_jobs() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET cxr.actor = 'system' SET search_path = public, pg_temp AS $$
DECLARE
    film uuid := CASE TG_OP WHEN 'DELETE' THEN OLD.radiograph_id ELSE NEW.radiograph_id END;
BEGIN
    PERFORM FROM diagnosis_radiograph WHERE id = film FOR NO KEY UPDATE;
    UPDATE diagnosis_radiograph r SET done = jobs.done, failed = jobs.failed
      FROM (SELECT coalesce(bool_or(kind = 'infer' AND state = 'succeeded'), false) AS done,
                   coalesce(bool_or(state = 'failed'), false) AS failed
              FROM diagnosis_job WHERE radiograph_id = film AND NOT shadow) jobs
     WHERE r.id = film AND (r.done, r.failed) IS DISTINCT FROM (jobs.done, jobs.failed);
    RETURN NULL;
END $$;
CREATE TRIGGER film_follows_new_job AFTER INSERT ON diagnosis_job FOR EACH ROW
    WHEN (NEW.state IN ('succeeded', 'failed')) EXECUTE FUNCTION cxr_film_follows_jobs();
CREATE TRIGGER film_follows_job AFTER UPDATE OF state ON diagnosis_job FOR EACH ROW
    WHEN (OLD.state <> NEW.state
          AND (OLD.state IN ('succeeded', 'failed') OR NEW.state IN ('succeeded', 'failed')))
    EXECUTE FUNCTION cxr_film_follows_jobs();
CREATE TRIGGER film_follows_gone_job AFTER DELETE ON diagnosis_job FOR EACH ROW
    WHEN (OLD.state IN ('succeeded', 'failed')) EXECUTE FUNCTION cxr_film_follows_jobs();
"""
BACKWARD = """
DROP TRIGGER film_follows_gone_job ON diagnosis_job;
DROP TRIGGER film_follows_job ON diagnosis_job;
DROP TRIGGER film_follows_new_job ON diagnosis_job;
DROP FUNCTION cxr_film_follows_jobs();
DROP TRIGGER film_follows_findings ON diagnosis_finding;
DROP FUNCTION cxr_film_follows_findings();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0022_merged_studies'),
        ('patients', '0011_consent'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='radiograph',
            name='update_update',
        ),
        migrations.AddField(
            model_name='radiograph',
            name='done',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name='radiograph',
            name='failed',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name='radiograph',
            name='words',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=8), blank=True, db_default=[], default=list, editable=False, size=None),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiograph',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."clinic_id" IS DISTINCT FROM (NEW."clinic_id") OR OLD."code" IS DISTINCT FROM (NEW."code") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."display_key" IS DISTINCT FROM (NEW."display_key") OR OLD."format" IS DISTINCT FROM (NEW."format") OR OLD."height" IS DISTINCT FROM (NEW."height") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."message" IS DISTINCT FROM (NEW."message") OR OLD."quality" IS DISTINCT FROM (NEW."quality") OR OLD."reading" IS DISTINCT FROM (NEW."reading") OR OLD."reading_key" IS DISTINCT FROM (NEW."reading_key") OR OLD."series_instance_uid" IS DISTINCT FROM (NEW."series_instance_uid") OR OLD."sha256" IS DISTINCT FROM (NEW."sha256") OR OLD."size" IS DISTINCT FROM (NEW."size") OR OLD."sop_instance_uid" IS DISTINCT FROM (NEW."sop_instance_uid") OR OLD."state" IS DISTINCT FROM (NEW."state") OR OLD."study_id" IS DISTINCT FROM (NEW."study_id") OR OLD."study_instance_uid" IS DISTINCT FROM (NEW."study_instance_uid") OR OLD."view" IS DISTINCT FROM (NEW."view") OR OLD."warnings" IS DISTINCT FROM (NEW."warnings") OR OLD."width" IS DISTINCT FROM (NEW."width"))', func='INSERT INTO "diagnosis_radiographhistory" ("clinic_id", "code", "created_at", "display_key", "format", "height", "id", "message", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "quality", "reading", "reading_key", "series_instance_uid", "sha256", "size", "sop_instance_uid", "state", "study_id", "study_instance_uid", "view", "warnings", "width") VALUES (NEW."clinic_id", NEW."code", NEW."created_at", NEW."display_key", NEW."format", NEW."height", NEW."id", NEW."message", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."quality", NEW."reading", NEW."reading_key", NEW."series_instance_uid", NEW."sha256", NEW."size", NEW."sop_instance_uid", NEW."state", NEW."study_id", NEW."study_instance_uid", NEW."view", NEW."warnings", NEW."width"); RETURN NULL;', hash='cf9b7a5a8a7b5e94960a177b54f8a293e62d52d2', operation='UPDATE', pgid='pgtrigger_update_update_c3548', table='diagnosis_radiograph', when='AFTER')),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
