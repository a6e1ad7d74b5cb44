"""A job changes its state by the moves of `diagnosis.models.job.MOVES` only, and its times come from the database."""

from django.db import migrations, models
from django.db.models.functions import Now

FORWARD = """
CREATE FUNCTION cxr_refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a job does not go from % to %', OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER job_moves BEFORE UPDATE OF state ON diagnosis_job FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('queued', 'running'), ('queued', 'cancelled'),
        ('running', 'succeeded'), ('running', 'failed'), ('running', 'queued'),
        ('failed', 'queued'), ('failed', 'cancelled'), ('cancelled', 'queued'), ('succeeded', 'queued')
    )) EXECUTE FUNCTION cxr_refuse_move();
"""
BACKWARD = """
DROP TRIGGER job_moves ON diagnosis_job;
DROP FUNCTION cxr_refuse_move();
"""


class Migration(migrations.Migration):
    dependencies = [("diagnosis", "0009_two_person_activation")]
    operations = [
        migrations.AlterField("job", "queued_at", models.DateTimeField(db_default=Now())),
        migrations.AlterField("job", "created_at", models.DateTimeField(db_default=Now(), editable=False)),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
