"""Indexes of the lists: results, reports and jobs by arrival, and the few jobs and films that are not done."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("diagnosis", "0018_report_settings")]
    operations = [
        AddIndexConcurrently("prediction", models.Index(fields=["-created_at", "-id"], name="prediction_recent")),
        AddIndexConcurrently("report", models.Index(fields=["-created_at", "-id"], name="report_recent")),
        AddIndexConcurrently("job", models.Index(fields=["-created_at", "-id"], name="job_recent")),
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["state", "kind", "radiograph"],
                condition=Q(shadow=False, state__in=["queued", "running", "failed"]),
                name="job_undone",
            ),
        ),
        AddIndexConcurrently(
            "radiograph",
            models.Index(
                fields=["clinic", "-created_at", "-id"], condition=Q(state="rejected"), name="radiograph_rejected"
            ),
        ),
    ]
