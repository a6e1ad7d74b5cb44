"""Films that were there before the triggers get their words, and whether they are done or failed. A few at a time, each
locked before it is read, so that nothing that is written meanwhile is lost; harmless when done again."""

from django.db import migrations, transaction

AT_ONCE = 500
LOCKED = """
SELECT id FROM diagnosis_radiograph WHERE id > %s ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
FILLED = """
UPDATE diagnosis_radiograph r SET words = found.words, done = found.done, failed = found.failed
  FROM (SELECT f.id,
               ARRAY(SELECT DISTINCT said.word FROM diagnosis_finding said
                       JOIN diagnosis_prediction p ON p.id = said.prediction_id
                      WHERE p.radiograph_id = f.id AND NOT p.shadow AND said.label <> 'normal'
                      ORDER BY said.word) AS words,
               EXISTS (SELECT FROM diagnosis_job j WHERE j.radiograph_id = f.id AND NOT j.shadow
                          AND j.kind = 'infer' AND j.state = 'succeeded') AS done,
               EXISTS (SELECT FROM diagnosis_job j WHERE j.radiograph_id = f.id AND NOT j.shadow
                          AND j.state = 'failed') AS failed
          FROM unnest(%s::uuid[]) f (id)) found
 WHERE r.id = found.id AND (r.words, r.done, r.failed) IS DISTINCT FROM (found.words, found.done, found.failed)
"""


def fill(apps, schema_editor):
    films = ["00000000-0000-0000-0000-000000000000"]
    while films:
        with transaction.atomic(), schema_editor.connection.cursor() as cursor:
            cursor.execute(LOCKED, [films[-1], AT_ONCE])
            films = [str(row[0]) for row in cursor.fetchall()]
            cursor.execute(FILLED, [films])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("diagnosis", "0023_films_found")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=False)]
