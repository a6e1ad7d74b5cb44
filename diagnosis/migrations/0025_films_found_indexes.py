"""Indexes of what is rare among many: films without an answer, failed ones, those with a word, jobs that came to nothing.
From here on nothing else changes the columns that triggers keep: who saves a whole film that was read before would write
back what was so then."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q

GUARD = """
CREATE FUNCTION cxr_keep_repeated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.words := OLD.words;
    NEW.done := OLD.done;
    NEW.failed := OLD.failed;
    RETURN NEW;
END $$;
CREATE TRIGGER film_repeats_only BEFORE UPDATE OF words, done, failed ON diagnosis_radiograph FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND (OLD.words, OLD.done, OLD.failed) IS DISTINCT FROM (NEW.words, NEW.done, NEW.failed))
    EXECUTE FUNCTION cxr_keep_repeated();
"""
NO_GUARD = """
DROP TRIGGER film_repeats_only ON diagnosis_radiograph;
DROP FUNCTION cxr_keep_repeated();
"""


def newest(name, condition):
    fields = ["clinic", "-created_at", "-id"]
    return AddIndexConcurrently("radiograph", models.Index(fields=fields, condition=condition, name=name))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("diagnosis", "0024_films_found_filled")]
    operations = [
        newest("radiograph_undone", Q(done=False)),
        newest("radiograph_failed", Q(done=False, failed=True)),
        newest("radiograph_present", Q(words__contains=["present"])),
        newest("radiograph_likely", Q(words__contains=["likely"])),
        newest("radiograph_possible", Q(words__contains=["possible"])),
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["state", "-created_at", "-id"],
                condition=Q(shadow=False, state__in=["queued", "running", "failed", "cancelled"]),
                name="job_undone_recent",
            ),
        ),
        migrations.RunSQL("ANALYZE diagnosis_radiograph", migrations.RunSQL.noop),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
