"""Whom a clinic names for critical findings, how long one may wait, and from which severity on a finding is one."""

import django.core.validators
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0009_reading_room'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='clinic',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clinic',
            name='update_update',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clinic',
            name='delete_delete',
        ),
        migrations.AddField(
            model_name='clinic',
            name='acknowledge_minutes',
            field=models.PositiveIntegerField(db_default=30, default=30, help_text='The longest a critical finding should wait for acknowledgement, in minutes.', validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='clinic',
            name='critical_contact',
            field=models.EmailField(blank=True, db_default='', default='', help_text='Who is told by e-mail that a critical finding waits; the mail names no patient.', max_length=254),
        ),
        migrations.AddField(
            model_name='clinic',
            name='critical_severity',
            field=models.FloatField(db_default=0.5, default=0.5, help_text='A reported finding more severe than this, from 0 to 1, is critical.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='clinic',
            name='escalation_contact',
            field=models.EmailField(blank=True, db_default='', default='', help_text='Who is told as well once nobody has acknowledged a critical finding in time.', max_length=254),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='acknowledge_minutes',
            field=models.PositiveIntegerField(db_default=30, default=30, help_text='The longest a critical finding should wait for acknowledgement, in minutes.', validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='critical_contact',
            field=models.EmailField(blank=True, db_default='', default='', help_text='Who is told by e-mail that a critical finding waits; the mail names no patient.', max_length=254),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='critical_severity',
            field=models.FloatField(db_default=0.5, default=0.5, help_text='A reported finding more severe than this, from 0 to 1, is critical.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='escalation_contact',
            field=models.EmailField(blank=True, db_default='', default='', help_text='Who is told as well once nobody has acknowledged a critical finding in time.', max_length=254),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("acknowledge_minutes", "code", "created_at", "critical_contact", "critical_severity", "escalation_contact", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (NEW."acknowledge_minutes", NEW."code", NEW."created_at", NEW."critical_contact", NEW."critical_severity", NEW."escalation_contact", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."privacy_contact", NEW."read_first", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='522b178d146fb20797cc279e5b5568dcfddd84e1', operation='INSERT', pgid='pgtrigger_insert_insert_8cb17', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_clinichistory" ("acknowledge_minutes", "code", "created_at", "critical_contact", "critical_severity", "escalation_contact", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (NEW."acknowledge_minutes", NEW."code", NEW."created_at", NEW."critical_contact", NEW."critical_severity", NEW."escalation_contact", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."privacy_contact", NEW."read_first", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='d6c2284498bf23c49d3e87284f4af0a82120038b', operation='UPDATE', pgid='pgtrigger_update_update_83497', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("acknowledge_minutes", "code", "created_at", "critical_contact", "critical_severity", "escalation_contact", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (OLD."acknowledge_minutes", OLD."code", OLD."created_at", OLD."critical_contact", OLD."critical_severity", OLD."escalation_contact", OLD."id", OLD."max_wait_minutes", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."privacy_contact", OLD."read_first", OLD."show_unread_results", OLD."time_zone"); RETURN NULL;', hash='beae385c1c0f103e9e261fe989bd652645888c75', operation='DELETE', pgid='pgtrigger_delete_delete_fdb4f', table='patients_clinic', when='AFTER')),
        ),
    ]
