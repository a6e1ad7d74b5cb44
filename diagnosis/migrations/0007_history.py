"""History of clinical rows, kept by triggers. What is there already is noted as found."""

from functools import partial

import django.db.models.deletion
import django.utils.timezone
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models

from patients.history import history_begin


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0006_tally'),
        ('patients', '0007_history'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelVersionHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('task', models.CharField(default='chest-xray-findings', max_length=64)),
                ('name', models.CharField(max_length=100)),
                ('version', models.CharField(max_length=32)),
                ('sha256', models.CharField(help_text='Of the weights: a worker refuses any other file.', max_length=64)),
                ('card', models.JSONField()),
                ('folder', models.CharField(help_text='Folder name under the model store.', max_length=255)),
                ('status', models.CharField(choices=[('registered', 'Registered'), ('shadow', 'Shadow'), ('active', 'Active'), ('retired', 'Retired')], default='registered', max_length=10)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='OperatingPointHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.BigIntegerField()),
                ('label', models.CharField(max_length=64)),
                ('threshold', models.FloatField()),
                ('chosen_for', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='RadiographHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('view', models.CharField(choices=[('PA', 'PA'), ('AP', 'AP'), ('unknown', 'Unknown')], default='unknown', max_length=8)),
                ('sha256', models.CharField(max_length=64)),
                ('size', models.BigIntegerField(help_text='bytes of the original')),
                ('format', models.CharField(max_length=8)),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('sop_instance_uid', models.CharField(blank=True, max_length=64)),
                ('series_instance_uid', models.CharField(blank=True, max_length=64)),
                ('study_instance_uid', models.CharField(blank=True, max_length=64)),
                ('display_key', models.CharField(blank=True, max_length=128)),
                ('quality', models.JSONField(blank=True, default=dict)),
                ('warnings', models.JSONField(blank=True, default=list, help_text='[{code, message}]')),
                ('state', models.CharField(choices=[('received', 'Received'), ('ready', 'Ready'), ('rejected', 'Rejected')], default='received', max_length=10)),
                ('code', models.CharField(blank=True, max_length=64)),
                ('message', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ReportHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('preliminary', 'Preliminary'), ('final', 'Final'), ('amended', 'Amended')], default='draft', max_length=12)),
                ('findings', models.JSONField(blank=True, default=list)),
                ('findings_text', models.TextField(blank=True)),
                ('impression', models.TextField(blank=True)),
                ('signed_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='StudyHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('accession_number', models.CharField(blank=True, max_length=64)),
                ('indication', models.CharField(blank=True, max_length=500)),
                ('urgency', models.CharField(choices=[('emergency', 'Emergency'), ('urgent', 'Urgent'), ('routine', 'Routine')], default='routine', max_length=10)),
                ('acquired_at', models.DateTimeField(blank=True, null=True)),
                ('source', models.CharField(default='web', help_text='web, api or dicom', max_length=16)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='modelversion',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_modelversionhistory" ("approved_by_id", "card", "created_at", "folder", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "sha256", "status", "task", "version") VALUES (NEW."approved_by_id", NEW."card", NEW."created_at", NEW."folder", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."sha256", NEW."status", NEW."task", NEW."version"); RETURN NULL;', hash='753830c9b9bef357b426dbbe1ed3e56a40a4b5cd', operation='INSERT', pgid='pgtrigger_insert_insert_fcd1d', table='diagnosis_modelversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='modelversion',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_modelversionhistory" ("approved_by_id", "card", "created_at", "folder", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "sha256", "status", "task", "version") VALUES (NEW."approved_by_id", NEW."card", NEW."created_at", NEW."folder", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."sha256", NEW."status", NEW."task", NEW."version"); RETURN NULL;', hash='6616a00fb2ecbebd0451bdd296b4d655a61cdb31', operation='UPDATE', pgid='pgtrigger_update_update_2d993', table='diagnosis_modelversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='modelversion',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_modelversionhistory" ("approved_by_id", "card", "created_at", "folder", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "sha256", "status", "task", "version") VALUES (OLD."approved_by_id", OLD."card", OLD."created_at", OLD."folder", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."sha256", OLD."status", OLD."task", OLD."version"); RETURN NULL;', hash='2bd9da78f9e25cd8f2114dca698f78a95ef2624d', operation='DELETE', pgid='pgtrigger_delete_delete_d9540', table='diagnosis_modelversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='operatingpoint',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_operatingpointhistory" ("chosen_for", "clinic_id", "id", "label", "model_version_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "threshold") VALUES (NEW."chosen_for", NEW."clinic_id", NEW."id", NEW."label", NEW."model_version_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."threshold"); RETURN NULL;', hash='527f1c50b5a12452aa3dc181b17ebecfb5e532af', operation='INSERT', pgid='pgtrigger_insert_insert_6c148', table='diagnosis_operatingpoint', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='operatingpoint',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_operatingpointhistory" ("chosen_for", "clinic_id", "id", "label", "model_version_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "threshold") VALUES (NEW."chosen_for", NEW."clinic_id", NEW."id", NEW."label", NEW."model_version_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."threshold"); RETURN NULL;', hash='8240560126daa2d671464c0e054b960b6d77ba72', operation='UPDATE', pgid='pgtrigger_update_update_10690', table='diagnosis_operatingpoint', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='operatingpoint',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_operatingpointhistory" ("chosen_for", "clinic_id", "id", "label", "model_version_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "threshold") VALUES (OLD."chosen_for", OLD."clinic_id", OLD."id", OLD."label", OLD."model_version_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."threshold"); RETURN NULL;', hash='481a10824249b98723ec7ae659104f450d1d94a7', operation='DELETE', pgid='pgtrigger_delete_delete_61580', table='diagnosis_operatingpoint', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiograph',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_radiographhistory" ("clinic_id", "code", "created_at", "display_key", "format", "height", "id", "message", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "quality", "series_instance_uid", "sha256", "size", "sop_instance_uid", "state", "study_id", "study_instance_uid", "view", "warnings", "width") VALUES (NEW."clinic_id", NEW."code", NEW."created_at", NEW."display_key", NEW."format", NEW."height", NEW."id", NEW."message", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."quality", NEW."series_instance_uid", NEW."sha256", NEW."size", NEW."sop_instance_uid", NEW."state", NEW."study_id", NEW."study_instance_uid", NEW."view", NEW."warnings", NEW."width"); RETURN NULL;', hash='8af513f030d2f11e919c115aeec38f14ab7829f0', operation='INSERT', pgid='pgtrigger_insert_insert_a7566', table='diagnosis_radiograph', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiograph',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_radiographhistory" ("clinic_id", "code", "created_at", "display_key", "format", "height", "id", "message", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "quality", "series_instance_uid", "sha256", "size", "sop_instance_uid", "state", "study_id", "study_instance_uid", "view", "warnings", "width") VALUES (NEW."clinic_id", NEW."code", NEW."created_at", NEW."display_key", NEW."format", NEW."height", NEW."id", NEW."message", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."quality", NEW."series_instance_uid", NEW."sha256", NEW."size", NEW."sop_instance_uid", NEW."state", NEW."study_id", NEW."study_instance_uid", NEW."view", NEW."warnings", NEW."width"); RETURN NULL;', hash='8c6a2fe8b1bbefde67f867f1b16d10f66729b6d8', operation='UPDATE', pgid='pgtrigger_update_update_c3548', table='diagnosis_radiograph', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiograph',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_radiographhistory" ("clinic_id", "code", "created_at", "display_key", "format", "height", "id", "message", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "quality", "series_instance_uid", "sha256", "size", "sop_instance_uid", "state", "study_id", "study_instance_uid", "view", "warnings", "width") VALUES (OLD."clinic_id", OLD."code", OLD."created_at", OLD."display_key", OLD."format", OLD."height", OLD."id", OLD."message", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."quality", OLD."series_instance_uid", OLD."sha256", OLD."size", OLD."sop_instance_uid", OLD."state", OLD."study_id", OLD."study_instance_uid", OLD."view", OLD."warnings", OLD."width"); RETURN NULL;', hash='55bf2ef35f641c560b2eea429c156fa6f1332d72', operation='DELETE', pgid='pgtrigger_delete_delete_3059e', table='diagnosis_radiograph', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reporthistory" ("author_id", "created_at", "findings", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id") VALUES (NEW."author_id", NEW."created_at", NEW."findings", NEW."findings_text", NEW."id", NEW."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."signed_at", NEW."signed_by_id", NEW."status", NEW."study_id", NEW."supersedes_id"); RETURN NULL;', hash='8467c9f587d902c8587abb279d4eeb5bfa8fc748', operation='INSERT', pgid='pgtrigger_insert_insert_621da', table='diagnosis_report', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_reporthistory" ("author_id", "created_at", "findings", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id") VALUES (NEW."author_id", NEW."created_at", NEW."findings", NEW."findings_text", NEW."id", NEW."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."signed_at", NEW."signed_by_id", NEW."status", NEW."study_id", NEW."supersedes_id"); RETURN NULL;', hash='1f98544991caa73934fb80fd9ba27401a226f412', operation='UPDATE', pgid='pgtrigger_update_update_8810f', table='diagnosis_report', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_reporthistory" ("author_id", "created_at", "findings", "findings_text", "id", "impression", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "signed_at", "signed_by_id", "status", "study_id", "supersedes_id") VALUES (OLD."author_id", OLD."created_at", OLD."findings", OLD."findings_text", OLD."id", OLD."impression", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."signed_at", OLD."signed_by_id", OLD."status", OLD."study_id", OLD."supersedes_id"); RETURN NULL;', hash='cd9674f18e0c169d9bd0c1906c4918b03871c700', operation='DELETE', pgid='pgtrigger_delete_delete_c7944', table='diagnosis_report', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='study',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_studyhistory" ("accession_number", "acquired_at", "clinic_id", "created_at", "created_by_id", "id", "indication", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "referring_doctor_id", "source", "urgency") VALUES (NEW."accession_number", NEW."acquired_at", NEW."clinic_id", NEW."created_at", NEW."created_by_id", NEW."id", NEW."indication", NEW."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."referring_doctor_id", NEW."source", NEW."urgency"); RETURN NULL;', hash='3565d3a0ae2d0914c3d95e2a466a4a98ac2cdb01', operation='INSERT', pgid='pgtrigger_insert_insert_228c2', table='diagnosis_study', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='study',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_studyhistory" ("accession_number", "acquired_at", "clinic_id", "created_at", "created_by_id", "id", "indication", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "referring_doctor_id", "source", "urgency") VALUES (NEW."accession_number", NEW."acquired_at", NEW."clinic_id", NEW."created_at", NEW."created_by_id", NEW."id", NEW."indication", NEW."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."referring_doctor_id", NEW."source", NEW."urgency"); RETURN NULL;', hash='1490e5b45fc3d65b8bdb26102f93fac41f17e505', operation='UPDATE', pgid='pgtrigger_update_update_2a974', table='diagnosis_study', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='study',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_studyhistory" ("accession_number", "acquired_at", "clinic_id", "created_at", "created_by_id", "id", "indication", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "referring_doctor_id", "source", "urgency") VALUES (OLD."accession_number", OLD."acquired_at", OLD."clinic_id", OLD."created_at", OLD."created_by_id", OLD."id", OLD."indication", OLD."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."referring_doctor_id", OLD."source", OLD."urgency"); RETURN NULL;', hash='a87d3c5369b3a1da1dd168b0038ed65d05afcbff', operation='DELETE', pgid='pgtrigger_delete_delete_58242', table='diagnosis_study', when='AFTER')),
        ),
        migrations.AddField(
            model_name='modelversionhistory',
            name='approved_by',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='modelversionhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.modelversion'),
        ),
        migrations.AddField(
            model_name='operatingpointhistory',
            name='clinic',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='operatingpointhistory',
            name='model_version',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.modelversion'),
        ),
        migrations.AddField(
            model_name='operatingpointhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.operatingpoint'),
        ),
        migrations.AddField(
            model_name='radiographhistory',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='radiographhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.radiograph'),
        ),
        migrations.AddField(
            model_name='radiographhistory',
            name='study',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study'),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='author',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.report'),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='signed_by',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='study',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study'),
        ),
        migrations.AddField(
            model_name='reporthistory',
            name='supersedes',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.report'),
        ),
        migrations.AddField(
            model_name='studyhistory',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='studyhistory',
            name='created_by',
            field=models.ForeignKey(db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='studyhistory',
            name='patient',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='studyhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study'),
        ),
        migrations.AddField(
            model_name='studyhistory',
            name='referring_doctor',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='modelversionhistory',
            index=models.Index(fields=['pgh_obj'], name='modelversion_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='modelversionhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='3219994f5d0431bc4534d2fb107c9af6f04adfd9', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_6ef20', table='diagnosis_modelversionhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='modelversionhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='3cf906658d2e1fc041dbffc07a3291e2dea9c821', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_bc37b', table='diagnosis_modelversionhistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='operatingpointhistory',
            index=models.Index(fields=['model_version'], name='operatingpoint_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='operatingpointhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='acf41ec7d086b0aac1668a38677d5b884efaf258', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_770bd', table='diagnosis_operatingpointhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='operatingpointhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='e06019fed9fed037017f5fc74c4b68d6ec8caaca', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_3f913', table='diagnosis_operatingpointhistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='radiographhistory',
            index=models.Index(fields=['study'], name='radiograph_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiographhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='c2897ae72902a904e9f2ef578ceebb9ece436064', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_6252e', table='diagnosis_radiographhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='radiographhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='e0505ba50619a4007181d54c5361c04448450c91', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_c5075', table='diagnosis_radiographhistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='reporthistory',
            index=models.Index(fields=['study'], name='report_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reporthistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='37947652872db4ad730e7668f73b94729c98c49e', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_4e7be', table='diagnosis_reporthistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reporthistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='c6bc7bbc889caef03dd25e74a36c95eb2df8860f', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_f8f2d', table='diagnosis_reporthistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='studyhistory',
            index=models.Index(fields=['pgh_obj'], name='study_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='studyhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='b0ce6e10decab7f064ef8fa501100dfff4fb39ae', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_074f9', table='diagnosis_studyhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='studyhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='07ee8e93aa12d88a370947ae92c27bfd7323e562', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_07eb0', table='diagnosis_studyhistory', when='BEFORE')),
        ),
        migrations.RunPython(partial(history_begin, app_label="diagnosis"), migrations.RunPython.noop),
    ]
