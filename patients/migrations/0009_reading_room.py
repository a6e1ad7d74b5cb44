"""A clinic may have its films read before the model speaks; people who sign reports have a registration number."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0008_break_glass'),
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
        pgtrigger.migrations.RemoveTrigger(
            model_name='membership',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='membership',
            name='update_update',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='membership',
            name='delete_delete',
        ),
        migrations.AddField(
            model_name='clinic',
            name='read_first',
            field=models.BooleanField(db_default=False, default=False, help_text="Radiologists see the model's answer only after they have saved a first impression of their own."),
        ),
        migrations.AddField(
            model_name='clinichistory',
            name='read_first',
            field=models.BooleanField(db_default=False, default=False, help_text="Radiologists see the model's answer only after they have saved a first impression of their own."),
        ),
        migrations.AddField(
            model_name='membership',
            name='registration_number',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.AddField(
            model_name='membershiphistory',
            name='registration_number',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (NEW."code", NEW."created_at", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."privacy_contact", NEW."read_first", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='6293563d9bd2da50d90d492b032cdbd44bc7f4dd', operation='INSERT', pgid='pgtrigger_insert_insert_8cb17', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (NEW."code", NEW."created_at", NEW."id", NEW."max_wait_minutes", NEW."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."privacy_contact", NEW."read_first", NEW."show_unread_results", NEW."time_zone"); RETURN NULL;', hash='a8aec9ef012ff88bae00506fb0485509aecf954e', operation='UPDATE', pgid='pgtrigger_update_update_83497', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_clinichistory" ("code", "created_at", "id", "max_wait_minutes", "name", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "privacy_contact", "read_first", "show_unread_results", "time_zone") VALUES (OLD."code", OLD."created_at", OLD."id", OLD."max_wait_minutes", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."privacy_contact", OLD."read_first", OLD."show_unread_results", OLD."time_zone"); RETURN NULL;', hash='1d41444fcd2d701b52e8303736d5627d78aec8e1', operation='DELETE', pgid='pgtrigger_delete_delete_fdb4f', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "registration_number", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (NEW."clinic_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."registration_number", NEW."role", NEW."scopes", NEW."user_id", NEW."valid_from", NEW."valid_to"); RETURN NULL;', hash='48d0be2efeea57f48b1a26b81f9702963411b71a', operation='INSERT', pgid='pgtrigger_insert_insert_84593', table='patients_membership', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "registration_number", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (NEW."clinic_id", NEW."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."registration_number", NEW."role", NEW."scopes", NEW."user_id", NEW."valid_from", NEW."valid_to"); RETURN NULL;', hash='b9c788c00736dac81a2f311c6ce1e034d0920967', operation='UPDATE', pgid='pgtrigger_update_update_6e5b4', table='patients_membership', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='membership',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "patients_membershiphistory" ("clinic_id", "id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "registration_number", "role", "scopes", "user_id", "valid_from", "valid_to") VALUES (OLD."clinic_id", OLD."id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."registration_number", OLD."role", OLD."scopes", OLD."user_id", OLD."valid_from", OLD."valid_to"); RETURN NULL;', hash='bf6f37aea885830464ef5954063a876340d8113e', operation='DELETE', pgid='pgtrigger_delete_delete_4c6cc', table='patients_membership', when='AFTER')),
        ),
    ]
