"""Studies, films, jobs and results as the API takes and gives them. Clients rely on these forms.

May import: DRF, `diagnosis.models`, `diagnosis.selectors`, `diagnosis.monitoring`, `patients.api.base`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from diagnosis import selectors
from diagnosis.models import Finding, Job, ModelVersion, Prediction, Radiograph, Report, Study
from diagnosis.monitoring import SENTENCES
from patients.api.base import IdField, StrictSerializer, TextField
from patients.errors import error_sentence

# --- what is sent


class BoxField(TextField):
    """What was typed into a box of several lines, kept as one."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(" ".join(data.splitlines()) if isinstance(data, str) else data)


class FilmField(serializers.FileField):
    """One file, or None where none was sent: the intake refuses that, and an empty one, and records it."""

    def run_validation(self, data: Any = serializers.empty) -> UploadedFile | None:
        return data if isinstance(data, UploadedFile) else None


class RadiographNewSerializer(StrictSerializer):
    """A film: JPEG, PNG, GIF (one frame) or DICOM (CR, DX, DR)."""

    file = FilmField(allow_empty_file=True)
    view = serializers.ChoiceField(Radiograph.View.choices, default=Radiograph.View.UNKNOWN)
    sha256 = serializers.RegexField(r"\A[0-9a-fA-F]{64}\Z", required=False, help_text="refused where the bytes differ")


class StudyNewSerializer(RadiographNewSerializer):
    """A film with its examination."""

    patient = IdField(help_text="the patient's id")
    indication = BoxField(max_length=500, required=False, allow_blank=True)
    urgency = serializers.ChoiceField(Study.Urgency.choices, default=Study.Urgency.ROUTINE)
    accession_number = TextField(max_length=64, required=False, allow_blank=True)
    referring_doctor = serializers.CharField(required=False, help_text="username of a doctor of the clinic")


# --- what is given


@extend_schema_field(OpenApiTypes.URI)
class LinkField(serializers.ReadOnlyField):
    """The absolute address of a row in this API."""

    def __init__(self, view: str, **kwargs: Any) -> None:
        self.view = view
        super().__init__(source="*", **kwargs)

    def to_representation(self, row: Any) -> str:
        return reverse(f"api:{self.view}", args=[row.pk], request=self.context.get("request"))


class WarningSerializer(serializers.Serializer):
    """Something accepted, and said."""

    code = serializers.CharField()
    message = serializers.CharField()


class ModelIdentitySerializer(serializers.Serializer):
    """Which model said it."""

    name = serializers.CharField()
    version = serializers.CharField()
    sha256 = serializers.CharField()


class FindingSerializer(serializers.Serializer):
    """A word beside its numbers; `threshold` applies to `calibrated`."""

    label = serializers.CharField()
    probability = serializers.FloatField()
    calibrated = serializers.FloatField()
    threshold = serializers.FloatField()
    word = serializers.ChoiceField(Finding.Word.choices)


class PredictionSerializer(serializers.Serializer):
    """What one model version said about one film, once. `map` is the attention map of the leading finding, `maps` has
    one address per label; a map shows where the model looked, not the outline of a lesion."""

    id = serializers.UUIDField()
    radiograph = serializers.UUIDField(source="radiograph_id")
    model = ModelIdentitySerializer(source="model_version")
    engine = serializers.CharField()
    created_at = serializers.DateTimeField()
    findings = FindingSerializer(many=True)
    map = serializers.SerializerMethodField()
    maps = serializers.SerializerMethodField()

    def get_map(self, prediction: Prediction) -> str | None:
        addresses = self.get_maps(prediction)
        return next((url for label, url in addresses.items() if label != "normal"), None)

    def get_maps(self, prediction: Prediction) -> dict[str, str]:
        if not prediction.map_key:
            return {}
        request = self.context.get("request")
        labels = [finding.label for finding in prediction.findings.all()]
        return {label: reverse("api:prediction-map", args=[prediction.pk, label], request=request) for label in labels}


class JobSerializer(serializers.Serializer):
    """A piece of queued work. `place` is its place in the queue of its kind (1: next) while it waits."""

    id = serializers.UUIDField()
    radiograph = serializers.UUIDField(source="radiograph_id")
    kind = serializers.ChoiceField(Job.Kind.choices)
    state = serializers.ChoiceField(Job.State.choices)
    attempt = serializers.IntegerField()
    place = serializers.SerializerMethodField()
    code = serializers.CharField(source="error_code")
    message = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_place(self, job: Job) -> int | None:
        return self.context.get("places", {}).get(job.pk)

    def get_message(self, job: Job) -> str:
        return error_sentence(job.error_code) if job.error_code else ""


class ResultsHiddenSerializer(serializers.Serializer):
    """Why this user is shown no result of the film."""

    reason = serializers.ChoiceField(list(selectors.RESULTS_HIDDEN))
    message = serializers.CharField()


class RadiographBriefSerializer(serializers.Serializer):
    """A film and where it stands; `url` has its results."""

    id = serializers.UUIDField()
    view = serializers.ChoiceField(Radiograph.View.choices)
    sha256 = serializers.CharField()
    state = serializers.ChoiceField(Radiograph.State.choices)
    code = serializers.CharField()
    message = serializers.CharField()
    warnings = WarningSerializer(many=True)
    created_at = serializers.DateTimeField()
    jobs = JobSerializer(many=True)
    url: Any = LinkField("radiograph")


class RadiographSerializer(RadiographBriefSerializer):
    """A film with its results. `state` is of the film: rejected means that the picture cannot be used, and `code` and
    `message` say why; a failure of ours is a failed job. `results_hidden` says why `predictions` stays empty."""

    study = serializers.UUIDField(source="study_id")
    patient = serializers.UUIDField(source="study.patient_id")
    format = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    size = serializers.IntegerField()
    quality = serializers.JSONField()
    ai_permitted = serializers.BooleanField(help_text="does the patient agree that a model reads the film?")
    expired_at = serializers.SerializerMethodField()
    predictions = PredictionSerializer(source="shown_predictions", many=True)
    results_hidden = serializers.SerializerMethodField()
    image = serializers.SerializerMethodField()

    @extend_schema_field(ResultsHiddenSerializer(allow_null=True))
    def get_results_hidden(self, radiograph: Radiograph) -> dict[str, str] | None:
        reason = selectors.results_hidden_reason(radiograph)
        return {"reason": reason, "message": selectors.RESULTS_HIDDEN[reason]} if reason else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_expired_at(self, radiograph: Radiograph) -> datetime | None:
        """When the picture went by the clinic's rule; null while it is kept."""
        expiry = getattr(radiograph, "expiry", None)
        return expiry.expired_at if expiry else None

    def get_image(self, radiograph: Radiograph) -> str | None:
        if not (radiograph.image_visible and radiograph.display_key):
            return None
        return reverse("api:radiograph-image", args=[radiograph.pk], request=self.context["request"])


class StudySerializer(serializers.Serializer):
    """An examination with its films. `indication` is empty for who may not see the patient's record;
    `report_status` is that of the newest report the user may see, else `unread`; `report` is the address of the signed
    report in force, null where there is none that the user may read. The films of a study that was merged are those of
    `merged_into`, and it has none itself."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField(source="patient_id")
    clinic = serializers.UUIDField(source="clinic_id")
    accession_number = serializers.CharField()
    indication = serializers.SerializerMethodField()
    urgency = serializers.ChoiceField(Study.Urgency.choices)
    referring_doctor = serializers.CharField(source="referring_doctor.username", default=None, allow_null=True)
    source = serializers.CharField()
    report_status = serializers.ChoiceField(["unread", *Report.Status.values])
    report = serializers.SerializerMethodField()
    acquired_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    merged_into = serializers.UUIDField(source="merged_into_id", allow_null=True)
    radiographs = RadiographBriefSerializer(source="films", many=True)
    url: Any = LinkField("study")

    def get_indication(self, study: Study) -> str:
        return study.indication if study.patient_visible else ""

    @extend_schema_field({"type": "string", "format": "uri", "nullable": True})
    def get_report(self, study: Study) -> str | None:
        return study.report_id and reverse("api:report", args=[study.report_id], request=self.context.get("request"))


class StudySentSerializer(StudySerializer):
    """The answer to an upload. `radiograph` is the film that was sent; `code` is `duplicate_of` where the same bytes
    were there already and nothing was added; `warnings` are of this upload."""

    radiograph = serializers.UUIDField()
    code = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)
    warnings = WarningSerializer(many=True)


class HistoryEntrySerializer(FindingSerializer):
    """One finding on one day."""

    date = serializers.DateTimeField()
    title = serializers.CharField()
    study = serializers.UUIDField()
    radiograph = serializers.UUIDField()
    prediction = serializers.UUIDField()
    model = ModelIdentitySerializer()
    report_status = serializers.ChoiceField(["unread", *Report.Status.values])


class HistorySerializer(serializers.Serializer):
    """The patient's findings that the user may see, oldest first."""

    patient = serializers.UUIDField()
    findings = HistoryEntrySerializer(many=True)


class ModelVersionSerializer(serializers.Serializer):
    """A registered model and its card: labels, thresholds, figures with intervals, limitations, data."""

    id = serializers.UUIDField()
    task = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    sha256 = serializers.CharField()
    status = serializers.ChoiceField(ModelVersion.Status.choices)
    created_at = serializers.DateTimeField()
    card = serializers.JSONField()


class WorkerSerializer(serializers.Serializer):
    name = serializers.CharField()
    kind = serializers.CharField()
    alive = serializers.BooleanField()
    seen_at = serializers.DateTimeField()
    engine = serializers.CharField()
    note = serializers.CharField(help_text="why it cannot work, when it says so")


class QueueSerializer(serializers.Serializer):
    queued = serializers.IntegerField()
    running = serializers.IntegerField()
    failed = serializers.IntegerField()
    oldest_wait_seconds = serializers.IntegerField(allow_null=True)


class QueuesSerializer(serializers.Serializer):
    prepare = QueueSerializer()
    infer = QueueSerializer()


class SweeperSerializer(serializers.Serializer):
    last_seen_at = serializers.DateTimeField(allow_null=True, help_text="the last sweep for lost work")
    alive = serializers.BooleanField(help_text="false when nobody swept for half a minute")


class StorageSerializer(serializers.Serializer):
    available = serializers.BooleanField()
    free_bytes = serializers.IntegerField()


class AlertSerializer(serializers.Serializer):
    """What keeps films waiting, and what a person should do."""

    code = serializers.ChoiceField(list(SENTENCES))
    sentence = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)


class StatusSerializer(serializers.Serializer):
    """Who works, what waits and for how long, which model speaks. Counts only."""

    alerts = AlertSerializer(many=True)
    workers = WorkerSerializer(many=True)
    queues = QueuesSerializer()
    sweeper = SweeperSerializer()
    model = ModelIdentitySerializer(allow_null=True)
    redis = serializers.BooleanField()
    scanner = serializers.BooleanField(allow_null=True, help_text="null where no virus scanner is configured")
    storage = StorageSerializer()
