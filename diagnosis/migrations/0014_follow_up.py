"""Critical findings that a clinic has to acknowledge, the mails about them, and findings that need a second look."""

import django.db.models.deletion
import django.utils.timezone
import pghistory.utils
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0013_reading_copy'),
        ('patients', '0010_critical_contacts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mailed_at', models.DateTimeField(null=True)),
                ('mail_tried_at', models.DateTimeField(null=True)),
                ('mail_problem', models.CharField(blank=True, default='', max_length=64)),
                ('kind', models.CharField(choices=[('raised', 'A critical finding waits'), ('escalated', 'Nobody has acknowledged it in time'), ('withdrawn', 'A critical finding is withdrawn')], max_length=10)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.study')),
            ],
            options={
                'ordering': ['created_at'],
            },
        ),
        migrations.CreateModel(
            name='CriticalAlert',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('label', models.CharField(max_length=64)),
                ('title', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('seen_at', models.DateTimeField(null=True)),
                ('escalated_at', models.DateTimeField(null=True)),
                ('acknowledged_at', models.DateTimeField(null=True)),
                ('action_taken', models.CharField(blank=True, default='', max_length=500)),
                ('voided_at', models.DateTimeField(null=True)),
                ('void_reason', models.CharField(blank=True, default='', max_length=500)),
                ('acknowledged_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('escalation_mail', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='escalations', to='diagnosis.alertmail')),
                ('mail', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='diagnosis.alertmail')),
                ('raised_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.report')),
                ('seen_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='diagnosis.study')),
            ],
            options={
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='CriticalAlertHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('label', models.CharField(max_length=64)),
                ('title', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('seen_at', models.DateTimeField(null=True)),
                ('escalated_at', models.DateTimeField(null=True)),
                ('acknowledged_at', models.DateTimeField(null=True)),
                ('action_taken', models.CharField(blank=True, default='', max_length=500)),
                ('voided_at', models.DateTimeField(null=True)),
                ('void_reason', models.CharField(blank=True, default='', max_length=500)),
                ('acknowledged_by', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic')),
                ('escalation_mail', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.alertmail')),
                ('mail', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.alertmail')),
                ('pgh_obj', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.criticalalert')),
                ('raised_by', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.report')),
                ('seen_by', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('study', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Discordance',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('model_only', 'The model is sure, the report says no'), ('reader_only', 'The report says it, the model is sure it is absent')], max_length=12)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('looked_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(blank=True, choices=[('stands', 'The report stands'), ('amend', 'The report is amended')], default='', max_length=8)),
                ('model_was', models.CharField(blank=True, choices=[('right', 'The model was right'), ('wrong', 'The model was wrong'), ('unsure', 'Cannot be decided on these films')], default='', max_length=8)),
                ('note', models.CharField(blank=True, default='', max_length=500)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('decision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='diagnosis.reportedfinding')),
                ('finding', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='discordance', to='diagnosis.finding')),
                ('looked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='discordances', to='diagnosis.study')),
            ],
            options={
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='DiscordanceHistory',
            fields=[
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('pgh_id', models.BigAutoField(primary_key=True, serialize=False)),
                ('pgh_context', pghistory.utils.JSONField(null=True)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, serialize=False)),
                ('kind', models.CharField(choices=[('model_only', 'The model is sure, the report says no'), ('reader_only', 'The report says it, the model is sure it is absent')], max_length=12)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('looked_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(blank=True, choices=[('stands', 'The report stands'), ('amend', 'The report is amended')], default='', max_length=8)),
                ('model_was', models.CharField(blank=True, choices=[('right', 'The model was right'), ('wrong', 'The model was wrong'), ('unsure', 'Cannot be decided on these films')], default='', max_length=8)),
                ('note', models.CharField(blank=True, default='', max_length=500)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic')),
                ('decision', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.reportedfinding')),
                ('finding', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.finding')),
                ('looked_by', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('pgh_obj', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.discordance')),
                ('study', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='diagnosis.study')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.AddIndex(
            model_name='alertmail',
            index=models.Index(condition=models.Q(('mailed_at__isnull', True)), fields=['created_at'], name='alert_mail_waiting'),
        ),
        migrations.AddIndex(
            model_name='criticalalert',
            index=models.Index(condition=models.Q(('acknowledged_at__isnull', True), ('voided_at__isnull', True)), fields=['clinic', 'created_at'], name='alert_open'),
        ),
        migrations.AddIndex(
            model_name='criticalalert',
            index=models.Index(fields=['clinic', '-created_at', '-id'], name='alert_recent'),
        ),
        migrations.AddConstraint(
            model_name='criticalalert',
            constraint=models.UniqueConstraint(condition=models.Q(('voided_at__isnull', True)), fields=('study', 'label'), name='one_alert_per_finding'),
        ),
        migrations.AddConstraint(
            model_name='criticalalert',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('acknowledged_at__isnull', True), ('acknowledged_by__isnull', True), ('action_taken', '')), models.Q(('acknowledged_at__isnull', False), ('acknowledged_by__isnull', False), models.Q(('action_taken', ''), _negated=True)), _connector='OR'), name='acknowledged_says_what_was_done'),
        ),
        migrations.AddConstraint(
            model_name='criticalalert',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('void_reason', ''), ('voided_at__isnull', True)), models.Q(('voided_at__isnull', False), models.Q(('void_reason', ''), _negated=True)), _connector='OR'), name='void_says_why'),
        ),
        migrations.AddConstraint(
            model_name='criticalalert',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('escalated_at__isnull', True), ('escalation_mail__isnull', True)), models.Q(('escalated_at__isnull', False), ('escalation_mail__isnull', False)), _connector='OR'), name='escalation_is_mailed'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='criticalalert',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_criticalalerthistory" ("acknowledged_at", "acknowledged_by_id", "action_taken", "clinic_id", "created_at", "escalated_at", "escalation_mail_id", "id", "label", "mail_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "raised_by_id", "report_id", "seen_at", "seen_by_id", "study_id", "title", "void_reason", "voided_at") VALUES (NEW."acknowledged_at", NEW."acknowledged_by_id", NEW."action_taken", NEW."clinic_id", NEW."created_at", NEW."escalated_at", NEW."escalation_mail_id", NEW."id", NEW."label", NEW."mail_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."raised_by_id", NEW."report_id", NEW."seen_at", NEW."seen_by_id", NEW."study_id", NEW."title", NEW."void_reason", NEW."voided_at"); RETURN NULL;', hash='af2e461d3292e0ef04ead9dc0328dc53aa5f964a', operation='INSERT', pgid='pgtrigger_insert_insert_2b3f8', table='diagnosis_criticalalert', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='criticalalert',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_criticalalerthistory" ("acknowledged_at", "acknowledged_by_id", "action_taken", "clinic_id", "created_at", "escalated_at", "escalation_mail_id", "id", "label", "mail_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "raised_by_id", "report_id", "seen_at", "seen_by_id", "study_id", "title", "void_reason", "voided_at") VALUES (NEW."acknowledged_at", NEW."acknowledged_by_id", NEW."action_taken", NEW."clinic_id", NEW."created_at", NEW."escalated_at", NEW."escalation_mail_id", NEW."id", NEW."label", NEW."mail_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."raised_by_id", NEW."report_id", NEW."seen_at", NEW."seen_by_id", NEW."study_id", NEW."title", NEW."void_reason", NEW."voided_at"); RETURN NULL;', hash='49b3240924de40384390cde9b09caa4ae307de64', operation='UPDATE', pgid='pgtrigger_update_update_41ee1', table='diagnosis_criticalalert', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='criticalalert',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_criticalalerthistory" ("acknowledged_at", "acknowledged_by_id", "action_taken", "clinic_id", "created_at", "escalated_at", "escalation_mail_id", "id", "label", "mail_id", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "raised_by_id", "report_id", "seen_at", "seen_by_id", "study_id", "title", "void_reason", "voided_at") VALUES (OLD."acknowledged_at", OLD."acknowledged_by_id", OLD."action_taken", OLD."clinic_id", OLD."created_at", OLD."escalated_at", OLD."escalation_mail_id", OLD."id", OLD."label", OLD."mail_id", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."raised_by_id", OLD."report_id", OLD."seen_at", OLD."seen_by_id", OLD."study_id", OLD."title", OLD."void_reason", OLD."voided_at"); RETURN NULL;', hash='462082855f374914822c13854868e2274e111894', operation='DELETE', pgid='pgtrigger_delete_delete_24565', table='diagnosis_criticalalert', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='criticalalerthistory',
            index=models.Index(fields=['study'], name='criticalalert_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='criticalalerthistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='e83698ec3fff2cabf329d8dfb43d69c6ba827af3', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_f55fe', table='diagnosis_criticalalerthistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='criticalalerthistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='bff22a06636e8a44978e9db6fa8b81053d284761', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_6aa49', table='diagnosis_criticalalerthistory', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='discordance',
            index=models.Index(condition=models.Q(('looked_at__isnull', True)), fields=['clinic', 'created_at'], name='discordance_waiting'),
        ),
        migrations.AddIndex(
            model_name='discordance',
            index=models.Index(condition=models.Q(('looked_at__isnull', False)), fields=['clinic', '-looked_at'], name='discordance_closed'),
        ),
        migrations.AddConstraint(
            model_name='discordance',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('looked_at__isnull', True), ('looked_by__isnull', True), ('model_was', ''), ('note', ''), ('outcome', '')), models.Q(('looked_at__isnull', False), ('looked_by__isnull', False), models.Q(('outcome', ''), _negated=True)), _connector='OR'), name='second_look_whole'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='discordance',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_discordancehistory" ("clinic_id", "created_at", "decision_id", "finding_id", "id", "kind", "looked_at", "looked_by_id", "model_was", "note", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "study_id") VALUES (NEW."clinic_id", NEW."created_at", NEW."decision_id", NEW."finding_id", NEW."id", NEW."kind", NEW."looked_at", NEW."looked_by_id", NEW."model_was", NEW."note", NEW."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'insert\', NEW."id", NEW."study_id"); RETURN NULL;', hash='4e1ccc91690df5d38201edf065f16bf707a3cd22', operation='INSERT', pgid='pgtrigger_insert_insert_542a4', table='diagnosis_discordance', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='discordance',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "diagnosis_discordancehistory" ("clinic_id", "created_at", "decision_id", "finding_id", "id", "kind", "looked_at", "looked_by_id", "model_was", "note", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "study_id") VALUES (NEW."clinic_id", NEW."created_at", NEW."decision_id", NEW."finding_id", NEW."id", NEW."kind", NEW."looked_at", NEW."looked_by_id", NEW."model_was", NEW."note", NEW."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'update\', NEW."id", NEW."study_id"); RETURN NULL;', hash='32f422bd7c043535a15c0c66fcee2ea1bec91df7', operation='UPDATE', pgid='pgtrigger_update_update_9a389', table='diagnosis_discordance', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='discordance',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "diagnosis_discordancehistory" ("clinic_id", "created_at", "decision_id", "finding_id", "id", "kind", "looked_at", "looked_by_id", "model_was", "note", "outcome", "pgh_context", "pgh_created_at", "pgh_label", "pgh_obj_id", "study_id") VALUES (OLD."clinic_id", OLD."created_at", OLD."decision_id", OLD."finding_id", OLD."id", OLD."kind", OLD."looked_at", OLD."looked_by_id", OLD."model_was", OLD."note", OLD."outcome", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, NOW(), \'delete\', OLD."id", OLD."study_id"); RETURN NULL;', hash='bbd2d5574463ec04228b779c38f50cbd6585c53f', operation='DELETE', pgid='pgtrigger_delete_delete_99c47', table='diagnosis_discordance', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='discordancehistory',
            index=models.Index(fields=['study'], name='discordance_history'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='discordancehistory',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';", hash='8e4c8d136911e4df126badd0a575441f76a0fac4', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_a92a8', table='diagnosis_discordancehistory', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='discordancehistory',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='78ee37a8ef02fbd9cfecc498a158c209b080d7fc', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_797ad', table='diagnosis_discordancehistory', when='BEFORE')),
        ),
    ]
