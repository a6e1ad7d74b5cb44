"""What the audit knows of each model version becomes its history. Until now a version in the state `shadow` had no
work to do: it is `registered`."""

from django.db import migrations


def forward(apps, schema_editor):
    ModelVersion = apps.get_model("diagnosis", "ModelVersion")
    ModelChange = apps.get_model("diagnosis", "ModelChange")
    AuditEvent = apps.get_model("patients", "AuditEvent")
    ModelVersion.objects.filter(status="shadow").update(status="registered")
    models = {str(model.pk): model for model in ModelVersion.objects.all()}
    changes = [
        ModelChange(model_version=model, verb="register", after="registered", at=model.created_at, by="installation")
        for model in models.values()
    ]
    activated = AuditEvent.objects.filter(verb="activate", object_type="modelversion", object_id__in=models)
    before = None
    for event in activated.select_related("user").order_by("id"):
        by = event.user.username if event.user else "installation"
        model = models[event.object_id]
        if before is not None and before != model:
            changes.append(ModelChange(model_version=before, verb="replace", after="retired", at=event.at, by=by))
        changes.append(ModelChange(model_version=model, verb="activate", after="active", at=event.at, by=by))
        before = model
    recorded = {change.model_version_id for change in changes if change.after == "active"}
    for model in models.values():
        if model.status in ("active", "retired") and model.pk not in recorded:
            changes.append(
                ModelChange(model_version=model, verb="activate", after="active", at=model.created_at, by="installation")
            )
    ModelChange.objects.bulk_create(sorted(changes, key=lambda change: change.at))


def backward(apps, schema_editor):
    ModelVersion = apps.get_model("diagnosis", "ModelVersion")
    ModelVersion.objects.filter(status="registered").update(status="shadow")


class Migration(migrations.Migration):
    dependencies = [("diagnosis", "0004_model_registry"), ("patients", "0003_search_and_changes")]
    operations = [migrations.RunPython(forward, backward)]
