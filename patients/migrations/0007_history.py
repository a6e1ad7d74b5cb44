"""History of clinical rows, kept by triggers. What is there already is noted as found."""

from functools import partial

import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import patients.models
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models

from patients.history import history_begin


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0006_api_clients'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClinicHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('code', models.SlugField(db_index=False, max_length=32)),
                ('time_zone', models.CharField(default='UTC', max_length=64, validators=[patients.models.validate_time_zone])),
                ('max_wait_minutes', models.PositiveIntegerField(default=1440)),
                ('show_unread_results', models.BooleanField(default=False, help_text="Operators and radiographers see the film and the model's answer before a radiologist has signed.")),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='MembershipHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.BigIntegerField()),
                ('role', models.CharField(choices=[('operator', 'Clinic operator'), ('radiographer', 'Radiographer'), ('radiologist', 'Radiologist'), ('doctor', 'Referring doctor'), ('clinicadmin', 'Clinic administrator'), ('client', 'API client')], max_length=16)),
                ('valid_from', models.DateTimeField(default=django.utils.timezone.now)),
                ('valid_to', models.DateTimeField(blank=True, null=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), blank=True, db_default=[], default=list, editable=False, size=None)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='PatientHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('birth_date', models.DateField(blank=True, null=True)),
                ('birth_year', models.PositiveSmallIntegerField()),
                ('sex', models.CharField(choices=[('female', 'Female'), ('male', 'Male'), ('other', 'Other'), ('unknown', 'Unknown')], default='unknown', max_length=8)),
                ('phone', models.CharField(blank=True, max_length=32)),
                ('abha_number', models.CharField(blank=True, max_length=20, verbose_name='ABHA number')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='PatientIdentifierHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.BigIntegerField()),
                ('system', models.CharField(default='MRN', max_length=64)),
                ('value', models.CharField(max_length=64)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='UserHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.BigIntegerField()),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
            ],
            options={
                'abstract': False,
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "show_unread_results", "time_zone") VALUES (NEW."code", NEW."created_at", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='3493aed2d12782a3336f96ce0a6afdfb8e43df96', operation='INSERT', pgid='pgtrigger_insert_insert_8cb17', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "show_unread_results", "time_zone") VALUES (NEW."code", NEW."created_at", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='bb6a1cc1326e563a11f465531fdecb86da8056df', operation='UPDATE', pgid='pgtrigger_update_update_83497', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "show_unread_results", "time_zone") VALUES (OLD."code", OLD."created_at", OLD."id", OLD."max_wait_minutes", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."show_unread_results", OLD."time_zone"); RETURN NULL;', hash='fbefef60fbc3a2d743e620f80a71cb44ac6342f8', operation='DELETE', pgid='pgtrigger_delete_delete_fdb4f', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (NEW."clinic_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."role", NEW."scopes", NEW."user_id", NEW."valid_from", NEW."valid_to"); RETURN NULL;', hash='72b09977c7f3a4a60869f83d9a1e0441f9b58542', operation='INSERT', pgid='pgtrigger_insert_insert_84593', table='patients_membership', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (NEW."clinic_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."role", NEW."scopes", NEW."user_id", NEW."valid_from", NEW."valid_to"); RETURN NULL;', hash='0432c32c8e4611fb0a698f4e054daf2faeb4f43f', operation='UPDATE', pgid='pgtrigger_update_update_6e5b4', table='patients_membership', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (OLD."clinic_id", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."role", OLD."scopes", OLD."user_id", OLD."valid_from", OLD."valid_to"); RETURN NULL;', hash='1d9316b3c81d8d2ac721ea48479ce348688a6fee', operation='DELETE', pgid='pgtrigger_delete_delete_4c6cc', table='patients_membership', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_patienthistory" ("abha_number", "birth_date", "birth_year", "clinic_id", "created_at", "created_by_id", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "sex") VALUES (NEW."abha_number", NEW."birth_date", NEW."birth_year", NEW."clinic_id", NEW."created_at", NEW."created_by_id", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."phone", NEW."sex"); RETURN NULL;', hash='66fe9e3c694dff3e9b0ef53b077e6e99ae45679d', operation='INSERT', pgid='pgtrigger_insert_insert_62165', table='patients_patient', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."abha_number" IS DISTINCT FROM (NEW."abha_number") OR OLD."birth_date" IS DISTINCT FROM (NEW."birth_date") OR OLD."birth_year" IS DISTINCT FROM (NEW."birth_year") OR OLD."clinic_id" IS DISTINCT FROM (NEW."clinic_id") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."created_by_id" IS DISTINCT FROM (NEW."created_by_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."phone" IS DISTINCT FROM (NEW."phone") OR OLD."sex" IS DISTINCT FROM (NEW."sex"))', func='INSERT INTO "patients_patienthistory" ("abha_number", "birth_date", "birth_year", "clinic_id", "created_at", "created_by_id", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "sex") VALUES (NEW."abha_number", NEW."birth_date", NEW."birth_year", NEW."clinic_id", NEW."created_at", NEW."created_by_id", NEW."id", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."phone", NEW."sex"); RETURN NULL;', hash='ce8f592d409b44cf1797a35df8d414c9274b06a5', operation='UPDATE', pgid='pgtrigger_update_update_546ce', table='patients_patient', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_patienthistory" ("abha_number", "birth_date", "birth_year", "clinic_id", "created_at", "created_by_id", "id", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "sex") VALUES (OLD."abha_number", OLD."birth_date", OLD."birth_year", OLD."clinic_id", OLD."created_at", OLD."created_by_id", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."phone", OLD."sex"); RETURN NULL;', hash='eceaa69b1af98105a301b73404725f162c02aa3e', operation='DELETE', pgid='pgtrigger_delete_delete_9898d', table='patients_patient', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patientidentifier',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_patientidentifierhistory" ("clinic_id", "id", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "system", "value") VALUES (NEW."clinic_id", NEW."id", NEW."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."system", NEW."value"); RETURN NULL;', hash='ee481f2108b8695b91b7ad8478d7f1f679067234', operation='INSERT', pgid='pgtrigger_insert_insert_37153', table='patients_patientidentifier', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patientidentifier',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_patientidentifierhistory" ("clinic_id", "id", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "system", "value") VALUES (NEW."clinic_id", NEW."id", NEW."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."system", NEW."value"); RETURN NULL;', hash='3dafea1424d7126b90087f2d2fd613956c13f9ad', operation='UPDATE', pgid='pgtrigger_update_update_833e2', table='patients_patientidentifier', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patientidentifier',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_patientidentifierhistory" ("clinic_id", "id", "patient_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "system", "value") VALUES (OLD."clinic_id", OLD."id", OLD."patient_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."system", OLD."value"); RETURN NULL;', hash='732cf12808885264e11e7f34cc7692b10a6bf6cf', operation='DELETE', pgid='pgtrigger_delete_delete_a926d', table='patients_patientidentifier', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_userhistory" ("date_joined", "email", "first_name", "id", "is_active", "is_staff", "is_superuser", "last_name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "username") VALUES (NEW."date_joined", NEW."email", NEW."first_name", NEW."id", NEW."is_active", NEW."is_staff", NEW."is_superuser", NEW."last_name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."username"); RETURN NULL;', hash='e661734267bcdf8596cdad02db054e6631922aec', operation='INSERT', pgid='pgtrigger_insert_insert_d71fa', table='patients_user', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."date_joined" IS DISTINCT FROM (NEW."date_joined") OR OLD."email" IS DISTINCT FROM (NEW."email") OR OLD."first_name" IS DISTINCT FROM (NEW."first_name") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."is_active" IS DISTINCT FROM (NEW."is_active") OR OLD."is_staff" IS DISTINCT FROM (NEW."is_staff") OR OLD."is_superuser" IS DISTINCT FROM (NEW."is_superuser") OR OLD."last_name" IS DISTINCT FROM (NEW."last_name") OR OLD."username" IS DISTINCT FROM (NEW."username"))', func='INSERT INTO "patients_userhistory" ("date_joined", "email", "first_name", "id", "is_active", "is_staff", "is_superuser", "last_name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "username") VALUES (NEW."date_joined", NEW."email", NEW."first_name", NEW."id", NEW."is_active", NEW."is_staff", NEW."is_superuser", NEW."last_name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."username"); RETURN NULL;', hash='130706d74b7be635fac13e6d72165adaa94ca0c4', operation='UPDATE', pgid='pgtrigger_update_update_5e309', table='patients_user', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_userhistory" ("date_joined", "email", "first_name", "id", "is_active", "is_staff", "is_superuser", "last_name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "username") VALUES (OLD."date_joined", OLD."email", OLD."first_name", OLD."id", OLD."is_active", OLD."is_staff", OLD."is_superuser", OLD."last_name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."username"); RETURN NULL;', hash='12b6aec79fe8921d0713a4f2b8ade94c80bc2ed0', operation='DELETE', pgid='pgtrigger_delete_delete_c9f85', table='patients_user', when='AFTER')),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='membershiphistory',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='membershiphistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.membership'),
        ),
        migrations.AddField(
            model_name='membershiphistory',
            name='user',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='patienthistory',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='patienthistory',
            name='created_by',
            field=models.ForeignKey(db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='patienthistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='patientidentifierhistory',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='patientidentifierhistory',
            name='patient',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='patientidentifierhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patientidentifier'),
        ),
        migrations.AddField(
            model_name='userhistory',
            name='pgh_obj',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='clinichistory',
            index=models.Index(fields=['pgh_obj'], name='clinic_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinichistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='38fa0671de0d257f0c7af6ac62bf96f2c7295ef1', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_10dbb', table='patients_clinichistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinichistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='e5268b2dcc0cbf9e4257c7d1b4a986c83468025f', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_3e691', table='patients_clinichistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='membershiphistory',
            index=models.Index(fields=['clinic'], name='membership_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membershiphistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='ec2e579fa10035f2c771c8adcc72044cb9e17e97', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_ab057', table='patients_membershiphistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membershiphistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='b567b6a5698b18bacef6b5210b46c8c27ec178e7', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_51dc2', table='patients_membershiphistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='patienthistory',
            index=models.Index(fields=['pgh_obj'], name='patient_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patienthistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='9ff8f0cbd736432088d86dcf69e7fa51e85e96e6', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_ecc32', table='patients_patienthistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patienthistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='a4de9884829f2425f099143faea7a7dbba2d6571', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_d83d2', table='patients_patienthistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='patientidentifierhistory',
            index=models.Index(fields=['patient'], name='patientidentifier_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patientidentifierhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='2bb63941abde7aa51f228a093a5d72c59b1798bc', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_41c0c', table='patients_patientidentifierhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patientidentifierhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='c6a952deff230b08c8089bbb78929e165deebaa8', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_c8176', table='patients_patientidentifierhistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='userhistory',
            index=models.Index(fields=['pgh_obj'], name='user_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='userhistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='87dcf5f5ea60fbfbbbb54f7a6b4abbbfb7e7ff89', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_61930', table='patients_userhistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='userhistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='c69e935dbbb5325fcc905230e6931fc3acd91be6', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_1a75c', table='patients_userhistory', when='BEFORE')),
        ),
        migrations.RunPython(partial(history_begin, app_label="patients"), migrations.RunPython.noop),
    ]
