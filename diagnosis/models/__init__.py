"""THE FLOW as nouns: fields, constraints and predicates; no work happens here.

May import: Django, `patients.models`, `diagnosis.querysets`, `.phrases`.
"""

from diagnosis.models.alert import AlertMail, CriticalAlert
from diagnosis.models.discordance import Discordance
from diagnosis.models.drift import Distribution
from diagnosis.models.expiry import FilmExpiry, StudyRemoval
from diagnosis.models.job import Job
from diagnosis.models.model_version import ModelChange, ModelVersion, OperatingPoint
from diagnosis.models.prediction import Finding, Prediction
from diagnosis.models.radiograph import Radiograph
from diagnosis.models.reading import Reading, SavedView
from diagnosis.models.report import FirstImpression, Report, ReportedFinding
from diagnosis.models.report_export import ReportExport
from diagnosis.models.report_settings import ReportSettings
from diagnosis.models.study import Study, UploadKey
from diagnosis.models.study_move import StudyMove
from diagnosis.models.threshold import ThresholdChange
from diagnosis.models.worker import Tally, Worker

__all__ = [
    "AlertMail",
    "CriticalAlert",
    "Discordance",
    "Distribution",
    "FilmExpiry",
    "Finding",
    "FirstImpression",
    "Job",
    "ModelChange",
    "ModelVersion",
    "OperatingPoint",
    "Prediction",
    "Radiograph",
    "Reading",
    "Report",
    "ReportExport",
    "ReportSettings",
    "ReportedFinding",
    "SavedView",
    "Study",
    "StudyMove",
    "StudyRemoval",
    "Tally",
    "ThresholdChange",
    "UploadKey",
    "Worker",
]
