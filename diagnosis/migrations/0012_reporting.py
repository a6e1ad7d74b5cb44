"""Reports as they are worked on: versions, decisions on findings, first impressions, and what keeps all of it in place.

Signed reports, and the decisions in them, cannot change; an amendment supersedes a signed report of its own study.
"""

import django.db.models.deletion
import django.utils.timezone
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


FORWARD = """
CREATE FUNCTION cxr_refuse_change_of_signed() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET cxr.actor = 'system' SET search_path = public, pg_temp AS $$
DECLARE report uuid; signed text;
BEGIN
    FOREACH report IN ARRAY CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.report_id]
        WHEN 'DELETE' THEN ARRAY[OLD.report_id] ELSE ARRAY[OLD.report_id, NEW.report_id] END
    LOOP
        -- waits for whoever is signing at this moment
        SELECT status INTO signed FROM diagnosis_report WHERE id = report FOR SHARE;
        IF signed IN ('final', 'amended') THEN
            RAISE EXCEPTION 'the findings of a signed report are append-only'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER decisions_of_signed_are_final BEFORE INSERT OR UPDATE OR DELETE ON diagnosis_reportedfinding
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change_of_signed();
CREATE TRIGGER first_impression_write_once BEFORE UPDATE OR DELETE ON diagnosis_firstimpression
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();

CREATE FUNCTION cxr_refuse_foreign_amendment() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET cxr.actor = 'system' SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM diagnosis_report d WHERE d.id = NEW.supersedes_id AND d.study_id = NEW.study_id
                      AND d.status IN ('final', 'amended')) THEN
        RAISE EXCEPTION 'an amendment supersedes a signed report of the same study'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER amendment_of_same_study BEFORE INSERT OR UPDATE OF supersedes_id, study_id ON diagnosis_report
    FOR EACH ROW WHEN (NEW.supersedes_id IS NOT NULL) EXECUTE FUNCTION cxr_refuse_foreign_amendment();
"""
BACKWARD = """
DROP TRIGGER amendment_of_same_study ON diagnosis_report;
DROP FUNCTION cxr_refuse_foreign_amendment();
DROP TRIGGER first_impression_write_once ON diagnosis_firstimpression;
DROP TRIGGER decisions_of_signed_are_final ON diagnosis_reportedfinding;
DROP FUNCTION cxr_refuse_change_of_signed();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0011_worklist'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FirstImpression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='ReportedFinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(max_length=64)),
                ('verdict', models.CharField(choices=[('accepted', 'Accepted'), ('rejected', 'Rejected'), ('added', 'Added'), ('absent', 'Absent')], max_length=8)),
                ('reason', models.CharField(blank=True, choices=[('no_correlate', 'Nothing to see there'), ('normal_variant', 'Normal anatomy or variant'), ('artefact', 'Artefact, device or overlap'), ('other_finding', 'Another finding explains it'), ('old_change', 'Old, known change'), ('not_decidable', 'Cannot be decided on this film')], default='', max_length=16)),
                ('decided_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['label'],
            },
        ),
        migrations.CreateModel(
            name='ReportedFindingHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.BigIntegerField()),
                ('label', models.CharField(max_length=64)),
                ('verdict', models.CharField(choices=[('accepted', 'Accepted'), ('rejected', 'Rejected'), ('added', 'Added'), ('absent', 'Absent')], max_length=8)),
                ('reason', models.CharField(blank=True, choices=[('no_correlate', 'Nothing to see there'), ('normal_variant', 'Normal anatomy or variant'), ('artefact', 'Artefact, device or overlap'), ('other_finding', 'Another finding explains it'), ('old_change', 'Old, known change'), ('not_decidable', 'Cannot be decided on this film')], default='', max_length=16)),
                ('decided_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'abstract': False,
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='update_update',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='delete_delete',
        ),
        migrations.RemoveField(
            model_name='report',
            name='findings',
        ),
        migrations.RemoveField(
            model_name='reporthistory',
            name='findings',
        ),
        migrations.AddField(
            model_name='report',
            name='amendment_reason',
            field=models.CharField(blank=True, db_default='', default='', max_length=500),
        ),
        migrations.AddField(
            model_name='report',
            name='drafted_text',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddField(
            model_name='report',
            name='preliminary_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='report',
            name='registration_number',
            field=models.CharField(blank=True, db_default='', default='', help_text="The signer's, as it was at the signature.", max_length=64),
        ),
        migrations.AddField(
            model_name='report',
            name='version',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='amendment_reason',
            field=models.CharField(blank=True, db_default='', default='', max_length=500),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='drafted_text',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='preliminary_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='registration_number',
            field=models.CharField(blank=True, db_default='', default='', help_text="The signer's, as it was at the signature.", max_length=64),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='version',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reporthistory" ("amendment_reason", "author_id", "created_at", "drafted_text", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "preliminary_at", "registration_number", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id", "version") VALUES (NEW."amendment_reason", NEW."author_id", NEW."created_at", NEW."drafted_text", NEW."findings_text", NEW."id", NEW."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."preliminary_at", NEW."registration_number", NEW."signed_at", NEW."signed_by_id", NEW."status", NEW."study_id", NEW."supersedes_id", NEW."version"); RETURN NULL;', hash='b637e1dc2627951a5216d7811a75090685d5b30f', operation='INSERT', pgid='pgtrigger_insert_insert_621da', table='diagnosis_report', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_reporthistory" ("amendment_reason", "author_id", "created_at", "drafted_text", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "preliminary_at", "registration_number", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id", "version") VALUES (NEW."amendment_reason", NEW."author_id", NEW."created_at", NEW."drafted_text", NEW."findings_text", NEW."id", NEW."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."preliminary_at", NEW."registration_number", NEW."signed_at", NEW."signed_by_id", NEW."status", NEW."study_id", NEW."supersedes_id", NEW."version"); RETURN NULL;', hash='815854fac977480f8beb4a0cde56d321d0e5f5fb', operation='UPDATE', pgid='pgtrigger_update_update_8810f', table='diagnosis_report', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reporthistory" ("amendment_reason", "author_id", "created_at", "drafted_text", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "preliminary_at", "registration_number", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id", "version") VALUES (OLD."amendment_reason", OLD."author_id", OLD."created_at", OLD."drafted_text", OLD."findings_text", OLD."id", OLD."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."preliminary_at", OLD."registration_number", OLD."signed_at", OLD."signed_by_id", OLD."status", OLD."study_id", OLD."supersedes_id", OLD."version"); RETURN NULL;', hash='37bef4e87c342662968c631638baa2f4cd2bd04f', operation='DELETE', pgid='pgtrigger_delete_delete_c7944', table='diagnosis_report', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'final')), fields=('study',), name='one_final_report'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'preliminary']), models.Q(('registration_number', ''), _negated=True), _connector='OR'), name='signed_has_registration'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'preliminary'), _negated=True), ('preliminary_at__isnull', False), _connector='OR'), name='preliminary_has_time'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(('supersedes__isnull', True), models.Q(models.Q(('status', 'final'), _negated=True), models.Q(('amendment_reason', ''), _negated=True)), _connector='OR'), name='amendment_has_reason'),
        ),
        migrations.AddField(
            model_name='firstimpression',
            name='reader',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='firstimpression',
            name='study',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='first_impressions', to='diagnosis.study'),
        ),
        migrations.AddField(
            model_name='reportedfinding',
            name='decided_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reportedfinding',
            name='finding',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.finding'),
        ),
        migrations.AddField(
            model_name='reportedfinding',
            name='report',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='diagnosis.report'),
        ),
        migrations.AddField(
            model_name='reportedfindinghistory',
            name='decided_by',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reportedfindinghistory',
            name='finding',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.finding'),
        ),
        migrations.AddField(
            model_name='reportedfindinghistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.reportedfinding'),
        ),
        migrations.AddField(
            model_name='reportedfindinghistory',
            name='report',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.report'),
        ),
        migrations.AddConstraint(
            model_name='firstimpression',
            constraint=models.UniqueConstraint(fields=('study', 'reader'), name='first_impression_once'),
        ),
        migrations.AddConstraint(
            model_name='reportedfinding',
            constraint=models.UniqueConstraint(fields=('report', 'label'), name='reported_finding_once'),
        ),
        migrations.AddConstraint(
            model_name='reportedfinding',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('verdict', 'rejected'), models.Q(('reason', ''), _negated=True)), models.Q(models.Q(('verdict', 'rejected'), _negated=True), ('reason', '')), _connector='OR'), name='rejected_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='reportedfinding',
            constraint=models.CheckConstraint(condition=models.Q(('verdict', 'added'), ('finding__isnull', False), _connector='OR'), name='verdict_on_a_finding'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reportedfinding',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reportedfindinghistory" ("decided_at", "decided_by_id", "finding_id", "id", "label", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "report_id", "verdict") VALUES (NEW."decided_at", NEW."decided_by_id", NEW."finding_id", NEW."id", NEW."label", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."reason", NEW."report_id", NEW."verdict"); RETURN NULL;', hash='300ae50abad6adf2bfd9ca262d060211358e8d76', operation='INSERT', pgid='pgtrigger_insert_insert_2cb3e', table='diagnosis_reportedfinding', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reportedfinding',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_reportedfindinghistory" ("decided_at", "decided_by_id", "finding_id", "id", "label", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "report_id", "verdict") VALUES (NEW."decided_at", NEW."decided_by_id", NEW."finding_id", NEW."id", NEW."label", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."reason", NEW."report_id", NEW."verdict"); RETURN NULL;', hash='d4436ed7a54152f2ce571cbda62e9e40748a3703', operation='UPDATE', pgid='pgtrigger_update_update_7b889', table='diagnosis_reportedfinding', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reportedfinding',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reportedfindinghistory" ("decided_at", "decided_by_id", "finding_id", "id", "label", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "reason", "report_id", "verdict") VALUES (OLD."decided_at", OLD."decided_by_id", OLD."finding_id", OLD."id", OLD."label", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."reason", OLD."report_id", OLD."verdict"); RETURN NULL;', hash='c954dcb6e9d0a1ec56caaa0fa9d7779289239b75', operation='DELETE', pgid='pgtrigger_delete_delete_77fb2', table='diagnosis_reportedfinding', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='reportedfindinghistory',
            index=models.Index(fields=['report'], name='reportedfinding_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reportedfindinghistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='7b04aae4617a88373dd2f75cd489225a9ced82ee', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_23f4e', table='diagnosis_reportedfindinghistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reportedfindinghistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='d8e04e6999212d5b0b4eccd60da04b520cebf018', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_e0a66', table='diagnosis_reportedfindinghistory', when='BEFORE')),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
