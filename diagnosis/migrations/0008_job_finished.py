"""Jobs by the time they ended: what the metrics and the progress address ask for."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("diagnosis", "0007_history")]
    operations = [
        AddIndexConcurrently("job", models.Index(fields=["finished_at"], name="job_finished")),
    ]
